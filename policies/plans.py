"""Plans as a planner gives them: checked, copied, and taken apart."""

from __future__ import annotations

import numpy as np

from embodied.core import (
    PLAN_FAULTS,
    SKILLS,
    Controller,
    Observation,
    Payload,
    Plan,
    Planner,
    PlanShape,
)
from embodied.errors import EmbodiedError


def check_kinds(planner: Planner, controller: Controller) -> None:
    """Raises EmbodiedError if the controller takes what the planner does not give."""
    given = planner.plan_shape.kinds
    missing = [kind for kind in getattr(controller, "takes", ()) if kind not in given]
    if missing:
        raise EmbodiedError(
            f"the controller {type(controller).__name__} takes {' and '.join(missing)}, "
            f"which the plans of {type(planner).__name__} do not hold; they hold "
            f"{' and '.join(given) or 'a subtask alone'}: its plan_shape says so"
        )


def ask(
    planner: Planner, observation: Observation, ids: np.ndarray, check_all: bool
) -> Payload:
    """Returns a planner's plans for worlds `ids` (n,).

    Args:
        planner: who is asked.
        observation: n rows.
        ids: the worlds.
        check_all: whether the values are checked as well as the shapes, which takes
            longer.

    Raises:
        EmbodiedError: it gave something else than such plans. What it raises itself
            passes through: `embodied eval` records it as the episode's fault.
    """
    payload = planner.plan(observation, ids)
    name = type(planner).__name__
    if not isinstance(payload, Payload):
        raise EmbodiedError(
            f"the planner {name} returned a {type(payload).__name__}, expected a "
            "Payload (see embodied.envs.make_payload)"
        )

    check = check_payload if check_all else check_shapes
    check(payload, len(ids), planner.plan_shape)
    return payload


def check_payload(payload: Payload, num: int, shape: PlanShape) -> None:
    """Raises EmbodiedError unless these are whole plans for `num` worlds.

    Args:
        payload: the plans.
        num: n.
        shape: what the planner says of its plans.
    """
    check_shapes(payload, num, shape)

    # subtasks are places in a list of words
    skills = np.asarray(payload.subtask)
    if skills.dtype.kind not in "iu" or (skills < 0).any():
        raise EmbodiedError(
            f"subtask of a plan must hold places in SKILLS, whole numbers, not {skills}"
        )
    if (skills >= len(SKILLS)).any():
        raise EmbodiedError(
            f"subtask of a plan must be below {len(SKILLS)}, the number of SKILLS, "
            f"not {skills.max()}"
        )

    # nothing that is not finite may reach an actuator
    for name, value in payload.given.items():
        if not np.isfinite(np.asarray(value)).all():
            raise EmbodiedError(f"{name} of a plan must be finite")

    if payload.chunk_hz is not None and (np.asarray(payload.chunk_hz) <= 0).any():
        raise EmbodiedError(
            f"chunk_hz of a plan must be above 0, not {np.min(payload.chunk_hz)}"
        )


def check_shapes(payload: Payload, num: int, shape: PlanShape) -> None:
    """Raises EmbodiedError unless each array has the shape of `num` such plans."""
    expected = Payload.empty(num, shape)
    for name, value in vars(payload).items():
        # None stands for what the planner's plans do not have
        wanted = getattr(expected, name)
        found = getattr(value, "shape", None)

        if wanted is None and value is not None:
            raise EmbodiedError(
                f"a plan has {name}, which the planner's {shape} does not name: set "
                "chunk_steps and chunk_actions there"
            )

        if wanted is not None and (found is None or tuple(found) != wanted.shape):
            what = repr(value) if found is None else f"of shape {tuple(found)}"
            raise EmbodiedError(
                f"{name} of a plan must be an array of shape {wanted.shape}, for "
                f"{num} worlds and the planner's {shape}, not {what}"
            )


def faults_of(
    planner: Planner, payload: Payload, tick_frame: np.ndarray, start: np.ndarray
) -> np.ndarray | None:
    """Returns what is wrong with each plan, (n,) indices into PLAN_FAULTS.

    It is None where all are sound, which is nearly always.

    Args:
        planner: who made them just now.
        payload: n plans.
        tick_frame: (n,) of the plans.
        start: (n,) ticks at which they were begun.
    """
    is_finite = np.ones(len(start), bool)
    for value in payload.given.values():
        numbers = np.asarray(value).reshape(len(start), -1)
        is_finite &= np.isfinite(numbers).all(axis=1)
    is_past = tick_frame <= start
    unanswered = np.asarray(getattr(planner, "unanswered", False))
    if is_finite.all() and is_past.all() and not unanswered.any():
        return None

    # 0 is no fault; of two faults, that of the values is told
    fault = np.where(is_past, 0, PLAN_FAULTS.index("from_the_future"))
    fault = np.where(is_finite, fault, PLAN_FAULTS.index("not_finite"))
    return np.where(unanswered, PLAN_FAULTS.index("unanswered"), fault)


def copied(payload: Payload) -> Payload:
    """Returns a copy, since a planner may write into the same arrays again."""
    return Payload(**{name: np.array(value) for name, value in payload.given.items()})


def plan_rows(plan: Plan, rows: np.ndarray) -> Plan:
    """Returns the rows of a plan with these indices; a `fault` of None stays None."""
    selected = {}
    for name, value in vars(plan).items():
        if isinstance(value, Payload):
            selected[name] = value.rows(rows)
        elif value is not None:
            selected[name] = value[rows]
    return Plan(**selected)
