"""Worlds for a Stable-Baselines3 learner, with normalised vectors and a shaped reward."""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from embodied.policies.rl.actor import OBSERVATION_LIMIT
from embodied.policies.rl.demonstrations import Teacher
from embodied.policies.rl.residual_env import BASE_ACTION
from embodied.policies.rl.reward import losing_reward, step_reward

# The number of steps, of random actions and of the teacher each, from which the mean and the
# standard deviation are measured.
SCALING_STEPS = 60
# Lower limit of standard deviations, so that nearly constant elements are not amplified.
MIN_DEVIATION = 0.02
# The parts of an observation that form the vector, in this order; missing ones are skipped.
PARTS = ("agent_pos", "environment_state", BASE_ACTION)


class LearnerVecEnv(VecEnvWrapper):
    """Converts observations to one normalised vector (N, S), and progress to rewards.

    The rewards are computed by `rl.reward`.
    """

    def __init__(self, venv: VecEnv, goal: float = 1.0, discount: float = 0.96) -> None:
        """Wraps a vector environment of Stable-Baselines3.

        Args:
            venv: an `SB3VecEnv`, or a `ResidualVecEnv` of one.
            goal: the progress at which the task or its stage is done.
            discount: the learner's discount factor per step.
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
        """Measures the mean and standard deviation for normalising observations.

        Args:
            seed: the seed of the random actions in the first episodes.
            teacher: the teacher, which acts in further episodes to reach more states than
                random actions do; None for no further episodes.
        """
        rng = np.random.default_rng(seed)
        shape = (self.num_envs, *(self.action_space.shape or ()))

        def random_actions() -> np.ndarray:
            return rng.uniform(-1, 1, shape).astype(np.float32)

        # act randomly, then as the teacher, and collect the observations
        rows = []
        for act in (random_actions, teacher):
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
        """Returns the step's observations (N, S), rewards (N,), ends (N,) and infos."""
        # the worlds' own reward is their progress, in [0, 1]
        observation, progress, ended, infos = self.venv.step_wait()
        for info in infos:
            # A learner adds the value of the last state to the return of a truncated
            # episode. After a success there is nothing left to gain: the value is 0, so the
            # episode must not count as truncated.
            if info["is_success"]:
                info["TimeLimit.truncated"] = False
            # the last observation of an ended episode becomes a vector, too
            if "terminal_observation" in info:
                last = info["terminal_observation"]
                one_row = self._vector({name: last[name][None] for name in self.parts})
                info["terminal_observation"] = self.scaled(one_row)[0]

        # an episode is lost if it ends neither by success nor by its time limit
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
        """Returns observations (n, S), normalised and clipped."""
        scaled = (rows - self.mean) / self.std
        limited: np.ndarray = np.clip(scaled, -OBSERVATION_LIMIT, OBSERVATION_LIMIT)
        return limited

    def _vector(self, observation: Any) -> np.ndarray:
        """Returns the parts of n observations joined to (n, S), not normalised."""
        parts = [observation[name] for name in self.parts]
        return np.concatenate(parts, axis=1).astype(np.float32)
