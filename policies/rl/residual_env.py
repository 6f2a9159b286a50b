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
    """A vector environment whose actions (N, A) correct the actions of a base policy.

    In one step of this environment, a correction is held for several control steps of the
    base, and the reward is the mean of their rewards. Observations have the additional
    entry `base_action` (N, A), the base's next actions. If an episode ends while a
    correction is held, the next episode begins without a correction.

    Args:
        venv: the worlds.
        base: the base policy.
        residual: the size and rate of the corrections.
    """

    venv: SB3VecEnv

    def __init__(self, venv: SB3VecEnv, base: Policy, residual: Residual) -> None:
        """Adds the base's action to the observations."""
        self.base = base
        self._worlds = venv.env.worlds
        self._scale = residual.scale
        # the number of control steps for which a correction is held
        self._steps_per_correction = self._worlds.config.control_hz // residual.hz

        # (N, A) the base's next actions, and the learner's corrections of them
        shape = venv.action_space.shape or ()
        self._base_action = np.zeros((venv.num_envs, *shape), np.float32)
        self._correction = np.zeros_like(self._base_action)
        space = spaces.Box(-1.0, 1.0, shape, np.float32)
        parts = {**venv.observation_space.spaces, BASE_ACTION: space}
        super().__init__(venv, spaces.Dict(parts))

    def reset(self) -> dict[str, np.ndarray]:
        """Begins new episodes in all worlds."""
        observation = self.venv.reset()
        self._update_base_action(begun=np.ones(self.num_envs, bool))
        return {**observation, BASE_ACTION: self._base_action}

    def step_async(self, actions: np.ndarray) -> None:
        self._correction = actions

    def step_wait(
        self,
    ) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray, list[dict[str, Any]]]:
        """Runs the base for several control steps, with the correction of `step_async`."""
        # (N,) the sum of rewards and the number of control steps, until the episode ends
        rewards = np.zeros(self.num_envs)
        steps = np.zeros(self.num_envs)
        ended = np.zeros(self.num_envs, bool)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]

        for _ in range(self._steps_per_correction):
            correction = np.where(ended[:, None], 0.0, self._correction)
            action = corrected(self._base_action, correction, self._scale)
            result: Any = self.venv.step(action)
            observation, reward, just_ended, step_infos = result

            # Steps of the next episode do not count. At the end of an episode the base has
            # no next action, so its last action is used.
            running = ~ended
            rewards += running * reward
            steps += running
            for world in np.flatnonzero(running).tolist():
                infos[world] = step_infos[world]
                if just_ended[world]:
                    last = infos[world]["terminal_observation"]
                    last[BASE_ACTION] = self._base_action[world]
            ended |= just_ended
            self._update_base_action(begun=just_ended)

        observation = {**observation, BASE_ACTION: self._base_action}
        # every world was running at the first control step, so `steps` is at least 1
        mean_reward = (rewards / steps).astype(np.float32)
        return observation, mean_reward, ended, infos

    def _update_base_action(self, begun: np.ndarray) -> None:
        """Computes the base's next actions.

        Args:
            begun: (N,) bool, whether a new episode has begun in each world.
        """
        observation = self._worlds.observe()
        ids = np.flatnonzero(begun)
        if len(ids):
            seeds = self._worlds.episodes.seeds[ids].tolist()
            self.base.reset(ids, observation, seeds)

        self._base_action = np.asarray(self.base.act(observation), np.float32)
        if isinstance(self.base, PlanSource):
            # if the plans were not taken, the base would collect them without end
            self.base.take_plans()
