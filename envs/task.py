"""The interface of tasks: a scene, starts of episodes, and a judgement of states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import mujoco

from embodied.core import Array, Layout
from embodied.envs.measures import Measure
from embodied.envs.objects import Objects
from embodied.envs.registry import task_id
from embodied.envs.task_checks import check_spec, check_stage
from embodied.envs.variation import Variable, Variation
from embodied.errors import EmbodiedError, unknown
from embodied.plan import Controller, Planner
from embodied.robots.parts.gripper import Gripper
from embodied.robots.parts.suction import SuctionGripper
from embodied.robots.robot import Robot
from embodied.robots.work import WorkPlace
from embodied.sim.engine import Engine
from embodied.step_data import step_data

# The places of the robots of a team, x and y in m and yaw in rad: the second robot is to
# the right of the first, out of its reach.
BESIDE_EACH_OTHER = ((0.0, 0.0, 0.0), (0.0, -1.3, 0.0))


@step_data
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
            The sampled values by name, of types that JSON has, and the instruction for
            the robot as `instruction`.
        """

    def memory(self) -> Mapping[str, Array]:
        """Returns the task's own state of the episodes: arrays (N, ...) by name.

        They contain values that the engine's state lacks, such as targets and future
        events. They must be the arrays that the task uses, not copies, because restoring
        a snapshot writes to them.
        """

    def before_step(self, tick: Array) -> None:
        """Triggers the events that are due before a control step.

        Args:
            tick: (N,) the time of each world's episode, in physics steps.
        """

    def state(self) -> Array:
        """Returns the privileged state (N, S), with the parts of `state_layout`."""

    def judge(self) -> Outcome:
        """Returns the judgement of the current state."""


class MeasuredTask(Task, Protocol):
    """A task whose spec has `measures`."""

    def measures(self) -> Mapping[str, Array]:
        """Returns the measures of the episodes so far: name -> (N,) numbers.

        The method is called when an episode ends. `TaskSpec.measures` has the names.
        """


@dataclass(frozen=True)
class TaskStage:
    """A part of a task that can be learned separately."""

    name: str
    goal_progress: float  # the progress at which the stage is done
    horizon_s: float  # the time limit of an episode that ends with the stage

    def __post_init__(self) -> None:
        check_stage(self.name, self.goal_progress, self.horizon_s)


@dataclass(frozen=True)
class Needs:
    """A task's requirements for a robot.

    Attributes:
        effectors: the least number of effectors. So many of the robot's effectors, the
            first ones, must have a gripper as required below.
        opening_m: the least opening width of a gripper's fingers.
        suction_n: the least pull of a suction gripper, which may replace fingers; None
            if a suction gripper cannot do the task, because objects have no flat surface.
        reach_m: the least reach of an arm, from its mount to the tool centre point.
        travels: whether the base must be able to drive.
        cameras: names of the cameras that the robot must carry.
        places: what the hand must come to from a fixed base; `embodied robot check` says
            which of them an arm does not reach.
        payload_kg: the largest mass that is lifted, held-out values included.
    """

    effectors: int = 1
    opening_m: float = 0.0
    suction_n: float | None = None
    reach_m: float = 0.0
    travels: bool = False
    cameras: tuple[str, ...] = ()
    places: tuple[WorkPlace, ...] = ()
    payload_kg: float = 0.0

    def missing(self, robot: Robot) -> list[str]:
        """Returns descriptions of what a robot lacks, or an empty list if it fits."""
        # effectors, grippers and arms
        missing = []
        count = len(robot.effectors)
        if count < self.effectors:
            missing.append(f"{self.effectors} effectors (it has {count})")

        # the task needs only the first hands; further hands may be of any kind
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
        """Returns descriptions of what a gripper lacks, or an empty list if it fits.

        Args:
            gripper: The gripper.
            whose: How messages refer to the gripper: "its", or "that of left_hand".
        """
        # fingers must open far enough
        if not isinstance(gripper, SuctionGripper):
            if gripper.width_m < self.opening_m:
                fingers = f"a gripper that opens to {self.opening_m:g} m"
                return [f"{fingers} ({whose} opens to {gripper.width_m:g} m)"]
            return []

        # a suction gripper must be allowed instead of fingers, and strong enough
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
        name: the task's name, which is part of its Gymnasium id, `embodied/<name>-v0`.
        summary: the task's goal in one phrase.
        cameras: names of the scene's cameras for policies.
        robot_cameras: names of further cameras for policies, if a robot carries them.
        horizon_s: the time limit of an episode, for a robot with a fixed base.
        table: the variables that vary between episodes.
        build: the function that returns the scene with a robot in it.
        bind: the function that returns the task bound to an engine and a robot.
        expert: the function that returns the expert, a planner and a controller, for the
            layouts of proprioception and privileged state, and a robot.
        needs: the task's requirements for robots.
        default_robot: name of the robot that is used by default.
        beauty_camera: name of the camera of high-quality pictures.
        stages: parts of the task that can be learned separately.
        base_start: x, y in m and yaw in rad, where a robot that drives starts.
        driving_s: additional time in an episode for a robot that drives.
        constant: elements of the observation, such as `plate_pos_w.0`, that are constant
            by design. `embodied check-task` reports any other constant element as a
            dead sensor.
        places: x, y in m and yaw in rad of each robot of a team. Robots that drive start
            at their place, moved by `base_start`.
        objects: the objects of the task's subtasks, for `embodied data generate`; None
            if demonstrations cannot be generated from other demonstrations.
        cpu_only: why the engine `warp` cannot run the task, as the end of a sentence; ""
            if it can.
        measures: the numbers that the task reports about an episode beside its success.
            If there are any, the bound task must be a `MeasuredTask`.

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
        """Raises EmbodiedError, which names what is missing, if a robot does not fit."""
        missing = self.needs.missing(robot)
        if missing:
            raise EmbodiedError(
                f"robot {robot.name} does not fit task {self.name}: it lacks "
                f"{'; '.join(missing)}"
            )

    def cameras_for(self, robot: Robot) -> tuple[str, ...]:
        """Returns the names of the cameras whose frames policies get, with this robot.

        If a robot has one of `robot_cameras` on each of its hands, such as "left_wrist"
        and "right_wrist" for "wrist", policies get only the first of them.
        """
        carried = []
        for wanted in self.robot_cameras:
            matching = [
                name
                for name in robot.cameras
                if name == wanted or name.endswith(f"_{wanted}")
            ]
            carried += matching[:1]
        return (*self.cameras, *carried)

    def horizon_for(self, robot: Robot) -> float:
        """Returns the time limit of an episode with this robot, s."""
        return self.horizon_s + (self.driving_s if robot.travels else 0.0)

    def stage(self, name: str) -> TaskStage:
        """Returns the stage with a name.

        Raises:
            EmbodiedError: there is no such stage. The message lists the existing stages.
        """
        for stage in self.stages:
            if stage.name == name:
                return stage
        names = [stage.name for stage in self.stages]
        raise unknown(f"stage of {self.name}", name, names)

    @property
    def env_id(self) -> str:
        return task_id(self.name)
