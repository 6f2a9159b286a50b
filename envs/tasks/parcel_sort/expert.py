"""The scripted planner of ParcelSort.

It decides from the present state alone, so that it recovers from whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from embodied.arrays import dot
from embodied.core import Array, Controller, Layout, Payload, Planner
from embodied.envs.skills.scripted import (
    Readings,
    Row,
    around_column,
    is_skill,
    last_row,
    make_payload,
    scripted_expert,
    with_z,
)
from embodied.envs.tasks.parcel_sort.expert_facts import (
    BIN_SLOTS_M,
    REACH_Y_W,
    ExpertFacts,
    is_within_reach,
)
from embodied.envs.tasks.parcel_sort.grip import OFF_MIDDLE_M, Grip, quat_of_axes
from embodied.envs.tasks.parcel_sort.scene import BIN
from embodied.robots.parts.arm import Arm
from embodied.robots.parts.gripper import PALM_M
from embodied.robots.robot import Robot

# How far before the grip the hand waits, along its approach.
HOVER_M = 0.09
# How far the hand backs off from a parcel that is to be read.
BACK_M = 0.12
# The hand goes in if it is this near to the line of approach and to the grip.
NEAR_M = 0.016
BEFORE_M = 0.16
# The fingers close if the hand is this near to the grip.
ON_M = 0.009
# The least alignment of the hand: to go in, and to close.
ALIGNED_COS = 0.985
ON_COS = 0.994
# How far the arm lags behind a goal that moves.
LAG_S = 0.06
# The TCP's height at which empty fingers clear everything; how much lower still will
# do; and how much higher the hand goes when it is too low.
CLEAR_Z_W = 0.87
CLEAR_SLACK_M = 0.02
CLEAR_MORE_M = 0.03
# Farther than this from its goal, horizontally, the hand stays at that height.
FAR_M = 0.12
# Where the hand waits for parcels that come, and where it rests.
WAIT_Y_W = -0.36
REST_W = (0.46, -0.15, 0.95)
# On the way: the largest turn about the robot's column between two goals, and the
# distances from the column.
TURN_RAD = 0.9
RADIUS_M = (0.42, 0.50)
# The height of a parcel's underside over the plate: on the way, at most while it is set
# down, and at most when it lies.
OVER_M = 0.05
LOWERING_M = 0.03
LYING_M = 0.004
# A parcel is set down towards a goal this far below the plate.
PRESS_M = 0.003
# The largest offset of a parcel from the plate's middle: to go down, to go on doing so,
# and to let go.
PLACE_M = 0.010
LOWERING_BESIDE_M = 0.03
LYING_BESIDE_M = 0.06
# A parcel must be lifted if it is lower than this over the plate's height, and farther
# than this from its place in the bin.
LOW_M = 0.02
AWAY_M = 0.10
# A parcel goes down into the bin within this distance from its place, if the hand is
# aligned at least so well.
ABOVE_BIN_M = 0.03
DROP_COS = 0.9
# It is dropped with its underside this high above the bin's floor, or with the hand
# this high above the rim if that is higher; and up to the slack above that.
INTO_BIN_M = 0.07
ABOVE_RIM_M = 0.01
DROP_SLACK_M = 0.012
# A hand whose approach is within 45 degrees of straight down points down.
POINTS_DOWN_COS = 0.7


@dataclass(frozen=True)
class Way:
    """The way of a hand from place to place about the robot's column.

    Attributes:
        turn_rad: the largest turn about the column between two goals.
        radius_m: the least and the largest distance from the column on the way.
        slots_m: where along the depth of a bin each of the parcels is let go.
    """

    turn_rad: float = TURN_RAD
    radius_m: tuple[float, float] = RADIUS_M
    slots_m: tuple[float, ...] = BIN_SLOTS_M

    def next(self, xp: Any, hand_w: Array, goal_w: Array) -> Array:
        """Returns the next point (n, 3) on the way to a goal (n, 3)."""
        return around_column(xp, hand_w, goal_w, self.radius_m, self.turn_rad)


# Of arms whose wrists are slim; those whose are wider than this go round the scanner's
# head.
OWN_WAY = Way()
WIDE_WAY = Way(0.15, (0.40, 0.42), (-0.045, -0.045, -0.045))
WIDE_M = 0.095


def parcel_sort_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of the expert, which knows the robot's hand."""
    effector = robot.effectors[0]
    gripper = robot.gripper_of(effector)
    # a cup has no palm that could be in the way
    back_m = PALM_M - gripper.palm_m if gripper.width_m else 0.0
    arm = robot.part(effector.arm)
    is_wide = isinstance(arm, Arm) and arm.wrist_m > WIDE_M
    to_bin = WIDE_WAY if is_wide else OWN_WAY
    decide_so = partial(decide, back_m=back_m, to_bin=to_bin)
    return scripted_expert(decide_so, agent_layout, state_layout, robot)


def decide(
    xp: Any,
    agent: Readings,
    state: Readings,
    back_m: float = 0.0,
    to_bin: Way = OWN_WAY,
) -> Payload:
    """Returns the plans for n worlds.

    Args:
        xp: The array namespace.
        agent: Proprioception.
        state: Privileged state.
        back_m: How far the hand stays back from a grip, for the sake of its palm.
        to_bin: The way on which it carries parcels from the scanner to their bins.
    """
    facts = ExpertFacts.read(xp, agent, state, back_m, to_bin.slots_m)
    posture = facts.posture()
    is_waiting = ~facts.is_held & ~facts.is_idle & ~facts.is_on_plate
    is_riding = is_waiting & is_within_reach(facts.parcel)

    rows = _empty_handed(facts, posture, is_riding)
    rows += _to_the_plate(facts, posture)
    rows += _to_the_bin(facts, posture, to_bin)
    skill, pos = last_row(xp, rows, otherwise_w=facts.hand.pos_w)

    # a goal on the belt moves with it
    velocity = facts.parcel.vel_w * xp.asarray([1.0, 1.0, 0.0])
    # the fingers close where they grasp, and hold while a parcel is moved
    is_closed = is_skill(skill, "grasp") & _is_on_grip(facts, posture)
    for name in ("lift", "carry", "turn", "place"):
        is_closed = is_closed | is_skill(skill, name)
    return make_payload(
        skill=skill,
        pos_w=pos,
        quat_wxyz=quat_of_axes(posture.x, posture.z),
        gripper=xp.where(is_closed, -1.0, 1.0),
        completion=facts.share_done,
        vel_w=xp.where(is_riding[:, None], velocity, 0.0),
    )


def _is_on_grip(facts: ExpertFacts, posture: Grip) -> Array:
    """Returns (n,) bool, whether the hand is where the fingers may close."""
    error = facts.hand.pos_w - posture.pos_w
    is_aligned = posture.alignment(facts.hand) > ON_COS
    return (dot(error, error) < ON_M**2) & is_aligned


def _is_before_grip(facts: ExpertFacts, posture: Grip) -> Array:
    """Returns (n,) bool, whether the hand is where it may go in to the grip."""
    error = facts.hand.pos_w - posture.pos_w
    # along the approach, negative before the grip; and at a right angle to it
    ahead = dot(error, posture.z)
    beside = error - posture.z * ahead[:, None]
    is_aligned = posture.alignment(facts.hand) > ALIGNED_COS
    return (dot(beside, beside) < NEAR_M**2) & is_aligned & (ahead > -BEFORE_M)


def _empty_handed(facts: ExpertFacts, posture: Grip, is_riding: Array) -> list[Row]:
    """Returns the rows of an empty hand.

    It goes to the next parcel, and backs off from one that is to be read.
    """
    xp = facts.xp
    hand = facts.hand
    parcel = facts.parcel
    is_empty = ~facts.is_held
    is_free = is_empty & ~facts.is_idle

    # where to hover: before the grip; as far along the belt as it waits for a parcel
    # that is still to come; or at rest. For a parcel that rides it aims ahead, because
    # the arm lags behind
    ahead = xp.where(is_riding[:, None], LAG_S * parcel.vel_w, 0.0)
    grip = posture.pos_w + ahead
    is_coming = is_free & ~facts.is_on_plate & (grip[:, 1] < REACH_Y_W[0])
    hover = grip - HOVER_M * posture.z
    wait_y = xp.where(is_coming, WAIT_Y_W, hover[:, 1])
    hover = xp.stack([hover[:, 0], wait_y, hover[:, 2]], axis=1)
    hover = xp.where(facts.is_idle[:, None], xp.asarray(REST_W), hover)

    # from afar it stays above things
    away = (hover - hand.pos_w)[:, :2]
    is_far = dot(away, away) > FAR_M**2
    aside = around_column(xp, hand.pos_w, hover, RADIUS_M, TURN_RAD)
    clear_z = xp.full_like(hover[:, 2], CLEAR_Z_W)
    over = with_z(xp, aside, xp.maximum(hover[:, 2], clear_z))
    is_low = hand.pos_w[:, 2] < CLEAR_Z_W - CLEAR_SLACK_M

    may_grasp = is_free & _is_before_grip(facts, posture) & ~is_coming
    is_reading = is_free & facts.is_on_plate
    is_reading = is_reading & parcel.is_label_up() & ~parcel.is_scanned
    is_letting_go = is_reading & hand.is_closed()
    return [  # the last that applies wins
        Row("reach", when=is_empty, goal_w=xp.where(is_far[:, None], over, hover)),
        Row("grasp", when=may_grasp, goal_w=grip),
        Row(
            "retreat",
            when=is_empty & is_far & is_low,
            goal_w=with_z(xp, hand.pos_w, clear_z + CLEAR_MORE_M),
        ),
        Row("retreat", when=is_reading, goal_w=grip - BACK_M * hand.z),
        Row("release", when=is_letting_go, goal_w=hand.pos_w),
    ]


def _to_the_plate(facts: ExpertFacts, posture: Grip) -> list[Row]:
    """Returns the rows of a hand with a parcel that has not been read.

    It is lifted, carried to the plate and turned, set down and let go.
    """
    xp = facts.xp
    hand = facts.hand
    parcel = facts.parcel
    has_unread = facts.is_held & ~parcel.is_scanned

    # where the hand is with the parcel over the plate, turned if it must be
    bottom = parcel.bottom_z()
    in_hand = hand.pos_w - parcel.pos_w
    # the hand's height above the parcel's underside, which is an end once it is turned
    turned_below = parcel.size[:, 0] / 2 + OFF_MIDDLE_M
    below = xp.where(facts.must_turn(), turned_below, hand.pos_w[:, 2] - bottom)
    carry_z = facts.plate_w[:, 2] + OVER_M + below
    over = with_z(xp, facts.plate_w + in_hand, carry_z)
    beside = around_column(xp, hand.pos_w, over, RADIUS_M, TURN_RAD)

    # how near to the plate the parcel is: horizontally, and its underside above it
    to_plate = (parcel.pos_w - facts.plate_w)[:, :2]
    distance = xp.sqrt(dot(to_plate, to_plate))
    height = bottom - facts.plate_w[:, 2]
    is_over = (distance < PLACE_M) & (posture.alignment(hand) > ON_COS)
    is_being_lowered = distance < LOWERING_BESIDE_M
    is_being_lowered = is_being_lowered & (bottom < facts.plate_w[:, 2] + LOWERING_M)
    lies = (distance < LYING_BESIDE_M) & (xp.abs(height) < LYING_M)

    may_place = has_unread & (is_over | is_being_lowered)
    down_z = hand.pos_w[:, 2] - height - PRESS_M
    up = with_z(xp, hand.pos_w, carry_z)
    return [  # the last that applies wins
        Row("carry", when=has_unread, goal_w=beside),
        Row("lift", when=has_unread & facts.must_lift(), goal_w=up),
        Row("place", when=may_place, goal_w=with_z(xp, over, down_z)),
        Row("release", when=has_unread & lies, goal_w=hand.pos_w),
    ]


def _to_the_bin(facts: ExpertFacts, posture: Grip, way: Way) -> list[Row]:
    """Returns the rows of a hand with a parcel that has been read.

    It is lifted, carried to its bin, lowered and let go.
    """
    xp = facts.xp
    hand = facts.hand
    parcel = facts.parcel
    plate_z = facts.plate_w[:, 2]
    slot_z = facts.slot_w[:, 2]
    has_read = facts.is_held & parcel.is_scanned

    # where the hand is with the parcel over its place in the bin
    bottom = parcel.bottom_z()
    in_hand = hand.pos_w - parcel.pos_w
    below = hand.pos_w[:, 2] - bottom  # the hand's height above the parcel's underside
    over = with_z(xp, facts.slot_w + in_hand, plate_z + OVER_M + below)
    beside = way.next(xp, hand.pos_w, over)
    up = with_z(xp, hand.pos_w, over[:, 2])

    # how near to its place the parcel is
    to_slot = (parcel.pos_w - facts.slot_w)[:, :2]
    distance = xp.sqrt(dot(to_slot, to_slot))
    is_low = (bottom < plate_z + LOW_M) & (distance > AWAY_M)
    is_above = distance < ABOVE_BIN_M
    may_place = has_read & is_above & (posture.alignment(hand) > DROP_COS)
    drop_z = xp.maximum(slot_z + INTO_BIN_M + below, slot_z + BIN.height + ABOVE_RIM_M)
    may_drop = may_place & (hand.pos_w[:, 2] < drop_z + DROP_SLACK_M)

    # the hand must point down again after it has turned a parcel
    is_turned = hand.z[:, 2] > -POINTS_DOWN_COS
    return [  # the last that applies wins
        Row("carry", when=has_read, goal_w=beside),
        Row("turn", when=has_read & is_turned, goal_w=up),
        Row("lift", when=has_read & is_low, goal_w=up),
        Row("place", when=may_place, goal_w=with_z(xp, over, drop_z)),
        Row("release", when=may_drop, goal_w=hand.pos_w),
    ]
