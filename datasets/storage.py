"""Episodes to and from HDF5 groups. Default file format, no times: the same episodes
give the same bytes.

Low-dimensional arrays are contiguous; images have one frame per chunk and gzip-1, so
that a random frame is one read.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path

import h5py
import numpy as np

from embodied import files
from embodied.datasets.schema import (
    H5,
    IMAGE_SUFFIX,
    SCHEMA_VERSION,
    DatasetError,
    Episode,
    EpisodeMeta,
    Header,
    Stream,
    read_meta,
    to_json,
)

# rounding of a target at its limit; anything beyond is a mistake
ACTION_TOLERANCE = 1e-6


def parts_folder(path: Path) -> Path:
    """Where the episodes of a dataset lie while it is collected."""
    return path.parent / f"{path.name}.parts"


def part_files(path: Path) -> list[Path]:
    """The whole episodes of an unfinished collection, by seed."""
    return sorted(
        parts_folder(path).glob("seed_*.hdf5"),
        key=lambda part: int(part.stem.removeprefix("seed_")),
    )


def create_file(path: Path, header: Header) -> H5:
    """A new file with a header and no episodes."""
    file = h5py.File(path, "w")
    meta = file.create_group("meta")
    meta.attrs["schema_version"] = SCHEMA_VERSION
    meta.attrs["metadata"] = header.metadata_json
    meta.attrs["policy"] = header.policy
    meta.attrs["record_hz"] = header.record_hz
    if header.planner_hz is not None:
        meta.attrs["planner_hz"] = header.planner_hz
    data = file.create_group("data")
    data.attrs["env_args"] = header.env_args_json
    data.attrs["total"] = 0
    return file


@contextmanager
def replacing(path: Path, header: Header, folder: Path) -> Iterator[H5]:
    """Yields a new file, made in `folder`; it appears at `path`, whole and on the disk,
    when the block succeeds.
    """
    temporary = folder / f"{path.name}.writing.{os.getpid()}"
    with files.replacing(path, temporary), create_file(temporary, header) as file:
        yield file


def write_masks(file: H5, masks: Mapping[str, Iterable[int]]) -> None:
    """Write robomimic's filter keys: for each mask the byte strings of its demos'
    names.
    """
    for name, numbers in masks.items():
        names = [f"demo_{number}".encode() for number in numbers]
        width = max(map(len, names), default=1)
        file.create_dataset(f"mask/{name}", data=np.array(names, dtype=f"S{width}"))


def write_episode(data: H5, name: str, episode: Episode) -> None:
    """Write an episode as the group `name` of `/data`, its `num_samples` last.

    Raises:
        DatasetError: arrays of different lengths, no frame, or an action outside [-1,
            1].
    """
    _check_lengths(episode)
    demo = data.create_group(name)
    for key, value in episode.obs.items():
        _write_array(demo, f"obs/{key}", value)
    demo["actions"] = in_bounds(episode.actions, episode.frame_tick, "actions").astype(
        np.float32
    )
    demo["rewards"] = episode.rewards
    dones = np.zeros(len(episode.actions), np.uint8)
    dones[-1] = 1
    demo["dones"] = dones
    demo["states"] = episode.states
    demo["frame_tick"] = episode.frame_tick
    if episode.image_tick is not None:
        demo["image_tick"] = episode.image_tick
    for key, stream in episode.streams.items():
        demo[f"streams/{key}/t"] = stream.tick
        demo[f"streams/{key}/value"] = _checked_stream(key, stream, episode.meta)
    for key, value in episode.plans.items():
        demo[f"plans/{key}"] = value
    demo["start/state"] = episode.start_state
    demo.create_group("start/fields")
    for key, value in episode.start_fields.items():
        demo[f"start/fields/{key}"] = value
    _write_meta(demo, episode.meta)


def read_episode(demo: H5, images: bool = True) -> Episode:
    """The inverse of `write_episode`; without images where they are not asked for."""
    streams = {
        key: Stream(group["t"][()], group["value"][()])
        for key, group in demo["streams"].items()
    }
    return Episode(
        meta=read_meta(demo),
        obs={
            key: d[()]
            for key, d in demo["obs"].items()
            if images or not key.endswith(IMAGE_SUFFIX)
        },
        actions=demo["actions"][()],
        rewards=demo["rewards"][()],
        states=demo["states"][()],
        frame_tick=demo["frame_tick"][()],
        image_tick=demo["image_tick"][()] if "image_tick" in demo else None,
        streams=streams,
        plans={key: d[()] for key, d in demo["plans"].items()}
        if "plans" in demo
        else {},
        start_state=demo["start/state"][()],
        start_fields=_read_tree(demo["start/fields"]),
    )


def _read_tree(group: H5) -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}

    def keep(name: str, item: H5) -> None:
        if isinstance(item, h5py.Dataset):
            found[name] = item[()]

    group.visititems(keep)
    return found


def in_bounds(actions: np.ndarray, tick: np.ndarray, what: str) -> np.ndarray:
    """The actions, clipped by no more than rounding.

    Raises:
        DatasetError: a value is not a number, or outside [-1, 1] by more than
            `ACTION_TOLERANCE`.
    """
    wrong = np.argwhere(~(np.abs(actions) <= 1 + ACTION_TOLERANCE))
    if len(wrong):
        row, column = wrong[0]
        raise DatasetError(
            f"{what} must be in [-1, 1], but element {column} at tick {tick[row]} is {actions[row, column]}"
        )
    return np.clip(actions, -1, 1)


def _checked_stream(key: str, stream: Stream, meta: EpisodeMeta) -> np.ndarray:
    if key != "action":
        return stream.value
    value = stream.value
    if not meta.fault:
        return in_bounds(value, stream.tick, "streams/action")
    finite = np.isfinite(value)  # a fault's own cause is kept as it was
    return np.where(
        finite,
        in_bounds(np.where(finite, value, 0), stream.tick, "streams/action"),
        value,
    )


def _write_array(demo: H5, key: str, value: np.ndarray) -> None:
    if key.endswith(IMAGE_SUFFIX):
        demo.create_dataset(
            key,
            data=value,
            chunks=(1, *value.shape[1:]),
            compression="gzip",
            compression_opts=1,
        )
    else:
        demo[key] = value


def _write_meta(demo: H5, meta: EpisodeMeta) -> None:
    for f in fields(meta):
        value = getattr(meta, f.name)
        if value is not None:
            demo.attrs[f.name] = to_json(value) if f.name == "variation" else value


def _check_lengths(episode: Episode) -> None:
    frames = episode.meta.num_samples
    if frames < 1:
        raise DatasetError(f"the episode of seed {episode.meta.seed} has no frame")
    rows = {f"obs/{key}": len(value) for key, value in episode.obs.items()}
    rows |= {
        key: len(getattr(episode, key))
        for key in ("actions", "rewards", "states", "frame_tick")
    }
    wrong = {key: count for key, count in rows.items() if count != frames}
    if wrong:
        raise DatasetError(
            f"the episode of seed {episode.meta.seed} has {frames} frames, but rows: {wrong}"
        )
    for key, stream in episode.streams.items():
        if len(stream.tick) != len(stream.value) or np.any(np.diff(stream.tick) <= 0):
            raise DatasetError(
                f"stream {key} of seed {episode.meta.seed}: ticks don't rise, or don't match the values"
            )
