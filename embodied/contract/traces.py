"""All that worlds give out, step by step, and its comparison bit for bit."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.contract.case import ContractError
from embodied.envs.scoring import StepResult
from embodied.envs.worlds import Worlds

Trace = list[dict[str, np.ndarray]]  # of each step: name -> values (N, ...)


def trace(worlds: Worlds, actions: np.ndarray) -> Trace:
    """Returns all that N worlds give out for actions (steps, N, A)."""
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
    """Raises ContractError where two traces differ in a bit.

    Args:
        one: a trace.
        other: a trace of as many steps.
        ids: the worlds that are compared, as an index of N rows.
        other_ids: those of the other trace; None for the same.
        what: whose traces these are, for the message.
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
    """Returns where two arrays that differ do so first, and in what."""
    if one.shape != other.shape:
        return f"shapes {one.shape} and {other.shape}"
    if not (one != other).any():
        return "in bits alone, such as -0.0 and 0.0"
    place = tuple(int(k) for k in np.argwhere(one != other)[0])
    return f"{one[place]!r} and {other[place]!r} at {place}"
