"""The interface of tasks: a scene, starts of episodes, and a judgement of states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import mujoco

from embodied.core import Array, Controller, Layout, Planner
from embodied.envs.measures import Measure
from embodied.envs.objects import Objects
from embodied.envs.registry import task_id
from embodied.envs.task_checks import check_spec, check_stage
from embodied.envs.variation import Variable, Variation
from embodied.errors import EmbodiedError, unknown
from embodied.robots.parts.gripper import Gripper
from embodied.robots.parts.suction import SuctionGripper
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# The places of a team: the second robot is to the right of the first, out of its reach.
BESIDE_EACH_OTHER = ((0.0, 0.0, 0.0), (0.0, -1.3, 0.0))


@dataclass(frozen=True)
class Outcome:
    """The judgement of N worlds.

    Attributes:
        success: (N,) bool, whether the task is done in this state.
        progress: (N,) in [0, 1], by stages; it is also the reward.
        lost: (N,) bool, whether the task can no longer succeed.
        dropped: (N,) int, number of dropped objects, e.g. on the floor.
    """

    success: Array
    progress: Array
    lost: Array
    dropped: Array = 0


class Task(Protocol):
    """A task bound to an engine: N episodes at once."""

    state_layout: Layout

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        """Samples the start of an episode and writes it to the engine.

        Returns:
            The sampled values, JSON-able, and the sentence `instruction`.
        """

    def memory(self) -> Mapping[str, Array]:
        """Returns the task's own state of the episodes: live (N, ...) arrays by name.

        They contain values that the engine's state lacks, such as targets and future
        events.
        """

    def before_step(self, tick: Array) -> None:
        """Triggers the events that are due at the worlds' clocks `tick` (N,)."""

    def state(self) -> Array:
        """Returns the privileged state (N, S), with the parts of `state_layout`."""

    def judge(self) -> Outcome:
        """Returns the judgement of the current state."""


class MeasuredTask(Task, Protocol):
    """A task with a `measures` in its spec."""

    def measures(self) -> Mapping[str, Array]:
        """Returns the measures of the episodes so far: name -> (N,) numbers.

        It is called when an episode ends. The names are those of `TaskSpec.measures`.
        """


@dataclass(frozen=True)
class TaskStage:
    """A part of a task that can be learned separately."""

    name: str
    goal_progress: float  # the progress at which the stage is done
    horizon_s: float

    def __post_init__(self) -> None:
        check_stage(self.name, self.goal_progress, self.horizon_s)


@dataclass(frozen=True)
class Needs:
    """A task's requirements for a robot.

    Attributes:
        effectors: the number of effectors; each of these must have the gripper.
        opening_m: opening width of the gripper's fingers.
        suction_n: pull of a suction gripper, which may replace fingers; None if a
            suction gripper cannot do the task, as objects have no flat surface.
        reach_m: reach of an arm, from its mount to the tcp.
        travels: whether the base must be able to drive.
        cameras: names of the cameras that it must carry.
    """

    effectors: int = 1
    opening_m: float = 0.0
    suction_n: float | None = None
    reach_m: float = 0.0
    travels: bool = False
    cameras: tuple[str, ...] = ()

    def missing(self, robot: Robot) -> list[str]:
        """Returns descriptions of what a robot lacks; empty if it fits."""
        # effectors, grippers and arms
        missing = []
        count = len(robot.effectors)
        if count < self.effectors:
            missing.append(f"{self.effectors} effectors (it has {count})")

        # a hand beyond those that the task needs may be of any kind
        for effector in robot.effectors[: self.effectors]:
            whose = "its" if self.effectors == 1 else f"that of {effector.name}"
            missing += self._missing_grip(robot.gripper_of(effector), whose)
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

    def _missing_grip(self, gripper: Gripper, whose: str) -> list[str]:
        """Returns descriptions of what a gripper lacks; empty if it fits.

        Args:
            gripper: The gripper.
            whose: How messages refer to it.
        """
        if not isinstance(gripper, SuctionGripper):
            if gripper.width_m < self.opening_m:
                fingers = f"a gripper that opens to {self.opening_m:g} m"
                return [f"{fingers} ({whose} opens to {gripper.width_m:g} m)"]
            return []

        if self.suction_n is None and self.opening_m > 0:
            fingers = f"fingers that open to {self.opening_m:g} m"
            holder = "its gripper" if whose == "its" else whose
            return [f"{fingers} ({holder} holds by suction)"]
        if self.suction_n is not None and gripper.force_n < self.suction_n:
            cup = f"a suction gripper that holds {self.suction_n:g} N"
            return [f"{cup} ({whose} holds {gripper.force_n:g} N)"]
        return []


@dataclass(frozen=True)
class TaskSpec:
    """A task in the registry, not yet bound to an engine and a robot.

    Attributes:
        name: the name in its Gymnasium id, `embodied/<name>-v0`.
        summary: the task's goal in one phrase.
        cameras: names of the scene's cameras for policies.
        robot_cameras: names of more cameras for policies, if a robot carries them.
        horizon_s: time limit of an episode, for a robot with a fixed base.
        table: the variables that vary between episodes.
        build: returns the scene with a robot in it.
        bind: returns the task on an engine, with a robot.
        expert: returns planner and controller for the layouts of proprioception and
            privileged state, and a robot.
        needs: its requirements for robots.
        default_robot: name of the robot that is used by default.
        beauty_camera: name of the camera of high-quality pictures.
        stages: parts that can be learned separately.
        base_start: x, y in m and yaw in rad, the start of a robot that drives.
        driving_s: additional time for a robot that drives.
        constant: elements of the observation, such as `plate_pos_w.0`, that are constant
            by design. `embodied check-task` reports any other constant element as a
            dead sensor.
        places: x, y in m and yaw in rad for each robot of a team; robots that drive
            start there, moved by `base_start`.
        objects: the objects of its subtasks, for `embodied data generate`; None if
            demonstrations cannot be generated from others.
        cpu_only: why the engine `warp` cannot run it, as the end of a sentence; "" where
            it can.
        measures: what it reports about an episode beside success. The bound task then
            has the method of `MeasuredTask`.

    Raises:
        EmbodiedError: a value has a wrong type or range, or a name occurs twice.
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
    cpu_only: str = ""
    measures: tuple[Measure, ...] = ()

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

        If a robot has such a camera on each of its hands, a left wrist and a right one
        for "wrist", policies get only the first one.
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
