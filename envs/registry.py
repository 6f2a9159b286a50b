"""Tasks and robots by name, loaded when they are first asked for.

Other packages register theirs through the entry point groups `embodied.tasks` and
`embodied.robots`, under the name of the task or robot. An entry point that cannot be
used is reported as a warning and left out.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from embodied.errors import EmbodiedError, unknown

if TYPE_CHECKING:  # these import MuJoCo
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
DESCRIPTION_SUFFIX = ".toml"


def task_names() -> tuple[str, ...]:
    """Returns the names of all tasks."""
    return tuple(_places("embodied.tasks"))


def robot_names() -> tuple[str, ...]:
    """Returns the names of all robots."""
    return tuple(_places("embodied.robots"))


def task_id(name: str) -> str:
    """Returns the Gymnasium id of a task."""
    return f"embodied/{name}-v0"


def get_task(name: str) -> TaskSpec:
    """Returns a task.

    Args:
        name: a name such as `ToteTransfer`, or an id such as
            `embodied/ToteTransfer-v0`.

    Raises:
        EmbodiedError: there is no such task. The message lists those that exist.
    """
    short = name.removeprefix("embodied/").removesuffix("-v0")
    if short not in task_names():
        raise unknown("task", name, task_names())
    return _load("embodied.tasks", short)


def get_robot(name: str) -> Robot:
    """Returns a robot.

    Args:
        name: a name such as `arm`, or the path of a description such as `six.toml`
            (docs/your_robot.md).

    Raises:
        EmbodiedError: there is no such robot (the message lists those that exist), or
            its description is wrong.
    """
    if name in robot_names():
        return _load("embodied.robots", name)
    if Path(name).suffix == DESCRIPTION_SUFFIX:
        path = Path(name)
        changed_ns = path.stat().st_mtime_ns if path.exists() else 0
        return _described(path.resolve(), changed_ns)
    raise unknown("robot", name, (*robot_names(), "a description such as six.toml"))


def robots_for(task: TaskSpec) -> tuple[str, ...]:
    """Returns the names of the robots that fit a task, its default first."""
    fitting = [
        name for name in robot_names() if not task.needs.missing(get_robot(name))
    ]
    # a stable sort: False, the default, comes before True
    return tuple(sorted(fitting, key=lambda name: name != task.default_robot))


@cache
def _described(path: Path, changed_ns: int) -> Robot:
    """Returns the robot of a description file.

    Args:
        path: of the file.
        changed_ns: when it was changed, so that the cache misses for a changed file.
    """
    from embodied.robots.described.robot import load_robot

    return load_robot(path)


@cache
def _places(group: str) -> Mapping[str, str]:
    """Returns name -> module:attribute, of this package and of installed ones."""
    places = dict({"embodied.tasks": TASKS, "embodied.robots": ROBOTS}[group])

    # one broken package must not keep the others from working
    for entry in entry_points(group=group):
        problem = _problem_of(entry, places)
        if problem:
            package = entry.dist.name if entry.dist else "an installed package"
            warnings.warn(
                f"{package}: its entry point {entry.name!r} of {group} is left out: "
                f"{problem}",
                stacklevel=2,
            )
            continue
        places[entry.name] = entry.value
    return places


def _problem_of(entry: EntryPoint, places: Mapping[str, str]) -> str:
    """Returns why an entry point cannot be used; empty where it can."""
    if entry.name in places:
        return f"the name is taken by {places[entry.name]}"
    if not entry.name.isidentifier():
        return "a name consists of letters, digits and underscores"
    return ""


@cache
def _load(group: str, name: str) -> Any:
    place = _places(group)[name]
    item = resolve_name(place)
    if item.name != name:
        raise EmbodiedError(
            f"{group}: {place} is registered as {name!r}, but its name is {item.name!r}"
        )
    return item
