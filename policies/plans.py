"""Requesting plans from a planner, and checking them."""

from __future__ import annotations

import numpy as np

from embodied.core import SKILLS, Observation
from embodied.errors import EmbodiedError
from embodied.plan import PLAN_FAULTS, Controller, Payload, Plan, Planner, PlanShape
from embodied.policies.bridges.bridge import Bridge

# First word of the name of an array in plans -> the sizes in PlanShape that declare it, for
# the arrays that are None unless they are declared.
_SIZES = {
    "chunk": ("chunk_steps", "chunk_actions"),
    "waypoint": ("waypoints", "waypoint_effectors"),
    "sequence": ("sequence_steps", "sequence_width"),
    "text": ("text_bytes",),
}


def check_kinds(planner: Planner, controller: Controller) -> None:
    """Raises EmbodiedError if the controller follows a kind of payload that plans lack.

    Args:
        planner: the planner; its `plan_shape` declares the kinds of payload in its plans.
        controller: the controller; its `takes`, if it has one, names the kinds it follows.
    """
    given = planner.plan_shape.kinds
    missing = [kind for kind in getattr(controller, "takes", ()) if kind not in given]
    if missing:
        raise EmbodiedError(
            f"the controller {type(controller).__name__} takes {' and '.join(missing)}, "
            f"which the plans of {type(planner).__name__} do not hold; they hold "
            f"{' and '.join(given) or 'a subtask alone'}, by its plan_shape"
        )


def check_bridge(
    name: str, bridge: Bridge, planner: Planner, controller: Controller
) -> None:
    """Raises EmbodiedError if a bridge has no effect on what the controller follows.

    Args:
        name: the name of the bridge.
        bridge: the bridge; it works on the kinds of payload in its `kinds`, () for all.
        planner: the planner, whose payloads are of some kinds.
        controller: the controller; it follows the kinds in its `takes`, or all kinds if it
            has none.
    """
    followed = set(planner.plan_shape.kinds)
    takes = getattr(controller, "takes", ())
    if takes:
        followed &= set(takes)
    if bridge.kinds and not followed & set(bridge.kinds):
        follows = " and ".join(sorted(followed)) or "subtask"
        raise EmbodiedError(
            f"the bridge {name!r} works on {' and '.join(bridge.kinds)} of plans, but "
            f"the controller follows their {follows}: choose a policy whose plans are "
            "action chunks, or the bridge hold"
        )


def request_plans(
    planner: Planner, observation: Observation, ids: np.ndarray, check_all: bool
) -> Payload:
    """Returns the plans of a planner for some worlds, after checking them.

    Args:
        planner: the planner to call.
        observation: the observation of these worlds, n rows.
        ids: (n,) the worlds.
        check_all: whether to check the values as well as the shapes; values take longer.

    Raises:
        EmbodiedError: the planner did not return n plans of its shape. Errors that the
            planner raises itself are passed on; `embodied eval` records them as the
            episode's fault.
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
    """Raises EmbodiedError unless these are valid plans for `num` worlds.

    Args:
        payload: the plans.
        num: the number of plans that there must be.
        shape: the sizes that the planner declares for its plans.
    """
    check_shapes(payload, num, shape)

    # dtypes of the kinds i and u are signed and unsigned whole numbers
    skills = np.asarray(payload.subtask)
    if skills.dtype.kind not in "iu" or (skills < 0).any():
        raise EmbodiedError(
            f"subtask of a plan must hold indices into SKILLS, whole numbers, not {skills}"
        )
    if (skills >= len(SKILLS)).any():
        raise EmbodiedError(
            f"subtask of a plan must be below {len(SKILLS)}, the number of SKILLS, "
            f"not {skills.max()}"
        )

    # NaN or infinity must never reach an actuator
    for name, value in payload.given.items():
        if not np.isfinite(np.asarray(value)).all():
            raise EmbodiedError(f"{name} of a plan must be finite")

    for name in ("chunk_hz", "sequence_hz"):
        rate_hz = payload.given.get(name)
        if rate_hz is not None and (np.asarray(rate_hz) <= 0).any():
            raise EmbodiedError(
                f"{name} of a plan must be above 0, not {np.min(rate_hz)}"
            )
    check_texts(payload)
    times_s = payload.waypoint_s
    if times_s is not None and (np.diff(np.asarray(times_s), axis=1) <= 0).any():
        raise EmbodiedError(
            "waypoint_s of a plan must ascend from waypoint to waypoint"
        )


def check_texts(payload: Payload) -> None:
    """Raises EmbodiedError unless the texts of plans are UTF-8 in bytes; None is fine."""
    if payload.text is None:
        return
    dtype = np.asarray(payload.text).dtype
    if dtype != np.uint8:
        raise EmbodiedError(f"text of a plan must be uint8, not {dtype}")
    try:
        _ = payload.texts
    except UnicodeDecodeError as error:
        raise EmbodiedError(f"text of a plan must be UTF-8: {error}") from None


def check_shapes(payload: Payload, num: int, shape: PlanShape) -> None:
    """Raises EmbodiedError unless each array has its declared shape.

    Args:
        payload: the plans.
        num: the number of plans that there must be.
        shape: the sizes that the planner declares for its plans.
    """
    expected = Payload.empty(num, shape)
    for name, value in vars(payload).items():
        # None stands for a field that the planner's plans do not have
        wanted = getattr(expected, name)
        given_shape = getattr(value, "shape", None)

        if wanted is None and value is not None:
            raise EmbodiedError(
                f"a plan has {name}, which the planner's {shape} does not name: set "
                f"{' and '.join(_SIZES[name.partition('_')[0]])} there"
            )

        if wanted is not None and (
            given_shape is None or tuple(given_shape) != wanted.shape
        ):
            actual = repr(value)
            if given_shape is not None:
                actual = f"of shape {tuple(given_shape)}"
            raise EmbodiedError(
                f"{name} of a plan must be an array of shape {wanted.shape}, for "
                f"{num} worlds and the planner's {shape}, not {actual}"
            )


def planner_faults(
    planner: Planner, payload: Payload, tick_frame: np.ndarray, start: np.ndarray
) -> np.ndarray | None:
    """Returns the fault of each plan, (n,) indices into PLAN_FAULTS.

    The result is None if no plan has a fault, which is nearly always the case.

    Args:
        planner: the planner that has just made the plans.
        payload: the plans, n rows.
        tick_frame: (n,) ticks at which the plans' oldest images were captured.
        start: (n,) ticks at which planning started.
    """
    # whether all numbers of a plan are finite; `given` are the payload's fields that are
    # not None
    is_finite = np.ones(len(start), bool)
    for value in payload.given.values():
        numbers = np.asarray(value).reshape(len(start), -1)
        is_finite &= np.isfinite(numbers).all(axis=1)
    # an image cannot be captured after the start of the plan that uses it
    is_from_past = tick_frame <= start
    # a remote planner sets `unanswered` where its server gave no plan
    unanswered = np.asarray(getattr(planner, "unanswered", False))
    if is_finite.all() and is_from_past.all() and not unanswered.any():
        return None

    # 0 is no fault; of several faults, the last one set here is reported
    fault = np.where(is_from_past, 0, PLAN_FAULTS.index("from_the_future"))
    fault = np.where(is_finite, fault, PLAN_FAULTS.index("not_finite"))
    return np.where(unanswered, PLAN_FAULTS.index("unanswered"), fault)


def copy_of(payload: Payload) -> Payload:
    """Returns a copy of a payload, since a planner may reuse its arrays."""
    return Payload(**{name: np.array(value) for name, value in payload.given.items()})


def plan_rows(plan: Plan, rows: np.ndarray) -> Plan:
    """Returns some rows of a batch of plans.

    Args:
        plan: the plans, n rows.
        rows: (k,) the indices of the rows to return.
    """
    selected = {}
    for name, value in vars(plan).items():
        if isinstance(value, Payload):
            selected[name] = value.rows(rows)
        # only `fault` may be None
        elif value is not None:
            selected[name] = value[rows]
    return Plan(**selected)
