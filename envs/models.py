"""Chooses the robot, the compiled model and the cameras that worlds are built from."""

from __future__ import annotations

import copy
from functools import lru_cache
from typing import TYPE_CHECKING

import mujoco

from embodied.envs.registry import get_robot, is_team
from embodied.envs.safety import with_safety_sensors
from embodied.envs.task_checks import check_cameras, explaining_errors
from embodied.errors import EmbodiedError, unknown
from embodied.names import check_names
from embodied.robots.parts.part import Vector3
from embodied.robots.robot import Robot, placed

if TYPE_CHECKING:
    from collections.abc import Callable

    from embodied.envs.config import EnvConfig
    from embodied.envs.task import TaskSpec

MODELS_KEPT = 16  # in the process's cache, 2 to 4 MB each


def choose_robot(spec: TaskSpec, robot: str | Robot | None) -> Robot:
    """Returns the robot that a config asks for.

    Args:
        spec: the task.
        robot: a name, the path of a robot's description, several of these joined by `+`
            for a team, a robot object, or None for the task's default robot.

    Raises:
        EmbodiedError: no robot has the name, its description is wrong, or it lacks
            what the task needs.
    """
    if isinstance(robot, Robot):
        spec.check(robot)
        return robot
    named_robot = get_robot(robot or spec.default_robot)
    spec.check(named_robot)
    if is_team(robot):
        return _placed(_SameRobot(named_robot), spec.places)
    return named_robot


def choose_cameras(
    config: EnvConfig, task_cameras: tuple[str, ...], model: mujoco.MjModel
) -> tuple[str, ...]:
    """Returns the names of the cameras that observations show.

    Raises:
        EmbodiedError: the config names a camera that the model lacks, whose name cannot
            be a key of observations and datasets, or that is named twice.
    """
    names = config.cameras
    if names is None:
        names = task_cameras if config.obs != "state" else ()

    available = [model.camera(i).name for i in range(model.ncam)]
    for name in names:
        if name not in available:
            raise unknown("camera", name, available)
    check_names("camera that observations show", names)
    return tuple(names)


def compiled_model(spec: TaskSpec, robot: Robot) -> mujoco.MjModel:
    """Returns the model of a task's scene with a robot in it, safety sensors included.

    A process compiles each pair of scene and robot only once. The result is a copy of the
    compiled model, so that writing to it does not change other worlds.

    Raises:
        EmbodiedError: the scene cannot be built, or lacks a camera that the task names.
    """
    with explaining_errors(spec.name, "build"):
        model = _compile(spec.build, _SameRobot(robot))
    check_cameras(spec, model)
    return copy.copy(model)


class _SameRobot:
    """A key for caches that is equal only for the same robot object.

    Robots themselves may not be hashable.
    """

    def __init__(self, robot: Robot) -> None:
        self.robot = robot

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _SameRobot) and other.robot is self.robot

    def __hash__(self) -> int:
        return id(self.robot)


@lru_cache(maxsize=MODELS_KEPT)
def _placed(key: _SameRobot, places: tuple[Vector3, ...]) -> Robot:
    """Returns a team whose robots stand at a task's places.

    It is the same object for the same arguments, so that `_compile` compiles it once.
    """
    return placed(key.robot, places)


@lru_cache(maxsize=MODELS_KEPT)
def _compile(
    build: Callable[[Robot], mujoco.MjSpec], key: _SameRobot
) -> mujoco.MjModel:
    """Returns the compiled model of a scene, cached for each function and robot."""
    scene = build(key.robot)
    if not isinstance(scene, mujoco.MjSpec):
        # `explaining_errors` puts the names of the task and of `build` in front
        raise EmbodiedError(
            f"it must return the scene, a mujoco.MjSpec, not a {type(scene).__name__}"
        )
    return with_safety_sensors(scene, key.robot).compile()
