"""Tasks of a user's own: in a file, in a module, or made at a prompt.

The text that says where a task is defined is called its place, such as
`my_tasks.py:CUBE_TO_PLATE` or `my_package.tasks:CUBE_TO_PLATE`. A task is loaded only if
the user gives its place, on the command line or to `register_task`. Datasets and results
store only the task's name, so opening a data file never runs code.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path
from pkgutil import resolve_name
from types import ModuleType
from typing import TYPE_CHECKING, Any
from zlib import crc32

import gymnasium

from embodied.envs import registry
from embodied.envs.register import MAKER, VECTOR_MAKER
from embodied.errors import EmbodiedError, in_one_line, unknown

if TYPE_CHECKING:  # this imports MuJoCo
    from embodied.envs.task import TaskSpec


@dataclass(frozen=True)
class MakeOwn:
    """An entry point for Gymnasium that loads a user's own task.

    Gymnasium sends the entry point to the processes of a vector environment, where it
    loads the task again.
    """

    place: str
    maker: str  # the function that makes the environment, as module:function

    def __call__(self, **arguments: Any) -> Any:
        register_task(self.place)
        make: Callable[..., Any] = resolve_name(self.maker)
        return make(**arguments)

    @property
    def metadata(self) -> dict[str, Any]:
        """The maker's metadata; Gymnasium reads it from an entry point."""
        return resolve_name(self.maker).metadata


def is_place(text: str) -> bool:
    """Returns whether a text is a place, rather than the name of a task."""
    return ":" in text or text.endswith(".py")


def register_task(task: str | TaskSpec) -> str:
    """Registers a user's own task in this process, so that its name can be used.

    A file that has changed since it was registered is loaded again.

    Args:
        task: a `TaskSpec`, or its place: `FILE.py:TASK` or `MODULE:TASK`. TASK is the
            variable that holds the `TaskSpec`, or the task's name; it may be omitted if
            the file or module has only one task. Other processes can load a task only
            by its place.

    Returns:
        The task's id, for `gymnasium.make` and `gymnasium.make_vec`.

    Raises:
        EmbodiedError: there is no such file, module or task, it cannot be loaded, or
            another task has its name.
    """
    from embodied.envs.task import TaskSpec

    if isinstance(task, TaskSpec):
        _add(registry.OwnTask(task))
        return task.env_id
    if not isinstance(task, str):
        raise EmbodiedError(
            "a task is given as FILE.py:TASK, as MODULE:TASK or as a TaskSpec, "
            f"not as {task!r}"
        )

    # find the task at its place
    location, _, name = task.partition(":")
    module = (
        _module_of_file(location) if location.endswith(".py") else _import(location)
    )
    variable, spec = _task_of(module, name, location)

    # register it, with an absolute path because processes may have other directories
    if not _is_offered(spec, module):
        place = location
        if location.endswith(".py"):
            place = str(Path(location).resolve())
        _add(registry.OwnTask(spec, f"{place}:{variable}"))
    return spec.env_id


def typed_task(text: str) -> str:
    """Returns the name of the task that a user typed; registers it if it is a place."""
    if not is_place(text):
        return text
    return registry.get_task(register_task(text)).name


def task_argument(name: str) -> str:
    """Returns what a user types as the task on a command line: its name or its place."""
    own = registry.own_task(name)
    return name if own is None or not own.place else own.place


def _add(own: registry.OwnTask) -> None:
    """Adds a task to our registry and Gymnasium's, replacing its earlier version.

    Raises:
        EmbodiedError: another task has its name.
    """
    spec = own.spec
    earlier = registry.own_task(spec.name)
    # the place of another task with this name; None if there is none
    other_task = registry.offered_places().get(spec.name)
    if earlier is not None and earlier.place != own.place:
        other_task = earlier.place or "a task that was registered before"
    if other_task is not None:
        raise EmbodiedError(
            f"{own.place or 'a task'} has the name {spec.name!r}, which is taken by "
            f"{other_task}: give it another one"
        )

    # a task with a place can be loaded in the processes of a vector environment, too
    registry.add_own_task(own)
    gymnasium.registry.pop(spec.env_id, None)
    gymnasium.register(
        id=spec.env_id,
        entry_point=MakeOwn(own.place, MAKER) if own.place else MAKER,
        vector_entry_point=(
            MakeOwn(own.place, VECTOR_MAKER) if own.place else VECTOR_MAKER
        ),
        kwargs={"task": spec.name},
    )


def _is_offered(spec: TaskSpec, module: ModuleType) -> bool:
    """Returns whether this package, or an installed one, registers the task already.

    If so, the user has typed the place of a task that can be used by its name.
    """
    # the registered task is the same if it has the same name and is in the same file
    offered = registry.offered_places().get(spec.name)  # module:variable
    if offered is None or module.__file__ is None:
        return False
    module_name = offered.partition(":")[0]
    module_spec = find_spec(module_name)
    return module_spec is not None and module_spec.origin == module.__file__


def _task_of(module: ModuleType, name: str, location: str) -> tuple[str, TaskSpec]:
    """Returns the variable of a module that holds a task, and the task.

    Args:
        module: the module to search.
        name: the name of the variable or of the task; "" for the module's only task.
        location: the file or the name of the module, for error messages.
    """
    from embodied.envs.task import TaskSpec

    tasks = {
        variable: value
        for variable, value in vars(module).items()
        if isinstance(value, TaskSpec)
    }
    if not tasks:
        raise EmbodiedError(
            f"{location} has no task: a task is a variable that holds a TaskSpec "
            "(docs/your_first_task.md)"
        )

    # choose one of the tasks by the name, which may be left out if there is only one
    if not name and len(tasks) == 1:
        return next(iter(tasks.items()))
    for variable, spec in tasks.items():
        if name in (variable, spec.name):
            return variable, spec
    if not name:
        choices = " or ".join(f"{location}:{variable}" for variable in tasks)
        raise EmbodiedError(f"{location} has several tasks: write {choices}")
    raise unknown(f"task in {location}", name, tasks)


def _module_of_file(location: str) -> ModuleType:
    """Returns the module of a file, and loads the file if it is new or has changed.

    The file may import modules from its own folder.
    """
    path = Path(location).expanduser().resolve()
    if not path.is_file():
        raise EmbodiedError(f"there is no file {location}; the folder is {Path.cwd()}")

    # a unique name, because the file may have the name of an installed module
    name = f"{path.stem}_{crc32(str(path).encode()):08x}"
    changed_ns = path.stat().st_mtime_ns
    loaded = sys.modules.get(name)
    if loaded is not None and vars(loaded).get("__changed_ns__") == changed_ns:
        return loaded

    spec = spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise EmbodiedError(f"{location} is no Python file")
    module = module_from_spec(spec)
    vars(module)["__changed_ns__"] = changed_ns
    _make_importable(path.parent)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except EmbodiedError as error:
        del sys.modules[name]
        raise EmbodiedError(f"{location}: {error}") from error
    # a module may even end the program when it is imported
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        raise EmbodiedError(
            f"loading {location} raised {in_one_line(error)}"
        ) from error
    return module


def _import(location: str) -> ModuleType:
    """Returns a module of the current directory or of an installed package.

    Args:
        location: its name, such as `my_package.tasks`.
    """
    if not all(word.isidentifier() for word in location.split(".")):
        raise EmbodiedError(
            f"{location!r} is neither a file that ends in .py nor a module: a task of "
            "your own is given as FILE.py:TASK or as MODULE:TASK"
        )

    _make_importable(Path.cwd())
    try:
        return importlib.import_module(location)
    except EmbodiedError as error:
        raise EmbodiedError(f"{location}: {error}") from error
    # a module may even end the program when it is imported
    except (Exception, SystemExit) as error:
        raise EmbodiedError(
            f"importing {location} raised {in_one_line(error)}"
        ) from error


def _make_importable(folder: Path) -> None:
    """Lets this process import modules from a folder.

    The folder is searched last, because one of its files may have the name of an installed
    module.
    """
    if str(folder) not in sys.path:
        sys.path.append(str(folder))
