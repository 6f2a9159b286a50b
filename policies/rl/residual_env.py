"""Worlds in which a base policy acts, and a learner's actions are its corrections."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnvWrapper

from embodied.core import Policy
from embodied.envs.sb3 import SB3VecEnv
from embodied.policies.rl.residual import Residual, corrected
from embodied.rollout.rollout import PlanSource

BASE_ACTION = "base_action"


class ResidualVecEnv(VecEnvWrapper):
    """A vector environment whose actions (N, A) correct those of a base policy.

    One step holds a correction for several control steps of the base, and its reward is
    the mean of theirs. Observations have the additional entry `base_action` (N, A), the
    base's next action. If an episode ends while a correction is held, the next episode
    begins without a correction.

    Args:
        venv: the worlds.
        base: the base policy.
        residual: size and rate of the corrections.
    """

    venv: SB3VecEnv

    def __init__(self, venv: SB3VecEnv, base: Policy, residual: Residual) -> None:
        """Adds the base's action to the observations."""
        self.base = base
        self._worlds = venv.env.worlds
        self._scale = residual.scale
        # number of control steps for which a correction is held
        self._repeat = self._worlds.config.control_hz // residual.hz

        # (N, A) the base's next actions, and the learner's corrections of them
        shape = venv.action_space.shape or ()
        self._wanted = np.zeros((venv.num_envs, *shape), np.float32)
        self._correction = np.zeros_like(self._wanted)
        space = spaces.Box(-1.0, 1.0, shape, np.float32)
        parts = {**venv.observation_space.spaces, BASE_ACTION: space}
        super().__init__(venv, spaces.Dict(parts))

    def reset(self) -> dict[str, np.ndarray]:
        """Begins new episodes in all worlds."""
        observation = self.venv.reset()
        self._ask_base(begun=np.ones(self.num_envs, bool))
        return {**observation, BASE_ACTION: self._wanted}

    def step_async(self, actions: np.ndarray) -> None:
        self._correction = actions

    def step_wait(
        self,
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Runs the base for several control steps, with the correction of `step_async`."""
        # (N,) sum of rewards and number of control steps, until the episode ends
        rewards = np.zeros(self.num_envs)
        steps = np.zeros(self.num_envs)
        ended = np.zeros(self.num_envs, bool)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]

        for _ in range(self._repeat):
            correction = np.where(ended[:, None], 0.0, self._correction)
            action = corrected(self._wanted, correction, self._scale)
            result: Any = self.venv.step(action)
            observation, reward, just_ended, step_infos = result

            # Only steps of the episode count, not those of the next one. At the end of an
            # episode the base has no next action, so its last one is used.
            running = ~ended
            rewards += running * reward
            steps += running
            for world in np.flatnonzero(running).tolist():
                infos[world] = step_infos[world]
                if just_ended[world]:
                    last = infos[world]["terminal_observation"]
                    last[BASE_ACTION] = self._wanted[world]
            ended |= just_ended
            self._ask_base(begun=just_ended)

        observation = {**observation, BASE_ACTION: self._wanted}
        # every world was running at the first control step, so `steps` is at least 1
        mean_reward = (rewards / steps).astype(np.float32)
        return observation, mean_reward, ended, infos

    def _ask_base(self, begun: np.ndarray) -> None:
        """Computes the base's next actions.

        Args:
            begun: (N,) bool, whether a new episode has begun in each world.
        """
        observation = self._worlds.observe()
        ids = np.flatnonzero(begun)
        if len(ids):
            seeds = self._worlds.episodes.seeds[ids].tolist()
            self.base.reset(ids, observation, seeds)

        self._wanted = np.asarray(self.base.act(observation), np.float32)
        if isinstance(self.base, PlanSource):
            # dropped, or the base would collect its plans endlessly
            self.base.take_plans()
