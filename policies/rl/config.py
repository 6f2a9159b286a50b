"""What reinforcement learning is to learn, and for how long."""

from __future__ import annotations

from dataclasses import dataclass

from embodied.envs.config import EnvConfig
from embodied.envs.registry import get_robot, get_task
from embodied.errors import EmbodiedError, unknown
from embodied.policies.registry import find_policy
from embodied.sim.warp.engine import usable_device

ALGORITHMS = ("sac", "td3", "ppo")
# those that learn from what was done earlier, or by others
FROM_MEMORY = ("sac", "td3")
# what a step costs before the goal, however near it is; at 0 reach is learned slowly,
# at 0.5 lift
NOT_THERE = 0.2
# at once, unless told otherwise
CPU_WORLDS = 16
WARP_WORLDS = 4096


@dataclass(frozen=True)
class LearnConfig:
    """What is learned, and for how long. Raises EmbodiedError for what does not go
    together.
    """

    task: str
    robot: str | None = None
    algorithm: str = "sac"
    stage: str = ""  # of the task's; empty: the whole task
    level: str = "L1"
    minutes: float = 5.0
    max_steps: int | None = None  # of all worlds, instead of the minutes
    num_envs: int = CPU_WORLDS
    seed: int = 0
    control_mode: str = "ee_delta"
    # share of the last episodes that succeeded, at which it is learned
    stop_at: float = 0.98
    engine: str = "cpu"
    device: str = "cuda"  # of the engine "warp"
    # episodes of the expert's, or of the base's alone, that are seen again beside its
    # own
    demonstrations: int = 0
    base: str = ""  # a policy that is corrected, its name, as `find_policy` knows it
    residual: float = 0.2  # the largest correction
    delay_ms: float = 0.0  # by which the base's plans are late

    def __post_init__(self) -> None:
        if self.algorithm not in ALGORITHMS:
            raise unknown("algorithm", self.algorithm, ALGORITHMS)
        if (
            not self.minutes > 0
            or self.num_envs < 1
            or (self.max_steps is not None and self.max_steps < 1)
        ):
            raise EmbodiedError(
                f"minutes {self.minutes:g}, num_envs {self.num_envs} and steps {self.max_steps} must be above 0"
            )
        if self.engine == "warp" and self.algorithm != "ppo":
            raise EmbodiedError(
                f"the engine 'warp' learns by ppo so far; {self.algorithm} learns on the engine 'cpu'"
            )
        if self.engine == "warp" and self.num_envs < 2:
            raise EmbodiedError(
                "the engine 'warp' learns in at least 2 worlds: one of them shows what was learned"
            )
        if self.engine == "warp" and self.base:
            raise EmbodiedError(
                "a policy is corrected on the engine 'cpu' so far: leave out the engine 'warp'"
            )
        if self.demonstrations and self.algorithm not in FROM_MEMORY:
            raise EmbodiedError(
                f"{' and '.join(FROM_MEMORY)} learn from demonstrations; {self.algorithm} does not"
            )
        if self.delay_ms and not self.base:
            raise EmbodiedError(
                "delay_ms is of the plans of a base: what learns by trial alone has none"
            )
        if not 0 <= self.delay_ms < float("inf"):
            raise EmbodiedError(f"delay_ms must be at least 0, not {self.delay_ms:g}")
        if not 0 < self.residual <= 1:
            raise EmbodiedError(
                f"the residual must be above 0 and at most 1, not {self.residual}"
            )

    def check_names(self) -> None:
        """Raises EmbodiedError for a task, robot, stage, level or base that does not
        exist, or of another task; and for a device that cannot be used.
        """
        self.env_config()
        if self.engine == "warp":
            usable_device(self.device)
        if self.base:
            find_policy(self.base).spec(self.task, self.robot)

    def env_config(self) -> EnvConfig:
        """The worlds. Raises EmbodiedError for what does not exist."""
        if self.robot:
            get_robot(self.robot)
        task = get_task(self.task)
        stage = task.stage(self.stage) if self.stage else None
        return EnvConfig(
            task=self.task,
            robot=self.robot,
            control_mode=self.control_mode,
            level=self.level,
            engine=self.engine,
            device=self.device,
            goal_progress=stage.goal_progress if stage else 1.0,
            horizon_s=stage.horizon_s if stage else None,
        )

    def share(self, seconds: float, steps: int) -> float:
        """How much of the run is done, in [0, 1]."""
        return min(
            seconds / (60 * self.minutes)
            if self.max_steps is None
            else steps / self.max_steps,
            1.0,
        )
