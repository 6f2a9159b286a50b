"""What a task reports about an episode beside its success."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embodied.envs.task_checks import explaining_errors
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
        """Raises EmbodiedError for an invalid name, and for an empty unit or meaning."""
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
        spec: the task, whose `measures` name the numbers.
        task: the bound task.
        world: index of the world.

    Raises:
        EmbodiedError: the task has no method `measures`, or it returned something else
            than a finite number for each name.
    """
    if not spec.measures:
        return {}
    with explaining_errors(spec.name, "measures"):
        # `check_bound` has made sure that the task has the method `measures`
        measured_task: MeasuredTask = task  # type: ignore[assignment]
        returned: object = measured_task.measures()

    # the task must have returned an array for each name of the spec
    names = [measure.name for measure in spec.measures]
    if not isinstance(returned, Mapping) or sorted(returned) != sorted(names):
        raise EmbodiedError(
            f"task {spec.name}: measures must return a dictionary of arrays (N,) by the "
            f"names of its spec, {', '.join(names)}, not {_brief(returned)}"
        )
    # take the world's number from each array (N,)
    measures = {}
    for name in names:
        values = returned[name]
        shape = getattr(values, "shape", ())
        if len(shape) != 1:
            wrong = f"one of the shape {shape}" if shape else repr(values)
            raise EmbodiedError(
                f"task {spec.name}: measures: {name} must be an array (N,), not {wrong}"
            )
        value = float(values[world])
        if not np.isfinite(value):
            raise EmbodiedError(
                f"task {spec.name}: measures must be finite numbers: {name} is {value}"
            )
        measures[name] = value
    return measures


def _brief(returned: object) -> str:
    """Returns a short description of what a task returned, for an error message."""
    if isinstance(returned, Mapping):
        return f"one of {', '.join(map(str, returned)) or 'nothing'}"
    return repr(returned)
