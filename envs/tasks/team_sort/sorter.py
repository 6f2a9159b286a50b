"""The decisions of the sorter, the hand that takes parcels from the stand to their bins.

On the way it holds each parcel under the scanner's head with the label up.
"""

from __future__ import annotations

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.skills.parcel_grip import Grip, Parcels, horizontal, quat_of_axes
from embodied.envs.skills.scripted import Row, around_column, last_row, with_z
from embodied.envs.skills.two_hands import HandPlan
from embodied.envs.tasks.team_sort.empty_hand import (
    DOWN,
    ONWARDS,
    UP,
    ApproachPath,
    for_each_world,
    grip_from_above,
    is_at_grip,
    rows_to_grip,
    with_fingers,
)
from embodied.envs.tasks.team_sort.expert_facts import ExpertFacts
from embodied.envs.tasks.team_sort.scene import BIN

# Where the TCP of the empty hand waits for a parcel on the stand, in m.
WAIT_W = (0.44, 0.02, 0.98)
# The empty hand waits this far before the grip, along its approach direction.
HOVER_M = 0.09
# The approach direction of a hand that holds a parcel under the scanner's head: level, 5
# degrees off +y. The label, which was on the side in front of the hand, is then on top.
LEVEL = (0.0872, 0.9962, 0.0)
# The height of a parcel's middle above the scanner's plate while its label is read.
READING_HEIGHT_M = 0.12
# A held parcel is moved sideways only when its underside is at least this high above the
# stand.
FREE_M = 0.05
# The goal of a hand that must lift a parcel is this far above the hand.
LIFT_M = 2 * FREE_M
# A parcel farther than this from the stand, horizontally, need not be lifted.
NEAR_STAND_M = 0.10
# The TCP height at which an empty hand clears everything.
CLEAR_Z_W = 0.95
# A hand at most this far below that height need not rise.
CLEAR_SLACK_M = 0.03
# A hand that must rise goes this far above that height.
CLEAR_MORE_M = 0.03
# The hand keeps that height until it is within this horizontal distance of its goal.
FAR_M = 0.12
# Waypoints around the robot's column: the largest angle about the column from one waypoint
# to the next, and the range of their distances from the column.
WAYPOINT_RAD = 0.9
RADIUS_M = (0.42, 0.52)
# The height of a parcel's underside above the bin's rim while it is carried.
OVER_RIM_M = 0.04
# A parcel goes down into the bin within this horizontal distance of its place, and with
# at least this alignment of the hand with its posture (a cosine).
ABOVE_BIN_M = 0.06
DROP_COS = 0.9
# The goal for dropping a parcel has its underside INTO_BIN_M above the bin's floor, and
# the TCP at least ABOVE_RIM_M above the bin's rim.
INTO_BIN_M = 0.09
ABOVE_RIM_M = 0.01
# The hand lets go when it is at most this far above that goal.
DROP_SLACK_M = 0.015
# Where each of the three parcels is dropped in its bin: the offset from the bin's middle,
# away from the robot.
BIN_SLOTS_M = (-0.07, 0.07, 0.0)
# Priorities of parcels; the hand works on the parcel with the highest one.
HELD = 5.0
ON_STAND = 1.0
NOTHING_TO_DO = 0.0


def plan_sorter(facts: ExpertFacts) -> HandPlan:
    """Returns the plan of the hand that takes parcels from the stand to scanner and bin."""
    xp = facts.xp
    hand = facts.sorter

    # the parcel to work on is the one in the hand, or else the one on the stand
    is_to_take = facts.is_on_stand & facts.parcels.is_wanted
    priority = xp.where(is_to_take, ON_STAND, NOTHING_TO_DO)
    priority = xp.where(facts.is_held_by_sorter, HELD, priority)
    chosen = xp.argmax(priority, axis=1)  # (n,) the index of the parcel in each world
    worlds = xp.arange(chosen.shape[0])
    parcel = facts.parcels.select(chosen)
    is_held = facts.is_held_by_sorter[worlds, chosen]
    # the parcel is not taken while the hand that brought it is still at the stand
    has_work = priority[worlds, chosen] > NOTHING_TO_DO
    may_take = has_work & facts.is_clear_of_stand(facts.picker)

    # each parcel has a place of its own in the bin, on the horizontal line from the robot's
    # column, which is at the world's origin, through the bin's middle
    outwards = horizontal(parcel.bin_w)
    slot_m = xp.asarray(BIN_SLOTS_M)[chosen][:, None]
    slot_w = parcel.bin_w + outwards * slot_m

    # the label is on the side that faces ONWARDS, so the hand's x axis points there
    onwards = for_each_world(xp, ONWARDS, like=hand.x)
    grip = grip_from_above(parcel, preferred_x=onwards)
    posture = _posture(
        facts, parcel, grip, slot_w=slot_w, is_held=is_held, may_take=may_take
    )
    # the decision table: the last of its rows that applies gives skill and goal
    rows = _rows_of_empty_hand(facts, grip, is_empty=~is_held, may_take=may_take)
    rows += _rows_to_scanner(facts, parcel, is_held)
    rows += _rows_to_bin(facts, parcel, posture, slot_w=slot_w, is_held=is_held)
    skill, pos = last_row(xp, rows, otherwise_w=hand.pos_w)
    plan = HandPlan(
        skill=skill,
        pos_w=pos,
        quat_wxyz=quat_of_axes(posture.x, posture.z),
        gripper=xp.ones_like(hand.reading),  # open, unless `with_fingers` closes it
    )
    return with_fingers(plan, may_close=is_at_grip(hand, grip))


def _posture(
    facts: ExpertFacts,
    parcel: Parcels,
    grip: Grip,
    slot_w: Array,
    is_held: Array,
    may_take: Array,
) -> Grip:
    """Returns the hand's posture: the grip's position, and the hand's desired axes.

    Args:
        facts: what the expert knows.
        parcel: the parcel to work on.
        grip: the grip by which an empty hand takes the parcel.
        slot_w: (n, 3) m, the parcel's place in its bin.
        is_held: (n,) bool, whether this hand holds the parcel.
        may_take: (n,) bool, whether an empty hand may take the parcel.
    """
    xp = facts.xp
    hand = facts.sorter
    down = for_each_world(xp, DOWN, like=hand.x)
    up = for_each_world(xp, UP, like=hand.x)
    level = for_each_world(xp, LEVEL, like=hand.x)
    onwards = for_each_world(xp, ONWARDS, like=hand.x)

    # A hand with a parcel keeps its axes until the parcel is lifted off the stand. Then the
    # hand is level for the scanner, its x axis up. Once the label is read, the hand points
    # down over the bin, its x axis outwards from the robot's column.
    is_read = parcel.is_scanned[:, None]
    carry_x = xp.where(is_read, horizontal(slot_w), up)
    carry_z = xp.where(is_read, down, level)
    must_lift = _must_lift_off_stand(facts, parcel)[:, None]
    carry_x = xp.where(must_lift, hand.x, carry_x)
    carry_z = xp.where(must_lift, hand.z, carry_z)

    # an empty hand points down, turned for its grip or facing onwards
    empty_x = xp.where(may_take[:, None], grip.x, onwards)
    holds = is_held[:, None]
    return Grip(
        grip.pos_w,
        x=xp.where(holds, carry_x, empty_x),
        z=xp.where(holds, carry_z, down),
    )


def _must_lift_off_stand(facts: ExpertFacts, parcel: Parcels) -> Array:
    """Returns (n,) bool, whether a held parcel must be lifted before it moves sideways."""
    offset_xy = (parcel.pos_w - facts.stand_w)[:, :2]
    is_near_stand = dot(offset_xy, offset_xy) < NEAR_STAND_M**2
    return is_near_stand & (parcel.bottom_z() < facts.stand_w[:, 2] + FREE_M)


def _rows_of_empty_hand(
    facts: ExpertFacts, grip: Grip, is_empty: Array, may_take: Array
) -> list[Row]:
    """Returns the rows of the decision table for an empty hand.

    The hand waits beside the stand until it may take a parcel, and then takes it.

    Args:
        facts: what the expert knows.
        grip: where and how the hand takes the parcel on the stand.
        is_empty: (n,) bool, whether the hand is empty.
        may_take: (n,) bool, whether there is a parcel, and the picker is out of the way.
    """
    xp = facts.xp
    hand = facts.sorter
    hover = grip.pos_w - HOVER_M * grip.z
    wait = for_each_world(xp, WAIT_W, like=hover)
    hover = xp.where(may_take[:, None], hover, wait)
    # the hand goes to the hover point around the robot's column, because a straight path
    # could pass too close to the column
    waypoint = around_column(
        xp, hand.pos_w, hover, radius_m=RADIUS_M, turn_rad=WAYPOINT_RAD
    )
    path = ApproachPath(
        hover_w=hover,
        waypoint_w=waypoint,
        clear_z_w=CLEAR_Z_W,
        slack_m=CLEAR_SLACK_M,
        far_m=FAR_M,
        rise_more_m=CLEAR_MORE_M,
    )
    return rows_to_grip(hand, grip, path, is_empty=is_empty, may_grasp=may_take)


def _rows_to_scanner(facts: ExpertFacts, parcel: Parcels, is_held: Array) -> list[Row]:
    """Returns the rows of the decision table for a held parcel that is not yet read.

    The hand lifts the parcel off the stand and holds it under the scanner's head.

    Args:
        facts: what the expert knows.
        parcel: the parcel in the hand.
        is_held: (n,) bool, whether the hand holds the parcel.
    """
    xp = facts.xp
    hand = facts.sorter
    holds_unread = is_held & ~parcel.is_scanned
    must_lift = holds_unread & _must_lift_off_stand(facts, parcel)

    parcel_to_hand = hand.pos_w - parcel.pos_w
    reading_z = facts.plate_w[:, 2] + READING_HEIGHT_M + parcel_to_hand[:, 2]
    under_head = with_z(xp, facts.plate_w + parcel_to_hand, reading_z)
    raised = with_z(xp, hand.pos_w, hand.pos_w[:, 2] + LIFT_M)
    return [  # the last row that applies wins
        Row("carry", when=holds_unread, goal_w=under_head),
        Row("lift", when=must_lift, goal_w=raised),
    ]


def _rows_to_bin(
    facts: ExpertFacts, parcel: Parcels, posture: Grip, slot_w: Array, is_held: Array
) -> list[Row]:
    """Returns the rows of the decision table for a held parcel that has been read.

    The hand carries the parcel to its place in its bin, lowers it and lets go.

    Args:
        facts: what the expert knows.
        parcel: the parcel in the hand.
        posture: the axes that the hand should have.
        slot_w: (n, 3) m, the parcel's place in its bin.
        is_held: (n,) bool, whether the hand holds the parcel.
    """
    xp = facts.xp
    hand = facts.sorter
    holds_read = is_held & parcel.is_scanned

    # the goal of a hand that carries the parcel to its place; `above_bottom` is the
    # hand's height above the parcel's underside
    parcel_to_hand = hand.pos_w - parcel.pos_w
    above_bottom = hand.pos_w[:, 2] - parcel.bottom_z()
    carry_z = BIN.rim_z + OVER_RIM_M + above_bottom
    over_slot = with_z(xp, slot_w + parcel_to_hand, carry_z)
    waypoint = around_column(
        xp, hand.pos_w, over_slot, radius_m=RADIUS_M, turn_rad=WAYPOINT_RAD
    )

    # the goal for dropping the parcel: deep in the bin, but with the TCP above the rim
    lowest_z = xp.full_like(above_bottom, BIN.rim_z + ABOVE_RIM_M)
    drop_z = xp.maximum(slot_w[:, 2] + INTO_BIN_M + above_bottom, lowest_z)
    lowered = with_z(xp, over_slot, drop_z)

    # when the parcel may go down, and when it may be dropped
    offset_xy = (parcel.pos_w - slot_w)[:, :2]
    is_above_slot = dot(offset_xy, offset_xy) < ABOVE_BIN_M**2
    may_place = holds_read & is_above_slot & (posture.alignment(hand) > DROP_COS)
    may_drop = may_place & (hand.pos_w[:, 2] < drop_z + DROP_SLACK_M)
    return [  # the last row that applies wins
        Row("carry", when=holds_read, goal_w=waypoint),
        Row("place", when=may_place, goal_w=lowered),
        Row("release", when=may_drop, goal_w=hand.pos_w),
    ]
