"""What the hand that sorts does: from the rest under the scanner, and into a bin."""

from __future__ import annotations

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.skills.parcel_grip import Grip, Parcels, horizontal, quat_of_axes
from embodied.envs.skills.scripted import Row, around_column, last_row, with_z
from embodied.envs.skills.two_hands import HandPlan
from embodied.envs.tasks.team_sort.scene import BIN
from embodied.envs.tasks.team_sort.seen import (
    DOWN,
    ONWARDS,
    UP,
    Approach,
    Seen,
    approach,
    closing,
    every,
    grip_from_above,
    is_on,
)

# Where the hand waits for parcels on the rest.
WAIT_W = (0.44, 0.02, 0.98)
HOVER_M = 0.09
# The hand points this way, level, while the scanner reads the label on top.
LEVEL = (0.0872, 0.9962, 0.0)
# The height of a parcel's middle above the scanner's plate to be read.
READ_M = 0.12
# The height of a parcel's underside over the rest to go sideways, while it is so near.
FREE_M = 0.05
NEAR_REST_M = 0.10
# The hand's height at which empty fingers clear everything, and how much lower will do.
CLEAR_Z_W = 0.95
SLACK_M = 0.03
# Farther than this from its goal, horizontally, the hand stays at that height.
FAR_M = 0.12
# On the way: the largest turn about the robot's column between two goals, and the
# distances from the column.
TURN_RAD = 0.9
RADIUS_M = (0.42, 0.52)
# The underside of a parcel over the bin's rim on its way.
OVER_RIM_M = 0.04
# A parcel goes down into the bin within this distance from its place, if the hand is
# aligned at least so well.
ABOVE_BIN_M = 0.06
DROP_COS = 0.9
# It is dropped with its underside this high above the bin's floor, or with the hand
# this high above the rim if that is higher; and up to the slack above that.
INTO_BIN_M = 0.09
ABOVE_RIM_M = 0.01
DROP_SLACK_M = 0.015
# Where along the depth of a bin each of the parcels is let go.
BIN_SLOTS_M = (-0.07, 0.07, 0.0)
HELD = 5.0
ON_REST = 1.0
HOLDING = ("lift", "carry", "turn", "place")


def plan_sorter(seen: Seen) -> HandPlan:
    """Returns the plan of the hand that sorts."""
    xp = seen.xp
    hand = seen.sorter
    priority = xp.where(seen.is_on_rest & seen.parcels.is_wanted, ON_REST, 0.0)
    priority = xp.where(seen.is_sorters, HELD, priority)
    which = xp.argmax(priority, axis=1)
    numbers = xp.arange(which.shape[0])
    parcel = seen.parcels.one(which)
    is_held = seen.is_sorters[numbers, which]
    may_take = (priority[numbers, which] > 0.0) & seen.is_clear(seen.picker)

    slot_m = xp.asarray(BIN_SLOTS_M)[which][:, None]
    slot_w = parcel.bin_w + horizontal(parcel.bin_w) * slot_m
    grip = grip_from_above(parcel, every(xp, ONWARDS, hand.x))
    posture = _posture(seen, parcel, grip, slot_w, is_held, may_take)
    rows = _empty_handed(seen, grip, ~is_held, may_take)
    rows += _under_the_scanner(seen, parcel, is_held)
    rows += _to_the_bin(seen, parcel, posture, slot_w, is_held)
    skill, pos = last_row(xp, rows, otherwise_w=hand.pos_w)
    plan = HandPlan(skill, pos, quat_of_axes(posture.x, posture.z), hand.reading)
    return closing(xp, plan, is_on(hand, grip), HOLDING)


def _posture(
    seen: Seen,
    parcel: Parcels,
    grip: Grip,
    slot_w: Array,
    is_held: Array,
    may_take: Array,
) -> Grip:
    """Returns the grip with the hand's axes for the present work."""
    xp = seen.xp
    hand = seen.sorter
    down = every(xp, DOWN, hand.x)

    # with a parcel: level, its label on top, to be read; down, outwards, over a bin;
    # and as it is until it is lifted off the rest
    is_read = parcel.is_scanned[:, None]
    held_x = xp.where(is_read, horizontal(slot_w), every(xp, UP, hand.x))
    held_z = xp.where(is_read, down, every(xp, LEVEL, hand.x))
    keeps = _must_lift(seen, parcel)[:, None]
    held_x = xp.where(keeps, hand.x, held_x)
    held_z = xp.where(keeps, hand.z, held_z)

    free_x = xp.where(may_take[:, None], grip.x, every(xp, ONWARDS, hand.x))
    rows = is_held[:, None]
    return Grip(
        grip.pos_w, xp.where(rows, held_x, free_x), xp.where(rows, held_z, down)
    )


def _must_lift(seen: Seen, parcel: Parcels) -> Array:
    """Returns (n,) bool, whether a held parcel must be lifted off the rest."""
    to_rest = (parcel.pos_w - seen.rest_w)[:, :2]
    is_near = dot(to_rest, to_rest) < NEAR_REST_M**2
    return is_near & (parcel.bottom_z() < seen.rest_w[:, 2] + FREE_M)


def _empty_handed(
    seen: Seen, grip: Grip, is_empty: Array, may_take: Array
) -> list[Row]:
    """Returns the rows of an empty hand: it waits by the rest, or takes a parcel."""
    xp = seen.xp
    hand = seen.sorter
    hover = grip.pos_w - HOVER_M * grip.z
    hover = xp.where(may_take[:, None], hover, every(xp, WAIT_W, hover))
    beside = around_column(xp, hand.pos_w, hover, RADIUS_M, TURN_RAD)
    way = Approach(hover, beside, CLEAR_Z_W, SLACK_M, FAR_M, higher_m=SLACK_M)
    return approach(seen, hand, grip, way, is_empty, may_take)


def _under_the_scanner(seen: Seen, parcel: Parcels, is_held: Array) -> list[Row]:
    """Returns the rows of a hand with a parcel to be read: it holds it under the head."""
    xp = seen.xp
    hand = seen.sorter
    to_read = is_held & ~parcel.is_scanned
    in_hand = hand.pos_w - parcel.pos_w
    goal = with_z(
        xp, seen.plate_w + in_hand, seen.plate_w[:, 2] + READ_M + in_hand[:, 2]
    )
    up = with_z(xp, hand.pos_w, hand.pos_w[:, 2] + 2 * FREE_M)
    return [  # the last that applies wins
        Row("carry", when=to_read, goal_w=goal),
        Row("lift", when=to_read & _must_lift(seen, parcel), goal_w=up),
    ]


def _to_the_bin(
    seen: Seen, parcel: Parcels, posture: Grip, slot_w: Array, is_held: Array
) -> list[Row]:
    """Returns the rows of a hand with a parcel that has been read: it goes to its bin."""
    xp = seen.xp
    hand = seen.sorter
    has_read = is_held & parcel.is_scanned

    # where the hand is with the parcel over its place in the bin
    bottom = parcel.bottom_z()
    in_hand = hand.pos_w - parcel.pos_w
    below = hand.pos_w[:, 2] - bottom  # the hand's height above the parcel's underside
    over = with_z(xp, slot_w + in_hand, BIN.rim_z + OVER_RIM_M + below)
    beside = around_column(xp, hand.pos_w, over, RADIUS_M, TURN_RAD)

    # how near to its place the parcel is
    to_slot = (parcel.pos_w - slot_w)[:, :2]
    is_above = dot(to_slot, to_slot) < ABOVE_BIN_M**2
    may_place = has_read & is_above & (posture.alignment(hand) > DROP_COS)
    lowest = xp.full_like(below, BIN.rim_z + ABOVE_RIM_M)
    drop_z = xp.maximum(slot_w[:, 2] + INTO_BIN_M + below, lowest)
    may_drop = may_place & (hand.pos_w[:, 2] < drop_z + DROP_SLACK_M)
    return [  # the last that applies wins
        Row("carry", when=has_read, goal_w=beside),
        Row("place", when=may_place, goal_w=with_z(xp, over, drop_z)),
        Row("release", when=may_drop, goal_w=hand.pos_w),
    ]
