"""Policies that learn and know nothing: baselines, and something to try worlds with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.core import Array, Observation, PolicySpec
from embodied.policies.limits import HoldAction
from embodied.seeding import Stream, episode_generator


class RandomPolicy:
    """Uniform actions in [-1, 1], a new one at each step; an episode's actions depend
    on its seed alone.
    """

    def __init__(self, action_size: int, spec: PolicySpec | None = None) -> None:
        self.spec = spec or PolicySpec()
        self._action_size = action_size
        self._generators: dict[int, np.random.Generator] = {}  # by world

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        self._generators.update(
            {
                int(i): episode_generator(s, Stream.RANDOM_POLICY)
                for i, s in zip(ids, seeds, strict=True)
            }
        )

    def act(self, observation: Observation) -> np.ndarray:
        worlds = range(len(observation.tick))
        rows = [self._generators[i].uniform(-1, 1, self._action_size) for i in worlds]
        return np.array(rows, np.float32)


class ZeroPolicy:
    """Does nothing: all zeros, which is rest in modes that command velocities or
    changes.
    """

    def __init__(self, action_size: int, spec: PolicySpec | None = None) -> None:
        self.spec = spec or PolicySpec()
        self._action_size = action_size

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        """There is nothing to forget."""

    def act(self, observation: Observation) -> np.ndarray:
        return np.zeros((len(observation.tick), self._action_size), np.float32)


class HoldPolicy:
    """Stays where the episode began, in any control mode: repeats what `hold_action`
    gave for its first observation.
    """

    def __init__(self, hold_action: HoldAction, spec: PolicySpec | None = None) -> None:
        self.spec = spec or PolicySpec()
        self._hold_action = hold_action
        self._action: np.ndarray | None = None  # (N, A)

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        fresh = np.array(self._hold_action(observation), np.float32)
        if self._action is None or self._action.shape != fresh.shape:
            self._action = fresh
        self._action[ids] = fresh[ids]

    def act(self, observation: Observation) -> np.ndarray:
        if self._action is None:
            raise ValueError("reset the policy before its first act")
        return self._action.copy()
