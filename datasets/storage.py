"""Writing episodes to groups of an HDF5 file.

Files hold no time stamps, so the same episodes give the same bytes. Low-dimensional
arrays are contiguous. Images have one chunk per frame, compressed by gzip at level 1, so
that a random frame takes one read.
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
from embodied.datasets.h5_files import NewFile, new_file
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

# Rounding may bring an action this far out of [-1, 1]; more is an error.
ACTION_TOLERANCE = 1e-6

_PART_PREFIX = "seed_"


def parts_folder(path: Path) -> Path:
    """Returns the folder that holds a dataset's episodes while it is collected."""
    return path.parent / f"{path.name}.parts"


def part_file(path: Path, seed: int) -> Path:
    """Returns the file of one episode of an unfinished collection."""
    return parts_folder(path) / f"{_PART_PREFIX}{seed}.hdf5"


def part_files(path: Path) -> list[Path]:
    """Returns the whole episodes of an unfinished collection, by seed."""
    parts = parts_folder(path).glob(f"{_PART_PREFIX}*.hdf5")
    return sorted(parts, key=part_seed)


def part_seed(part: Path) -> int:
    """Returns the seed of the episode in a `part_file`."""
    return int(part.stem.removeprefix(_PART_PREFIX))


@contextmanager
def replacing(
    path: Path, header: Header, folder: Path, is_sealed: bool = True
) -> Iterator[NewFile]:
    """Yields a new file without episodes that is put at `path` if the block succeeds.

    Until then it lies in `folder`, so no kill leaves half a file at `path`.

    Args:
        path: of the file.
        header: of the file.
        folder: on the same file system.
        is_sealed: whether it gets its index, which parts of a collection do not need.

    Raises:
        WriteError: the disk is full, or refuses the file for another reason.
    """
    temporary = folder / f"{path.name}.writing.{os.getpid()}"
    with new_file(path, temporary, seal if is_sealed else None) as new:
        write_header(new.h5, header)
        yield new


def write_header(file: H5, header: Header) -> None:
    """Writes what is true of all episodes to a new file."""
    # What this package reads.
    meta = file.create_group("meta")
    meta.attrs["schema_version"] = header.schema_version
    meta.attrs["metadata"] = header.metadata_json
    meta.attrs["policy"] = header.policy
    meta.attrs["record_hz"] = header.record_hz
    if header.planner_hz is not None:
        meta.attrs["planner_hz"] = header.planner_hz
    if header.correction is not None:
        meta.attrs["correction"] = to_json(header.correction)

    # What robomimic reads; `total` is set when the episodes are there.
    data = file.create_group("data")
    data.attrs["env_args"] = to_json(header.env_args)
    data.attrs["total"] = 0
    for group in ("meta", "data"):
        write_group_description(file, group)


def write_masks(file: H5, masks: Mapping[str, Iterable[int]]) -> None:
    """Writes masks, which robomimic calls filter keys: the names of their demos."""
    for mask, numbers in masks.items():
        write_mask(file, mask, [f"demo_{number}" for number in numbers])
    if masks:
        write_group_description(file, "mask")


def write_mask(file: H5, mask: str, demos: Sequence[str]) -> None:
    """Writes one mask, in place of one of the same name."""
    path = f"mask/{mask}"
    if path in file:
        del file[path]

    names = [demo.encode() for demo in demos]
    # bytes of a fixed width; a mask without episodes needs a width, too
    width = max(map(len, names), default=1)
    file.create_dataset(path, data=np.array(names, dtype=f"S{width}"))


def write_episode(data: H5, name: str, episode: Episode) -> None:
    """Writes an episode as the group `name` of `/data`.

    Its attribute `num_samples` is written last: a demo without it is not whole.

    Raises:
        DatasetError: arrays have different lengths, there is no frame, or an action is
            outside [-1, 1].
    """
    _check_lengths(episode)
    demo = data.create_group(name)

    # What robomimic reads.
    for key, value in episode.obs.items():
        _write_array(demo, f"obs/{key}", value)
    actions = in_bounds(episode.actions, episode.frame_tick, "actions")
    demo["actions"] = actions.astype(np.float32)
    demo["rewards"] = episode.rewards
    dones = np.zeros(len(episode.actions), np.uint8)
    dones[-1] = 1
    demo["dones"] = dones
    demo["states"] = episode.states

    # What happened between the frames, and what was planned.
    demo["frame_tick"] = episode.frame_tick
    if episode.image_tick is not None:
        demo["image_tick"] = episode.image_tick
    for key, stream in episode.streams.items():
        demo[f"streams/{key}/t"] = stream.tick
        demo[f"streams/{key}/value"] = _checked_stream(key, stream, episode.meta)
    for key, value in episode.plans.items():
        demo[f"plans/{key}"] = value

    # What a replay starts from.
    demo["start/state"] = episode.start_state
    demo.create_group("start/fields")
    for key, value in episode.start_fields.items():
        demo[f"start/fields/{key}"] = value

    write_demo_descriptions(demo)
    _write_meta(demo, episode.meta)


def in_bounds(actions: np.ndarray, tick: np.ndarray, name: str) -> np.ndarray:
    """Returns actions clipped to [-1, 1], which corrects rounding only.

    Args:
        actions: (T, A).
        tick: (T,), for the error message.
        name: of the array, for the error message.

    Raises:
        DatasetError: a value is not a number, or outside [-1, 1] by more than
            `ACTION_TOLERANCE`.
    """
    # "not within" in place of "beyond", so that NaN is found, too
    wrong = np.argwhere(~(np.abs(actions) <= 1 + ACTION_TOLERANCE))
    if len(wrong):
        row, column = wrong[0]
        raise DatasetError(
            f"{name} must be in [-1, 1], but element {column} at tick {tick[row]} is {actions[row, column]}"
        )
    return np.clip(actions, -1, 1)


def _checked_stream(key: str, stream: Stream, meta: EpisodeMeta) -> np.ndarray:
    """Returns the values of a stream; those of actions are checked to be in bounds."""
    name = f"streams/{key}"
    value = stream.value
    if key != "action":
        return value
    if not meta.fault:
        return in_bounds(value, stream.tick, name)

    # An action that is not finite may have caused the fault, so it is stored as it was.
    finite = np.isfinite(value)
    checked = in_bounds(np.where(finite, value, 0), stream.tick, name)
    return np.where(finite, checked, value)


def _write_array(demo: H5, key: str, value: np.ndarray) -> None:
    """Writes an array of frames; pictures are compressed, each by itself."""
    if not is_picture_key(key):
        demo[key] = value
        return
    demo.create_dataset(
        key,
        data=value,
        chunks=(1, *value.shape[1:]),
        compression="gzip",
        compression_opts=1,
    )


def _write_meta(demo: H5, meta: EpisodeMeta) -> None:
    """Writes the attributes in the order of the fields: `num_samples` is last.

    Fields that are None are left out.
    """
    for f in fields(meta):
        value = getattr(meta, f.name)
        if f.name == "variation":
            value = to_json(value)
        if value is not None:
            demo.attrs[f.name] = value


def _check_lengths(episode: Episode) -> None:
    """Raises DatasetError if arrays of an episode do not have matching lengths."""
    seed = episode.meta.seed
    frames = episode.meta.num_samples
    if frames < 1:
        raise DatasetError(f"the episode of seed {seed} has no frame")

    # Arrays at the frame rate.
    rows = {f"obs/{key}": len(value) for key, value in episode.obs.items()}
    for key in ("actions", "rewards", "states", "frame_tick"):
        rows[key] = len(getattr(episode, key))
    wrong = {key: count for key, count in rows.items() if count != frames}
    if wrong:
        raise DatasetError(
            f"the episode of seed {seed} has {frames} frames, but rows: {wrong}"
        )

    # Arrays at the control rate.
    for key, stream in episode.streams.items():
        if len(stream.tick) != len(stream.value) or np.any(np.diff(stream.tick) <= 0):
            raise DatasetError(
                f"stream {key} of seed {seed}: ticks don't rise, or don't match the values"
            )
