"""Worlds in which another policy acts, and a learner corrects it."""

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
    """An action (N, A) in [-1, 1] is a correction, held while the base acts on.

    The reward is the mean meanwhile. What is observed has an entry more: `base_action`
    (N, A), what the base wants to do next. Where an episode ends while a correction is
    held, the next one begins with the base alone.
    """

    venv: SB3VecEnv

    def __init__(self, venv: SB3VecEnv, base: Policy, residual: Residual) -> None:
        self.base = base
        self._worlds = venv.env.worlds
        self._scale = residual.scale
        self._repeat = self._worlds.config.control_hz // residual.hz

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
        """Corrects the base for as long as `step_async`'s correction is held."""
        rewards = np.zeros(self.num_envs)
        steps = np.zeros(self.num_envs)
        over = np.zeros(self.num_envs, bool)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]

        for _ in range(self._repeat):
            correction = np.where(over[:, None], 0.0, self._correction)
            action = corrected(self._wanted, correction, self._scale)
            result: Any = self.venv.step(action)
            observation, reward, ended, step_infos = result

            # of a world whose episode ended, the next one is not looked at yet
            running = ~over
            rewards += running * reward
            steps += running
            for world in np.flatnonzero(running).tolist():
                infos[world] = step_infos[world]
                if ended[world]:
                    last = infos[world]["terminal_observation"]
                    last[BASE_ACTION] = self._wanted[world]
            over |= ended
            self._ask_base(begun=ended)

        observation = {**observation, BASE_ACTION: self._wanted}
        return observation, (rewards / steps).astype(np.float32), over, infos

    def _ask_base(self, begun: np.ndarray) -> None:
        """Has the base say what it wants next; in worlds (N,) new episodes have
        begun.
        """
        observation = self._worlds.observe()
        ids = np.flatnonzero(begun)
        if len(ids):
            seeds = self._worlds.episodes.seeds[ids].tolist()
            self.base.reset(ids, observation, seeds)

        self._wanted = np.asarray(self.base.act(observation), np.float32)
        if isinstance(self.base, PlanSource):
            self.base.take_plans()  # else it would keep them all
