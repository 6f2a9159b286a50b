"""What reinforcement learning is to learn, and for how long."""

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
# These can learn from the experience of other policies, such as demonstrations.
OFF_POLICY = ("sac", "td3")
CPU_WORLDS = 16  # the default number of worlds
# The fields of the config that must be the same when a run is resumed.
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
    """What is learned, in which worlds, and for how long.

    Attributes:
        task: the task's name.
        robot: the robot's name; None for the task's default.
        algorithm: one of `ALGORITHMS`.
        stage: of the task; "" is the whole task.
        level: how widely the task's variables vary.
        budget: how long to train; its steps are control steps of all worlds together.
        num_envs: how many worlds run at once.
        seed: of everything random in the training, below 2**32.
        control_mode: how actions drive the robot. Not used with a base.
        stop_at: training stops when this share of the last episodes succeeded.
        engine: what simulates, "cpu" or "warp".
        device: where torch computes. On the engine "warp" the worlds are there too, and
            "auto" means CUDA.
        demonstrations: how many episodes of the expert, or of the base alone, are
            replayed beside the learner's own.
        base: the policy that is corrected, by its name or run folder; "" for none.
        residual: the largest correction of each element of the base's action, which is
            in [-1, 1].
        delay_ms: how long the plans of the base travel until it can follow them.

    Raises:
        EmbodiedError: Values do not go together.
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
        make_fields_plain(self)
        if self.algorithm not in ALGORITHMS:
            raise unknown("algorithm", self.algorithm, ALGORITHMS)
        if self.num_envs < 1:
            raise EmbodiedError(f"num_envs must be above 0, not {self.num_envs}")
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
        """Checks that what is asked for can be learned on the engine `warp`."""
        if self.algorithm != "ppo":
            raise EmbodiedError(
                f"the engine 'warp' learns by ppo so far; {self.algorithm} learns on "
                "the engine 'cpu'"
            )

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
        """Checks that everything exists that the config names.

        Raises:
            EmbodiedError: The task, robot, stage, level or base does not exist or is of
                another task, the base makes no plans that could be late, or the device
                cannot be used.
        """
        # All of these are called for their errors only.
        env_config = self.env_config()
        if self.engine == "warp":
            usable_device(env_config.device)
        else:
            from embodied.policies.device import training_device  # loads torch

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
            EmbodiedError: The task, robot, stage or level does not exist.
        """
        if self.robot:
            get_robot(self.robot)
        task = get_task(self.task)
        stage = task.stage(self.stage) if self.stage else None

        # Only worlds on the engine `warp` use a device. On `cpu` our device is torch's
        # alone, and the worlds keep their default, "cuda", without using it.
        is_default = self.device == "auto" or self.engine == "cpu"

        # Without a stage: the whole task, with its own horizon.
        return EnvConfig(
            task=self.task,
            robot=self.robot,
            control_mode=self.control_mode,
            level=self.level,
            engine=self.engine,
            device="cuda" if is_default else self.device,
            goal_progress=stage.goal_progress if stage else 1.0,
            horizon_s=stage.horizon_s if stage else None,
        )

    def identity(self) -> dict[str, Any]:
        """Returns what must be the same when this training is resumed, as JSON values."""
        task = get_task(self.task)
        return {
            "method": "reinforcement learning",
            **{name: getattr(self, name) for name in FIXED},
            # A task given by its id is the same as by its name, and the robot None is
            # the same as the task's default robot.
            "task": task.name,
            "robot": self.robot or task.default_robot,
        }


def make_vec_env(config: EnvConfig, num_envs: int) -> Any:
    """Returns a Gymnasium vector environment of worlds with this config."""
    # The fields of a config are the arguments of the environment, but for the task.
    arguments = dict(vars(config))
    task = get_task(arguments.pop("task"))
    return gymnasium.make_vec(task.env_id, num_envs=num_envs, **arguments)
