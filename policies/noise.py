"""Demonstrations that know how to recover: the expert's actions are disturbed while they are carried out.

Laskey et al., DART: Noise Injection for Robust Imitation Learning (CoRL 2017): a learner that only ever sees clean
demonstrations never sees how to come back from its own small errors.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.core import Array, Observation, Plan, Policy
from embodied.errors import EmbodiedError
from embodied.policies.latency import episode_generator
from embodied.rollout.rollout import PlanSource

CORRELATION_S = 0.25  # a disturbance lasts about so long: white noise at 200 Hz would average out in the servos
_BLOCK = 256  # steps of noise drawn at once
_STREAM = 7  # of random numbers, apart from those of the channel and of random policies


class NoisyPolicy:
    """A policy whose actions are disturbed by noise that is correlated in time, with standard deviation `sigma`.

    The noise of an episode depends on its seed alone. `grippers`: action elements that stay as they are.
    """

    def __init__(self, policy: Policy, sigma: float, grippers: tuple[int, ...] = (-1,)) -> None:
        if not 0 <= sigma <= 1:
            raise EmbodiedError(f"the action noise must be from 0 to 1, as actions are from -1 to 1, not {sigma}")
        self.spec, self._policy, self._sigma, self._grippers = policy.spec, policy, sigma, list(grippers)
        self._keep = float(np.exp(-1 / (CORRELATION_S * self.spec.control_hz)))
        self._generators: dict[int, np.random.Generator] = {}  # by world
        self._draws = np.zeros((0, _BLOCK, 0))  # (N, block, A) standard normal numbers
        self._used = np.zeros(0, np.int64)  # (N,) of the block
        self._noise = np.zeros((0, 0))  # (N, A) in units of sigma
        self._intended = np.zeros((0, 0), np.float32)

    @property
    def intended(self) -> np.ndarray:
        """(N, A) what the policy itself wanted at the last `act`."""
        return self._intended.copy()

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        self._policy.reset(ids, observation, seeds)
        for world, seed in zip(np.asarray(ids).tolist(), seeds, strict=True):
            self._generators[world] = episode_generator(seed, _STREAM)
        if len(self._used) == len(observation.tick):
            self._begin(np.asarray(ids))

    def act(self, observation: Observation) -> np.ndarray:
        self._intended = np.array(self._policy.act(observation), np.float32)
        if self._draws.shape[::2] != self._intended.shape:
            self._allocate(*self._intended.shape)
        self._refill(np.flatnonzero(self._used == _BLOCK))
        fresh = self._draws[np.arange(len(self._used)), self._used]
        self._used += 1
        self._noise = self._keep * self._noise + np.sqrt(1 - self._keep**2) * fresh
        action = np.clip(self._intended + self._sigma * self._noise, -1, 1).astype(np.float32)
        action[:, self._grippers] = self._intended[:, self._grippers]
        return action

    def take_plans(self) -> list[Plan]:
        return self._policy.take_plans() if isinstance(self._policy, PlanSource) else []

    def mean_plan_age_s(self, world: int) -> float:
        return self._policy.mean_plan_age_s(world) if isinstance(self._policy, PlanSource) else float("nan")

    def _allocate(self, num_worlds: int, action_size: int) -> None:
        self._draws = np.zeros((num_worlds, _BLOCK, action_size))
        self._noise = np.zeros((num_worlds, action_size))
        self._used = np.zeros(num_worlds, np.int64)
        self._begin(np.arange(num_worlds))

    def _begin(self, ids: np.ndarray) -> None:
        """Episodes start: the noise begins somewhere in its stationary distribution."""
        self._refill(ids)
        self._noise[ids], self._used[ids] = self._draws[ids, 0], 1

    def _refill(self, ids: np.ndarray) -> None:
        for world in ids.tolist():
            if world in self._generators:  # else no episode has run there yet
                self._draws[world] = self._generators[world].standard_normal(self._draws.shape[1:])
        self._used[ids] = 0
