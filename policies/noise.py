"""Demonstrations that know how to recover: now and then the expert is shoved off its
way.

A learner that only ever sees clean demonstrations takes the hand's own place for the
goal's, since the two agree in them, and never sees how to come back from its own errors
(Laskey et al., DART: Noise Injection for Robust Imitation Learning, CoRL 2017). Shoves
come and go instead of trembling all the time, so that precise work still succeeds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation, Plan, Policy
from embodied.errors import EmbodiedError
from embodied.rollout.rollout import PlanSource
from embodied.seeding import Stream, episode_generator

CALM_S = 1.2  # mean time between two shoves
SHOVE_S = (0.15, 0.6)  # how long one lasts
GRASP_SHARE = 0.2  # of the shoves, in which an open gripper closes on whatever is there
# longer then: till the gripper is shut, so that an empty grasp is seen, and mended
CLOSING_S = 0.4
SHOVES = 128  # drawn for an episode


class NoisyPolicy:
    """A policy that is shoved: for a moment a constant of standard deviation `sigma` is
    added to its action.

    The shoves of an episode depend on its seed alone. `gripper`: the action element
    that closes in some shoves, where it was open, and is else left as it is, so that
    nothing held is dropped.
    """

    def __init__(self, policy: Policy, sigma: float, gripper: int = -1) -> None:
        if not 0 <= sigma <= 1:
            raise EmbodiedError(
                f"the action noise must be from 0 to 1, as actions are from -1 to 1, not {sigma}"
            )
        self.spec = policy.spec
        self._policy = policy
        self._sigma = sigma
        self._gripper = gripper
        self._start = self._end = np.zeros((0, SHOVES), np.int64)  # (N, shoves) ticks
        # by world, of those whose shoves are still to be drawn
        self._seeds: dict[int, int] = {}
        self._push = np.zeros((0, SHOVES, 0))  # (N, shoves, A)
        self._closes = np.zeros((0, SHOVES), bool)
        self._intended = np.zeros((0, 0), np.float32)

    @property
    def intended(self) -> np.ndarray:
        """(N, A) what the policy itself wanted at the last `act`."""
        return self._intended.copy()

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        self._policy.reset(ids, observation, seeds)
        self._seeds.update(zip(np.asarray(ids).tolist(), seeds, strict=True))

    def act(self, observation: Observation) -> np.ndarray:
        self._intended = np.array(self._policy.act(observation), np.float32)
        if self._seeds:
            self._draw()
        tick = np.asarray(observation.tick)[:, None]
        # (N, shoves), at most one each
        now = (tick >= self._start) & (tick < self._end)
        push = np.einsum("ns,nsa->na", now, self._push)
        action = np.clip(self._intended + push, -1, 1).astype(np.float32)
        grip = self._intended[:, self._gripper]
        closes = (now & self._closes).any(axis=1) & (grip > 0)
        action[:, self._gripper] = np.where(closes, -1.0, grip)
        return action

    def take_plans(self) -> list[Plan]:
        return self._policy.take_plans() if isinstance(self._policy, PlanSource) else []

    def mean_plan_age_s(self, world: int) -> float:
        return (
            self._policy.mean_plan_age_s(world)
            if isinstance(self._policy, PlanSource)
            else float("nan")
        )

    def _draw(self) -> None:
        """The shoves of the episodes that have begun since the last action."""
        num, size = self._intended.shape
        if len(self._start) != num:
            self._start, self._end = np.zeros((2, num, SHOVES), np.int64)
            self._push = np.zeros((num, SHOVES, size))
            self._closes = np.zeros((num, SHOVES), bool)
        for world, seed in self._seeds.items():
            rng = episode_generator(seed, Stream.ACTION_NOISE)
            closes = rng.random(SHOVES) < GRASP_SHARE
            calm = rng.exponential(CALM_S, SHOVES)
            lasts = rng.uniform(*SHOVE_S, SHOVES) + CLOSING_S * closes
            end = np.cumsum(calm + lasts)
            self._start[world] = (end - lasts) * PHYSICS_HZ
            self._end[world] = end * PHYSICS_HZ
            self._push[world] = self._sigma * rng.standard_normal((SHOVES, size))
            self._push[world, :, self._gripper] = 0
            self._closes[world] = closes
        self._seeds.clear()
