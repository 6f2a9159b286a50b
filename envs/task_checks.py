"""Checks of a task, with errors that name the task, the method and the expected value.

- A `TaskSpec` is checked when it is made.
- Its scene and the bound task are checked when worlds are made.
- The result of `start` is checked at every start.
- The results of `state`, `judge` and `memory` are checked at the first reset, and then
  at increasing intervals, so that steps stay fast.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from embodied.core import Array, Layout
from embodied.envs.objects import Objects
from embodied.envs.values import is_number, is_phrase
from embodied.envs.variation import Variable
from embodied.errors import EmbodiedError, in_one_line, unknown
from embodied.names import RULE, is_name

if TYPE_CHECKING:  # these import MuJoCo
    import mujoco

    from embodied.envs.task import Outcome, Task, TaskSpec

METHODS = ("start", "memory", "before_step", "state", "judge")


@contextmanager
def explaining_errors(task: str, method: str) -> Iterator[None]:
    """Turns an error within the context into an EmbodiedError that names task and method."""
    try:
        yield
    except EmbodiedError as error:
        raise EmbodiedError(f"task {task}: {method}: {error}") from error
    except Exception as error:
        raise EmbodiedError(
            f"task {task}: {method} raised {in_one_line(error)}"
        ) from error


def check_spec(spec: TaskSpec) -> None:
    """Raises EmbodiedError for the first invalid value of a spec."""
    if not is_name(spec.name):
        raise EmbodiedError(f"a task's name consists of {RULE}, unlike {spec.name!r}")

    problem = (
        _problem_of_texts(spec)
        or _problem_of_numbers(spec)
        or _problem_of_table(spec.table)
        or _problem_of_stages(spec)
        or _problem_of_measures(spec)
    )
    if problem:
        raise EmbodiedError(f"task {spec.name}: {problem}")


def _problem_of_texts(spec: TaskSpec) -> str:
    """Returns the first problem of a spec's names and functions; "" if there is none."""
    if not is_phrase(spec.summary):
        return f"summary must be a phrase, not {spec.summary!r}"
    if spec.cpu_only and not is_phrase(spec.cpu_only):
        return f"cpu_only must be a reason in words, or '', not {spec.cpu_only!r}"

    for field in ("cameras", "robot_cameras", "constant"):
        names = getattr(spec, field)
        if not isinstance(names, tuple | list):
            return f"{field} must be a tuple of names, such as ('overview',), not {names!r}"

    for field in ("cameras", "robot_cameras"):
        for name in getattr(spec, field):
            if not is_name(name):
                return f"{field}: a camera's name consists of {RULE}, unlike {name!r}"

    for field in ("build", "bind", "expert"):
        if not callable(getattr(spec, field)):
            return f"{field} must be a function, not {getattr(spec, field)!r}"
    return _problem_of_objects(spec.objects)


def _problem_of_objects(objects: object) -> str:
    """Returns the problem of a spec's objects; "" if there is none."""
    if objects is None or isinstance(objects, Objects):
        return ""
    return f"objects must be Objects(poses, brought_to) or None, not {objects!r}"


def _problem_of_numbers(spec: TaskSpec) -> str:
    """Returns the first problem of a spec's numbers; "" if there is none."""
    if not is_number(spec.horizon_s) or spec.horizon_s <= 0:
        return f"horizon_s must be seconds above 0, not {spec.horizon_s!r}"
    if not is_number(spec.driving_s) or spec.driving_s < 0:
        return f"driving_s must be seconds of at least 0, not {spec.driving_s!r}"

    start: tuple[float, ...] = spec.base_start
    if len(start) != 3 or not all(is_number(value) for value in start):
        return f"base_start must be x, y in m and yaw in rad, not {start!r}"
    places: tuple[tuple[float, ...], ...] = spec.places
    for place in places:
        if len(place) != 3 or not all(is_number(value) for value in place):
            return f"places must each be x, y in m and yaw in rad, unlike {place!r}"
    return ""


def _problem_of_table(table: object) -> str:
    """Returns the first problem of a table of variables; "" if there is none."""
    if not (isinstance(table, tuple | list) and table):
        return (
            "table must be a tuple of rows, at least those of COMMON: "
            f"(*TASK_VARIABLES, *COMMON), not {table!r}"
        )
    names = set()
    for variable in table:
        if not isinstance(variable, Variable):
            return (
                f"table has {variable!r}, which is no row: write row(name, factor, ...)"
            )
        if variable.name in names:
            return f"table has two rows of the name {variable.name!r}"
        names.add(variable.name)

    # all tasks need the variables in COMMON
    from embodied.envs.common_factors import COMMON

    missing = [row.name for row in COMMON if row.name not in names]
    if missing:
        return (
            f"table lacks {', '.join(missing)}, which all tasks have: add *COMMON to it"
        )
    return ""


def _problem_of_stages(spec: TaskSpec) -> str:
    """Returns the problem of a spec's stages, a repeated name; "" if there is none."""
    names = set()
    for stage in spec.stages:
        if stage.name in names:
            return f"there are two stages of the name {stage.name!r}"
        names.add(stage.name)
    return ""


def _problem_of_measures(spec: TaskSpec) -> str:
    """Returns the problem of a spec's measures, a repeated name; "" if there is none."""
    names = [measure.name for measure in spec.measures]
    for name in names:
        if names.count(name) > 1:
            return f"there are two measures of the name {name!r}"
    return ""


def check_stage(name: str, goal_progress: float, horizon_s: float) -> None:
    """Raises EmbodiedError for a stage with an invalid name or number."""
    if not is_name(name):
        raise EmbodiedError(f"a stage's name consists of {RULE}, unlike {name!r}")
    if not is_number(goal_progress) or not 0 < goal_progress <= 1:
        raise EmbodiedError(
            f"stage {name}: goal_progress must be above 0 and at most 1, not "
            f"{goal_progress!r}"
        )
    if not is_number(horizon_s) or horizon_s <= 0:
        raise EmbodiedError(
            f"stage {name}: horizon_s must be seconds above 0, not {horizon_s!r}"
        )


def check_cameras(spec: TaskSpec, model: mujoco.MjModel) -> None:
    """Raises EmbodiedError if a scene lacks a camera that its task names."""
    available = [model.camera(i).name for i in range(model.ncam)]
    for field, names in (
        ("cameras", spec.cameras),
        ("beauty_camera", (spec.beauty_camera,)),
    ):
        for name in names:
            if name not in available:
                error = unknown("camera", name, available)
                raise EmbodiedError(
                    f"task {spec.name}: {field} names one that `build` does not add: "
                    f"{error}"
                )


def check_bound(spec: TaskSpec, task: Task, num_worlds: int) -> None:
    """Raises EmbodiedError if a bound task lacks a method, or has a wrong layout.

    Args:
        spec: spec of the task.
        task: the result of `bind`.
        num_worlds: the number N of worlds.
    """
    name = spec.name
    methods = (*METHODS, "measures") if spec.measures else METHODS
    for method in methods:
        if not callable(getattr(task, method, None)):
            raise EmbodiedError(
                f"task {name}: bind returned a {type(task).__name__}, which has no method "
                f"{method!r}; a task has {', '.join(methods)} and state_layout"
            )

    layout = getattr(task, "state_layout", None)
    if not isinstance(layout, Layout):
        raise EmbodiedError(
            f"task {name}: state_layout must be a Layout of (name, width) pairs, not "
            f"{layout!r}"
        )
    parts = [part for part, _ in layout.parts]
    for part, width in layout.parts:
        if not (isinstance(width, Integral) and width >= 1):
            raise EmbodiedError(
                f"task {name}: state_layout: the width of {part!r} must be a whole number "
                f"of at least 1, not {width!r}"
            )
        if not is_name(part) or parts.count(part) > 1:
            raise EmbodiedError(
                f"task {name}: state_layout: a name occurs once, and consists of {RULE}, unlike "
                f"{part!r}"
            )
    check_memory(name, task, num_worlds)


def check_memory(name: str, task: Task, num_worlds: int) -> None:
    """Raises EmbodiedError unless `memory` returns arrays (N, ...) by name, not copies."""
    # called twice, because only copies would differ from call to call
    with explaining_errors(name, "memory"):
        memory = task.memory()
        again = task.memory()
    if not isinstance(memory, Mapping):
        raise EmbodiedError(
            f"task {name}: memory must return a dictionary of arrays (N, ...), {{}} for "
            f"none, not {_brief(memory)}"
        )

    for key, values in memory.items():
        where = f"task {name}: memory()[{key!r}]"
        if not is_name(key):
            raise EmbodiedError(f"{where}: a name consists of {RULE}")
        shape = getattr(values, "shape", None)
        if not shape or shape[0] != num_worlds:
            raise EmbodiedError(
                f"{where} must be an array (N, ...) with N = {num_worlds} worlds, not "
                f"{_brief(values)}"
            )
        if not isinstance(values, np.ndarray):
            continue  # a tensor of the engine `warp`
        if values.dtype.kind not in "biuf":  # bool, integer, unsigned, float
            raise EmbodiedError(
                f"{where} must hold numbers, not values of the dtype {values.dtype}"
            )
        if not np.shares_memory(values, again[key]):
            raise EmbodiedError(
                f"{where} is another array at each call: return the live one, into which "
                "replays write"
            )


def check_start(name: str, sampled: object) -> None:
    """Raises EmbodiedError unless `start` returned a dictionary with an instruction."""
    if not isinstance(sampled, Mapping):
        raise EmbodiedError(
            f"task {name}: start must return a dictionary of what was sampled, with the "
            f"sentence 'instruction', not {_brief(sampled)}"
        )
    instruction = sampled.get("instruction")
    if not is_phrase(instruction):
        raise EmbodiedError(
            f"task {name}: start must return a sentence as 'instruction', not "
            f"{instruction!r}; it returned {', '.join(map(str, sampled)) or 'nothing'}"
        )


def check_present(name: str, task: Task, num_worlds: int, ids: np.ndarray) -> None:
    """Checks what a task returns for the current states, on the engine `cpu`.

    Args:
        name: name of the task.
        task: the task, bound to the engine's worlds by `TaskSpec.bind`.
        num_worlds: the number N of worlds.
        ids: (n,) the worlds whose episodes have begun and have no fault.

    Raises:
        EmbodiedError: `state`, `judge` or `memory` returned a wrong value.
    """
    with explaining_errors(name, "state"):
        state = task.state()
    _check_state(f"task {name}: state", task.state_layout, state, num_worlds, ids)
    with explaining_errors(name, "judge"):
        outcome = task.judge()
    _check_outcome(f"task {name}: judge", outcome, num_worlds, ids)
    check_memory(name, task, num_worlds)


def _check_state(
    where: str, layout: Layout, state: Array, num_worlds: int, ids: np.ndarray
) -> None:
    """Raises EmbodiedError unless `state` is (N, S) finite numbers, as its layout says.

    Only the worlds `ids` (n,) must be finite. `where` begins the message.
    """
    shape = (num_worlds, layout.size)
    if not isinstance(state, np.ndarray) or state.shape != shape:
        parts = ", ".join(f"{part} {width}" for part, width in layout.parts)
        raise EmbodiedError(
            f"{where} must return an array of shape {shape}, for {num_worlds} worlds and "
            f"the {layout.size} numbers of state_layout ({parts}), not {_brief(state)}"
        )
    if state.dtype.kind != "f":
        raise EmbodiedError(
            f"{where} must return floating-point numbers, not the dtype {state.dtype}"
        )

    for part, columns in layout.slices().items():
        values = state[ids, columns]
        if not np.isfinite(values).all():
            bad = values[~np.isfinite(values)][0]
            raise EmbodiedError(f"{where} must return finite numbers: {part} has {bad}")


def _check_outcome(
    where: str, outcome: Outcome, num_worlds: int, ids: np.ndarray
) -> None:
    """Raises EmbodiedError unless a task's outcome has arrays (N,) of the right kinds.

    Progress must be in [0, 1] in the worlds `ids` (n,). `where` begins the message.
    """
    from embodied.envs.task import Outcome

    if not isinstance(outcome, Outcome):
        raise EmbodiedError(
            f"{where} must return an Outcome(success, progress, lost), not "
            f"{_brief(outcome)}"
        )

    # letters of numpy's `dtype.kind`: bool, float, and below integer and unsigned
    for field, kind, description in (
        ("success", "b", "bool"),
        ("progress", "f", "numbers in [0, 1]"),
        ("lost", "b", "bool"),
    ):
        _check_column(
            f"{where}: {field}",
            getattr(outcome, field),
            num_worlds=num_worlds,
            kinds=kind,
            description=description,
        )
    if not isinstance(outcome.dropped, int):
        _check_column(
            f"{where}: dropped",
            outcome.dropped,
            num_worlds=num_worlds,
            kinds="iu",
            description="counts",
        )

    progress = outcome.progress[ids]
    outside = ~((progress >= 0) & (progress <= 1))  # NaN is outside, too
    if outside.any():
        raise EmbodiedError(
            f"{where}: progress must be in [0, 1], as it is the reward, not "
            f"{progress[outside][0]:g}"
        )


def _check_column(
    where: str, values: object, num_worlds: int, kinds: str, description: str
) -> None:
    """Raises EmbodiedError unless values are an array (N,) of one of the dtype kinds.

    Args:
        where: the beginning of the message, which names the values.
        values: a part of what a task returned.
        num_worlds: the number N of worlds.
        kinds: the allowed letters of numpy's `dtype.kind`.
        description: what the values must be, for the message.
    """
    shape = (num_worlds,)
    if not isinstance(values, np.ndarray) or values.shape != shape:
        raise EmbodiedError(
            f"{where} must be an array of {description} of shape {shape}, one for each world, "
            f"not {_brief(values)}"
        )
    if values.dtype.kind not in kinds:
        raise EmbodiedError(
            f"{where} must be an array of {description}, not of the dtype {values.dtype}"
        )


def _brief(value: Any) -> str:
    """Returns a short description of a value, for an error message."""
    shape = getattr(value, "shape", None)
    if shape is not None:
        return f"a {type(value).__name__} of shape {tuple(shape)}"
    if value is None or isinstance(value, bool | int | float | str):
        return repr(value)
    return f"a {type(value).__name__}"
