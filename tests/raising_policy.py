"""A policy that raises in some episodes, for the tests of what is lost with them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.core import Array, Observation, PolicySpec
from embodied.envs.worlds import Worlds
from embodied.policies.dual_system import DualSystemConfig

BAD_SEED = 10_002


class RaisingPolicy:
    """Stays where it is; after a few steps it raises in the episodes of bad seeds."""

    def __init__(self, action_size: int, bad_seeds: frozenset[int]) -> None:
        self.spec = PolicySpec()
        self._action_size = action_size
        self._bad_seeds = bad_seeds
        self._seed_of: dict[int, int] = {}
        self._steps = 0

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        self._seed_of |= dict(zip(map(int, ids), seeds, strict=True))

    def act(self, observation: Observation) -> np.ndarray:
        self._steps += 1
        if self._steps > 3 and self._bad_seeds & set(self._seed_of.values()):
            raise ZeroDivisionError("one over nothing")
        return np.zeros((len(observation.tick), self._action_size), np.float32)


class Source:
    """Makes the policy."""

    planner_hz = None
    weights_hash = ""
    trained_for = None

    def __init__(self, *bad_seeds: int) -> None:
        self._bad_seeds = frozenset(bad_seeds)

    def spec(self, task: str, robot: str | None = None) -> PolicySpec:
        return PolicySpec()

    def make(
        self, worlds: Worlds, dual: DualSystemConfig | None = None
    ) -> RaisingPolicy:
        return RaisingPolicy(len(worlds.interface.low), self._bad_seeds)


SOMETIMES = Source(BAD_SEED)
ALWAYS = Source(*range(10_000, 10_100))
NEVER = Source()
