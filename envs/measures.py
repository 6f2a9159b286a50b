"""What a task reports about an episode beside its success."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embodied.envs.task_checks import errors_of
from embodied.envs.values import is_phrase
from embodied.errors import EmbodiedError
from embodied.names import RULE, is_name

if TYPE_CHECKING:
    from embodied.envs.task import MeasuredTask, Task, TaskSpec


@dataclass(frozen=True)
class Measure:
    """A number that a task reports about an episode, beside its success."""

    name: str
    unit: str  # "1" for counts and shares
    meaning: str  # one phrase

    def __post_init__(self) -> None:
        if not is_name(self.name):
            raise EmbodiedError(
                f"a measure's name consists of {RULE}, unlike {self.name!r}"
            )
        for field, text in (("unit", self.unit), ("meaning", self.meaning)):
            if not is_phrase(text):
                raise EmbodiedError(
                    f"measure {self.name}: {field} must be a text, not {text!r}"
                )


def measured(spec: TaskSpec, task: Task, world: int) -> dict[str, float]:
    """Returns the measures of one world's episode so far: name -> number.

    Args:
        spec: of the task, whose `measures` name them.
        task: the bound task.
        world: index of the world.

    Raises:
        EmbodiedError: the task has no method `measures`, or it returned something else
            than a finite number for each name.
    """
    if not spec.measures:
        return {}
    with errors_of(spec.name, "measures"):
        # a task whose spec has measures has the method, see `check_bound`
        measured_task: MeasuredTask = task  # type: ignore[assignment]
        found: object = measured_task.measures()

    names = [measure.name for measure in spec.measures]
    if not isinstance(found, Mapping) or sorted(found) != sorted(names):
        raise EmbodiedError(
            f"task {spec.name}: measures must return a dictionary of arrays (N,) by the "
            f"names of its spec, {', '.join(names)}, not {_brief(found)}"
        )
    values = {}
    for name in names:
        shape = getattr(found[name], "shape", ())
        if len(shape) != 1:
            what = f"one of the shape {shape}" if shape else repr(found[name])
            raise EmbodiedError(
                f"task {spec.name}: measures: {name} must be an array (N,), not {what}"
            )
        value = float(found[name][world])
        if not np.isfinite(value):
            raise EmbodiedError(
                f"task {spec.name}: measures must be finite numbers: {name} is {value}"
            )
        values[name] = value
    return values


def _brief(found: object) -> str:
    """Returns in a few words what a task returned."""
    if isinstance(found, Mapping):
        return f"one of {', '.join(map(str, found)) or 'nothing'}"
    return repr(found)
