"""Episodes out of nothing, for the tests of dataset files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import h5py
import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.schema import (
    PLAN_PAYLOAD,
    PLAN_TIMES,
    STEP_STREAMS,
    STREAMS_BEFORE,
    Episode,
    EpisodeMeta,
    Header,
    Stream,
)

JOINTS = 3
IMAGE = (8, 8, 3)
METADATA: dict[str, Any] = {
    "env_id": "embodied/Fake-v0",
    "task": "Fake",
    "config": {
        "task": "Fake",
        "level": "L1",
        "control_hz": 50,
        "num_threads": 2,
        "cameras": ["front"],
    },
    "physics_hz": PHYSICS_HZ,
    "model_hash": "abc",
    "versions": {"embodied-ground": "0.1.0", "mujoco": "3.17.0"},
}


def hdf5(path: Path, mode: Literal["r", "r+", "w"] = "r") -> Any:
    """An open file, of which a type checker can't know what the items are."""
    return h5py.File(path, mode)


def header(policy: str = "expert", **metadata: Any) -> Header:
    """A header as a collection would write it."""
    return Header({**METADATA, **metadata}, policy, record_hz=10, planner_hz=8.0)


def episode(
    seed: int, frames: int = 3, success: bool = True, images: bool = True
) -> Episode:
    """An episode whose content follows from its arguments alone."""
    rng = np.random.default_rng(seed)
    steps = 5 * frames
    shapes = {
        "action": (JOINTS,),
        "intended": (JOINTS,),
        "agent_pos": (4,),
        "joint_target": (JOINTS,),
    }
    values = {
        k: rng.uniform(-1, 1, (steps, *shapes.get(k, ()))).astype(t)
        for k, t in STEP_STREAMS.items()
    }
    values["checksum"] = rng.integers(0, 2**64, steps, np.uint64)
    obs: dict[str, np.ndarray] = {"agent_pos": rng.random((frames, 4), np.float32)}
    if images:
        obs["front_image"] = rng.integers(0, 256, (frames, *IMAGE), np.uint8)
    meta = EpisodeMeta(
        seed,
        f"take tote {seed}",
        success,
        success,
        1.0,
        0.5,
        2.5,
        steps / 50,
        num_samples=frames,
    )
    return Episode(
        meta=meta,
        obs=obs,
        actions=rng.uniform(-1, 1, (frames, JOINTS)).astype(np.float32),
        rewards=rng.random(frames, np.float32),
        states=rng.random((frames, 5)),
        frame_tick=np.arange(frames) * 40,
        image_tick=np.arange(frames) * 40 if images else None,
        streams={
            k: Stream(np.arange(steps) * 8 + 8 * (k not in STREAMS_BEFORE), v)
            for k, v in values.items()
        },
        plans={k: rng.random((2, 3)) for k in PLAN_PAYLOAD}
        | {k: np.arange(2) for k in PLAN_TIMES},
        start_state=rng.random(7),
        start_fields={"geom_size": rng.random((2, 3)), "task/goal": rng.random(3)},
    )


def same(one: Episode, other: Episode) -> bool:
    """Whether two episodes are equal in every bit and type."""
    return (
        one.meta == other.meta
        and _flat(one).keys() == _flat(other).keys()
        and all(
            np.array_equal(a, b) and a.dtype == b.dtype
            for a, b in zip(_flat(one).values(), _flat(other).values(), strict=True)
        )
    )


def _flat(episode: Episode) -> dict[str, np.ndarray]:
    flat: dict[str, np.ndarray] = {}
    for name, value in vars(episode).items():
        if isinstance(value, np.ndarray):
            flat[name] = value
        elif isinstance(value, Mapping):
            flat |= {
                f"{name}/{k}": v for k, v in value.items() if not isinstance(v, Stream)
            }
            flat |= {
                f"{name}/{k}/tick": v.tick
                for k, v in value.items()
                if isinstance(v, Stream)
            }
            flat |= {
                f"{name}/{k}/value": v.value
                for k, v in value.items()
                if isinstance(v, Stream)
            }
    return dict(sorted(flat.items()))
