"""Disturbed actions, so that demonstrations show how to recover.

In clean demonstrations the hand is nearly always where it should be. A learner that
sees only these never learns to come back from its own errors, and may take the place of
the hand for the place of the goal (Laskey et al., DART: Noise Injection for Robust
Imitation Learning, CoRL 2017). The disturbances are short shoves with calm between
them, not a constant tremble, so that precise work still succeeds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation, Policy
from embodied.errors import EmbodiedError
from embodied.policies.wrapper import PolicyWrapper
from embodied.seeding import Stream, episode_generator

MEAN_CALM_S = 1.2  # between two shoves
SHOVE_S = (0.15, 0.6)  # the shortest and the longest shove
SHOVES_PER_EPISODE = 128  # K

# In this share of the shoves an open gripper closes on whatever is there. They last
# longer, until the gripper is shut: so demonstrations show an empty grasp, and how to go
# on after it.
CLOSING_SHARE = 0.2
CLOSING_S = 0.4


class NoisyPolicy(PolicyWrapper):
    """A policy whose actions are shoved: for a moment a constant is added to them.

    The shoves of an episode depend on its seed alone. Some of them close open grippers.
    A closed gripper stays closed, so that nothing held is dropped.
    """

    def __init__(
        self, policy: Policy, sigma: float, gripper_elements: Sequence[int] = (-1,)
    ) -> None:
        """Wraps a policy.

        Args:
            policy: the one that is shoved.
            sigma: standard deviation of what a shove adds to an action element; from 0
                to 1.
            gripper_elements: which action elements are grippers.

        Raises:
            EmbodiedError: `sigma` is not in [0, 1].
        """
        if not 0 <= sigma <= 1:
            raise EmbodiedError(
                "the action noise must be from 0 to 1, as actions are from -1 to 1, "
                f"not {sigma}"
            )
        super().__init__(policy)
        self.spec = policy.spec
        self._sigma = sigma
        self._grippers = list(gripper_elements)
        self._intended = np.zeros((0, 0), np.float32)  # (N, A)
        self._allocate(num_worlds=0, action_size=0)

        # world -> seed of the episodes whose shoves are not sampled yet: that takes the
        # action size, which is known with the first action
        self._unsampled_seeds: dict[int, int] = {}

    @property
    def intended(self) -> np.ndarray:
        """(N, A) what the policy itself wanted at the last `act`."""
        return self._intended.copy()

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        self._wrapped.reset(ids, observation, seeds)
        worlds = np.asarray(ids).tolist()
        self._unsampled_seeds.update(zip(worlds, seeds, strict=True))

    def act(self, observation: Observation) -> np.ndarray:
        self._intended = np.array(self._wrapped.act(observation), np.float32)
        if self._unsampled_seeds:
            self._sample_shoves()

        # Calm and shoves take turns, so at most one shove per world is under way, and
        # the sum over all K is the offset of that one.
        tick = np.asarray(observation.tick)[:, None]
        is_now = (tick >= self._begin_tick) & (tick < self._end_tick)  # (N, K)
        offset = np.einsum("nk,nka->na", is_now, self._offset)
        action = np.clip(self._intended + offset, -1, 1).astype(np.float32)

        # Grippers do what the policy wants, unless the shove closes an open one. Above
        # 0 a gripper opens, at -1 it is shut.
        grip = self._intended[:, self._grippers]  # (N, grippers)
        is_closing = np.any(is_now & self._closes, axis=1, keepdims=True)  # (N, 1)
        is_shut = is_closing & (grip > 0)
        action[:, self._grippers] = np.where(is_shut, -1.0, grip)
        return action

    def _allocate(self, num_worlds: int, action_size: int) -> None:
        """Makes room for the shoves of each world's episode."""
        shape = (num_worlds, SHOVES_PER_EPISODE)  # (N, K)
        self._begin_tick = np.zeros(shape, np.int64)
        self._end_tick = np.zeros(shape, np.int64)
        self._offset = np.zeros((*shape, action_size))  # (N, K, A) added to actions
        self._closes = np.zeros(shape, bool)

    def _sample_shoves(self) -> None:
        """Samples the shoves of the episodes that have begun since the last action."""
        num_worlds, action_size = self._intended.shape
        if len(self._begin_tick) != num_worlds:
            self._allocate(num_worlds, action_size)

        count = SHOVES_PER_EPISODE
        for world, seed in self._unsampled_seeds.items():
            # When each shove begins and ends, in ticks since the episode's start.
            rng = episode_generator(seed, Stream.ACTION_NOISE)
            closes = rng.random(count) < CLOSING_SHARE
            calm_s = rng.exponential(MEAN_CALM_S, count)
            shove_s = rng.uniform(*SHOVE_S, count) + CLOSING_S * closes
            end_s = np.cumsum(calm_s + shove_s)
            self._begin_tick[world] = (end_s - shove_s) * PHYSICS_HZ
            self._end_tick[world] = end_s * PHYSICS_HZ

            # What it does to the action.
            offset = self._sigma * rng.standard_normal((count, action_size))
            offset[:, self._grippers] = 0
            self._offset[world] = offset
            self._closes[world] = closes
        self._unsampled_seeds.clear()
