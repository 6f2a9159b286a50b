"""A case: a task with a robot in a control mode; and helpers for checks."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gymnasium
import numpy as np

from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_task, robots_for
from embodied.envs.task import TaskSpec
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from embodied.robots.parts.part import CONTROL_MODES

# Control steps for which a random action is repeated. New actions at every step would
# average out, and the robot would hardly move.
STEPS_PER_ACTION = 5


class ContractError(EmbodiedError):
    """A task breaks a contract; the message says how."""


def require(is_kept: bool | np.bool_, reason: str) -> None:
    """Raises ContractError with the reason unless `is_kept`."""
    if not is_kept:
        raise ContractError(reason)


@dataclass(frozen=True)
class Case:
    """A task, one of its robots, and a control mode."""

    task: str
    robot: str
    mode: str = "joint_delta"

    @property
    def spec(self) -> TaskSpec:
        return get_task(self.task)

    def config(self, **settings: Any) -> EnvConfig:
        """Returns the config of this case's worlds, with one thread.

        `settings` are fields of the config that override these defaults.
        """
        defaults = {
            "task": self.task,
            "robot": self.robot,
            "control_mode": self.mode,
            "num_threads": 1,
        }
        return EnvConfig(**{**defaults, **settings})

    def worlds(self, num: int, first_seed: int = 0, **settings: Any) -> Worlds:
        """Returns `num` worlds that have been reset with consecutive seeds."""
        return begun(self.config(**settings), num, first_seed)

    def make(self, **arguments: Any) -> gymnasium.Env[Any, Any]:
        """Returns the environment from `gymnasium.make`, with these `arguments`."""
        defaults = {"robot": self.robot, "control_mode": self.mode, "num_threads": 1}
        return gymnasium.make(self.spec.env_id, **{**defaults, **arguments})


def cases_of(task: str, robots: tuple[str, ...] = ()) -> list[Case]:
    """Returns one case per robot; the control modes take turns over the robots.

    Args:
        task: the name of the task.
        robots: names of robots, or paths of their descriptions; () for all registered
            robots that fit the task.
    """
    chosen = robots or robots_for(get_task(task))
    return [
        Case(task, robot, CONTROL_MODES[k % len(CONTROL_MODES)])
        for k, robot in enumerate(chosen)
    ]


def begun(config: EnvConfig, num: int, first_seed: int = 0) -> Worlds:
    """Returns `num` worlds that have been reset with consecutive seeds."""
    worlds = Worlds(config, num)
    worlds.reset(np.arange(num), range(first_seed, first_seed + num))
    return worlds


def random_actions(worlds: Worlds, steps: int, seed: int = 0) -> np.ndarray:
    """Returns uniform random actions (steps, N, A) float32.

    Each random action is repeated for STEPS_PER_ACTION steps.
    """
    rng = np.random.default_rng(seed)
    num_actions = -(-steps // STEPS_PER_ACTION)  # rounded up
    shape = (num_actions, worlds.num_worlds, len(worlds.interface.low))
    sampled = rng.uniform(-1, 1, shape)
    return np.repeat(sampled, STEPS_PER_ACTION, axis=0)[:steps].astype(np.float32)
