"""The settings of reinforcement learning."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gymnasium

from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_robot, get_task
from embodied.errors import EmbodiedError, unknown
from embodied.plain import make_fields_plain
from embodied.policies.registry import find_policy
from embodied.policies.training.budget import Budget
from embodied.seeding import GLOBAL_SEED_LIMIT, checked_seed
from embodied.sim.warp.engine import usable_device

ALGORITHMS = ("sac", "td3", "ppo")
# Algorithms that can learn from the experience of other policies, like demonstrations.
OFF_POLICY = ("sac", "td3")
CPU_WORLDS = 16  # the default number of worlds
# The settings that a resumed training must share.
FIXED = (
    "task",
    "robot",
    "algorithm",
    "stage",
    "level",
    "num_envs",
    "seed",
    "engine",
    "demonstrations",
    "base",
    "residual",
    "delay_ms",
)


@dataclass(frozen=True)
class RLConfig:
    """The settings of reinforcement learning.

    Attributes:
        task: the task's name.
        robot: the robot's name; None for the task's default.
        algorithm: one of `ALGORITHMS`.
        stage: the stage of the task to be learned; "" for the whole task.
        level: how widely the task's variables vary.
        budget: the duration of the training; its steps are control steps of all worlds.
        num_envs: the number of worlds that run at the same time.
        seed: the seed of all random numbers in the training, below 2**32.
        control_mode: the control mode of the actions; ignored if there is a base.
        stop_at: the share of successes among the last episodes at which training stops.
        engine: the engine of the simulation, "cpu" or "warp".
        device: the device of torch. On the engine "warp" the worlds are on this device,
            too, and "auto" means CUDA.
        demonstrations: the number of episodes of the expert, or of the base without
            corrections, that are replayed together with the learner's own.
        base: the name or run folder of the base policy to correct; "" for none.
        residual: the largest correction of each element of the base's action, which is
            in [-1, 1].
        delay_ms: the transport delay of the base's plans.

    Raises:
        EmbodiedError: a value is out of its range, or values exclude each other.
    """

    task: str
    robot: str | None = None
    algorithm: str = "sac"
    stage: str = ""
    level: str = "L1"
    budget: Budget = field(default_factory=Budget)
    num_envs: int = CPU_WORLDS
    seed: int = 0
    control_mode: str = "ee_delta"
    stop_at: float = 0.98
    engine: str = "cpu"
    device: str = "auto"
    demonstrations: int = 0
    base: str = ""
    residual: float = 0.2
    delay_ms: float = 0.0

    def __post_init__(self) -> None:
        """Raises EmbodiedError for impossible numbers, or settings that exclude each other."""
        make_fields_plain(self)
        if self.algorithm not in ALGORITHMS:
            raise unknown("algorithm", self.algorithm, ALGORITHMS)
        if self.num_envs < 1:
            raise EmbodiedError(f"num_envs must be above 0, not {self.num_envs}")
        # Stable-Baselines3 seeds NumPy's global generator, which takes 32 bits
        checked_seed(self.seed, GLOBAL_SEED_LIMIT)
        if self.engine == "warp":
            self._check_warp()

        if self.demonstrations and self.algorithm not in OFF_POLICY:
            raise EmbodiedError(
                f"{' and '.join(OFF_POLICY)} learn from demonstrations; "
                f"{self.algorithm} does not"
            )
        if self.demonstrations < 0:
            raise EmbodiedError(
                f"the number of demonstrations must be at least 0, not "
                f"{self.demonstrations}"
            )
        if self.delay_ms and not self.base:
            raise EmbodiedError("delay_ms delays the plans of a base: give a base too")
        if not 0 <= self.delay_ms < float("inf"):
            raise EmbodiedError(f"delay_ms must be at least 0, not {self.delay_ms:g}")
        if not 0 < self.residual <= 1:
            raise EmbodiedError(
                f"the residual must be above 0 and at most 1, not {self.residual}"
            )

    def _check_warp(self) -> None:
        """Raises EmbodiedError for settings that the engine `warp` does not support."""
        if self.algorithm != "ppo":
            raise EmbodiedError(
                f"the engine 'warp' learns by ppo so far; {self.algorithm} learns on "
                "the engine 'cpu'"
            )

        # see `ppo.WORLDS_PER_QUIET_ONE`: at least one world is not learned from
        if self.num_envs < 2:
            raise EmbodiedError(
                "the engine 'warp' learns in at least 2 worlds: one of them shows what "
                "was learned"
            )

        if self.base:
            raise EmbodiedError(
                "a policy is corrected on the engine 'cpu' so far: leave out the "
                "engine 'warp'"
            )

    def check_names(self) -> None:
        """Checks that the settings name existing things.

        Raises:
            EmbodiedError: there is no such task, robot, stage, level or base; the base is
                for another task, or has no plans that could be delayed; or the device
                cannot be used.
        """
        # looking up the config, the device and the base raises the errors
        env_config = self.env_config()
        if self.engine == "warp":
            usable_device(env_config.device)
        else:
            # imported here, since the module loads torch, which takes seconds
            from embodied.policies.device import training_device

            training_device(self.device)
        if not self.base:
            return

        base = find_policy(self.base)
        base.spec(self.task, self.robot)
        if self.delay_ms and base.planner_hz is None:
            raise EmbodiedError(
                f"a delay of {self.delay_ms:g} ms would have no effect, since {self.base} "
                "makes no plans: leave it out, or correct a policy that plans, such as "
                "expert"
            )

    def env_config(self) -> EnvConfig:
        """Returns the config of the worlds to learn in.

        Raises:
            EmbodiedError: there is no such task, robot, stage or level.
        """
        if self.robot:
            get_robot(self.robot)
        task = get_task(self.task)
        stage = task.stage(self.stage) if self.stage else None

        # Only worlds on the engine `warp` use a device. On `cpu` the setting is for torch
        # only, and the worlds get their default "cuda", which they ignore.
        has_default_device = self.device == "auto" or self.engine == "cpu"

        # without a stage, the goal is the whole task, with the task's own horizon
        return EnvConfig(
            task=self.task,
            robot=self.robot,
            control_mode=self.control_mode,
            level=self.level,
            engine=self.engine,
            device="cuda" if has_default_device else self.device,
            goal_progress=stage.goal_progress if stage else 1.0,
            horizon_s=stage.horizon_s if stage else None,
        )

    def identity(self) -> dict[str, Any]:
        """Returns the settings that a resumed training must share, as JSON values."""
        task = get_task(self.task)
        return {
            "method": "reinforcement learning",
            **{name: getattr(self, name) for name in FIXED},
            # a task may be given by its id, and a robot of None is the task's default
            "task": task.name,
            "robot": self.robot or task.default_robot,
        }


def make_vec_env(config: EnvConfig, num_envs: int) -> Any:
    """Returns a Gymnasium vector environment of worlds with this config."""
    # the environment takes the fields of a config as arguments, except for the task
    arguments = dict(vars(config))
    task = get_task(arguments.pop("task"))
    return gymnasium.make_vec(task.env_id, num_envs=num_envs, **arguments)
