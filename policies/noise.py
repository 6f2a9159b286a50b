"""Disturbs a policy's actions, so that its demonstrations show how to recover.

In undisturbed demonstrations the hand is nearly always where it should be. A policy that
learns only from them does not learn to recover from its own errors, and may confuse the
position of the hand with the goal's position (Laskey et al., DART: Noise Injection for
Robust Imitation Learning, CoRL 2017). The disturbances are short shoves with pauses
between them, not constant noise, so that precise work still succeeds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation, Policy
from embodied.errors import EmbodiedError
from embodied.policies.wrapper import PolicyWrapper
from embodied.seeding import Stream, episode_generator

MEAN_PAUSE_S = 1.2  # mean time between two shoves
SHOVE_S = (0.15, 0.6)  # shortest and longest duration of a shove
# K; together with their pauses, so many shoves last for more than 3 minutes on average.
SHOVES_PER_EPISODE = 128

# This share of the shoves also closes open grippers, so that demonstrations show failed
# grasps and the recovery from them. These shoves last longer, until the gripper is shut.
CLOSING_SHARE = 0.2
CLOSING_S = 0.4


class NoisyPolicy(PolicyWrapper):
    """A policy whose actions are disturbed by shoves.

    During a shove a constant is added to the actions, and some shoves close open
    grippers. Closed grippers stay closed, so that held objects are not dropped. The
    shoves of an episode depend on its seed only.
    """

    def __init__(
        self, policy: Policy, sigma: float, gripper_elements: Sequence[int] = (-1,)
    ) -> None:
        """Wraps a policy.

        Args:
            policy: the policy to disturb.
            sigma: the standard deviation of the constant that a shove adds to an action
                element; from 0 to 1.
            gripper_elements: the indices of the action elements that command grippers.

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

        # World -> seed of its new episode, until the shoves are sampled at the next action:
        # sampling needs the action size, which is known with the first action.
        self._unsampled_seeds: dict[int, int] = {}

    @property
    def intended(self) -> np.ndarray:
        """(N, A) the policy's own actions at the last `act`, without shoves."""
        return self._intended.copy()

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        self._wrapped.reset(ids, observation, seeds)
        worlds = np.asarray(ids).tolist()
        self._unsampled_seeds.update(zip(worlds, seeds, strict=True))

    def act(self, observation: Observation) -> np.ndarray:
        """Returns the wrapped policy's actions (N, A), disturbed where a shove is on."""
        self._intended = np.array(self._wrapped.act(observation), np.float32)
        if self._unsampled_seeds:
            self._sample_shoves()

        # Shoves do not overlap, so the sum over all K is the offset of the current one.
        tick = np.asarray(observation.tick)[:, None]
        is_active = (tick >= self._begin_tick) & (tick < self._end_tick)  # (N, K)
        offset = np.einsum("nk,nka->na", is_active, self._offset)
        action = np.clip(self._intended + offset, -1, 1).astype(np.float32)

        # Grippers follow the policy, unless a shove closes an open one. A command above 0
        # opens a gripper, -1 closes it.
        grip = self._intended[:, self._grippers]  # (N, grippers)
        is_closing = np.any(is_active & self._closes, axis=1, keepdims=True)  # (N, 1)
        must_close = is_closing & (grip > 0)
        action[:, self._grippers] = np.where(must_close, -1.0, grip)
        return action

    def _allocate(self, num_worlds: int, action_size: int) -> None:
        """Creates the arrays for the K shoves of each world's episode."""
        shape = (num_worlds, SHOVES_PER_EPISODE)  # (N, K)
        self._begin_tick = np.zeros(shape, np.int64)
        self._end_tick = np.zeros(shape, np.int64)
        self._offset = np.zeros((*shape, action_size))  # (N, K, A) added to actions
        self._closes = np.zeros(shape, bool)  # whether a shove closes open grippers

    def _sample_shoves(self) -> None:
        """Samples the shoves of the episodes in `_unsampled_seeds`."""
        num_worlds, action_size = self._intended.shape
        if len(self._begin_tick) != num_worlds:
            self._allocate(num_worlds, action_size)

        count = SHOVES_PER_EPISODE
        for world, seed in self._unsampled_seeds.items():
            # begin and end of each shove, in ticks since the episode's start
            rng = episode_generator(seed, Stream.ACTION_NOISE)
            closes = rng.random(count) < CLOSING_SHARE
            pause_s = rng.exponential(MEAN_PAUSE_S, count)
            shove_s = rng.uniform(*SHOVE_S, count) + CLOSING_S * closes
            end_s = np.cumsum(pause_s + shove_s)
            self._begin_tick[world] = (end_s - shove_s) * PHYSICS_HZ
            self._end_tick[world] = end_s * PHYSICS_HZ

            # grippers have no offset; shoves only close them
            offset = self._sigma * rng.standard_normal((count, action_size))
            offset[:, self._grippers] = 0
            self._offset[world] = offset
            self._closes[world] = closes
        self._unsampled_seeds.clear()
