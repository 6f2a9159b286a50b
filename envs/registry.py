"""Tasks and robots by name, loaded at their first use.

Other packages register their tasks and robots in the entry point groups `embodied.tasks`
and `embodied.robots`, under the name of the task or robot. A broken entry point is left
out, with a warning.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

from embodied import plugins
from embodied.errors import EmbodiedError, unknown
from embodied.names import TEAM_SIGN

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
    "FixtureLoad": "embodied.envs.tasks.fixture_load.task:FIXTURE_LOAD",
    "GaugeCheck": "embodied.envs.tasks.gauge_check.task:GAUGE_CHECK",
    "TeamSort": "embodied.envs.tasks.team_sort.task:TEAM_SORT",
    "PourWater": "embodied.envs.tasks.pour_water.task:POUR_WATER",
    "Patrol": "embodied.envs.tasks.patrol.task:PATROL",
    "DishRack": "embodied.envs.tasks.dish_rack.task:DISH_RACK",
    "WeighPack": "embodied.envs.tasks.weigh_pack.task:WEIGH_PACK",
}
ROBOTS = {
    "arm": "embodied.robots.arm:ARM",
    "wheeled_arm": "embodied.robots.wheeled_arm:WHEELED_ARM",
    "dual_arm": "embodied.robots.dual_arm:DUAL_ARM",
}
DESCRIPTION_SUFFIX = ".toml"
# Group of entry points -> this package's own entries.
BUILT_IN = {"embodied.tasks": TASKS, "embodied.robots": ROBOTS}
# Group of entry points -> the word for an entry in messages.
KINDS = {"embodied.tasks": "task", "embodied.robots": "robot"}
# Group of entry points -> the class of its entries, as module:class.
CLASSES = {
    "embodied.tasks": "embodied.envs.task:TaskSpec",
    "embodied.robots": "embodied.robots.robot:Robot",
}
_OWN: dict[str, OwnTask] = {}  # the user's own tasks by name, see `own_tasks`


@dataclass(frozen=True)
class OwnTask:
    """A user's own task, registered in this process.

    Attributes:
        spec: the task.
        place: FILE.py:TASK with an absolute path, or MODULE:TASK; "" for a task that
            other processes cannot load.
    """

    spec: TaskSpec
    place: str = ""


def task_names() -> tuple[str, ...]:
    """Returns the names of all tasks, with the user's own registered tasks last."""
    return (*_places("embodied.tasks"), *_OWN)


def robot_names() -> tuple[str, ...]:
    """Returns the names of all robots."""
    return tuple(_places("embodied.robots"))


def loadable_tasks() -> tuple[str, ...]:
    """Returns the names of all tasks that can be loaded, and warns of all others."""
    return _loadable(task_names(), get_task)


def warp_tasks() -> tuple[str, ...]:
    """Returns the names of all loadable tasks that also the engine `warp` can run."""
    return tuple(name for name in loadable_tasks() if not get_task(name).cpu_only)


def loadable_robots() -> tuple[str, ...]:
    """Returns the names of all robots that can be loaded, and warns of all others."""
    return _loadable(robot_names(), get_robot)


def task_id(name: str) -> str:
    """Returns the Gymnasium id of a task."""
    return f"embodied/{name}-v0"


def get_task(name: str) -> TaskSpec:
    """Returns the task with a name.

    Args:
        name: a name such as `ToteTransfer`, or a Gymnasium id such as
            `embodied/ToteTransfer-v0`.

    Raises:
        EmbodiedError: there is no such task (the message lists all tasks), or its
            package is broken.
    """
    short = name.removeprefix("embodied/").removesuffix("-v0")
    if short in _OWN:
        return _OWN[short].spec
    if short not in task_names():
        raise EmbodiedError(
            f"{unknown('task', name, task_names())}; a task of your own is known once "
            "its place is given: my_file.py:TASK or my_module:TASK on the command "
            "line, embodied.envs.register_task('my_file.py:TASK') in Python"
        )
    return _load("embodied.tasks", short)


def offered_places() -> Mapping[str, str]:
    """Returns name -> module:attribute, for tasks of this and of installed packages.

    A user's own tasks, which `register_task` adds, are not included.
    """
    return _places("embodied.tasks")


def own_task(name: str) -> OwnTask | None:
    """Returns the user's own task with a name; None if there is none."""
    return _OWN.get(name)


def own_places() -> tuple[str, ...]:
    """Returns the places of the user's own tasks, to register them in other processes."""
    return tuple(own.place for own in _OWN.values() if own.place)


def add_own_task(own: OwnTask) -> None:
    """Adds a task that `own_tasks.register_task` has checked."""
    _OWN[own.spec.name] = own


def get_robot(name: str) -> Robot:
    """Returns the robot, or the team of robots, with a name.

    Args:
        name: a name such as `arm`, the path of a description file such as `six.toml`
            (docs/your_robot.md), or several of these joined by `+`, for a team.

    Raises:
        EmbodiedError: there is no such robot (the message lists all robots), or its
            description is wrong.
    """
    if name in robot_names():
        return _load("embodied.robots", name)
    if is_team(name):
        members = tuple(name.split(TEAM_SIGN))
        return _team(members, tuple(_changed_ns(member) for member in members))
    if Path(name).suffix == DESCRIPTION_SUFFIX:
        path = Path(name).resolve()
        return _described(path, _changed_ns(name))
    raise unknown("robot", name, (*robot_names(), "a description such as six.toml"))


def robots_for(task: TaskSpec) -> tuple[str, ...]:
    """Returns the names of the robots that fit a task, its default robot first.

    The only team that can be among them is the default.
    """
    names = loadable_robots()
    if is_team(task.default_robot):
        names = (*names, task.default_robot)
    fitting = [name for name in names if not task.needs.missing(get_robot(name))]
    # the default robot first: the key False sorts before True, and the sort is stable
    return tuple(sorted(fitting, key=lambda name: name != task.default_robot))


def is_team(name: object) -> bool:
    """Returns whether a value is the name of a team of robots, such as `arm+arm`."""
    return isinstance(name, str) and TEAM_SIGN in name and not Path(name).exists()


def known_members(name: str) -> bool:
    """Returns whether a robot, or each member of a team, has a registered name."""
    return all(member in robot_names() for member in name.split(TEAM_SIGN))


def _changed_ns(name: str) -> tuple[int, ...]:
    """Returns the modification times, in ns, of the files of a robot's description.

    The result is empty for a robot without a description file.
    """
    if Path(name).suffix != DESCRIPTION_SUFFIX:
        return ()
    from embodied.robots.described.content import changed_ns

    return changed_ns(Path(name).resolve())


@cache
def _team(members: tuple[str, ...], changed_ns: tuple[tuple[int, ...], ...]) -> Robot:
    """Returns a team of robots.

    Args:
        members: the name, or the path of the description, of each robot.
        changed_ns: modification times of each member's files. They are only a part of
            the cache's key, so that changed files are read again.
    """
    from embodied.robots.robot import team_of

    return team_of([get_robot(member) for member in members])


@cache
def _described(path: Path, changed_ns: tuple[int, ...]) -> Robot:
    """Returns the robot of a description file.

    Args:
        path: path of the file.
        changed_ns: modification times of the description's files. They are only a part
            of the cache's key, so that changed files are read again.
    """
    from embodied.robots.described.robot import load_robot

    return load_robot(path)


@cache
def _places(group: str) -> Mapping[str, str]:
    """Returns name -> module:attribute, for a group's entries of all installed packages.

    Another package cannot replace an entry of this package.
    """
    offered = _offered(group)
    return {**BUILT_IN[group], **{name: entry.value for name, entry in offered.items()}}


@cache
def _offered(group: str) -> Mapping[str, EntryPoint]:
    """Returns a group's entry points of other installed packages, by name."""
    return plugins.offered(group, taken=dict.fromkeys(BUILT_IN[group], "embodied"))


@cache
def _load(group: str, name: str) -> Any:
    """Returns the task or robot with a name in a group of entry points.

    Raises:
        EmbodiedError: the entry point of another package cannot be loaded, or holds an
            object of another class or name. The message names the package.
    """
    entry = _offered(group).get(name)
    if entry is None:
        return resolve_name(BUILT_IN[group][name])

    # the object must have the group's class and the entry point's name; otherwise the
    # message says what it is instead
    item = plugins.load(KINDS[group], entry)
    actual = getattr(item, "name", None)
    if not isinstance(item, _class_of(group)):
        actual = f"a {type(item).__name__}, no {_class_of(group).__name__}"
    if actual != name:
        raise EmbodiedError(
            f"the {KINDS[group]} {name!r} of {plugins.package_of(entry)} cannot be "
            f"loaded: {entry.value} is {actual}"
        )
    return item


def _class_of(group: str) -> type:
    """Returns the class of the objects in a group of entry points."""
    return resolve_name(CLASSES[group])


def _loadable(names: Iterable[str], get: Callable[[str], object]) -> tuple[str, ...]:
    """Returns the names of tasks or robots that can be loaded, and warns of all others.

    Args:
        names: the names to try.
        get: the function that loads a task or robot by its name.
    """
    loadable = []
    for name in names:
        try:
            get(name)
        except EmbodiedError as error:
            plugins.warn(str(error))
        else:
            loadable.append(name)
    return tuple(loadable)
