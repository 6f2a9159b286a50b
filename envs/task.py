"""What a task is: a scene, starts, and a judgement of the worlds' states."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import mujoco

from embodied.core import Array, Controller, Layout, Planner
from embodied.envs.registry import task_id
from embodied.envs.variation import Variable, Variation
from embodied.errors import unknown
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

OWN_CAMERAS = ("wrist", "head")  # names of cameras on robots


@dataclass(frozen=True)
class Outcome:
    """The judgement of N worlds."""

    success: Array  # (N,) bool, now
    progress: Array  # (N,) in [0, 1], by stages: the reward, too
    lost: Array  # (N,) bool, nothing can be saved any more
    # (N,) int, things that lie where they should not, e.g. on the floor
    dropped: Array = 0


class Task(Protocol):
    """A task bound to an engine: N episodes at once."""

    state_layout: Layout

    def start(self, world: int, seed: int, variation: Variation) -> dict[str, Any]:
        """Draws an episode and writes it to the engine; returns what was drawn,
        JSON-able, with `instruction`.
        """

    def parameters(self) -> Mapping[str, Array]:
        """Live (N, ...) arrays of what the engine's state does not hold: goals and
        events to come.
        """

    def before_step(self, tick: Array) -> None:
        """Things that change within an episode, by each world's clock (N,)."""

    def state(self) -> Array:
        """(N, E) privileged state, as `state_layout` names it."""

    def judge(self) -> Outcome:
        """Returns success and progress of the present state."""


@dataclass(frozen=True)
class TaskStage:
    """A part of a task that can be learned by itself."""

    name: str
    goal_progress: float  # at which it is reached
    horizon_s: float


@dataclass(frozen=True)
class TaskSpec:
    """A task before it is bound: what the registry holds."""

    name: str
    summary: str
    robots: tuple[str, ...]
    cameras: tuple[str, ...]
    horizon_s: float
    table: tuple[Variable, ...]
    build: Callable[[Robot], mujoco.MjSpec]
    bind: Callable[[Engine, Robot], Task]
    # of agent and state layouts
    expert: Callable[[Layout, Layout, Robot], tuple[Planner, Controller]]
    beauty_camera: str = "overview"
    stages: tuple[TaskStage, ...] = ()
    # x, y in m and yaw in rad of a robot that drives
    base_start: tuple[float, float, float] = (-0.6, -0.35, 0.0)
    driving_s: float = 5.0  # that its horizon is longer by

    def cameras_for(self, robot: Robot) -> tuple[str, ...]:
        """The task's cameras, without those of robots' own that this one lacks."""
        return tuple(
            name
            for name in self.cameras
            if name not in OWN_CAMERAS or name in robot.cameras
        )

    def horizon_for(self, robot: Robot) -> float:
        """Seconds that an episode may take."""
        return self.horizon_s + (self.driving_s if robot.travels else 0.0)

    def stage(self, name: str) -> TaskStage:
        """The stage of a name. Raises EmbodiedError where there is none."""
        for stage in self.stages:
            if stage.name == name:
                return stage
        raise unknown(
            f"stage of {self.name}", name, [stage.name for stage in self.stages]
        )

    @property
    def env_id(self) -> str:
        return task_id(self.name)
