"""What a task is: a scene, starts of episodes, and a judgement of states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import mujoco

from embodied.core import Array, Controller, Layout, Planner
from embodied.envs.objects import Objects
from embodied.envs.registry import task_id
from embodied.envs.task_checks import check_spec, check_stage
from embodied.envs.variation import Variable, Variation
from embodied.errors import EmbodiedError, unknown
from embodied.robots.parts.suction import SuctionGripper
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# The second robot of a team stands at the right of the first, out of its reach.
BESIDE_EACH_OTHER = ((0.0, 0.0, 0.0), (0.0, -1.3, 0.0))


@dataclass(frozen=True)
class Outcome:
    """The judgement of N worlds."""

    success: Array  # (N,) bool, now
    progress: Array  # (N,) in [0, 1], by stages: the reward, too
    lost: Array  # (N,) bool, the task can no longer succeed
    # (N,) int, things that lie where they should not, e.g. on the floor
    dropped: Array = 0


class Task(Protocol):
    """A task bound to an engine: N episodes at once."""

    state_layout: Layout

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        """Samples an episode and writes it to the engine.

        Returns:
            What was sampled, JSON-able, with the sentence `instruction`.
        """

    def memory(self) -> Mapping[str, Array]:
        """Returns what the task remembers of the episodes: live (N, ...) arrays by name.

        They hold what the engine's state does not, such as targets and events to come.
        """

    def before_step(self, tick: Array) -> None:
        """Lets events happen that are due by each world's clock (N,)."""

    def state(self) -> Array:
        """Returns the privileged state (N, S), as `state_layout` names it."""

    def judge(self) -> Outcome:
        """Returns the judgement of the present state."""


@dataclass(frozen=True)
class TaskStage:
    """A part of a task that can be learned by itself."""

    name: str
    goal_progress: float  # the progress at which the stage is done
    horizon_s: float

    def __post_init__(self) -> None:
        check_stage(self.name, self.goal_progress, self.horizon_s)


@dataclass(frozen=True)
class Needs:
    """What a task asks of a robot; what grips is at its first effector.

    A cup has no opening: where a task needs one, a cup can do it only if `suction_n`
    says so.
    """

    effectors: int = 1
    opening_m: float = 0.0  # how wide fingers must open
    # the pull that a suction gripper must hold, N; None: there is nothing flat to take
    suction_n: float | None = None
    reach_m: float = 0.0  # the least reach of an arm, from its mount to the tool point
    travels: bool = False  # whether its base must be able to leave its place
    cameras: tuple[str, ...] = ()  # that it must carry

    def missing(self, robot: Robot) -> list[str]:
        """Returns what a robot lacks, in words; empty if it fits."""
        # effectors, grippers and arms
        missing = []
        count = len(robot.effectors)
        if count < self.effectors:
            missing.append(f"{self.effectors} effectors (it has {count})")

        missing += self._missing_grip(robot)
        farthest_m = max((arm.reach_m for arm in robot.arms), default=0.0)
        if farthest_m < self.reach_m:
            missing.append(
                f"an arm that reaches {self.reach_m:g} m (its reaches "
                f"{farthest_m:.2f} m)"
            )

        # base and cameras
        if self.travels and not robot.travels:
            missing.append("a base that travels")
        absent = [name for name in self.cameras if name not in robot.cameras]
        if absent:
            missing.append(f"the cameras {', '.join(absent)}")
        return missing

    def _missing_grip(self, robot: Robot) -> list[str]:
        """Returns in words what the first gripper lacks; empty if it fits."""
        fingers = f"a gripper that opens to {self.opening_m:g} m"
        hands = [robot.gripper_of(effector) for effector in robot.effectors[:1]]
        cups = [hand for hand in hands if isinstance(hand, SuctionGripper)]
        if not cups:
            width_m = max((hand.width_m for hand in hands), default=0.0)
            is_narrow = width_m < self.opening_m
            return [f"{fingers} (its opens to {width_m:g} m)"] * is_narrow

        force_n = cups[0].force_n
        if self.suction_n is None:
            return [f"{fingers} (its holds by suction)"] * (self.opening_m > 0)
        is_weak = force_n < self.suction_n
        cup = f"a suction gripper that holds {self.suction_n:g} N"
        return [f"{cup} (its holds {force_n:g} N)"] * is_weak


@dataclass(frozen=True)
class TaskSpec:
    """A task before it is bound to an engine and a robot: what the registry holds.

    Attributes:
        name: as in `embodied/<name>-v0`.
        summary: what is to be done, in one phrase.
        cameras: cameras of the scene that policies look through.
        robot_cameras: cameras that policies look through, too, if a robot carries them.
        horizon_s: how long an episode may take, for a robot that does not travel.
        table: what varies between episodes.
        build: returns the scene with a robot in it.
        bind: returns the task on an engine, with a robot.
        expert: returns planner and controller for the layouts of proprioception and
            privileged state, and a robot.
        needs: what it asks of robots.
        default_robot: the robot that does it unless another is named.
        beauty_camera: the camera of pictures for people.
        stages: parts that can be learned by themselves.
        base_start: x, y in m and yaw in rad, where a robot that travels starts.
        driving_s: how much longer the horizon is for a robot that travels.
        constant: elements of the observation, such as `plate_pos_w.0`, that nothing
            changes, by design. Another one that never changes is a dead sensor
            (`embodied check-task`).
        places: x, y in m and yaw in rad where the robots of a team stand; those that
            travel start there, moved by `base_start`.
        objects: what its subtasks are about, for `embodied data generate`; None where
            demonstrations cannot be generated from others.

    Raises:
        EmbodiedError: a value is of another kind than these, or a name occurs twice.
    """

    name: str
    summary: str
    cameras: tuple[str, ...]
    horizon_s: float
    table: tuple[Variable, ...]
    build: Callable[[Robot], mujoco.MjSpec]
    bind: Callable[[Engine, Robot], Task]
    expert: Callable[[Layout, Layout, Robot], tuple[Planner, Controller]]
    needs: Needs = field(default_factory=Needs)
    default_robot: str = "arm"
    robot_cameras: tuple[str, ...] = ()
    beauty_camera: str = "overview"
    stages: tuple[TaskStage, ...] = ()
    base_start: tuple[float, float, float] = (-0.6, -0.35, 0.0)
    driving_s: float = 5.0
    constant: tuple[str, ...] = ()
    places: tuple[tuple[float, float, float], ...] = BESIDE_EACH_OTHER
    objects: Objects | None = None

    def __post_init__(self) -> None:
        check_spec(self)

    def check(self, robot: Robot) -> None:
        """Raises EmbodiedError where a robot does not fit, with what it lacks."""
        missing = self.needs.missing(robot)
        if missing:
            raise EmbodiedError(
                f"robot {robot.name} does not fit task {self.name}: it lacks "
                f"{'; '.join(missing)}"
            )

    def cameras_for(self, robot: Robot) -> tuple[str, ...]:
        """Returns the cameras that policies look through, with this robot.

        Of a robot with several hands, whose names have prefixes, they are those of the
        first one.
        """
        carried = []
        for wanted in self.robot_cameras:
            same = [
                name
                for name in robot.cameras
                if name == wanted or name.endswith(f"_{wanted}")
            ]
            carried += same[:1]
        return (*self.cameras, *carried)

    def horizon_for(self, robot: Robot) -> float:
        """Returns the seconds that an episode may take with this robot."""
        return self.horizon_s + (self.driving_s if robot.travels else 0.0)

    def stage(self, name: str) -> TaskStage:
        """Returns the stage of a name.

        Raises:
            EmbodiedError: there is no such stage. The message lists those that exist.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        names = [stage.name for stage in self.stages]
        raise unknown(f"stage of {self.name}", name, names)

    @property
    def env_id(self) -> str:
        return task_id(self.name)
