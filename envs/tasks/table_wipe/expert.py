"""The scripted expert of TableWipe: take the pad, wipe the stains, put the pad back.

The hand takes the pad and wipes the nearest named stain in strokes, until all named
stains are gone. Then it lays the pad back on its mat. Each plan follows from the
present state alone, so the expert recovers from whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.props.pad import GRIP_Z_M, HALF_M, HELD_WIDTH_M
from embodied.envs.skills.scripted import (
    Readings,
    Row,
    is_skill,
    last_row,
    make_payload,
    pointing_down,
    with_z,
)
from embodied.plan import Payload

# The hand's height above the grip before it goes down.
HOVER_M = 0.10
# The hand goes down to the grip when its horizontal error is below this.
NEAR_M = 0.012
# The fingers close when the horizontal and vertical errors of the hand are below these.
AT_GRIP_M = 0.008
AT_GRIP_Z_M = 0.012
# A closed gripper holds the pad if both errors of the hand are below this.
HELD_M = 0.02
# The hand does not go down to a pad that slides faster than this.
STILL_M_S = 0.1
# How far the hand presses the pad down in a stroke; it takes 10 N to compress the pad's
# foam this far.
PRESS_M = 0.007
# The goal for laying the pad down is this far below the table, so that the pad surely
# touches the table.
SET_DOWN_M = 0.002
# The height of the pad above the table while it is carried.
CARRY_HEIGHT_M = 0.05
# A pad below this height is lifted before it is carried.
LOW_M = 0.025
# A pad below this height touches the table.
TOUCHING_M = 0.004
# How far a stroke goes past the centres of the outermost cells of a stain; a cell is the
# unit in which dirt is simulated.
BEYOND_M = 0.022
# The width that a stroke reliably cleans: a little less than that of the pad.
LANE_M = 2 * HALF_M[0] - 0.024
# A pad slower than this has no direction yet, or has stopped at the end of a stroke.
SLOW_M_S = 0.03
# The pad is at its goal (an end of a stroke, or the mat) if its error is below this.
AT_GOAL_M = 0.012
# A pad that already lies on the table counts as put back with twice that error: the hand
# lets go of it there rather than lift it and lay it down again.
PUT_BACK_M = 2 * AT_GOAL_M
# A pad farther than this from its stroke is lifted.
ASTRAY_M = 0.035
# The squared distance (m2) that stains get that need no wiping: larger than any on the
# table, so that such a stain is never the nearest.
NOT_WANTED_M2 = 99.0


@dataclass(frozen=True)
class Stroke:
    """A stroke, the straight way on which the pad wipes a stain, in n worlds.

    A stroke runs along y over what is left of the stain. Its lane is the strip of the
    table that it cleans, LANE_M wide, with the stroke in the middle.
    """

    lane_x: Array  # (n,) m, the middle of the lane
    low_y: Array  # (n,) m, the end with the lower y
    high_y: Array  # (n,) m, the end with the higher y
    is_needed: Array  # (n,) bool, a named stain is left to wipe


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand and pad in n worlds, (n,) bool each."""

    # about the hand
    is_holding: Array  # the hand holds the pad
    may_descend: Array  # the hand is above the grip of a pad that does not slide
    is_at_grip: Array  # the fingers may close
    # about the pad
    is_low: Array  # the pad is too low to be carried
    is_touching: Array  # the pad touches the table
    is_at_stroke: Array  # the pad is so near to the stroke, horizontally, to be lowered
    # the pad is less near, but if it is low already it may wipe from there, rather than
    # be lifted first
    is_over_stroke: Array
    is_above_mat: Array  # all is wiped, and the pad is over its mat, at any height
    is_put_back: Array  # all is wiped, and the pad lies on its mat


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds, from proprioception and the privileged state."""
    stroke = _stroke(xp, state)
    facts = _read_facts(xp, agent, state, stroke)
    skill, pos = _choose(xp, agent, state, stroke=stroke, facts=facts)

    # an empty hand takes the handle's yaw; a held pad is brought to yaw 0
    yaw = xp.where(facts.is_holding, 0.0, _handle_yaw(xp, state["pad_rot6d"]))
    # the fingers are open to let go, away from the pad, and once the pad is put back
    is_at_pad = facts.is_holding | facts.is_at_grip
    is_open = is_skill(skill, "release") | ~is_at_pad | facts.is_put_back
    return make_payload(
        skill=skill,
        pos_w=pos,
        quat_wxyz=pointing_down(xp, yaw),
        gripper=xp.where(is_open, 1.0, -1.0),
        completion=_completion(xp, state),
    )


def _handle_yaw(xp: Any, rot6d: Array) -> Array:
    """Returns the yaw (n,) of the handle in [-pi/2, pi/2] rad.

    The handle is symmetric, so a yaw that differs by pi gives the same grip.
    """
    # a yaw with a negative cosine is turned by pi
    cos = rot6d[:, 0]
    sin = rot6d[:, 1]
    return xp.atan2(xp.where(cos < 0, -sin, sin), xp.abs(cos))


def _stroke(xp: Any, state: Readings) -> Stroke:
    """Returns the next stroke over the nearest stain that is named and not yet clean."""
    pad = state["pad_pos_w"]
    num_stains = state["dirt_named"].shape[1]  # S
    # (n, 2, S) bounding box of the dirty cells of each stain
    low = xp.reshape(state["dirt_low_xy_w"], (-1, 2, num_stains))
    high = xp.reshape(state["dirt_high_xy_w"], (-1, 2, num_stains))

    # the nearest of the stains that are to be wiped
    is_wanted = (state["dirt_named"] > 0) & (state["dirt_cm2"] > 0)
    offset = (low + high) / 2 - pad[:, :2, None]
    distance_squared = offset[:, 0] * offset[:, 0] + offset[:, 1] * offset[:, 1]
    distance_squared = xp.where(is_wanted, distance_squared, NOT_WANTED_M2)
    nearest = xp.argmin(distance_squared, axis=1)
    is_nearest = xp.arange(num_stains) == nearest[:, None]
    # select the box of the nearest stain by products with 1 for this stain, 0 for others
    chosen = xp.where(is_nearest, 1.0, 0.0)[:, None]  # (n, 1, S)
    low = dot(low, chosen)  # (n, 2)
    high = dot(high, chosen)  # (n, 2)

    # If one lane covers the stain's width along x, the stroke is over the stain's middle.
    # If not, the stroke may be off the middle by half the excess width, and is as near to
    # the pad as that allows.
    excess = high[:, 0] - low[:, 0] - LANE_M
    max_offset = xp.maximum(excess, xp.zeros_like(low[:, 0])) / 2
    middle_x = (low[:, 0] + high[:, 0]) / 2
    lane_x = xp.maximum(pad[:, 0], middle_x - max_offset)
    lane_x = xp.minimum(lane_x, middle_x + max_offset)
    return Stroke(
        lane_x=lane_x,
        low_y=low[:, 1] - BEYOND_M,
        high_y=high[:, 1] + BEYOND_M,
        is_needed=xp.any(is_wanted, axis=1),
    )


def _read_facts(
    xp: Any, agent: Readings, state: Readings, stroke: Stroke
) -> ExpertFacts:
    """Returns what the decisions need, computed from the observations of n worlds.

    Args:
        xp: the array namespace.
        agent: proprioception.
        state: the privileged state.
        stroke: the next stroke of the pad.
    """
    pad = state["pad_pos_w"]

    # the hand: its horizontal and vertical errors to the grip, GRIP_Z_M above the pad
    width = agent["gripper_width"][:, 0]
    is_closed = (width > HELD_WIDTH_M[0]) & (width < HELD_WIDTH_M[1])
    pad_to_hand = agent["tcp_pos_w"] - pad
    error_xy = xp.sqrt(dot(pad_to_hand[:, :2], pad_to_hand[:, :2]))
    error_z = xp.abs(pad_to_hand[:, 2] - GRIP_Z_M)
    # a hand that goes down to a sliding pad would close its fingers beside the handle
    velocity = state["pad_vel_w"]
    is_pad_still = dot(velocity, velocity) < STILL_M_S**2

    # the pad: its distance from the stroke along x, its distance past an end of the
    # stroke along y (negative between the ends), and the larger of its errors along x and
    # y to the mat
    height = pad[:, 2] - state["table_z"][:, 0]
    off_lane = xp.abs(pad[:, 0] - stroke.lane_x)
    past_end = xp.maximum(stroke.low_y - pad[:, 1], pad[:, 1] - stroke.high_y)
    off_mat = xp.maximum(
        xp.abs(pad[:, 0] - state["mat_pos_w"][:, 0]),
        xp.abs(pad[:, 1] - state["mat_pos_w"][:, 1]),
    )
    is_near_stroke = (off_lane < ASTRAY_M) & (past_end < ASTRAY_M)
    is_all_wiped = ~stroke.is_needed
    is_touching = height < TOUCHING_M

    return ExpertFacts(
        is_holding=is_closed & (error_xy < HELD_M) & (error_z < HELD_M),
        may_descend=(error_xy < NEAR_M) & is_pad_still,
        is_at_grip=(error_xy < AT_GRIP_M) & (error_z < AT_GRIP_Z_M),
        is_low=height < LOW_M,
        is_touching=is_touching,
        is_at_stroke=(off_lane < AT_GOAL_M) & (past_end < AT_GOAL_M),
        is_over_stroke=is_near_stroke & stroke.is_needed,
        is_above_mat=is_all_wiped & (off_mat < AT_GOAL_M),
        is_put_back=is_all_wiped & (off_mat < PUT_BACK_M) & is_touching,
    )


def _choose(
    xp: Any, agent: Readings, state: Readings, stroke: Stroke, facts: ExpertFacts
) -> tuple[Array, Array]:
    """Returns the skill (n,), an index into SKILLS, and the hand's goal (n, 3) m.

    Args:
        xp: the array namespace.
        agent: proprioception.
        state: the privileged state.
        stroke: the next stroke of the pad.
        facts: what the expert knows.
    """
    tcp = agent["tcp_pos_w"]
    pad = state["pad_pos_w"]  # (n, 3) m, the centre of its underside
    table_z = state["table_z"][:, 0]
    pressed_z = table_z - PRESS_M
    carry_z = table_z + CARRY_HEIGHT_M

    # goals of an empty hand
    grip = with_z(xp, pad, pad[:, 2] + GRIP_Z_M)
    hover = with_z(xp, grip, grip[:, 2] + HOVER_M)
    above_table = with_z(xp, tcp, table_z + GRIP_Z_M + HOVER_M)

    # goals (n, 2) of the pad: the nearest point of the stroke, then an end of the stroke;
    # or the mat, if nothing is left to wipe
    entry_y = xp.minimum(xp.maximum(pad[:, 1], stroke.low_y), stroke.high_y)
    entry = xp.stack([stroke.lane_x, entry_y], axis=1)
    end = xp.stack([stroke.lane_x, _stroke_end_y(xp, state, stroke)], axis=1)
    carry_to = xp.where(stroke.is_needed[:, None], entry, state["mat_pos_w"])

    def hand_for_pad(xy: Array, z: Array) -> Array:
        """Returns the TCP goal (n, 3) that moves the held pad to `xy` and height `z`."""
        return with_z(xp, xy, z) + tcp - pad

    # goals of a hand with the pad
    lifted = hand_for_pad(pad, carry_z)
    carried = hand_for_pad(carry_to, carry_z)
    pressed = hand_for_pad(entry, pressed_z)
    wiped = hand_for_pad(end, pressed_z)
    set_down = hand_for_pad(carry_to, table_z - SET_DOWN_M)

    is_held = facts.is_holding
    is_working = is_held & stroke.is_needed
    # a pad that is low already is pressed down even a little beside the stroke, rather
    # than lifted first
    may_press = facts.is_at_stroke | (facts.is_low & facts.is_over_stroke)
    may_wipe = facts.is_touching & facts.is_over_stroke
    rows = [  # the last row that applies wins
        Row("reach", when=~is_held, goal_w=hover),
        Row("grasp", when=~is_held & facts.may_descend, goal_w=grip),
        Row("lift", when=is_held & facts.is_low, goal_w=lifted),
        Row("carry", when=is_held & ~facts.is_low, goal_w=carried),
        Row("place", when=is_working & may_press, goal_w=pressed),
        Row("wipe", when=is_working & may_wipe, goal_w=wiped),
        Row("place", when=is_held & facts.is_above_mat, goal_w=set_down),
        Row("release", when=is_held & facts.is_put_back, goal_w=tcp),
        Row("retreat", when=~is_held & facts.is_put_back, goal_w=above_table),
    ]
    return last_row(xp, rows, otherwise_w=grip)


def _stroke_end_y(xp: Any, state: Readings, stroke: Stroke) -> Array:
    """Returns the y (n,) of the end of the stroke that the pad moves to next.

    A moving pad goes on in its direction. A pad that hardly moves, or has reached the
    end in that direction, goes to the farther end.
    """
    y = state["pad_pos_w"][:, 1]
    vel_y = state["pad_vel_w"][:, 1]
    low = stroke.low_y
    high = stroke.high_y
    farther = xp.where(y - low > high - y, low, high)

    # a pad that moves goes on, unless it is at the end already
    is_going_high = (vel_y > SLOW_M_S) & (y < high - AT_GOAL_M)
    is_going_low = (vel_y < -SLOW_M_S) & (y > low + AT_GOAL_M)
    end = xp.where(is_going_high, high, farther)
    return xp.where(is_going_low, low, end)


def _completion(xp: Any, state: Readings) -> Array:
    """Returns the completion (n,), which rises to 1 as the named stains vanish.

    The completion is 0.5 when 10 cm2 of the named stains remain.
    """
    left_cm2 = xp.sum(state["dirt_named"] * state["dirt_cm2"], axis=1)
    return 1 / (1 + 0.1 * left_cm2)
