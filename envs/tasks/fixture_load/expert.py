"""The scripted expert of FixtureLoad: load the workpiece, then start the machine.

The hand puts the workpiece into the fixture, lets go, and presses the start button. Each
plan follows from the present state alone, so the expert recovers from whatever happens.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from embodied.arrays import norm
from embodied.core import Array
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
from embodied.plan import Payload
from embodied.robots.parts.gripper import TIP_M
from embodied.rotations import angle_modulo

# The skills in the order of their use, by which completion rises.
ORDER = ("reach", "grasp", "lift", "carry", "place", "release", "retreat", "press")
# The hand's height above the grip before it goes down.
HOVER_M = 0.10
# The hand goes down to the grip when its horizontal error is below this.
NEAR_M = 0.012
# The fingers close when the hand's error is below this, horizontally and vertically.
AT_GRIP_M = 0.007
# The gripper holds the workpiece if it is at most this much narrower or wider than the
# workpiece, and the hand's errors to the grip are below IN_HAND_M.
NARROWER_M = 0.006
WIDER_M = 0.003
IN_HAND_M = 0.025
# The height of the workpiece's underside above the fixture's rim while it is carried.
TRAVEL_M = 0.05
# A workpiece, or a hand, at most this far below its travel height may travel.
SAG_M = 0.03
# The workpiece is lowered if its errors to the seat along x and y are below OVER_SEAT_M,
# and the sine of its yaw error is below YAW_SIN.
OVER_SEAT_M = 0.0025
YAW_SIN = 0.02
# Once the workpiece is below the fixture's rim, the fixture guides it, so that it goes on
# down with errors along x and y up to this.
INSIDE_M = 0.008
# The goal for lowering the workpiece is STEP_M below the workpiece, so that it goes down
# slowly, but at most PRESS_M below the seat.
STEP_M = 0.010
PRESS_M = 0.002
# The workpiece is seated if its horizontal and vertical errors to the seat are below
# these.
SEATED_ASIDE_M = 0.0035
SEATED_Z_M = 0.0012
# The fingertip's height above the button before it presses.
STANDOFF_M = 0.04
# The TCP height at which an empty hand clears everything.
CLEAR_Z_W = BENCH.top_z + 0.17
# How far the fingertip pushes the button down: past the click, but not onto the stop.
DEPTH_M = 0.0068
# The largest horizontal distance between fingertip and button at which the hand presses.
OVER_BUTTON_M = 0.006
# Waypoints around the robot's column: the largest angle about the column from one waypoint
# to the next, and the range of their distances from the column.
WAYPOINT_RAD = 0.8
RADIUS_M = (0.42, 0.62)


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand, workpiece and button in n worlds."""

    tcp: Array  # (n, 3) m
    tip: Array  # (n, 3) m, tip of the closed fingers
    part: Array  # (n, 3) m, centre of the workpiece
    seat: Array  # (n, 3) m, centre of the workpiece once it is seated
    grip: Array  # (n, 3) m, TCP position for taking the workpiece
    button: Array  # (n, 3) m, top of the button while it is not pressed
    yaw: Array  # (n,) rad, of the hand at its next goal
    # about the workpiece, (n,) bool each
    is_held: Array  # the workpiece is in the hand
    is_low: Array  # the workpiece is too low to be carried
    is_inside: (
        Array  # the workpiece is below the rim, between the fixture's slopes or jaws
    )
    is_over_seat: (
        Array  # the workpiece is over the seat, with the right yaw to be lowered
    )
    is_seated: Array  # the workpiece is in the pocket, down on the pocket's floor
    # about the hand, (n,) bool each
    is_hand_over_grip: Array  # the hand may go down to the grip
    is_hand_at_grip: Array  # the fingers may close
    is_hand_high: Array  # the hand clears everything
    is_over_button: Array  # the fingertip is over the button
    is_running: Array  # (n,) bool, the machine was started


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds, from proprioception and the privileged state."""
    facts = _read_facts(xp, agent, state)
    skill, pos = _choose(xp, facts)

    # the fingers close on the workpiece; and to press the button, once the hand has risen
    # from the seated workpiece
    is_closing = is_skill(skill, "grasp") & facts.is_hand_at_grip
    is_closing = is_closing | (facts.is_held & ~is_skill(skill, "release"))
    is_off_to_button = facts.is_seated & ~facts.is_held & facts.is_hand_high
    is_closing = is_closing | is_off_to_button | is_skill(skill, "press")
    return make_payload(
        skill=skill,
        pos_w=pos,
        quat_wxyz=pointing_down(xp, facts.yaw),
        gripper=xp.where(is_closing, -1.0, 1.0),
        completion=completion_of(xp, ORDER, skill),
    )


def _read_facts(xp: Any, agent: Readings, state: Readings) -> ExpertFacts:
    """Returns what the decisions need, computed from the observations of n worlds."""
    tcp = agent["tcp_pos_w"]
    rot6d = agent["tcp_rot6d"]
    part = state["part_pos_w"]
    pocket = state["pocket_pos_w"]
    up = xp.asarray([0.0, 0.0, 1.0])
    seat = pocket + up * (PART.height / 2)
    grip = part + up * GRIP_UP_M

    # hand and workpiece: the hand's error to the grip, and whether it holds the workpiece
    width = agent["gripper_width"][:, 0]
    is_closed = (width > PART.width - NARROWER_M) & (width < PART.width + WIDER_M)
    error = tcp - grip
    error_xy = norm(error[:, :2])
    error_z = xp.abs(error[:, 2])
    is_held = is_closed & (error_xy < IN_HAND_M) & (error_z < IN_HAND_M)

    # workpiece and pocket: the workpiece's offset and yaw error to the seat
    offset = part - seat
    larger_xy = xp.maximum(xp.abs(offset[:, 0]), xp.abs(offset[:, 1]))
    part_yaw = xp.atan2(state["part_rot6d"][:, 1], state["part_rot6d"][:, 0])
    heading = state["pocket_heading"]
    pocket_yaw = xp.atan2(heading[:, 1], heading[:, 0])
    # the workpiece turned by pi fits the pocket and the gripper as well
    yaw_error = angle_modulo(pocket_yaw - part_yaw, math.pi)
    is_aligned = xp.abs(xp.sin(yaw_error)) < YAW_SIN
    is_down = xp.abs(offset[:, 2]) < SEATED_Z_M

    # an empty hand takes the workpiece's yaw; a hand with the workpiece turns by the
    # workpiece's yaw error
    hand_yaw = xp.atan2(rot6d[:, 1], rot6d[:, 0])
    yaw = xp.where(is_held, hand_yaw + yaw_error, angle_modulo(part_yaw, math.pi))

    # the button's top while it is not pressed; the state has its present position
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
        is_inside=(offset[:, 2] < FIXTURE.rim) & (larger_xy < INSIDE_M),
        is_over_seat=(larger_xy < OVER_SEAT_M) & is_aligned,
        is_seated=(norm(offset[:, :2]) < SEATED_ASIDE_M) & is_down,
        is_hand_over_grip=error_xy < NEAR_M,
        is_hand_at_grip=(error_xy < AT_GRIP_M) & (error_z < AT_GRIP_M),
        is_hand_high=tcp[:, 2] > CLEAR_Z_W - SAG_M,
        is_over_button=norm((tip - button)[:, :2]) < OVER_BUTTON_M,
        is_running=state["running"][:, 0] > 0.5,  # the state holds 0 or 1
    )


def _choose(xp: Any, facts: ExpertFacts) -> tuple[Array, Array]:
    """Returns the skill (n,), an index into SKILLS, and the TCP's goal (n, 3) m."""
    tcp = facts.tcp
    seat = facts.seat
    part_to_hand = tcp - facts.part
    up = xp.asarray([0.0, 0.0, 1.0])
    clear_z = xp.full_like(tcp[:, 2], CLEAR_Z_W)

    # goals of a hand with the workpiece: over the seat, then down step by step
    travel_z = seat[:, 2] + FIXTURE.rim + TRAVEL_M + part_to_hand[:, 2]
    lifted = with_z(xp, tcp, travel_z)
    carried = around_column(
        xp, tcp, seat + part_to_hand, radius_m=RADIUS_M, turn_rad=WAYPOINT_RAD
    )
    carried = with_z(xp, carried, travel_z)
    lower_z = xp.maximum(facts.part[:, 2] - STEP_M, seat[:, 2] - PRESS_M)
    lowered = with_z(xp, seat + part_to_hand, lower_z + part_to_hand[:, 2])

    # goals of an empty hand: over the workpiece, up, over the button, onto the button
    hover = facts.grip + up * HOVER_M
    raised = with_z(xp, tcp, clear_z)
    above_button = facts.button + up * (TIP_M + STANDOFF_M)
    to_button = around_column(
        xp, tcp, above_button, radius_m=RADIUS_M, turn_rad=WAYPOINT_RAD
    )
    to_button = with_z(xp, to_button, clear_z)
    pressed = facts.button + up * (TIP_M - DEPTH_M)

    # when the rows of the decision table apply
    is_held = facts.is_held
    is_loaded = facts.is_seated & ~is_held
    may_lower = is_held & (facts.is_over_seat | facts.is_inside)
    may_press = is_loaded & ~facts.is_running & facts.is_over_button
    is_clear = facts.is_hand_high | facts.is_over_button
    rows = [  # the last row that applies wins
        Row("reach", when=~is_held, goal_w=hover),
        Row("grasp", when=~is_held & facts.is_hand_over_grip, goal_w=facts.grip),
        Row("lift", when=is_held & facts.is_low, goal_w=lifted),
        Row("carry", when=is_held & ~facts.is_low, goal_w=carried),
        Row("place", when=may_lower, goal_w=lowered),
        Row("release", when=is_held & facts.is_seated, goal_w=tcp),
        Row("retreat", when=is_loaded & ~is_clear, goal_w=raised),
        Row("reach", when=is_loaded & is_clear, goal_w=to_button),
        Row("press", when=may_press, goal_w=pressed),
        Row("retreat", when=is_loaded & facts.is_running, goal_w=raised),
    ]
    return last_row(xp, rows, otherwise_w=hover)
