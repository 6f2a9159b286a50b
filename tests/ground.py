"""What the tests of worlds share: worlds of few threads, and random actions."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from embodied.envs import worlds as worlds_module
from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task, robots_for, task_names
from embodied.envs.worlds import Worlds
from embodied.robots.parts.part import CONTROL_MODES

TOTE_TRANSFER = "ToteTransfer"
PAIRS = [(task, robot) for task in task_names() for robot in robots_for(get_task(task))]
CASES = [
    (task, robot, mode)
    for k, (task, robot) in enumerate(PAIRS)
    for m, mode in enumerate(CONTROL_MODES)
    if task == TOTE_TRANSFER or m == k % len(CONTROL_MODES)
]  # every registered task with each of its robots: one in all control modes, the others in one each


def config(**settings: Any) -> EnvConfig:
    return EnvConfig(**{"task": TOTE_TRANSFER, "num_threads": 1, **settings})


def started(num: int = 1, first_seed: int = 0, **settings: Any) -> Worlds:
    """Worlds whose episodes have begun, with consecutive seeds."""
    worlds = Worlds(config(**settings), num)
    worlds.reset(np.arange(num), range(first_seed, first_seed + num))
    return worlds


# (steps, N, A)
def random_actions(worlds: Worlds, steps: int, seed: int = 0) -> np.ndarray:
    """Uniform ones, held for some steps each so that they lead somewhere."""
    rng = np.random.default_rng(seed)
    drawn = rng.uniform(
        -1, 1, (-(-steps // 5), worlds.num_worlds, len(worlds.interface.low))
    )
    return np.repeat(drawn, 5, axis=0)[:steps].astype(np.float32)


def opened(worlds: Worlds) -> np.ndarray:  # (N, A)
    """The action that holds the arm still, in the delta modes, and the gripper open."""
    action = np.zeros((worlds.num_worlds, len(worlds.interface.low)))
    action[:, -1] = 1
    return action


def shorten_horizon(monkeypatch: pytest.MonkeyPatch, horizon_s: float) -> None:
    """Tasks of worlds made from now on end after `horizon_s`."""
    monkeypatch.setattr(
        worlds_module,
        "get_task",
        lambda name: replace(get_task(name), horizon_s=horizon_s),
    )


def image_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Mean absolute difference, in grey levels."""
    return float(np.abs(a.astype(float) - b).mean())
