"""Worlds as Stable-Baselines3's learners see them: one vector a world, and a reward
that leads to success.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from gymnasium import spaces
from stable_baselines3.common.vec_env import VecEnv, VecEnvWrapper

from embodied.policies.rl.actor import CLIP
from embodied.policies.rl.config import NOT_THERE
from embodied.policies.rl.demonstrations import Teacher

SCALING_STEPS = 60  # from which the scale of the observations is taken
# those that there are, in this order
SEEN = ("agent_pos", "environment_state", "base_action")


class StateVectors(VecEnvWrapper):
    """Observations as one scaled vector (N, S), and a reward in [-1, 0] that is 0 once
    the `goal` is reached.

    Were it positive, an agent would rather go on earning than end the episode by
    success; and were the end of a lost episode free, it would rather lose. So losing
    costs what earning nothing for ever would.
    """

    def __init__(self, venv: VecEnv, goal: float = 1.0, discount: float = 0.96) -> None:
        self.goal = goal
        self.loss = -1 / (1 - discount)
        shown: Any = venv.observation_space
        parts = shown.spaces
        self.names = [name for name in SEEN if name in parts]
        size = sum(int(np.prod(parts[name].shape or ())) for name in self.names)
        super().__init__(
            venv, spaces.Box(-CLIP, CLIP, (size,), np.float32), venv.action_space
        )
        self.mean = np.zeros(size, np.float32)
        self.std = np.ones(size, np.float32)

    def measure_scale(self, seed: int, teacher: Teacher | None = None) -> None:
        """Takes mean and deviation from random actions, and from a teacher's, which
        lead further.

        What hardly varies is left as large as it is.
        """
        rng = np.random.default_rng(seed)
        shape = (self.num_envs, *(self.action_space.shape or ()))
        actors = [
            lambda: rng.uniform(-1, 1, shape).astype(np.float32),
            *([teacher] if teacher else []),
        ]
        seen = []
        for act in actors:
            seen.append(self._flat(self.venv.reset()))
            seen += [self._flat(self.venv.step(act())[0]) for _ in range(SCALING_STEPS)]
        rows = np.concatenate(seen)
        self.mean = rows.mean(0)
        self.std = np.maximum(rows.std(0), 0.02).astype(np.float32)

    def reset(self) -> np.ndarray:  # (N, S)
        return self._scaled(self._flat(self.venv.reset()))

    def step_wait(
        self,
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[dict[str, Any]]]:
        shown, reward, over, infos = self.venv.step_wait()
        for info in infos:
            if "terminal_observation" in info:
                last = {
                    name: values[None]
                    for name, values in info["terminal_observation"].items()
                }
                info["terminal_observation"] = self._scaled(self._flat(last))[0]
        saved = [info["is_success"] or info["TimeLimit.truncated"] for info in infos]
        short = np.where(
            reward < self.goal,
            (1 - NOT_THERE) * (reward / self.goal - 1) - NOT_THERE,
            0.0,
        )
        earned = np.where(over & ~np.array(saved), self.loss, short)
        return self._scaled(self._flat(shown)), earned.astype(np.float32), over, infos

    def _flat(self, shown: Any) -> np.ndarray:
        return np.concatenate([shown[name] for name in self.names], axis=1).astype(
            np.float32
        )

    def _scaled(self, rows: np.ndarray) -> np.ndarray:
        scaled: np.ndarray = np.clip((rows - self.mean) / self.std, -CLIP, CLIP)
        return scaled
