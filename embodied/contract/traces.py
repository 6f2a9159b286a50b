"""Traces of everything that worlds output, step by step, and their comparison."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.contract.case import ContractError
from embodied.envs.scoring import StepResult
from embodied.envs.worlds import Worlds
from embodied.wording import counted

Trace = list[dict[str, np.ndarray]]  # for each step: name -> values (N, ...)


def trace(worlds: Worlds, actions: np.ndarray) -> Trace:
    """Steps N worlds with actions (steps, N, A); returns their outputs and states."""
    rows = []
    for action in actions:
        result = worlds.step(action)
        observation = worlds.observe()

        # results, observations and the whole state of physics
        rows.append(
            {
                **vars(result),
                "agent_pos": observation.agent_pos,
                "environment_state": observation.environment_state,
                "physics": worlds.integration_state(),
            }
        )

    return rows


def results_of(rows: Trace) -> list[StepResult]:
    """Returns the step results in a trace."""
    names = StepResult.__dataclass_fields__
    return [StepResult(**{name: row[name] for name in names}) for row in rows]


def require_same(
    first: Trace,
    second: Trace,
    ids: Any = slice(None),
    other_ids: Any = None,
    what: str = "two runs",
) -> None:
    """Raises ContractError if two traces differ in a bit.

    Args:
        first: a trace.
        second: a trace with the same number of steps.
        ids: numpy index of the worlds of `first` that are compared.
        other_ids: numpy index of the corresponding worlds of `second`; None for `ids`.
        what: subject of the error message, e.g. "two runs".
    """
    if other_ids is None:
        other_ids = ids
    for step, (outputs, other_outputs) in enumerate(zip(first, second, strict=True)):
        for name, values in outputs.items():
            # compare bytes, because nan is not equal to itself
            expected = values[ids]
            actual = other_outputs[name][other_ids]
            if expected.tobytes() != actual.tobytes():
                raise ContractError(
                    f"{what} differ in {name} after {counted(step + 1, 'step')}: "
                    f"{_first_difference(expected, actual)}"
                )


def _first_difference(first: np.ndarray, second: np.ndarray) -> str:
    """Returns the first difference of two unequal arrays, in words."""
    if first.shape != second.shape:
        return f"shapes {first.shape} and {second.shape}"
    if not (first != second).any():
        return "in bits alone, such as -0.0 and 0.0"
    index = tuple(int(k) for k in np.argwhere(first != second)[0])
    return f"{first[index]!r} and {second[index]!r} at {index}"
