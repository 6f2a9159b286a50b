"""The scripted planner of DishRack: dish after dish from the table into the rack.

It takes a plate by its rim from above, at the side towards the rack, and turns the hand
up until the plate hangs on edge below it. It takes a cup around its body from above.

It decides from the present state alone, so that it recovers from whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array, Payload
from embodied.envs.skills.scripted import (
    Readings,
    Row,
    completion_of,
    is_skill,
    last_row,
    make_payload,
    pointing_down,
    with_z,
)
from embodied.envs.tasks.dish_rack.expert_facts import TIPPED_COS, ExpertFacts
from embodied.envs.tasks.dish_rack.scene import RACK, TABLE
from embodied.rotations import (
    cross,
    quat_from_rotvec,
    quat_from_yaw,
    quat_multiply,
)

ORDER = ("reach", "grasp", "lift", "carry", "place", "release", "retreat")
# The hand's tilt from pointing down to bringing a plate on edge, rad.
TILT_RAD = float(np.pi / 2 - RACK.lean)
# The hand's height above a grip before it goes down.
HOVER_M = 0.09
# Farther than this from the grip, an empty hand travels at the height CLEAR_Z_W.
FAR_M = 0.06
CLEAR_Z_W = TABLE.top_z + 0.25
# A hand at most this far below its travel height may travel.
SAG_M = 0.04
# The hand goes down to the grip when its horizontal error is below NEAR_M; the fingers
# close when its error is below ON_M.
NEAR_M = 0.010
ON_M = 0.005
# Heights of the hand to travel with a cup and with a plate.
CUP_TRAVEL_Z_W = TABLE.top_z + 0.23
PLATE_TRAVEL_Z_W = TABLE.top_z + 0.31
# Above this height of the hand a plate is tipped on edge.
TIP_Z_W = TABLE.top_z + 0.19
# How far up its slot a plate begins to go down, and how far a cup above its place.
ABOVE_SLOT_M = 0.125
ABOVE_PLACE_M = 0.08
# A dish is lowered with errors across and along below these; one that is between its pins
# or ridges goes on with larger ones.
ACROSS_M = 0.004
ALONG_M = 0.006
INSIDE_M = 0.014
# The goal for lowering is this far below a dish, so that it goes down slowly, and at
# most PRESS_M below its seat.
STEP_M = 0.02
PRESS_M = 0.002
# A dish is down at the height DOWN_M above its seat, or below RESTS_M if it is at rest.
DOWN_M = 0.003
RESTS_M = 0.010
AT_REST_M2_S2 = 0.015**2
# The width of the open gripper, that with which it takes a plate's rim, and how much wider
# than a dish it opens to let it go, which leaves neighbours alone.
WIDTH_M = 0.08
OPEN_PLATE_M = 0.036
EASE_M = 0.014
# The goal for leaving a cup is this far above the hand; for a plate it is this far behind
# the hand, and a little above.
BACK_M = 0.08
UP_M = 0.02


@dataclass(frozen=True)
class Goals:
    """Where the hand may go next in n worlds, (n, 3) m each, and what it may do."""

    offset: Array  # (n, 3) m, of the dish's middle from its seat: across, along, up
    lowered: Array
    carried: Array
    may_lower: Array  # (n,) bool
    is_down: Array  # (n,) bool


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds."""
    facts = ExpertFacts.read(xp, agent, state)
    dish = facts.dish
    goals = _goals(xp, facts)
    skill, pos = _choose(xp, facts, goals)

    # the hand's tilt and yaw
    tcp_z = facts.tcp[:, 2]
    is_tipped = xp.abs(dish.axis[:, 2]) < TIPPED_COS
    tips = dish.is_held & dish.is_plate & ((tcp_z > TIP_Z_W) | is_tipped)
    tips = tips | facts.is_at_placed_plate
    tilt = xp.where(tips, TILT_RAD, 0.0)
    is_free = dish.is_held | facts.is_at_placed_plate | facts.is_at_placed_cup
    yaw = xp.where(is_free, facts.heading, dish.grip_yaw)

    opening = _opening(xp, facts, skill)
    return make_payload(
        skill=skill,
        pos_w=pos,
        quat_wxyz=_hand_quat(xp, yaw, tilt),
        gripper=xp.clip(opening / WIDTH_M, 0.0, 1.0) * 2 - 1,
        completion=completion_of(xp, ORDER, skill),
    )


def _opening(xp: Any, facts: ExpertFacts, skill: Array) -> Array:
    """Returns the width (n,) m to which the gripper opens or closes."""
    dish = facts.dish
    is_released = is_skill(skill, "release")
    is_closing = is_skill(skill, "grasp") & _is_on(xp, facts)
    is_closing = is_closing | (dish.is_held & ~is_released)

    # wide open for a cup, so far that neighbours are left alone for all else
    opening = xp.where(dish.is_plate, OPEN_PLATE_M, WIDTH_M)
    is_around = facts.is_at_placed_cup | facts.is_at_placed_plate
    opening = xp.where(is_around, facts.last_width + EASE_M, opening)
    is_let_go = is_released & dish.is_held
    opening = xp.where(is_let_go, dish.width + EASE_M, opening)
    return xp.where(is_closing, 0.0, opening)


def _is_on(xp: Any, facts: ExpertFacts) -> Array:
    """Returns (n,) bool, the fingers may close."""
    error = facts.tcp - facts.dish.grip
    return dot(error, error) < ON_M**2


def _goals(xp: Any, facts: ExpertFacts) -> Goals:
    """Returns the goals of a hand with a dish."""
    dish = facts.dish
    is_plate = dish.is_plate[:, None]
    up_w = xp.broadcast_to(xp.asarray([0.0, 0.0, 1.0]), facts.into.shape)
    ahead = xp.stack([facts.along[:, 1], -facts.along[:, 0], 0.0 * dish.width], axis=1)
    across = xp.where(is_plate, facts.into, ahead)
    up = xp.where(is_plate, facts.up_slot, up_w)

    offset = dish.middle - dish.seat
    across_m = dot(offset, across)
    along_m = dot(offset, facts.along)
    up_m = dot(offset, up)
    height = xp.where(dish.is_plate, ABOVE_SLOT_M, ABOVE_PLACE_M)
    is_over = (xp.abs(across_m) < ACROSS_M) & (xp.abs(along_m) < ALONG_M)
    is_on_edge = xp.abs(dot(dish.axis, facts.into)) > 0.995
    is_over = is_over & (is_on_edge | ~dish.is_plate) & (up_m < height + 0.02)
    is_inside = (xp.abs(across_m) < INSIDE_M) & (xp.abs(along_m) < INSIDE_M)
    is_inside = is_inside & (up_m < 0.6 * height)
    may_lower = is_over | is_inside
    is_resting = (up_m < RESTS_M) & (dish.speed2 < AT_REST_M2_S2)

    to_hand = facts.tcp - dish.middle
    lower_m = xp.maximum(up_m - STEP_M, xp.full_like(up_m, -PRESS_M))
    return Goals(
        offset=xp.stack([across_m, along_m, up_m], axis=1),
        lowered=dish.seat + to_hand + lower_m[:, None] * up,
        carried=dish.seat + to_hand + height[:, None] * up,
        may_lower=may_lower,
        is_down=may_lower & ((up_m < DOWN_M) | is_resting),
    )


def _choose(xp: Any, facts: ExpertFacts, goals: Goals) -> tuple[Array, Array]:
    """Returns the skill (n,), an index into SKILLS, and the TCP's goal (n, 3) m."""
    dish = facts.dish
    tcp = facts.tcp
    is_held = dish.is_held
    up = xp.asarray([0.0, 0.0, 1.0])
    clear_z = xp.full_like(tcp[:, 2], CLEAR_Z_W)

    error = tcp - dish.grip
    error_m = xp.sqrt(dot(error[:, :2], error[:, :2]))
    is_far = error_m > FAR_M
    is_low = tcp[:, 2] < CLEAR_Z_W - SAG_M
    hover = dish.grip + HOVER_M * up

    travel_z = xp.where(dish.is_plate, PLATE_TRAVEL_Z_W, CUP_TRAVEL_Z_W)
    is_to_lift = (tcp[:, 2] < travel_z - SAG_M) & ~goals.may_lower
    is_to_lift = is_to_lift & (goals.offset[:, 2] < 0.9 * ABOVE_PLACE_M)

    # the hand leaves a plate the way it came, and a cup upwards
    hand_z = _approach(xp, facts.rot6d)
    back = tcp - BACK_M * hand_z + UP_M * up
    is_leaving = facts.is_at_placed_plate | facts.is_at_placed_cup
    rows = [  # the last that applies wins
        Row("reach", when=~is_held, goal_w=hover),
        Row("reach", when=~is_held & is_far, goal_w=with_z(xp, dish.grip, clear_z)),
        Row("reach", when=~is_held & is_far & is_low, goal_w=with_z(xp, tcp, clear_z)),
        Row("grasp", when=~is_held & (error_m < NEAR_M), goal_w=dish.grip),
        Row("lift", when=is_held & is_to_lift, goal_w=with_z(xp, tcp, travel_z)),
        Row("carry", when=is_held & ~is_to_lift, goal_w=goals.carried),
        Row("place", when=is_held & goals.may_lower, goal_w=goals.lowered),
        Row("release", when=is_held & goals.is_down, goal_w=tcp),
        Row("retreat", when=~is_held & facts.is_done, goal_w=with_z(xp, tcp, clear_z)),
        Row("retreat", when=~is_held & is_leaving, goal_w=tcp + BACK_M * up),
        Row("retreat", when=~is_held & facts.is_at_placed_plate, goal_w=back),
        Row("release", when=~is_held & facts.is_letting_go, goal_w=tcp),
    ]
    return last_row(xp, rows, otherwise_w=hover)


def _approach(xp: Any, rot6d: Array) -> Array:
    """Returns the way (n, 3) in which the hand points."""
    return cross(rot6d[:, :3], rot6d[:, 3:])


def _hand_quat(xp: Any, yaw: Array, tilt: Array) -> Array:
    """Returns the hand's rotations (n, 4) wxyz.

    Without tilt it points down, with its fingers on a line along the yaw. It tilts up
    until it points along the yaw.
    """
    zeros = xp.zeros_like(tilt)
    tip = quat_from_rotvec(xp.stack([zeros, -tilt, zeros], axis=1))
    down = pointing_down(xp, xp.full_like(yaw, -float(xp.pi) / 2))
    return quat_multiply(quat_from_yaw(yaw), quat_multiply(tip, down))
