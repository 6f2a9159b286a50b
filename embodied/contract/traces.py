"""Traces of everything that worlds output, step by step, and their comparison."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.contract.case import ContractError
from embodied.envs.scoring import StepResult
from embodied.envs.worlds import Worlds

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
    one: Trace,
    other: Trace,
    ids: Any = slice(None),
    other_ids: Any = None,
    what: str = "two runs",
) -> None:
    """Raises ContractError if two traces differ in a bit.

    Args:
        one: a trace.
        other: a trace with the same number of steps.
        ids: index of the worlds of `one` that are compared.
        other_ids: index of the worlds of `other`; None for `ids`.
        what: subject of the error message, e.g. "two runs".
    """
    if other_ids is None:
        other_ids = ids
    for step, (row, other_row) in enumerate(zip(one, other, strict=True)):
        for name, values in row.items():
            expected = values[ids]
            found = other_row[name][other_ids]
            if expected.tobytes() != found.tobytes():
                raise ContractError(
                    f"{what} differ in {name} after {step + 1} steps: "
                    f"{_first_difference(expected, found)}"
                )


def _first_difference(one: np.ndarray, other: np.ndarray) -> str:
    """Returns the first difference of two unequal arrays, in words."""
    if one.shape != other.shape:
        return f"shapes {one.shape} and {other.shape}"
    if not (one != other).any():
        return "in bits alone, such as -0.0 and 0.0"
    place = tuple(int(k) for k in np.argwhere(one != other)[0])
    return f"{one[place]!r} and {other[place]!r} at {place}"
