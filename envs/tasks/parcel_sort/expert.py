"""The scripted expert of ParcelSort: from the belt over the scanner into the bins.

The hand takes a parcel off the belt, sets it down on the scanner's plate with its label
up, waits until the scanner has read the label, and drops the parcel into its bin. Each plan
follows from the present state alone, so the expert recovers from whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from embodied.arrays import dot, norm
from embodied.core import Array, Layout
from embodied.envs.skills.parcel_grip import OFF_MIDDLE_M, Grip, quat_of_axes
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
from embodied.envs.tasks.parcel_sort.scene import BIN
from embodied.plan import Controller, Payload, Planner
from embodied.robots.parts.arm import Arm
from embodied.robots.parts.gripper import PALM_M
from embodied.robots.robot import Robot

# The hand waits this far before the grip, along its approach direction.
HOVER_M = 0.09
# The hand backs off this far from a parcel on the plate, so as not to hide its label from
# the scanner.
BACK_M = 0.12
# The hand approaches the grip if it is within NEAR_M of the line of approach and at most
# BEFORE_M before the grip.
NEAR_M = 0.016
BEFORE_M = 0.16
# The fingers close when the TCP is within this distance of the grip.
AT_GRIP_M = 0.009
# The least alignment of the hand with the grip (a cosine) for the approach.
APPROACH_COS = 0.985
# The least alignment for closing the fingers, and for setting a parcel down.
AT_GRIP_COS = 0.994
# The time by which the arm lags behind a moving goal.
LAG_S = 0.06
# The TCP height at which an empty hand clears everything.
CLEAR_Z_W = 0.87
# A hand at most this far below CLEAR_Z_W need not rise.
CLEAR_SLACK_M = 0.02
# A hand that must rise goes this far above CLEAR_Z_W.
CLEAR_MORE_M = 0.03
# The hand stays at CLEAR_Z_W until it is within this horizontal distance of its goal.
FAR_M = 0.12
# The y at which the hand waits for a parcel that is still upstream of its reach.
WAIT_Y_W = -0.36
# The hand's position when there is no parcel to work on.
IDLE_W = (0.46, -0.15, 0.95)
# Waypoints around the robot's column: the largest angle about the column from one waypoint
# to the next, and the range of their distances from the column.
WAYPOINT_RAD = 0.9
RADIUS_M = (0.42, 0.50)
# The height of a parcel's underside above the plate while it is carried.
CARRY_HEIGHT_M = 0.05
# A parcel starts to go down within this horizontal distance of the plate's centre.
PLACE_M = 0.010
# Once a parcel is this low above the plate and this near to its centre, horizontally, it
# goes on down, even if it has drifted out of PLACE_M.
LOWERING_M = 0.03
LOWERING_BESIDE_M = 0.03
# A parcel this low above the plate and this near to its centre, horizontally, lies on the
# plate, so the hand lets go.
LYING_M = 0.004
LYING_BESIDE_M = 0.06
# The goal for setting a parcel down is this far below the plate, so that the parcel
# surely touches the plate.
PRESS_M = 0.003
# A parcel that has been read is lifted before it is carried, if its underside is at most
# LOW_M above the plate. Within AWAY_M of its place in the bin it is not lifted, because
# it is being lowered there.
LOW_M = 0.02
AWAY_M = 0.10
# A parcel goes down into the bin within this horizontal distance of its place, and with at
# least this alignment of the hand (a cosine).
ABOVE_BIN_M = 0.03
DROP_COS = 0.9
# The goal for dropping a parcel has its underside INTO_BIN_M above the bin's floor, and
# the TCP at least ABOVE_RIM_M above the bin's rim.
INTO_BIN_M = 0.07
ABOVE_RIM_M = 0.01
# The hand lets go within this height above that goal.
DROP_SLACK_M = 0.012
# A hand points down if its approach is within 45 degrees of straight down.
POINTS_DOWN_COS = 0.7


@dataclass(frozen=True)
class Route:
    """How the hand carries parcels around the robot's column and drops them into bins.

    Attributes:
        waypoint_rad: the largest angle about the column from one waypoint to the next.
        radius_m: the smallest and the largest distance of waypoints from the column.
        slots_m: for each parcel, the offset of its place in its bin from the bin's
            centre, outwards from the column.
        beside_m: for each parcel, the offset of its place to the left, as seen from the
            column; that is away from the scanner.
        above_bin_m: a parcel goes down within this horizontal distance of its place.
        above_rim_m: the least height of the TCP above the bin's rim when it lets go.
        drops_if_stopped: whether the hand also lets go where something stops it on its
            way down into the bin: a wide wrist may come to rest on the scanner's head.
    """

    waypoint_rad: float = WAYPOINT_RAD
    radius_m: tuple[float, float] = RADIUS_M
    slots_m: tuple[float, ...] = BIN_SLOTS_M
    beside_m: tuple[float, ...] = (0.0, 0.0, 0.0)
    above_bin_m: float = ABOVE_BIN_M
    above_rim_m: float = ABOVE_RIM_M
    drops_if_stopped: bool = False

    def waypoint(self, xp: Any, hand_w: Array, goal_w: Array) -> Array:
        """Returns the next waypoint (n, 3) from the hand (n, 3) to a goal (n, 3)."""
        return around_column(
            xp, hand_w, goal_w, radius_m=self.radius_m, turn_rad=self.waypoint_rad
        )


SLIM_WRIST_ROUTE = Route()
# An arm with a wider wrist than this would hit the scanner's head on that route. Such an
# arm stays nearer to the column, and drops parcels in the near half of the bins.
WIDE_WRIST_M = 0.095
WIDE_WRIST_ROUTE = Route(
    waypoint_rad=0.15,  # small steps keep the hand on the arc, clear of the head
    radius_m=(0.40, 0.42),
    slots_m=(-0.06, -0.06, -0.06),
    beside_m=(0.028, 0.028, -0.028),  # on both sides of the bin's middle instead
    above_bin_m=0.012,
    above_rim_m=0.035,  # fingers that open beside the middle stay above the walls
    drops_if_stopped=True,
)


def parcel_sort_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of the expert, adapted to the robot's hand and wrist."""
    effector = robot.effectors[0]
    gripper = robot.gripper_of(effector)
    # The grips suit a palm PALM_M behind the TCP; a hand whose palm is nearer stays back.
    # A suction cup, which has no width, has no palm that could hit the parcel.
    back_m = PALM_M - gripper.palm_m if gripper.width_m else 0.0

    arm = robot.part(effector.arm)
    has_wide_wrist = isinstance(arm, Arm) and arm.wrist_m > WIDE_WRIST_M
    to_bin = WIDE_WRIST_ROUTE if has_wide_wrist else SLIM_WRIST_ROUTE
    decide_for_robot = partial(decide, back_m=back_m, to_bin=to_bin)
    return scripted_expert(decide_for_robot, agent_layout, state_layout, robot)


def decide(
    xp: Any,
    agent: Readings,
    state: Readings,
    back_m: float = 0.0,
    to_bin: Route = SLIM_WRIST_ROUTE,
) -> Payload:
    """Returns the plans for n worlds.

    Args:
        xp: The array namespace.
        agent: Proprioception.
        state: Privileged state.
        back_m: How far the hand stays back from a grip, so that its palm does not hit
            the parcel.
        to_bin: The route from the scanner to the bins.
    """
    facts = ExpertFacts.read(
        xp,
        agent,
        state,
        back_m=back_m,
        slots_m=to_bin.slots_m,
        beside_m=to_bin.beside_m,
    )
    posture = facts.posture()
    # whether the hand goes to a parcel that rides past on the belt
    must_fetch = ~facts.is_held & ~facts.is_idle & ~facts.is_on_plate
    is_riding = must_fetch & is_within_reach(facts.parcel)

    # the decision table: the last of its rows that applies gives skill and goal
    rows = _rows_of_empty_hand(facts, posture, is_riding)
    rows += _rows_to_plate(facts, posture)
    rows += _rows_to_bin(facts, posture, to_bin)
    skill, pos = last_row(xp, rows, otherwise_w=facts.hand.pos_w)

    # the goal moves with a parcel that the belt carries, horizontally
    velocity = facts.parcel.vel_w * xp.asarray([1.0, 1.0, 0.0])
    # the fingers close at the grip, and stay closed while a parcel is moved
    is_closed = is_skill(skill, "grasp") & _is_at_grip(facts, posture)
    for holding_skill in ("lift", "carry", "turn", "place"):
        is_closed = is_closed | is_skill(skill, holding_skill)
    return make_payload(
        skill=skill,
        pos_w=pos,
        quat_wxyz=quat_of_axes(posture.x, posture.z),
        gripper=xp.where(is_closed, -1.0, 1.0),
        completion=facts.share_done,
        vel_w=xp.where(is_riding[:, None], velocity, 0.0),
    )


def _is_at_grip(facts: ExpertFacts, posture: Grip) -> Array:
    """Returns (n,) bool, whether the hand is where the fingers may close."""
    error = facts.hand.pos_w - posture.pos_w
    is_aligned = posture.alignment(facts.hand) > AT_GRIP_COS
    return (dot(error, error) < AT_GRIP_M**2) & is_aligned


def _may_approach(facts: ExpertFacts, posture: Grip) -> Array:
    """Returns (n,) bool, whether the hand is on the approach to the grip, or past it."""
    error = facts.hand.pos_w - posture.pos_w
    # split into the part along the approach direction, which is negative before the grip,
    # and the part across it
    along = dot(error, posture.z)
    across = error - posture.z * along[:, None]
    is_on_line = dot(across, across) < NEAR_M**2
    is_aligned = posture.alignment(facts.hand) > APPROACH_COS
    return is_on_line & is_aligned & (along > -BEFORE_M)


def _rows_of_empty_hand(
    facts: ExpertFacts, posture: Grip, is_riding: Array
) -> list[Row]:
    """Returns the rows of the decision table for an empty hand.

    The hand goes to the parcel to work on and takes it. From a parcel on the plate whose
    label is not yet read, it backs off.

    Args:
        facts: What the expert knows.
        posture: Where and how the hand takes the parcel.
        is_riding: (n,) bool, whether the parcel rides on the belt, within reach.
    """
    xp = facts.xp
    hand = facts.hand
    parcel = facts.parcel
    is_empty = ~facts.is_held
    is_free = is_empty & ~facts.is_idle

    # the grip, ahead of a riding parcel by as much as the arm lags behind
    lead = xp.where(is_riding[:, None], LAG_S * parcel.vel_w, 0.0)
    grip = posture.pos_w + lead
    # the parcel is still upstream of the arm's reach
    is_coming = is_free & ~facts.is_on_plate & (grip[:, 1] < REACH_Y_W[0])

    # the hand hovers before the grip; at WAIT_Y_W for a parcel that is not yet within
    # reach; at IDLE_W if there is nothing to do
    hover = grip - HOVER_M * posture.z
    hover_y = xp.where(is_coming, WAIT_Y_W, hover[:, 1])
    hover = xp.stack([hover[:, 0], hover_y, hover[:, 2]], axis=1)
    hover = xp.where(facts.is_idle[:, None], xp.asarray(IDLE_W), hover)

    # while the hand is far from the hover point, it travels above everything
    to_hover = (hover - hand.pos_w)[:, :2]
    is_far = dot(to_hover, to_hover) > FAR_M**2
    is_low = hand.pos_w[:, 2] < CLEAR_Z_W - CLEAR_SLACK_M
    clear_z = xp.full_like(hover[:, 2], CLEAR_Z_W)
    raised = with_z(xp, hand.pos_w, clear_z + CLEAR_MORE_M)
    waypoint = around_column(
        xp, hand.pos_w, hover, radius_m=RADIUS_M, turn_rad=WAYPOINT_RAD
    )
    waypoint = with_z(xp, waypoint, xp.maximum(hover[:, 2], clear_z))
    reach = xp.where(is_far[:, None], waypoint, hover)

    may_grasp = is_free & _may_approach(facts, posture) & ~is_coming
    # a parcel on the plate, label up, waits to be read: the hand lets go and backs off
    must_back_off = is_free & facts.is_on_plate
    must_back_off = must_back_off & parcel.is_label_up() & ~parcel.is_scanned
    must_release = must_back_off & hand.is_closed()
    return [  # the last row that applies wins
        Row("reach", when=is_empty, goal_w=reach),
        Row("grasp", when=may_grasp, goal_w=grip),
        Row("retreat", when=is_empty & is_far & is_low, goal_w=raised),
        Row("retreat", when=must_back_off, goal_w=grip - BACK_M * hand.z),
        Row("release", when=must_release, goal_w=hand.pos_w),
    ]


def _rows_to_plate(facts: ExpertFacts, posture: Grip) -> list[Row]:
    """Returns the rows of the decision table for a held parcel that is not yet read.

    The hand lifts the parcel, carries it to the plate with its label up, sets it down and
    lets go.

    Args:
        facts: What the expert knows.
        posture: The axes that the hand should have.
    """
    xp = facts.xp
    hand = facts.hand
    parcel = facts.parcel
    holds_unread = facts.is_held & ~parcel.is_scanned

    # the goal of a hand that carries the parcel to the plate
    bottom_z = parcel.bottom_z()
    parcel_to_hand = hand.pos_w - parcel.pos_w
    # The hand's height above the parcel's underside. A parcel that must be turned will
    # stand on the end opposite the label; its grip is OFF_MIDDLE_M nearer to the label.
    above_bottom = hand.pos_w[:, 2] - bottom_z
    above_end = parcel.size[:, 0] / 2 + OFF_MIDDLE_M
    above_bottom = xp.where(facts.must_stand_on_end(), above_end, above_bottom)
    carry_z = facts.plate_w[:, 2] + CARRY_HEIGHT_M + above_bottom
    over_plate = with_z(xp, facts.plate_w + parcel_to_hand, carry_z)
    waypoint = around_column(
        xp, hand.pos_w, over_plate, radius_m=RADIUS_M, turn_rad=WAYPOINT_RAD
    )

    # the parcel's horizontal distance from the plate's centre, and height above the plate
    from_plate = (parcel.pos_w - facts.plate_w)[:, :2]
    distance = norm(from_plate)
    height = bottom_z - facts.plate_w[:, 2]
    is_over = (distance < PLACE_M) & (posture.alignment(hand) > AT_GRIP_COS)
    is_being_lowered = distance < LOWERING_BESIDE_M
    is_being_lowered = is_being_lowered & (bottom_z < facts.plate_w[:, 2] + LOWERING_M)
    is_set_down = (distance < LYING_BESIDE_M) & (xp.abs(height) < LYING_M)

    # the goals for setting the parcel down and for lifting it
    may_place = holds_unread & (is_over | is_being_lowered)
    set_down = with_z(xp, over_plate, hand.pos_w[:, 2] - height - PRESS_M)
    raised = with_z(xp, hand.pos_w, carry_z)
    return [  # the last row that applies wins
        Row("carry", when=holds_unread, goal_w=waypoint),
        Row("lift", when=holds_unread & facts.must_lift(), goal_w=raised),
        Row("place", when=may_place, goal_w=set_down),
        Row("release", when=holds_unread & is_set_down, goal_w=hand.pos_w),
    ]


def _rows_to_bin(facts: ExpertFacts, posture: Grip, route: Route) -> list[Row]:
    """Returns the rows of the decision table for a held parcel that has been read.

    The hand lifts the parcel, carries it to its bin, lowers it and lets go.

    Args:
        facts: What the expert knows.
        posture: The axes that the hand should have.
        route: The route from the scanner to the bins.
    """
    xp = facts.xp
    hand = facts.hand
    parcel = facts.parcel
    plate_z = facts.plate_w[:, 2]
    slot_z = facts.slot_w[:, 2]
    holds_read = facts.is_held & parcel.is_scanned

    # the goal of a hand that carries the parcel to its slot, its place in the bin
    bottom_z = parcel.bottom_z()
    parcel_to_hand = hand.pos_w - parcel.pos_w
    above_bottom = hand.pos_w[:, 2] - bottom_z  # hand above the parcel's underside
    carry_z = plate_z + CARRY_HEIGHT_M + above_bottom
    over_slot = with_z(xp, facts.slot_w + parcel_to_hand, carry_z)
    waypoint = route.waypoint(xp, hand.pos_w, over_slot)
    raised = with_z(xp, hand.pos_w, over_slot[:, 2])

    # the goal for dropping the parcel: deep in the bin, but with the TCP above the rim
    deep_z = slot_z + INTO_BIN_M + above_bottom
    above_rim_z = slot_z + BIN.height + route.above_rim_m
    drop_z = xp.maximum(deep_z, above_rim_z)
    lowered = with_z(xp, over_slot, drop_z)

    # how far the parcel is on its way to its slot, and what the hand may do there
    from_slot = (parcel.pos_w - facts.slot_w)[:, :2]
    distance = norm(from_slot)
    must_lift = (bottom_z < plate_z + LOW_M) & (distance > AWAY_M)
    is_above_slot = distance < route.above_bin_m
    may_place = holds_read & is_above_slot & (posture.alignment(hand) > DROP_COS)
    is_low_enough = hand.pos_w[:, 2] < drop_z + DROP_SLACK_M
    if route.drops_if_stopped:
        is_low_enough = is_low_enough | facts.is_stopped
    may_drop = may_place & is_low_enough

    # after it has turned a parcel, the hand first points down again
    is_tilted = hand.z[:, 2] > -POINTS_DOWN_COS
    return [  # the last row that applies wins
        Row("carry", when=holds_read, goal_w=waypoint),
        Row("turn", when=holds_read & is_tilted, goal_w=raised),
        Row("lift", when=holds_read & must_lift, goal_w=raised),
        Row("place", when=may_place, goal_w=lowered),
        Row("release", when=may_drop, goal_w=hand.pos_w),
    ]
