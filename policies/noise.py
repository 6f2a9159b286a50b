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
# How much longer these last: until the gripper is shut, so that demonstrations show an
# empty grasp, and how it is mended.
CLOSING_S = 0.4
SHOVES = 128  # sampled per episode


class NoisyPolicy:
    """A policy that is shoved: for a moment a constant is added to its action.

    The shoves of an episode depend on its seed alone. In some of them open grippers
    close; otherwise grippers are left as they are, so that nothing held is dropped.
    """

    def __init__(
        self, policy: Policy, sigma: float, gripper_elements: Sequence[int] = (-1,)
    ) -> None:
        """Wraps a policy.

        Args:
            policy: the one that is shoved.
            sigma: standard deviation of the shoves, in [0, 1].
            gripper_elements: which action elements are grippers.

        Raises:
            EmbodiedError: `sigma` is not in [0, 1].
        """
        if not 0 <= sigma <= 1:
            raise EmbodiedError(
                "the action noise must be from 0 to 1, as actions are from -1 to 1, "
                f"not {sigma}"
            )
        self.spec = policy.spec
        self._policy = policy
        self._sigma = sigma
        self._grippers = list(gripper_elements)
        self._intended = np.zeros((0, 0), np.float32)  # (N, A)

        # the shoves of each world's episode
        self._start = np.zeros((0, SHOVES), np.int64)  # (N, shoves) ticks
        self._end = np.zeros((0, SHOVES), np.int64)
        self._push = np.zeros((0, SHOVES, 0))  # (N, shoves, A)
        self._closes = np.zeros((0, SHOVES), bool)
        # world -> seed, where the shoves are still to be sampled
        self._seeds: dict[int, int] = {}

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
            self._sample_shoves()

        # at most one shove per world is under way
        tick = np.asarray(observation.tick)[:, None]
        now = (tick >= self._start) & (tick < self._end)  # (N, shoves)
        push = np.einsum("ns,nsa->na", now, self._push)
        action = np.clip(self._intended + push, -1, 1).astype(np.float32)

        # grippers that are open close in some of them
        grip = self._intended[:, self._grippers]  # (N, grippers)
        is_closing = np.any(now & self._closes, axis=1, keepdims=True)  # (N, 1)
        closes = is_closing & (grip > 0)
        action[:, self._grippers] = np.where(closes, -1.0, grip)
        return action

    def take_plans(self) -> list[Plan]:
        return self._policy.take_plans() if isinstance(self._policy, PlanSource) else []

    def mean_plan_age_s(self, world: int) -> float:
        if isinstance(self._policy, PlanSource):
            return self._policy.mean_plan_age_s(world)
        return float("nan")

    def _sample_shoves(self) -> None:
        """Samples the shoves of the episodes that have begun since the last action."""
        num, size = self._intended.shape
        if len(self._start) != num:
            self._start = np.zeros((num, SHOVES), np.int64)
            self._end = np.zeros((num, SHOVES), np.int64)
            self._push = np.zeros((num, SHOVES, size))
            self._closes = np.zeros((num, SHOVES), bool)

        for world, seed in self._seeds.items():
            # when each begins and ends: calm and shoves take turns
            rng = episode_generator(seed, Stream.ACTION_NOISE)
            closes = rng.random(SHOVES) < GRASP_SHARE
            calm_s = rng.exponential(CALM_S, SHOVES)
            shove_s = rng.uniform(*SHOVE_S, SHOVES) + CLOSING_S * closes
            end_s = np.cumsum(calm_s + shove_s)
            self._start[world] = (end_s - shove_s) * PHYSICS_HZ
            self._end[world] = end_s * PHYSICS_HZ

            # what it does
            self._push[world] = self._sigma * rng.standard_normal((SHOVES, size))
            self._push[world][:, self._grippers] = 0
            self._closes[world] = closes
        self._seeds.clear()
