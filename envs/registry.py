"""Names to tasks and robots. Outside packages join through the entry points `embodied.tasks` and `embodied.robots`."""

from __future__ import annotations

from functools import cache
from importlib.metadata import entry_points

from embodied.envs.task import TaskSpec
from embodied.envs.tasks.tote_transfer import TOTE_TRANSFER
from embodied.errors import EmbodiedError, unknown
from embodied.robots.arm import ARM
from embodied.robots.robot import Robot


def _collect(own: tuple[TaskSpec, ...] | tuple[Robot, ...], group: str) -> dict[str, TaskSpec | Robot]:
    found: dict[str, TaskSpec | Robot] = {}
    for item in (*own, *(entry.load() for entry in entry_points(group=group))):
        if item.name in found:
            raise EmbodiedError(f"{group}: {item.name!r} is registered twice")
        found[item.name] = item
    return found


@cache
def _tasks() -> dict[str, TaskSpec]:
    return _collect((TOTE_TRANSFER,), "embodied.tasks")  # type: ignore[return-value]


@cache
def _robots() -> dict[str, Robot]:
    return _collect((ARM,), "embodied.robots")  # type: ignore[return-value]


def task_names() -> tuple[str, ...]:
    """Names of all tasks."""
    return tuple(_tasks())


def robot_names() -> tuple[str, ...]:
    """Names of all robots."""
    return tuple(_robots())


def get_task(name: str) -> TaskSpec:
    """The task of a name such as `ToteTransfer` or an id such as `embodied/ToteTransfer-v0`."""
    short = name.removeprefix("embodied/").removesuffix("-v0")
    if short not in _tasks():
        raise unknown("task", name, task_names())
    return _tasks()[short]


def get_robot(name: str) -> Robot:
    """The robot of a name such as `arm`."""
    if name not in _robots():
        raise unknown("robot", name, robot_names())
    return _robots()[name]
