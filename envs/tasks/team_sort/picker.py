"""The decisions of the picker, the hand that brings parcels from the belt to the stand.

On the way it turns each parcel so that the label faces the sorter, the other hand.
"""

from __future__ import annotations

from dataclasses import dataclass

from embodied.arrays import dot, norm
from embodied.core import Array
from embodied.envs.skills.parcel_grip import (
    MOSTLY_COS,
    Grip,
    Parcels,
    quat_of_axes,
)
from embodied.envs.skills.scripted import Row, last_row, with_z
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
from embodied.envs.tasks.team_sort.scene import BELT, STOP_Y_W

# TCP positions in the world, in m.
# Where the empty hand waits for the next parcel: over the place where the belt stops.
WAIT_W = (BELT.x, STOP_Y_W, 0.86)
# Where the hand waits with a parcel until the stand is free.
READY_W = (0.42, -0.48, 0.97)
# The empty hand waits this far before the grip, along its approach direction.
HOVER_M = 0.09
# The hand backs off this far from a parcel that it has set down.
BACK_M = 0.11
# A parcel is picked once it is at most this far before the place where the belt stops.
BEFORE_STOP_M = 0.02
# A parcel is picked once it is slower than this, because the hand aims at where the
# parcel is, not at where it will be.
STILL_M_S = 0.02
# A parcel that will be turned is gripped this far off its middle, so that after the turn
# the grip is above the middle. That leaves more room between the hand, which is level
# then, and the stand.
OFF_MIDDLE_M = 0.012
# The TCP height at which an empty hand clears everything.
CLEAR_Z_W = 0.88
# A hand at most this far below that height need not rise.
CLEAR_SLACK_M = 0.03
# The hand keeps that height until it is within this horizontal distance of its goal.
FAR_M = 0.10
# A held parcel is moved sideways only when its underside is at least this high above the
# belt, so that it hits no other parcel.
FREE_M = 0.07
# Within this horizontal distance of the stand, a held parcel need not be that high,
# because it is being set down there.
NEAR_STAND_M = 0.12
# The height of a parcel's underside above the stand while it is carried there.
CARRY_HEIGHT_M = 0.035
# A parcel starts to go down within this horizontal distance of the stand's middle, and
# with at least this alignment of the hand with its posture (a cosine).
PLACE_M = 0.012
PLACE_COS = 0.99
# Once a parcel is this low above the stand and this near to its middle, horizontally, it
# goes on down, even if it has drifted out of PLACE_M.
LOWERING_M = 0.03
LOWERING_BESIDE_M = 0.03
# A parcel this low above the stand and this near to its middle, horizontally, stands on
# the stand, so the hand lets go.
STANDING_ON_M = 0.004
STANDING_ON_BESIDE_M = 0.06
# The goal for setting a parcel down is this far below the stand's top, so that the parcel
# surely touches the stand.
PRESS_M = 0.003
# A hand turns a parcel in two steps: first its x axis turns ONWARDS, then its z axis. The
# second step begins when the cosine of the x axis' angle to ONWARDS is above this. It
# goes on while the cosine of the z axis' angle to straight down is below this.
FACING_COS = 0.9
# Priorities of parcels; the hand works on the parcel with the highest one.
HELD = 5.0
TO_PICK = 1.0
NOT_TO_PICK = -10.0
# On the belt, the priority rises by this per m downstream, because the parcel that is
# farthest downstream arrives first.
PER_M_ALONG_BELT = 0.3
# The priority rises only between these y. The lower y is the belt's start, so that each
# parcel to pick has a priority above IDLE_PRIORITY.
ALONG_BELT_Y_W = (-3.0, 1.0)
# There is no work if no parcel has a priority of at least this.
IDLE_PRIORITY = 0.0


@dataclass(frozen=True)
class SettingDown:
    """How near the held parcel is to standing on the stand, in n worlds.

    Attributes:
        over_stand_w: (n, 3) m, the hand's goal that brings the parcel over the stand.
        height: (n,) m, of the parcel's underside above the stand's top.
        is_over: (n,) bool, whether the parcel is over its place and may be lowered.
        is_being_lowered: (n,) bool, whether the parcel is close above the stand.
        is_set_down: (n,) bool, whether the parcel stands, so that the hand may let go.
    """

    over_stand_w: Array
    height: Array
    is_over: Array
    is_being_lowered: Array
    is_set_down: Array


def plan_picker(facts: ExpertFacts) -> HandPlan:
    """Returns the plan of the hand that brings parcels from the belt to the stand."""
    xp = facts.xp
    hand = facts.picker
    parcel, is_held, is_idle = _parcel_to_work_on(facts)
    # a label in the direction of the fingertips was underneath on the belt, so that the
    # parcel must be turned by 90 degrees
    must_turn = dot(parcel.label_direction(), hand.z) > MOSTLY_COS
    grip = _grip(facts, parcel)
    posture = _posture(facts, parcel, grip, is_held=is_held, must_turn=must_turn)

    # the decision table: the last of its rows that applies gives skill and goal
    rows = _rows_of_empty_hand(facts, parcel, grip, is_empty=~is_held, is_idle=is_idle)
    rows += _rows_to_stand(facts, parcel, posture, is_held=is_held, must_turn=must_turn)
    skill, pos = last_row(xp, rows, otherwise_w=hand.pos_w)
    plan = HandPlan(
        skill=skill,
        pos_w=pos,
        quat_wxyz=quat_of_axes(posture.x, posture.z),
        gripper=xp.ones_like(hand.reading),  # open, unless `with_fingers` closes it
    )
    return with_fingers(plan, may_close=is_at_grip(hand, grip))


def _parcel_to_work_on(facts: ExpertFacts) -> tuple[Parcels, Array, Array]:
    """Returns the parcel that the picker works on in each world.

    This is the parcel in the picker's hand, or else the one farthest downstream on the
    belt.

    Returns:
        The parcel; whether the picker holds the parcel, (n,) bool; and whether there is
        no parcel to work on, (n,) bool.
    """
    xp = facts.xp
    parcels = facts.parcels
    y = parcels.pos_w[..., 1]
    is_on_belt = parcels.bottom_z() < BELT.top_z + FREE_M
    is_on_belt = is_on_belt & (y < BELT.y_end)
    is_to_pick = parcels.is_wanted & ~parcels.is_scanned & ~facts.is_held_by_sorter
    is_to_pick = is_to_pick & is_on_belt

    # (n, K) the priorities of all parcels, of which the highest is chosen
    along_belt = xp.clip(y, *ALONG_BELT_Y_W)
    priority = TO_PICK + PER_M_ALONG_BELT * along_belt
    priority = xp.where(is_to_pick, priority, NOT_TO_PICK)
    priority = xp.where(facts.is_held_by_picker, HELD, priority)

    index = xp.argmax(priority, axis=1)  # (n,)
    worlds = xp.arange(index.shape[0])
    is_held = facts.is_held_by_picker[worlds, index]
    is_idle = priority[worlds, index] < IDLE_PRIORITY
    return parcels.select(index), is_held, is_idle


def _grip(facts: ExpertFacts, parcel: Parcels) -> Grip:
    """Returns the grip by which the hand takes the parcel from the belt.

    The hand's x axis points to a label on an end. If the label is underneath, the x axis
    points onwards, and the grip is off the parcel's middle in that direction.
    """
    xp = facts.xp
    label = parcel.label_direction()
    is_label_under = (label[:, 2] < -MOSTLY_COS)[:, None]
    onwards = for_each_world(xp, ONWARDS, like=label)
    grip = grip_from_above(parcel, preferred_x=xp.where(is_label_under, onwards, label))
    off_middle = xp.where(is_label_under, OFF_MIDDLE_M * grip.x, 0.0)
    return Grip(grip.pos_w + off_middle, grip.x, grip.z)


def _posture(
    facts: ExpertFacts, parcel: Parcels, grip: Grip, is_held: Array, must_turn: Array
) -> Grip:
    """Returns the hand's posture: the grip's position, and the hand's desired axes.

    An empty hand should have the axes of the grip. A hand with a parcel should have the
    axes that turn the label onwards, that is towards the hand that sorts. In the comments
    a hand "faces" where its x axis points, and "points" where its z axis does.

    Args:
        facts: what the expert knows.
        parcel: the parcel that the hand works on.
        grip: where and how an empty hand would take the parcel.
        is_held: (n,) bool, whether the hand holds the parcel.
        must_turn: (n,) bool, whether the parcel's label was underneath on the belt.
    """
    xp = facts.xp
    hand = facts.picker
    onwards = for_each_world(xp, ONWARDS, like=hand.x)
    down = for_each_world(xp, DOWN, like=hand.x)
    up = for_each_world(xp, UP, like=hand.x)

    # A hand with a parcel faces onwards and points down. If the label was underneath, the
    # hand then turns to point onwards, level, and to face up. Once begun, this turn goes
    # on, although the hand no longer faces onwards.
    is_facing_onwards = dot(hand.x, onwards) > FACING_COS
    has_begun_to_level = hand.z[:, 2] > -FACING_COS  # the hand no longer points down
    must_be_level = must_turn & (is_facing_onwards | has_begun_to_level)
    carry_x = xp.where(must_be_level[:, None], up, onwards)
    carry_z = xp.where(must_be_level[:, None], onwards, down)

    # the hand keeps its axes until the parcel is lifted off the belt
    must_lift = must_lift_off_belt(facts, parcel)[:, None]
    carry_x = xp.where(must_lift, hand.x, carry_x)
    carry_z = xp.where(must_lift, hand.z, carry_z)

    # an empty hand keeps its axes while it backs off from a parcel that it has set down,
    # so as not to push the parcel
    is_backing_off = must_back_off(facts)[:, None]
    empty_x = xp.where(is_backing_off, hand.x, grip.x)
    empty_z = xp.where(is_backing_off, hand.z, grip.z)
    holds = is_held[:, None]
    return Grip(
        grip.pos_w,
        x=xp.where(holds, carry_x, empty_x),
        z=xp.where(holds, carry_z, empty_z),
    )


def must_lift_off_belt(facts: ExpertFacts, parcel: Parcels) -> Array:
    """Returns (n,) bool, whether a held parcel must be lifted before it moves sideways.

    The parcel must be lifted while it is low over the belt, where it would hit other
    parcels. Near the stand the parcel is low because it is being set down, so it is not
    lifted there.
    """
    offset_xy = (parcel.pos_w - facts.stand_w)[:, :2]
    is_far_from_stand = dot(offset_xy, offset_xy) > NEAR_STAND_M**2
    return is_far_from_stand & (parcel.bottom_z() < BELT.top_z + FREE_M)


def must_back_off(facts: ExpertFacts) -> Array:
    """Returns (n,) bool, whether an empty hand is too near to the stand and must leave."""
    offset = facts.picker.pos_w - facts.stand_w
    return dot(offset, offset) < BACK_M**2


def _rows_of_empty_hand(
    facts: ExpertFacts, parcel: Parcels, grip: Grip, is_empty: Array, is_idle: Array
) -> list[Row]:
    """Returns the rows of the decision table for an empty hand.

    The hand backs off from a parcel that it has set down, goes to the next parcel and
    takes it.

    Args:
        facts: what the expert knows.
        parcel: the parcel to take next.
        grip: where and how the hand takes the parcel.
        is_empty: (n,) bool, whether the hand is empty.
        is_idle: (n,) bool, whether there is no parcel to take.
    """
    xp = facts.xp
    hand = facts.picker
    speed_squared = dot(parcel.vel_w, parcel.vel_w)
    is_still = speed_squared < STILL_M_S**2
    has_arrived = parcel.pos_w[:, 1] > STOP_Y_W - BEFORE_STOP_M
    may_grasp = has_arrived & ~is_idle & is_still

    # the hand hovers before the grip of a parcel that it may grasp; until there is one,
    # it waits over the place where the belt stops
    hover = grip.pos_w - HOVER_M * grip.z
    wait = for_each_world(xp, WAIT_W, like=hover)
    hover = xp.where(may_grasp[:, None], hover, wait)
    path = ApproachPath(
        hover_w=hover,
        waypoint_w=hover,
        clear_z_w=CLEAR_Z_W,
        slack_m=CLEAR_SLACK_M,
        far_m=FAR_M,
    )
    backed_off = hand.pos_w - BACK_M * hand.z
    return [  # the last row that applies wins
        *rows_to_grip(hand, grip, path, is_empty=is_empty, may_grasp=may_grasp),
        Row("retreat", when=is_empty & must_back_off(facts), goal_w=backed_off),
    ]


def _rows_to_stand(
    facts: ExpertFacts, parcel: Parcels, posture: Grip, is_held: Array, must_turn: Array
) -> list[Row]:
    """Returns the rows of the decision table for a hand with a parcel.

    The hand lifts the parcel, turns it on the way, sets it down on the stand and lets
    go. The hand waits at READY_W while another parcel or the other hand is at the stand.

    Args:
        facts: what the expert knows.
        parcel: the parcel in the hand.
        posture: the axes that the hand should have.
        is_held: (n,) bool, whether the hand holds the parcel.
        must_turn: (n,) bool, whether the parcel's label was underneath on the belt.
    """
    xp = facts.xp
    hand = facts.picker
    setting_down = _setting_down(facts, parcel, posture, must_turn=must_turn)
    over_stand = setting_down.over_stand_w

    # the hand's goals, by skill; it may come to the stand once that is free, and the
    # other hand is out of the way
    may_come = facts.is_stand_free() & facts.is_clear_of_stand(facts.sorter)
    ready = for_each_world(xp, READY_W, like=over_stand)
    carried = xp.where(may_come[:, None], over_stand, ready)
    raised = with_z(xp, hand.pos_w, hand.pos_w[:, 2] + FREE_M)
    set_down_z = hand.pos_w[:, 2] - setting_down.height - PRESS_M
    set_down = with_z(xp, over_stand, set_down_z)

    # when each skill applies
    must_lift = is_held & must_lift_off_belt(facts, parcel)
    may_place = is_held & (setting_down.is_over | setting_down.is_being_lowered)
    may_release = is_held & setting_down.is_set_down
    return [  # the last row that applies wins
        Row("carry", when=is_held, goal_w=carried),
        Row("lift", when=must_lift, goal_w=raised),
        Row("place", when=may_place, goal_w=set_down),
        Row("release", when=may_release, goal_w=hand.pos_w),
    ]


def _setting_down(
    facts: ExpertFacts, parcel: Parcels, posture: Grip, must_turn: Array
) -> SettingDown:
    """Returns how near the held parcel is to standing on the stand.

    Args:
        facts: what the expert knows.
        parcel: the parcel in the hand.
        posture: the axes that the hand should have.
        must_turn: (n,) bool, whether the parcel's label was underneath on the belt.
    """
    xp = facts.xp
    hand = facts.picker
    stand_w = facts.stand_w

    # The goal of a hand that carries the parcel to the stand. A turned parcel will stand
    # on an end. The hand, which grips the parcel OFF_MIDDLE_M above the middle, will then
    # be `above_end` above that end.
    bottom_z = parcel.bottom_z()
    parcel_to_hand = hand.pos_w - parcel.pos_w
    above_end = parcel.size[:, 0] / 2 + OFF_MIDDLE_M
    above_bottom = xp.where(must_turn, above_end, hand.pos_w[:, 2] - bottom_z)
    carry_z = stand_w[:, 2] + CARRY_HEIGHT_M + above_bottom
    over_stand = with_z(xp, stand_w + parcel_to_hand, carry_z)

    # the parcel's horizontal distance from the stand's middle, and its height above the
    # stand
    offset_xy = (parcel.pos_w - stand_w)[:, :2]
    distance = norm(offset_xy)
    height = bottom_z - stand_w[:, 2]
    is_aligned = posture.alignment(hand) > PLACE_COS
    is_standing_on = xp.abs(height) < STANDING_ON_M
    return SettingDown(
        over_stand_w=over_stand,
        height=height,
        is_over=(distance < PLACE_M) & is_aligned,
        is_being_lowered=(distance < LOWERING_BESIDE_M) & (height < LOWERING_M),
        is_set_down=(distance < STANDING_ON_BESIDE_M) & is_standing_on,
    )
