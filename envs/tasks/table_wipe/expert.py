"""The scripted planner of TableWipe.

It takes the pad, strokes over what is left of the nearest named stain until all are
gone, and lays the pad back on its mat. It decides from the present state alone, so that
it recovers from whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot
from embodied.core import Array, Payload
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

# The hand's height above the grip before it goes down.
HOVER_M = 0.10
# The largest horizontal error of the hand from the grip: to go down, and to close.
NEAR_M = 0.012
ON_M = 0.008
# The largest vertical error to close, and the largest error of a hand that holds.
ON_Z_M = 0.012
HELD_M = 0.02
# The hand does not go down to a pad that slides faster than this.
STILL_M_S = 0.1
# How far a stroke presses the foam in: 10 N.
PRESS_M = 0.007
# The pad is laid down towards a goal this far below the table.
SET_DOWN_M = 0.002
# The pad's height above the table: on its way, too low to travel, and touching.
CLEAR_M = 0.05
LOW_M = 0.025
TOUCHING_M = 0.004
# How far a stroke goes beyond the outermost cells' middles, and the width that it
# surely cleans.
BEYOND_M = 0.022
LANE_M = 2 * HALF_M[0] - 0.024
# A pad slower than this has come to the end of a stroke.
SLOW_M_S = 0.03
# How near the pad must be to an end of a stroke, or to where it is lowered.
AT_M = 0.012
# A pad farther than this from its stroke is lifted.
ASTRAY_M = 0.035
# Larger than any squared distance on the table.
NOWHERE_M2 = 99.0


@dataclass(frozen=True)
class Stroke:
    """A lane along y over what is left of a stain, for n worlds, m."""

    lane_x: Array  # (n,)
    low_y: Array  # (n,) its ends
    high_y: Array  # (n,)
    is_needed: Array  # (n,) bool, something is left to wipe


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand and pad in n worlds, (n,) bool each."""

    # about the hand
    is_holding: Array
    is_near_grip: Array
    is_on_grip: Array
    # about the pad
    is_low: Array
    is_touching: Array  # the table
    is_at_stroke: Array  # so near that it may be lowered
    is_over_stroke: Array  # so near that it need not be lifted
    is_above_mat: Array
    is_put_back: Array


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds."""
    stroke = _stroke(xp, state)
    facts = _facts(xp, agent, state, stroke)
    skill, pos = _choose(xp, agent, state, stroke, facts)

    yaw = xp.where(facts.is_holding, 0.0, _handle_yaw(xp, state["pad_rot6d"]))
    # the fingers open to let go, away from the pad, and once it lies on its mat
    is_at_pad = facts.is_holding | facts.is_on_grip
    is_open = is_skill(skill, "release") | ~is_at_pad | facts.is_put_back
    return make_payload(
        skill=skill,
        pos_w=pos,
        quat_wxyz=pointing_down(xp, yaw),
        gripper=xp.where(is_open, 1.0, -1.0),
        completion=_completion(xp, state),
    )


def _handle_yaw(xp: Any, rot6d: Array) -> Array:
    """Returns the handle's yaw (n,) in [-pi/2, pi/2] rad.

    Half a turn makes no difference to the hand.
    """
    cos = rot6d[:, 0]
    sin = rot6d[:, 1]
    return xp.atan2(xp.where(cos < 0, -sin, sin), xp.abs(cos))


def _stroke(xp: Any, state: Readings) -> Stroke:
    """Returns the stroke over the nearest stain that is named and not yet clean."""
    pad = state["pad_pos_w"]
    num_stains = state["dirt_named"].shape[1]  # S
    # (n, 2, S) corners of the box around what is left of each stain
    low = xp.reshape(state["dirt_low_xy_w"], (-1, 2, num_stains))
    high = xp.reshape(state["dirt_high_xy_w"], (-1, 2, num_stains))

    # the nearest of those that are to be wiped
    is_wanted = (state["dirt_named"] > 0) & (state["dirt_cm2"] > 0)
    away = (low + high) / 2 - pad[:, :2, None]
    distance2 = away[:, 0] * away[:, 0] + away[:, 1] * away[:, 1]
    nearest = xp.argmin(xp.where(is_wanted, distance2, NOWHERE_M2), axis=1)
    is_nearest = xp.arange(num_stains) == nearest[:, None]
    # pick its corners by a product with 1 at the nearest stain and 0 at the others
    chosen = xp.where(is_nearest, 1.0, 0.0)[:, None]  # (n, 1, S)
    low = dot(low, chosen)  # (n, 2)
    high = dot(high, chosen)

    # the lane is over the stain's middle, or, where one lane is too narrow for the
    # stain, as near to the pad as it may be
    too_wide = high[:, 0] - low[:, 0] - LANE_M
    # how far the lane may be off the middle
    room = xp.maximum(too_wide, xp.zeros_like(low[:, 0])) / 2
    middle_x = (low[:, 0] + high[:, 0]) / 2
    lane_x = xp.minimum(xp.maximum(pad[:, 0], middle_x - room), middle_x + room)
    return Stroke(
        lane_x=lane_x,
        low_y=low[:, 1] - BEYOND_M,
        high_y=high[:, 1] + BEYOND_M,
        is_needed=xp.any(is_wanted, axis=1),
    )


def _facts(xp: Any, agent: Readings, state: Readings, stroke: Stroke) -> ExpertFacts:
    """Returns the facts of an observation."""
    pad = state["pad_pos_w"]

    # the hand
    width = agent["gripper_width"][:, 0]
    is_closed = (width > HELD_WIDTH_M[0]) & (width < HELD_WIDTH_M[1])
    error = agent["tcp_pos_w"] - pad
    aside = xp.sqrt(dot(error[:, :2], error[:, :2]))
    above = xp.abs(error[:, 2] - GRIP_Z_M)
    speed = state["pad_vel_w"]
    is_still = dot(speed, speed) < STILL_M_S**2

    # the pad
    height = pad[:, 2] - state["table_z"][:, 0]
    off_lane = xp.abs(pad[:, 0] - stroke.lane_x)
    # how far the pad is beyond an end of the stroke; negative between the ends
    off_ends = xp.maximum(stroke.low_y - pad[:, 1], pad[:, 1] - stroke.high_y)
    # along x or y, whichever is larger
    off_mat = xp.maximum(
        xp.abs(pad[:, 0] - state["mat_pos_w"][:, 0]),
        xp.abs(pad[:, 1] - state["mat_pos_w"][:, 1]),
    )
    is_over_lane = (off_lane < ASTRAY_M) & (off_ends < ASTRAY_M)
    is_done = ~stroke.is_needed
    is_touching = height < TOUCHING_M

    return ExpertFacts(
        is_holding=is_closed & (aside < HELD_M) & (above < HELD_M),
        is_near_grip=(aside < NEAR_M) & is_still,
        is_on_grip=(aside < ON_M) & (above < ON_Z_M),
        is_low=height < LOW_M,
        is_touching=is_touching,
        is_at_stroke=(off_lane < AT_M) & (off_ends < AT_M),
        is_over_stroke=is_over_lane & stroke.is_needed,
        is_above_mat=is_done & (off_mat < AT_M),
        is_put_back=is_done & (off_mat < 2 * AT_M) & is_touching,
    )


def _choose(
    xp: Any, agent: Readings, state: Readings, stroke: Stroke, facts: ExpertFacts
) -> tuple[Array, Array]:
    """Returns the skill (n,), an index into SKILLS, and the hand's goal (n, 3) m."""
    tcp = agent["tcp_pos_w"]
    pad = state["pad_pos_w"]  # (n, 3), the middle of its underside
    table_z = state["table_z"][:, 0]
    pressed_z = table_z - PRESS_M
    clear_z = table_z + CLEAR_M

    grip = with_z(xp, pad, pad[:, 2] + GRIP_Z_M)
    hover = with_z(xp, grip, grip[:, 2] + HOVER_M)
    above_table = with_z(xp, tcp, table_z + GRIP_Z_M + HOVER_M)

    # where the pad goes, (n, 2): to the nearest point of the stroke, along it to an
    # end, and back to the mat when nothing is left to wipe
    entry_y = xp.minimum(xp.maximum(pad[:, 1], stroke.low_y), stroke.high_y)
    entry = xp.stack([stroke.lane_x, entry_y], axis=1)
    onward = xp.stack([stroke.lane_x, _onward_y(xp, state, stroke)], axis=1)
    target = xp.where(stroke.is_needed[:, None], entry, state["mat_pos_w"])

    def in_hand(xy: Array, z: Array) -> Array:
        """Returns where the hand must be for the pad to be at `xy` and height `z`."""
        return with_z(xp, xy, z) + tcp - pad

    held = facts.is_holding
    is_working = held & stroke.is_needed
    is_entering = facts.is_at_stroke | (facts.is_low & facts.is_over_stroke)
    is_wiping = facts.is_touching & facts.is_over_stroke
    rows = [  # the last that applies wins
        Row("reach", when=~held, goal_w=hover),
        Row("grasp", when=~held & facts.is_near_grip, goal_w=grip),
        Row("lift", when=held & facts.is_low, goal_w=in_hand(pad, clear_z)),
        Row("carry", when=held & ~facts.is_low, goal_w=in_hand(target, clear_z)),
        Row("place", when=is_working & is_entering, goal_w=in_hand(entry, pressed_z)),
        Row("wipe", when=is_working & is_wiping, goal_w=in_hand(onward, pressed_z)),
        Row(
            "place",
            when=held & facts.is_above_mat,
            goal_w=in_hand(target, table_z - SET_DOWN_M),
        ),
        Row("release", when=held & facts.is_put_back, goal_w=tcp),
        Row("retreat", when=~held & facts.is_put_back, goal_w=above_table),
    ]
    return last_row(xp, rows, otherwise_w=grip)


def _onward_y(xp: Any, state: Readings, stroke: Stroke) -> Array:
    """Returns the y (n,) of the stroke's end towards which the pad goes on.

    That is the end it moves to, or the farther one where it stands or is at an end.
    """
    y = state["pad_pos_w"][:, 1]
    speed = state["pad_vel_w"][:, 1]
    low = stroke.low_y
    high = stroke.high_y
    farther = xp.where(y - low > high - y, low, high)
    end = xp.where((speed > SLOW_M_S) & (y < high - AT_M), high, farther)
    return xp.where((speed < -SLOW_M_S) & (y > low + AT_M), low, end)


def _completion(xp: Any, state: Readings) -> Array:
    """Returns the completion (n,), which rises to 1 as less of the stains is left.

    What is left is measured in cm2 of the named stains: at 10 cm2 it is one half.
    """
    left_cm2 = xp.sum(state["dirt_named"] * state["dirt_cm2"], axis=1)
    return 1 / (1 + 0.1 * left_cm2)
