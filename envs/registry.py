"""Names to tasks and robots, loaded when first asked for: to know the names costs
nothing.

Outside packages join through the entry points `embodied.tasks` and `embodied.robots`,
named like what they hold.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib.metadata import entry_points
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from embodied.errors import EmbodiedError, unknown

if TYPE_CHECKING:  # they import MuJoCo
    from embodied.envs.task import TaskSpec
    from embodied.robots.robot import Robot

TASKS = {
    "ToteTransfer": "embodied.envs.tasks.tote_transfer.task:TOTE_TRANSFER",
    "TableWipe": "embodied.envs.tasks.table_wipe.task:TABLE_WIPE",
    "ValveTurn": "embodied.envs.tasks.valve_turn.task:VALVE_TURN",
    "PanelReset": "embodied.envs.tasks.panel_reset.task:PANEL_RESET",
    "DrawerTidy": "embodied.envs.tasks.drawer_tidy.task:DRAWER_TIDY",
    "ParcelSort": "embodied.envs.tasks.parcel_sort.task:PARCEL_SORT",
}
ROBOTS = {
    "arm": "embodied.robots.arm:ARM",
    "wheeled_arm": "embodied.robots.wheeled_arm:WHEELED_ARM",
}


def task_names() -> tuple[str, ...]:
    """Names of all tasks."""
    return tuple(_places("embodied.tasks"))


def robot_names() -> tuple[str, ...]:
    """Names of all robots."""
    return tuple(_places("embodied.robots"))


def task_id(name: str) -> str:
    """The Gymnasium id of a task."""
    return f"embodied/{name}-v0"


def get_task(name: str) -> TaskSpec:
    """The task of a name such as `ToteTransfer` or an id such as
    `embodied/ToteTransfer-v0`.
    """
    short = name.removeprefix("embodied/").removesuffix("-v0")
    if short not in task_names():
        raise unknown("task", name, task_names())
    return _load("embodied.tasks", short)


def get_robot(name: str) -> Robot:
    """The robot of a name such as `arm`."""
    if name not in robot_names():
        raise unknown("robot", name, robot_names())
    return _load("embodied.robots", name)


@cache
def _places(group: str) -> Mapping[str, str]:
    """Name -> module:attribute, of our own and of those that installed packages offer."""
    found = dict({"embodied.tasks": TASKS, "embodied.robots": ROBOTS}[group])
    for entry in entry_points(group=group):
        if entry.name in found:
            raise EmbodiedError(
                f"{group}: {entry.name!r} is registered twice, by {found[entry.name]} and {entry.value}"
            )
        found[entry.name] = entry.value
    return found


@cache
def _load(group: str, name: str) -> Any:
    place = _places(group)[name]
    item = resolve_name(place)
    if item.name != name:
        raise EmbodiedError(
            f"{group}: {place} is registered as {name!r}, but its name is {item.name!r}"
        )
    return item
