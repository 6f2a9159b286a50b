"""A policy that wanders: the driver from whom an expert takes over in the tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation, PolicySpec
from embodied.envs.worlds import Worlds
from embodied.policies.dual_system import DualSystemConfig

SPEC = PolicySpec(control_mode="ee_delta", control_hz=200)
HELD_TICKS = PHYSICS_HZ // 4  # how long each random action lasts
LONGEST_S = 60


class Wandering:
    """Takes a new uniform action every 0.25 s, which moves the hand some 5 cm."""

    spec = SPEC

    def __init__(self, action_size: int) -> None:
        self._action_size = action_size
        self._actions: dict[int, np.ndarray] = {}  # by world, (K, A)

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        shape = (LONGEST_S * PHYSICS_HZ // HELD_TICKS, self._action_size)
        for world, seed in zip(np.asarray(ids).tolist(), seeds, strict=True):
            self._actions[world] = np.random.default_rng(seed).uniform(-1, 1, shape)

    def act(self, observation: Observation) -> np.ndarray:
        ticks = np.asarray(observation.tick).tolist()
        rows = [
            self._actions[world][tick // HELD_TICKS % len(self._actions[world])]
            for world, tick in enumerate(ticks)
        ]
        return np.array(rows, np.float32)


class WanderingSource:
    """The source of that policy, for `--policy tests.wandering:SOURCE`."""

    planner_hz = None
    weights_hash = ""
    trained_for = None

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        return SPEC

    def make(self, worlds: Worlds, dual: DualSystemConfig | None = None) -> Wandering:
        return Wandering(len(worlds.interface.low))


SOURCE = WanderingSource()
