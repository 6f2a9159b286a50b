"""Worlds as a Stable-Baselines3 learner sees them: scaled vectors and a shaped reward."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from embodied.policies.rl.actor import OBSERVATION_LIMIT
from embodied.policies.rl.demonstrations import Teacher
from embodied.policies.rl.residual_env import BASE_ACTION
from embodied.policies.rl.reward import losing_reward, step_reward

# Steps of each teacher from which the scale of observations is measured.
SCALING_STEPS = 60
# The least standard deviation: what hardly varies is not blown up.
MIN_DEVIATION = 0.02
# Those of these parts that an observation has make up the vector, in this order.
PARTS = ("agent_pos", "environment_state", BASE_ACTION)


class LearnerVecEnv(VecEnvWrapper):
    """Shows observations as one scaled vector (N, S), and rewards as in `rl.reward`."""

    def __init__(self, venv: VecEnv, goal: float = 1.0, discount: float = 0.96) -> None:
        """Wraps worlds of Stable-Baselines3.

        Args:
            venv: An `SB3VecEnv`, or a `ResidualVecEnv` of one.
            goal: The progress at which the task, or its stage, is done.
            discount: The learner's discount per step.
        """
        self.goal = goal
        self.losing_reward = losing_reward(discount)

        space: Any = venv.observation_space
        self.parts = [name for name in PARTS if name in space.spaces]
        size = sum(space[name].shape[0] for name in self.parts)
        self.mean = np.zeros(size, np.float32)  # (S,)
        self.std = np.ones(size, np.float32)  # (S,)

        scaled_space = spaces.Box(
            -OBSERVATION_LIMIT, OBSERVATION_LIMIT, (size,), np.float32
        )
        super().__init__(venv, scaled_space, venv.action_space)

    def measure_observation_scale(
        self, seed: int, teacher: Teacher | None = None
    ) -> None:
        """Measures the mean and deviation by which observations are scaled from now on.

        Args:
            seed: Of the random actions in the first episodes.
            teacher: Acts in further episodes, which get further than random actions.
        """
        rng = np.random.default_rng(seed)
        shape = (self.num_envs, *(self.action_space.shape or ()))

        def random_actions() -> np.ndarray:
            return rng.uniform(-1, 1, shape).astype(np.float32)

        rows = []
        for act in (random_actions, teacher):
            if act is None:  # nobody teaches
                continue
            rows.append(self._vector(self.venv.reset()))
            for _ in range(SCALING_STEPS):
                observation, *_ = self.venv.step(act())
                rows.append(self._vector(observation))

        joined = np.concatenate(rows)
        self.mean = joined.mean(axis=0)
        self.std = np.maximum(joined.std(axis=0), MIN_DEVIATION).astype(np.float32)

    def reset(self) -> np.ndarray:  # (N, S)
        return self.scaled(self._vector(self.venv.reset()))

    def step_wait(
        self,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        # The reward of the worlds themselves is their progress, in [0, 1].
        observation, progress, ended, infos = self.venv.step_wait()
        for info in infos:
            # For a truncated episode a learner adds the value of what might have
            # followed. One that ends in success has nothing more to earn, so it does
            # not count as truncated.
            if info["is_success"]:
                info["TimeLimit.truncated"] = False
            if "terminal_observation" in info:
                last = info["terminal_observation"]
                row = self._vector({name: last[name][None] for name in self.parts})
                info["terminal_observation"] = self.scaled(row)[0]

        # An episode is lost when it ends neither in success nor by its time limit.
        won_or_timed_out = np.array(
            [info["is_success"] or info["TimeLimit.truncated"] for info in infos]
        )
        lost = ended & ~won_or_timed_out
        reward = np.where(
            lost, self.losing_reward, step_reward(np, progress, self.goal)
        )
        vector = self.scaled(self._vector(observation))
        return vector, reward.astype(np.float32), ended, infos

    def scaled(self, rows: np.ndarray) -> np.ndarray:
        """Returns raw observations (n, S) as a learner sees them."""
        scaled = (rows - self.mean) / self.std
        limited: np.ndarray = np.clip(scaled, -OBSERVATION_LIMIT, OBSERVATION_LIMIT)
        return limited

    def _vector(self, observation: Any) -> np.ndarray:
        """Returns the parts of a dict of n observations side by side, (n, S), raw."""
        parts = [observation[name] for name in self.parts]
        return np.concatenate(parts, axis=1).astype(np.float32)
