"""Writing episodes to groups of an HDF5 file.

Files contain no time stamps, so the same episodes give the same bytes. (HDF5 adds time
stamps to parent groups that it creates implicitly, so each group is created explicitly.)
Low-dimensional arrays are contiguous. Images have one chunk per frame, compressed by
gzip at level 1, so that reading a random frame takes a single read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import numpy as np

from embodied.datasets.descriptions import (
    write_demo_descriptions,
    write_group_description,
)
from embodied.datasets.h5_files import NewFile, new_file, write_text
from embodied.datasets.index.seal import seal
from embodied.datasets.schema import (
    H5,
    DatasetError,
    Episode,
    EpisodeMeta,
    Header,
    Stream,
    is_picture_key,
    to_json,
)

# Rounding may move an action out of [-1, 1] by this much; a larger excess is an error.
ACTION_TOLERANCE = 1e-6

_PART_PREFIX = "seed_"


def parts_folder(path: Path) -> Path:
    """Returns the folder that holds a dataset's episodes while they are collected."""
    return path.parent / f"{path.name}.parts"


def part_file(path: Path, seed: int) -> Path:
    """Returns the file of one episode of an unfinished collection."""
    return parts_folder(path) / f"{_PART_PREFIX}{seed}.hdf5"


def part_files(path: Path) -> list[Path]:
    """Returns the episodes' files of an unfinished collection, sorted by seed."""
    parts = parts_folder(path).glob(f"{_PART_PREFIX}*.hdf5")
    return sorted(parts, key=part_seed)


def part_seed(part: Path) -> int:
    """Returns the seed of the episode in a `part_file`."""
    return int(part.stem.removeprefix(_PART_PREFIX))


@contextmanager
def replacing(
    path: Path, header: Header, folder: Path, is_sealed: bool = True
) -> Iterator[NewFile]:
    """Yields a new file without episodes, which replaces `path` if the block succeeds.

    The file is written in `folder` and then renamed, so that a kill never leaves half a
    file at `path`.

    Args:
        path: the path of the file to replace.
        header: the header of the new file.
        folder: the folder in which the file is written, on the same file system.
        is_sealed: whether to append the index. Parts of a collection need no index,
            because they are merged into one file later.

    Raises:
        WriteError: the disk is full, or cannot be written for another reason.
    """
    temporary = folder / f"{path.name}.writing.{os.getpid()}"
    with new_file(path, temporary, seal if is_sealed else None) as new:
        write_header(new.h5, header)
        yield new


def write_header(file: H5, header: Header) -> None:
    """Writes the header to a new file, in this package's form and in robomimic's."""
    # this package reads `/meta`
    meta = file.create_group("meta")
    meta.attrs["schema_version"] = header.schema_version
    write_text(meta, "metadata", header.metadata_json)
    write_text(meta, "policy", header.policy)
    meta.attrs["record_hz"] = header.record_hz
    if header.planner_hz is not None:
        meta.attrs["planner_hz"] = header.planner_hz
    if header.correction is not None:
        write_text(meta, "correction", to_json(header.correction))

    # robomimic reads `/data`; `total` is set after the episodes were written
    data = file.create_group("data")
    write_text(data, "env_args", to_json(header.env_args))
    data.attrs["total"] = 0
    for group in ("meta", "data"):
        write_group_description(file, group)


def write_masks(file: H5, masks: Mapping[str, Iterable[int]]) -> None:
    """Writes masks, which robomimic calls filter keys.

    Args:
        file: the file to write to.
        masks: the name of a mask -> the numbers of the episodes in the mask.
    """
    for mask, numbers in masks.items():
        write_mask(file, mask, [f"demo_{number}" for number in numbers])
    if masks:
        write_group_description(file, "mask")


def write_mask(file: H5, mask: str, demos: Sequence[str]) -> None:
    """Writes one mask as the names of its demos; replaces a mask of the same name."""
    masks = file.require_group("mask")
    if mask in masks:
        del masks[mask]

    names = [demo.encode() for demo in demos]
    # the names are stored as bytes of a fixed width, which HDF5 requires to be at least 1
    width = max(map(len, names), default=1)
    masks.create_dataset(mask, data=np.array(names, dtype=f"S{width}"))


def write_episode(data: H5, name: str, episode: Episode) -> None:
    """Writes an episode as the group `name` of `/data`.

    The attribute `num_samples` is written last, so a demo with this attribute is
    complete. Arrays are written in the order of their names, which is the order in which
    HDF5 lists them. So an episode that is read and written again has the same bytes.

    Args:
        data: the group `/data`.
        name: the name of the new group.
        episode: the episode to write.

    Raises:
        DatasetError: arrays have different lengths, there is no frame, or an action is
            outside [-1, 1].
    """
    _check_lengths(episode)
    demo = data.create_group(name)

    # the arrays that robomimic reads
    obs = demo.create_group("obs")
    for key, value in sorted(episode.obs.items()):
        _write_array(obs, key, value)
    actions = in_bounds(episode.actions, episode.frame_tick, "actions")
    demo["actions"] = actions.astype(np.float32)
    demo["rewards"] = episode.rewards
    dones = np.zeros(len(episode.actions), np.uint8)
    dones[-1] = 1
    demo["dones"] = dones
    demo["states"] = episode.states

    # times, streams at the control rate, and plans
    demo["frame_tick"] = episode.frame_tick
    if episode.image_tick is not None:
        demo["image_tick"] = episode.image_tick
    streams = demo.create_group("streams")
    for key, stream in sorted(episode.streams.items()):
        group = streams.create_group(key)
        group["t"] = stream.tick
        group["value"] = _checked_stream(key, stream, episode.meta)
    if episode.plans:
        plans = demo.create_group("plans")
        for key, value in sorted(episode.plans.items()):
            plans[key] = value

    # the state that a replay starts from
    start = demo.create_group("start")
    start["state"] = episode.start_state
    start_fields = start.create_group("fields")
    for key, value in sorted(episode.start_fields.items()):
        *parents, name = key.split("/")
        group = start_fields
        for parent in parents:
            group = group.require_group(parent)
        group[name] = value

    write_demo_descriptions(demo)
    _write_meta(demo, episode.meta)


def in_bounds(actions: np.ndarray, tick: np.ndarray, name: str) -> np.ndarray:
    """Returns actions clipped to [-1, 1], where they exceed it by rounding only.

    Args:
        actions: (T, A) the actions.
        tick: (T,) the ticks of the actions, which the error message names.
        name: the name of the array, which the error message names.

    Raises:
        DatasetError: a value is NaN, or outside [-1, 1] by more than `ACTION_TOLERANCE`.
    """
    # comparisons with NaN are False, so `not (abs <= 1)` finds NaN and `abs > 1` does not
    out_of_bounds = np.argwhere(~(np.abs(actions) <= 1 + ACTION_TOLERANCE))
    if len(out_of_bounds):
        row, column = out_of_bounds[0]
        raise DatasetError(
            f"{name} must be in [-1, 1], but element {column} at tick {tick[row]} is "
            f"{actions[row, column]}"
        )
    return np.clip(actions, -1, 1)


def _checked_stream(key: str, stream: Stream, meta: EpisodeMeta) -> np.ndarray:
    """Returns the values of a stream; actions are checked and clipped to [-1, 1]."""
    name = f"streams/{key}"
    value = stream.value
    if key != "action":
        return value
    if not meta.fault:
        return in_bounds(value, stream.tick, name)

    # In an episode with a fault, numbers that are not finite are kept, because they may
    # have caused the fault; only finite numbers are checked.
    is_finite = np.isfinite(value)
    checked = in_bounds(np.where(is_finite, value, 0), stream.tick, name)
    return np.where(is_finite, checked, value)


def _write_array(obs: H5, key: str, value: np.ndarray) -> None:
    """Writes an array with one row per frame; images are compressed one by one."""
    if not is_picture_key(key):
        obs[key] = value
        return
    obs.create_dataset(
        key,
        data=value,
        chunks=(1, *value.shape[1:]),
        compression="gzip",
        compression_opts=1,
    )


def _write_meta(demo: H5, meta: EpisodeMeta) -> None:
    """Writes an episode's row of the table of episodes as attributes of its group.

    Attributes are written in the order of the fields of `EpisodeMeta`, so `num_samples`
    comes last. Fields that are None are left out.
    """
    for f in fields(meta):
        value = getattr(meta, f.name)
        if f.name == "variation":
            value = to_json(value)
        if isinstance(value, str):
            write_text(demo, f.name, value)
        elif value is not None:
            demo.attrs[f.name] = value


def _check_lengths(episode: Episode) -> None:
    """Raises DatasetError if the lengths of an episode's arrays do not match."""
    seed = episode.meta.seed
    frames = episode.meta.num_samples
    if frames < 1:
        raise DatasetError(f"the episode of seed {seed} has no frame")

    # arrays with one row per frame
    rows = {f"obs/{key}": len(value) for key, value in episode.obs.items()}
    for key in ("actions", "rewards", "states", "frame_tick"):
        rows[key] = len(getattr(episode, key))
    wrong_counts = {key: count for key, count in rows.items() if count != frames}
    if wrong_counts:
        raise DatasetError(
            f"the episode of seed {seed} has {frames} frames, but rows: {wrong_counts}"
        )

    # arrays with one row per control step
    for key, stream in episode.streams.items():
        if len(stream.tick) != len(stream.value) or np.any(np.diff(stream.tick) <= 0):
            raise DatasetError(
                f"stream {key} of seed {seed}: ticks don't rise, or don't match the values"
            )
