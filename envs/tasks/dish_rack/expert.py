"""The scripted expert of DishRack: dish after dish from the table into the rack.

The hand takes a plate by its rim from above, at the side towards the rack, and tilts up
until the plate hangs on edge below the hand. The hand takes a cup around the cup's body,
from above.

Each plan follows from the present state alone, so the expert recovers from whatever
happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.arrays import dot, norm
from embodied.core import Array
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
from embodied.plan import Payload
from embodied.rotations import (
    cross,
    quat_from_rotvec,
    quat_from_yaw,
    quat_multiply,
)

# The skills in the order of their use, by which completion rises.
ORDER = ("reach", "grasp", "lift", "carry", "place", "release", "retreat")
# The hand's tilt when a plate hangs on edge below it; at tilt 0 it points down.
TILT_RAD = float(np.pi / 2 - RACK.lean)
# The hand's height above a grip before it goes down.
HOVER_M = 0.09
# An empty hand farther than FAR_M from the grip, horizontally, travels at the height
# CLEAR_Z_W.
FAR_M = 0.06
CLEAR_Z_W = TABLE.top_z + 0.25
# A hand at most this far below its travel height may travel.
SAG_M = 0.04
# The hand goes down to the grip when its horizontal error is below this.
NEAR_M = 0.010
# The fingers close when the hand's error to the grip is below this.
AT_GRIP_M = 0.005
# The TCP heights at which the hand travels with a cup and with a plate.
CUP_TRAVEL_Z_W = TABLE.top_z + 0.23
PLATE_TRAVEL_Z_W = TABLE.top_z + 0.31
# Above this TCP height the hand tilts to bring a plate on edge.
TIP_Z_W = TABLE.top_z + 0.19
# The distance above its seat from which a dish goes down: of a plate, along its slot; of
# a cup, straight up.
ABOVE_SLOT_M = 0.125
ABOVE_PLACE_M = 0.08
# A dish at most this much higher than that distance may be lowered.
ABOVE_SLACK_M = 0.02
# A dish may be lowered if its errors across and along its slot or place are below these.
ACROSS_M = 0.004
ALONG_M = 0.006
# A plate may be lowered if the cosine of the angle by which it is off its slot is above
# this.
ON_EDGE_COS = 0.995
# A dish is between its pins or ridges if it is lower than INSIDE_SHARE of the distance
# above its seat. There it may be lowered with errors up to INSIDE_M.
INSIDE_SHARE = 0.6
INSIDE_M = 0.014
# The goal for lowering a dish is STEP_M below the dish, so that it goes down slowly, but
# at most PRESS_M below its seat.
STEP_M = 0.02
PRESS_M = 0.002
# A dish is down if it is less than DOWN_M above its seat; or if it is less than RESTS_M
# above its seat and its squared speed is below AT_REST_M2_S2.
DOWN_M = 0.003
RESTS_M = 0.010
AT_REST_M2_S2 = 0.015**2
# A held dish that is at least this high above its seat need not be lifted, because it can
# be carried to its seat at that height.
LIFT_BELOW_M = 0.9 * ABOVE_PLACE_M
# The width of the open gripper.
WIDTH_M = 0.08
# The width of the gripper when the hand goes to the rim of a plate.
OPEN_PLATE_M = 0.036
# How much wider than a dish the gripper opens to let the dish go: so little that its
# fingers do not push neighbouring dishes.
EASE_M = 0.014
# A hand leaves a cup by this much upwards, and a plate by this much back along its
# approach direction and UP_M upwards.
BACK_M = 0.08
UP_M = 0.02


@dataclass(frozen=True)
class Goals:
    """Where a hand with a dish may go next in n worlds, and what it may do."""

    offset: Array  # (n, 3) m, of the dish's middle from its seat: across, along, up
    lowered: Array  # (n, 3) m, the TCP's goal for lowering the dish
    carried: Array  # (n, 3) m, the TCP's goal for bringing the dish above its seat
    may_lower: Array  # (n,) bool, whether the dish may be lowered
    is_down: Array  # (n,) bool, whether the dish is down, so that the hand may let go


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds, from proprioception and the privileged state."""
    facts = ExpertFacts.read(xp, agent, state)
    dish = facts.dish
    goals = _goals(xp, facts)
    skill, pos = _choose(xp, facts, goals)

    # the hand tilts to bring a held plate on edge, and stays tilted at a placed plate
    is_high = facts.tcp[:, 2] > TIP_Z_W
    is_tipped = xp.abs(dish.axis[:, 2]) < TIPPED_COS
    is_tilted = dish.is_held & dish.is_plate & (is_high | is_tipped)
    is_tilted = is_tilted | facts.is_at_placed_plate
    tilt = xp.where(is_tilted, TILT_RAD, 0.0)

    # a hand that holds or leaves a dish has the rack's yaw; any other hand has the yaw of
    # the grip
    is_at_rack = facts.is_at_placed_plate | facts.is_at_placed_cup
    yaw = xp.where(dish.is_held | is_at_rack, facts.heading, dish.grip_yaw)

    # from the gripper's width to its command: -1 closed, 1 open
    width = _gripper_width(xp, facts, skill)
    gripper = xp.clip(width / WIDTH_M, 0.0, 1.0) * 2 - 1
    return make_payload(
        skill=skill,
        pos_w=pos,
        quat_wxyz=_hand_quat(xp, yaw, tilt),
        gripper=gripper,
        completion=completion_of(xp, ORDER, skill),
    )


def _gripper_width(xp: Any, facts: ExpertFacts, skill: Array) -> Array:
    """Returns the width (n,) m to which the gripper opens or closes."""
    dish = facts.dish
    is_released = is_skill(skill, "release")
    is_closing = is_skill(skill, "grasp") & _is_at_grip(facts)
    is_closing = is_closing | (dish.is_held & ~is_released)

    # wide open for a cup; for the rim of a plate, and to let a dish go, only so far that
    # the fingers do not push other dishes
    width = xp.where(dish.is_plate, OPEN_PLATE_M, WIDTH_M)
    is_around = facts.is_at_placed_cup | facts.is_at_placed_plate
    width = xp.where(is_around, facts.placed_width + EASE_M, width)
    is_let_go = is_released & dish.is_held
    width = xp.where(is_let_go, dish.width + EASE_M, width)
    return xp.where(is_closing, 0.0, width)


def _is_at_grip(facts: ExpertFacts) -> Array:
    """Returns (n,) bool, whether the fingers may close on the dish."""
    error = facts.tcp - facts.dish.grip
    return dot(error, error) < AT_GRIP_M**2


def _goals(xp: Any, facts: ExpertFacts) -> Goals:
    """Returns the goals of a hand with a dish."""
    dish = facts.dish
    is_plate = dish.is_plate[:, None]

    # the directions across and up, along a plate's leaning slot or at a cup's level place
    up_w = xp.broadcast_to(xp.asarray([0.0, 0.0, 1.0]), facts.into.shape)
    # `along`, rotated by 90 degrees to the right
    ahead = xp.stack([facts.along[:, 1], -facts.along[:, 0], 0.0 * dish.width], axis=1)
    across = xp.where(is_plate, facts.into, ahead)
    up = xp.where(is_plate, facts.up_slot, up_w)

    # how far the dish is from its seat in these directions
    offset = dish.middle - dish.seat
    across_m = dot(offset, across)
    along_m = dot(offset, facts.along)
    up_m = dot(offset, up)

    # the dish may be lowered from right above its seat, or if it is already inside
    height = xp.where(dish.is_plate, ABOVE_SLOT_M, ABOVE_PLACE_M)
    is_over = (xp.abs(across_m) < ACROSS_M) & (xp.abs(along_m) < ALONG_M)
    is_on_edge = xp.abs(dot(dish.axis, facts.into)) > ON_EDGE_COS
    is_over = is_over & (is_on_edge | ~dish.is_plate) & (up_m < height + ABOVE_SLACK_M)
    is_inside = (xp.abs(across_m) < INSIDE_M) & (xp.abs(along_m) < INSIDE_M)
    is_inside = is_inside & (up_m < INSIDE_SHARE * height)
    may_lower = is_over | is_inside
    is_resting = (up_m < RESTS_M) & (dish.speed_squared < AT_REST_M2_S2)

    # the goals of the hand, which keeps its present offset from the dish
    dish_to_hand = facts.tcp - dish.middle
    lower_m = xp.maximum(up_m - STEP_M, xp.full_like(up_m, -PRESS_M))
    return Goals(
        offset=xp.stack([across_m, along_m, up_m], axis=1),
        lowered=dish.seat + dish_to_hand + lower_m[:, None] * up,
        carried=dish.seat + dish_to_hand + height[:, None] * up,
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

    # an empty hand: its horizontal error to the grip, and whether it is low
    error_xy = (tcp - dish.grip)[:, :2]
    error_m = norm(error_xy)
    is_far = error_m > FAR_M
    is_low = tcp[:, 2] < CLEAR_Z_W - SAG_M
    hover = dish.grip + HOVER_M * up

    # a hand with a dish: whether it must rise first
    travel_z = xp.where(dish.is_plate, PLATE_TRAVEL_Z_W, CUP_TRAVEL_Z_W)
    must_lift = (tcp[:, 2] < travel_z - SAG_M) & ~goals.may_lower
    above_seat = goals.offset[:, 2]
    must_lift = must_lift & (above_seat < LIFT_BELOW_M)

    # the hand leaves a plate backwards, along its approach direction, and a cup upwards
    hand_z = cross(facts.rot6d[:, :3], facts.rot6d[:, 3:])
    back = tcp - BACK_M * hand_z + UP_M * up
    is_leaving = facts.is_at_placed_plate | facts.is_at_placed_cup
    rows = [  # the last row that applies wins
        Row("reach", when=~is_held, goal_w=hover),
        Row("reach", when=~is_held & is_far, goal_w=with_z(xp, dish.grip, clear_z)),
        Row("reach", when=~is_held & is_far & is_low, goal_w=with_z(xp, tcp, clear_z)),
        Row("grasp", when=~is_held & (error_m < NEAR_M), goal_w=dish.grip),
        Row("lift", when=is_held & must_lift, goal_w=with_z(xp, tcp, travel_z)),
        Row("carry", when=is_held & ~must_lift, goal_w=goals.carried),
        Row("place", when=is_held & goals.may_lower, goal_w=goals.lowered),
        Row("release", when=is_held & goals.is_down, goal_w=tcp),
        Row("retreat", when=~is_held & facts.is_done, goal_w=with_z(xp, tcp, clear_z)),
        Row("retreat", when=~is_held & is_leaving, goal_w=tcp + BACK_M * up),
        Row("retreat", when=~is_held & facts.is_at_placed_plate, goal_w=back),
        Row("release", when=~is_held & facts.is_letting_go, goal_w=tcp),
    ]
    return last_row(xp, rows, otherwise_w=hover)


def _hand_quat(xp: Any, yaw: Array, tilt: Array) -> Array:
    """Returns the hand's rotations (n, 4) wxyz.

    Args:
        xp: The array namespace.
        yaw: (n,) rad, the horizontal direction along which the fingers open.
        tilt: (n,) rad. With tilt 0 the hand points down; with pi/2 it points in the
            direction of the yaw.
    """
    zeros = xp.zeros_like(tilt)
    tilting = quat_from_rotvec(xp.stack([zeros, -tilt, zeros], axis=1))
    # a hand that points down, whose fingers open along x: with yaw 0 they would open
    # along y
    down = pointing_down(xp, xp.full_like(yaw, -float(xp.pi) / 2))
    return quat_multiply(quat_from_yaw(yaw), quat_multiply(tilting, down))
