"""Episodes out of nothing, for the tests of dataset files."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.array_specs import (
    PLAN_PAYLOAD,
    PLAN_TIMES,
    STREAMS,
    STREAMS_BEFORE,
)
from embodied.datasets.schema import Episode, EpisodeMeta, Header, Stream
from embodied.datasets.writer import EpisodeWriter

# More than ten, so that demo_10 comes after demo_2 or the order is wrong.
SEEDS = [*range(12), 40]

JOINTS = 3
IMAGE_SHAPE = (8, 8, 3)
CONTROL_HZ = 50
RECORD_HZ = 10
TICKS_PER_STEP = PHYSICS_HZ // CONTROL_HZ
METADATA: dict[str, Any] = {
    "env_id": "embodied/Fake-v0",
    "task": "Fake",
    "config": {
        "task": "Fake",
        "level": "L1",
        "control_hz": CONTROL_HZ,
        "num_threads": 2,
        "cameras": ["front"],
    },
    "physics_hz": PHYSICS_HZ,
    "model_hash": "abc",
    "versions": {"embodied-ground": "0.1.0", "mujoco": "3.17.0"},
}


def open_hdf5(path: Path, mode: Literal["r", "r+", "w"] = "r") -> Any:
    """Opens a file, of which a type checker can't know what the items are."""
    return h5py.File(path, mode)


def write_in_old_form(source: Path, target: Path) -> Path:
    """Copies a file into the form that HDF5 uses by itself, which has no checksums.

    Texts become ones of variable length, as other tools write them.
    """
    with open_hdf5(source) as old, open_hdf5(target, "w") as new:

        def copy(name: str, item: Any) -> None:
            if isinstance(item, h5py.Dataset):
                options = {"chunks": item.chunks, "compression": item.compression}
                copied = new.create_dataset(name, data=item[()], **options)
            else:
                copied = new.require_group(name)
            for key, value in item.attrs.items():
                is_text = isinstance(value, bytes)
                copied.attrs[key] = value.decode() if is_text else value

        old.visititems(copy)
    return target


def unsealed(path: Path) -> Path:
    """Cuts the index at the end of a file off, as HDF5's library does it."""
    with open_hdf5(path, "r+"):
        return path


def file_digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def fake_header(policy: str = "expert", **metadata: Any) -> Header:
    """A header as a collection would write it."""
    return Header({**METADATA, **metadata}, policy, record_hz=RECORD_HZ, planner_hz=8.0)


def fake_episode(
    seed: int, frames: int = 3, success: bool = True, images: bool = True
) -> Episode:
    """An episode whose content follows from its arguments alone."""
    rng = np.random.default_rng(seed)
    steps = frames * CONTROL_HZ // RECORD_HZ

    widths = {
        "action": (JOINTS,),
        "intended": (JOINTS,),
        "agent_pos": (4,),
        "joint_target": (JOINTS,),
    }
    values = {}
    # Each stream is random, of the width and type that its specification asks for.
    for spec in STREAMS:
        shape = (steps, *widths.get(spec.name, ()))
        values[spec.name] = rng.uniform(-1, 1, shape).astype(spec.dtype)
    values["checksum"] = rng.integers(0, 2**64, steps, np.uint64)

    streams = {}
    # What is recorded before a step carries the tick of its observation; the rest, that
    # of the result.
    for spec in STREAMS:
        step = np.arange(steps) + (spec not in STREAMS_BEFORE)
        streams[spec.name] = Stream(step * TICKS_PER_STEP, values[spec.name])

    obs: dict[str, np.ndarray] = {"agent_pos": rng.random((frames, 4), np.float32)}
    if images:
        obs["front_image"] = rng.integers(0, 256, (frames, *IMAGE_SHAPE), np.uint8)

    plans = {spec.name: rng.random((2, 1, 3)) for spec in PLAN_PAYLOAD}
    plans |= {spec.name: np.arange(2) for spec in PLAN_TIMES}
    plans["subtask"] = np.arange(2)
    frame_tick = np.arange(frames) * PHYSICS_HZ // RECORD_HZ
    meta = EpisodeMeta(
        seed=seed,
        instruction=f"take tote {seed}",
        success_once=success,
        success_at_end=success,
        progress_max=1.0,
        progress_end=0.5,
        reward_sum=2.5,
        duration_s=steps / CONTROL_HZ,
        num_samples=frames,
    )

    return Episode(
        meta=meta,
        obs=obs,
        actions=rng.uniform(-1, 1, (frames, JOINTS)).astype(np.float32),
        rewards=rng.random(frames, np.float32),
        states=rng.random((frames, 5)),
        frame_tick=frame_tick,
        image_tick=frame_tick if images else None,
        streams=streams,
        plans=plans,
        start_state=rng.random(7),
        start_fields={"geom_size": rng.random((2, 3)), "task/goal": rng.random(3)},
    )


def write_dataset(path: Path, seeds: Iterable[int]) -> Path:
    """Writes a dataset of fake episodes, and returns its path."""
    with EpisodeWriter(path, fake_header()) as writer:
        for seed in seeds:
            writer.write(fake_episode(seed))
    return path


def same(one: Episode, other: Episode) -> bool:
    """Whether two episodes are equal in every bit and type."""
    if one.meta != other.meta:
        return False
    arrays = _arrays(one)
    other_arrays = _arrays(other)
    if arrays.keys() != other_arrays.keys():
        return False
    for name, array in arrays.items():
        other_array = other_arrays[name]
        if array.dtype != other_array.dtype or not np.array_equal(array, other_array):
            return False
    return True


def _arrays(episode: Episode) -> dict[str, np.ndarray]:
    """All arrays of an episode, by their names."""
    arrays: dict[str, np.ndarray] = {}

    for name, value in vars(episode).items():
        if isinstance(value, np.ndarray):
            arrays[name] = value
            continue
        if not isinstance(value, Mapping):
            continue

        # Mappings hold streams, which are two arrays each, or plain arrays.
        for key, item in value.items():
            if isinstance(item, Stream):
                arrays[f"{name}/{key}/tick"] = item.tick
                arrays[f"{name}/{key}/value"] = item.value
            else:
                arrays[f"{name}/{key}"] = item

    return arrays
