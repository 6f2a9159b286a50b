"""The scripted planner of FixtureLoad: takes, inserts, lets go, and presses start.

It decides from the present state alone, so that it recovers from whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot
from embodied.core import Array, Payload
from embodied.envs.props.start_box import button_top_z
from embodied.envs.skills.fingertip import fingertip_w
from embodied.envs.skills.scripted import (
    Readings,
    Row,
    around_column,
    completion_of,
    is_skill,
    last_row,
    make_payload,
    pointing_down,
    with_z,
)
from embodied.envs.tasks.fixture_load.facts import GRIP_UP_M
from embodied.envs.tasks.fixture_load.scene import BENCH, FIXTURE, PART, START_BOX
from embodied.robots.parts.gripper import TIP_M

ORDER = ("reach", "grasp", "lift", "carry", "place", "release", "retreat", "press")
# The hand's height above the grip before it goes down.
HOVER_M = 0.10
# The largest horizontal error of the hand from the grip to go down, and its largest
# error to close.
NEAR_M = 0.012
ON_M = 0.007
# A gripper holds the workpiece if its width is at most this much below or above the
# workpiece's, and the hand no farther than this from the grip.
NARROWER_M = 0.006
WIDER_M = 0.003
IN_HAND_M = 0.025
# The height of the workpiece's underside above the fixture's rim on its way, and how
# much lower it may be and still travel.
TRAVEL_M = 0.05
SAG_M = 0.03
# The workpiece goes down where it is this near to its seat, along both axes, and turned
# right; below the rim it goes on down with a larger error.
OVER_M = 0.0025
TURNED_SIN = 0.02
INSIDE_M = 0.008
# It is lowered towards a goal this far below it, and pressed into its seat this far.
STEP_M = 0.010
PRESS_M = 0.002
# It is seated if it is no farther than this from its seat, horizontally and in height.
SEATED_ASIDE_M = 0.0035
SEATED_Z_M = 0.0012
# The fingertip waits this far above the button, and may travel this far above the bench.
STANDOFF_M = 0.04
CLEAR_Z_W = BENCH.top_z + 0.17
# How far the tip presses the button: past the click, but not onto the stop.
DEPTH_M = 0.0068
# The largest error of the tip beside the button for pressing.
OVER_BUTTON_M = 0.006
# On the way: the largest turn about the robot's column between two goals, and the
# distances from the column.
TURN_RAD = 0.8
RADIUS_M = (0.42, 0.62)


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand, workpiece and button in n worlds."""

    tcp: Array  # (n, 3) m
    tip: Array  # (n, 3) m, of the closed fingers
    part: Array  # (n, 3) m, its middle
    seat: Array  # (n, 3) m, where its middle belongs
    grip: Array  # (n, 3) m, where the hand takes it
    button: Array  # (n, 3) m, the top of the button when it is up
    yaw: Array  # (n,) rad, of the hand for its next goal
    # about the workpiece, (n,) bool each
    is_held: Array
    is_low: Array  # too low to be carried
    is_inside: Array  # between the fixture's slopes or jaws
    is_over_seat: Array  # and turned right, so that it may be lowered
    is_seated: Array
    # about the hand, (n,) bool each
    is_hand_near: Array  # beside the workpiece by so little that it may go down
    is_hand_on: Array  # at the workpiece, so that the fingers may close
    is_hand_high: Array  # above all that stands
    is_over_button: Array
    # about the machine, (n,) bool
    is_running: Array


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds."""
    facts = _facts(xp, agent, state)
    skill, pos = _choose(xp, facts)

    # closed on the workpiece, and closed to press
    is_closing = is_skill(skill, "grasp") & facts.is_hand_on
    is_closing = is_closing | facts.is_held & ~is_skill(skill, "release")
    is_at_button = facts.is_seated & ~facts.is_held & facts.is_hand_high
    is_closing = is_closing | is_at_button | is_skill(skill, "press")
    return make_payload(
        skill=skill,
        pos_w=pos,
        quat_wxyz=pointing_down(xp, facts.yaw),
        gripper=xp.where(is_closing, -1.0, 1.0),
        completion=completion_of(xp, ORDER, skill),
    )


def _facts(xp: Any, agent: Readings, state: Readings) -> ExpertFacts:
    """Returns the facts of an observation."""
    tcp = agent["tcp_pos_w"]
    rot6d = agent["tcp_rot6d"]
    part = state["part_pos_w"]
    pocket = state["pocket_pos_w"]
    up = xp.asarray([0.0, 0.0, 1.0])
    seat = pocket + up * (PART.height / 2)
    grip = part + up * GRIP_UP_M

    # of hand and workpiece
    width = agent["gripper_width"][:, 0]
    is_closed = (width > PART.width - NARROWER_M) & (width < PART.width + WIDER_M)
    error = tcp - grip
    beside = _length(xp, error[:, :2])
    is_at_grip = (beside < IN_HAND_M) & (xp.abs(error[:, 2]) < IN_HAND_M)
    is_held = is_closed & is_at_grip

    # of workpiece and pocket
    offset = part - seat
    largest = xp.maximum(xp.abs(offset[:, 0]), xp.abs(offset[:, 1]))
    part_yaw = xp.atan2(state["part_rot6d"][:, 1], state["part_rot6d"][:, 0])
    heading = state["pocket_heading"]
    turn = _half_turn(xp, xp.atan2(heading[:, 1], heading[:, 0]) - part_yaw)
    is_turned = xp.abs(xp.sin(turn)) < TURNED_SIN
    is_down = xp.abs(offset[:, 2]) < SEATED_Z_M

    # the hand takes the workpiece as it is turned, and turns it as the pocket is
    hand_yaw = xp.atan2(rot6d[:, 1], rot6d[:, 0])
    yaw = xp.where(is_held, hand_yaw + turn, _half_turn(xp, part_yaw))

    # of the button, which sinks when it is pressed
    button = state["button_pos_w"]
    top_z = xp.full_like(button[:, 2], button_top_z(START_BOX))
    button = with_z(xp, button, top_z)
    tip = fingertip_w(tcp, rot6d, TIP_M)
    return ExpertFacts(
        tcp=tcp,
        tip=tip,
        part=part,
        seat=seat,
        grip=grip,
        button=button,
        yaw=yaw,
        is_held=is_held,
        is_low=offset[:, 2] < FIXTURE.rim + TRAVEL_M - SAG_M,
        is_inside=(offset[:, 2] < FIXTURE.rim) & (largest < INSIDE_M),
        is_over_seat=(largest < OVER_M) & is_turned,
        is_seated=(_length(xp, offset[:, :2]) < SEATED_ASIDE_M) & is_down,
        is_hand_near=beside < NEAR_M,
        is_hand_on=(beside < ON_M) & (xp.abs(error[:, 2]) < ON_M),
        is_hand_high=tcp[:, 2] > CLEAR_Z_W - SAG_M,
        is_over_button=_length(xp, (tip - button)[:, :2]) < OVER_BUTTON_M,
        is_running=state["running"][:, 0] > 0.5,
    )


def _choose(xp: Any, facts: ExpertFacts) -> tuple[Array, Array]:
    """Returns skill (n,), an index into SKILLS, and where the TCP goes (n, 3) m."""
    tcp = facts.tcp
    seat = facts.seat
    in_hand = tcp - facts.part  # from the workpiece to the hand that holds it
    up = xp.asarray([0.0, 0.0, 1.0])
    clear_z = xp.full_like(tcp[:, 2], CLEAR_Z_W)

    # of the workpiece in the hand: over its seat, then down step by step
    travel_z = seat[:, 2] + FIXTURE.rim + TRAVEL_M + in_hand[:, 2]
    beside = around_column(xp, tcp, seat + in_hand, RADIUS_M, TURN_RAD)
    lower_z = xp.maximum(facts.part[:, 2] - STEP_M, seat[:, 2] - PRESS_M)
    down = with_z(xp, seat + in_hand, lower_z + in_hand[:, 2])

    # of the closed fingers: over the button, then onto it
    above_button = facts.button + up * (TIP_M + STANDOFF_M)
    to_button = around_column(xp, tcp, above_button, RADIUS_M, TURN_RAD)
    pressed = facts.button + up * (TIP_M - DEPTH_M)

    held = facts.is_held
    is_set = facts.is_seated & ~held
    may_lower = held & (facts.is_over_seat | facts.is_inside)
    may_press = is_set & ~facts.is_running & facts.is_over_button
    is_away = facts.is_hand_high | facts.is_over_button
    rows = [  # the last that applies wins
        Row("reach", when=~held, goal_w=facts.grip + up * HOVER_M),
        Row("grasp", when=~held & facts.is_hand_near, goal_w=facts.grip),
        Row("lift", when=held & facts.is_low, goal_w=with_z(xp, tcp, travel_z)),
        Row("carry", when=held & ~facts.is_low, goal_w=with_z(xp, beside, travel_z)),
        Row("place", when=may_lower, goal_w=down),
        Row("release", when=held & facts.is_seated, goal_w=tcp),
        Row("retreat", when=is_set & ~is_away, goal_w=with_z(xp, tcp, clear_z)),
        Row("reach", when=is_set & is_away, goal_w=with_z(xp, to_button, clear_z)),
        Row("press", when=may_press, goal_w=pressed),
        Row(
            "retreat",
            when=is_set & facts.is_running,
            goal_w=with_z(xp, tcp, clear_z),
        ),
    ]
    return last_row(xp, rows, otherwise_w=facts.grip + up * HOVER_M)


def _length(xp: Any, vectors: Array) -> Array:
    """Returns the lengths (n,) of vectors (n, 2)."""
    return xp.sqrt(dot(vectors, vectors))


def _half_turn(xp: Any, angle: Array) -> Array:
    """Returns angles (n,) less whole half turns, from -90 to 90 degrees.

    A workpiece fits its pocket, and the hand the workpiece, either way round.
    """
    half = float(xp.pi)
    return angle - half * xp.floor(angle / half + 0.5)
