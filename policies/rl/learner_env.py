"""Worlds as a learner sees them: one vector per world, and a reward that leads to
success.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from embodied.policies.rl.actor import CLIP
from embodied.policies.rl.config import STEP_COST
from embodied.policies.rl.demonstrations import Teacher
from embodied.policies.rl.residual_env import BASE_ACTION

SCALING_STEPS = 60  # from which the scale of observations is measured, by each actor
MIN_DEVIATION = 0.02  # what hardly varies is left as large as it is
# Those that there are make up the vector, in this order.
PARTS = ("agent_pos", "environment_state", BASE_ACTION)


class LearnerVecEnv(VecEnvWrapper):
    """Observations as one scaled vector (N, S), and a reward in [-1, 0] that is 0 once
    the goal is reached.

    Were it positive, a learner would rather go on earning than end the episode by
    success; and were the end of a lost episode free, it would rather lose. So losing
    costs what earning nothing for ever would.
    """

    def __init__(self, venv: VecEnv, goal: float = 1.0, discount: float = 0.96) -> None:
        """Wraps worlds of Stable-Baselines3.

        Args:
            venv: An `SB3VecEnv`, or a `ResidualVecEnv` of one.
            goal: The reward at which the task, or its stage, is done.
            discount: Of the learner.
        """
        self.goal = goal
        self.loss = -1 / (1 - discount)  # what losing costs
        space: Any = venv.observation_space
        self.parts = [name for name in PARTS if name in space.spaces]
        size = sum(space[name].shape[0] for name in self.parts)
        self.mean = np.zeros(size, np.float32)
        self.std = np.ones(size, np.float32)
        super().__init__(
            venv, spaces.Box(-CLIP, CLIP, (size,), np.float32), venv.action_space
        )

    def measure_scale(self, seed: int, teacher: Teacher | None = None) -> None:
        """Takes mean and deviation of observations from new episodes.

        Args:
            seed: Of the random actions that lead there.
            teacher: Acts in further episodes, which lead further.
        """
        rng = np.random.default_rng(seed)
        shape = (self.num_envs, *(self.action_space.shape or ()))

        def at_random() -> np.ndarray:
            return rng.uniform(-1, 1, shape).astype(np.float32)

        rows = []
        for act in (at_random, teacher):
            if act is None:
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
        observation, reward, over, infos = self.venv.step_wait()
        for info in infos:
            # an episode that ends in success has nothing more to earn
            if info["is_success"]:
                info["TimeLimit.truncated"] = False
            if "terminal_observation" in info:
                last = info["terminal_observation"]
                row = self._vector({name: last[name][None] for name in self.parts})
                info["terminal_observation"] = self.scaled(row)[0]

        lost = over & ~np.array(
            [info["is_success"] or info["TimeLimit.truncated"] for info in infos]
        )
        earned = np.where(lost, self.loss, self._shortfall(reward))
        vector = self.scaled(self._vector(observation))
        return vector, earned.astype(np.float32), over, infos

    def _shortfall(self, reward: np.ndarray) -> np.ndarray:
        """Returns what is missing to the goal, in [-1, 0]; never less than a step
        costs before it.
        """
        missing = (1 - STEP_COST) * (reward / self.goal - 1) - STEP_COST
        return np.where(reward < self.goal, missing, 0.0)

    def scaled(self, rows: np.ndarray) -> np.ndarray:
        """Returns raw observations (n, S) as a learner sees them."""
        scaled: np.ndarray = np.clip((rows - self.mean) / self.std, -CLIP, CLIP)
        return scaled

    def _vector(self, observation: Any) -> np.ndarray:
        parts = [observation[name] for name in self.parts]
        return np.concatenate(parts, axis=1).astype(np.float32)
