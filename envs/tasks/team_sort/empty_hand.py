"""How an empty hand of TeamSort goes to a parcel and takes it from above."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import array_namespace, dot
from embodied.core import Array
from embodied.envs.skills.parcel_grip import (
    MOSTLY_COS,
    Grip,
    Hand,
    Parcels,
    horizontal,
    left_of,
)
from embodied.envs.skills.scripted import Row, is_skill, with_z
from embodied.envs.skills.two_hands import HandPlan

DOWN = (0.0, 0.0, -1.0)
UP = (0.0, 0.0, 1.0)
# The direction from the hand that picks to the hand that sorts. A parcel on the stand has
# its label on the side that faces in this direction, so that the sorting hand can turn the
# label up.
ONWARDS = (0.0, 1.0, 0.0)
# A grip is at most this far below the parcel's top, because deeper down the palm would hit
# the parcel.
BELOW_TOP_M = 0.028
# The least height of a grip above the parcel's underside: half a pad and a little.
ABOVE_BOTTOM_M = 0.027
# The hand approaches the grip if it is within NEAR_M of the line of approach and at most
# BEFORE_M before the grip.
NEAR_M = 0.016
BEFORE_M = 0.16
# The fingers close when the TCP is within this distance of the grip.
AT_GRIP_M = 0.009
# The least alignment of the hand with the grip (a cosine) for the approach.
APPROACH_COS = 0.98
# The least alignment for closing the fingers.
AT_GRIP_COS = 0.99
# The skills in which a hand holds a parcel, so that its fingers stay closed.
HOLDING_SKILLS = ("lift", "carry", "turn", "place")


@dataclass(frozen=True)
class ApproachPath:
    """The path of an empty hand to a grip: up, across above everything, and down.

    Attributes:
        hover_w: (n, 3) m, where the hand waits before the grip.
        waypoint_w: (n, 3) m, the next point on the way to `hover_w`; its height is not
            used.
        clear_z_w: the TCP height at which an empty hand clears everything, m.
        slack_m: a hand at most this far below `clear_z_w` need not rise.
        far_m: a hand farther than this from `hover_w`, horizontally, must be at the
            height `clear_z_w`.
        rise_more_m: a hand that must rise goes this far above `clear_z_w`.
    """

    hover_w: Array
    waypoint_w: Array
    clear_z_w: float
    slack_m: float
    far_m: float
    rise_more_m: float = 0.0


def rows_to_grip(
    hand: Hand, grip: Grip, path: ApproachPath, is_empty: Array, may_grasp: Array
) -> list[Row]:
    """Returns rows of a decision table: an empty hand goes to a grip and takes a parcel.

    Args:
        hand: the hand.
        grip: where the hand takes the parcel.
        path: the points and heights of the hand's path to the grip.
        is_empty: (n,) bool, whether the hand holds nothing.
        may_grasp: (n,) bool, whether the parcel may be taken.
    """
    xp: Any = array_namespace(hand.pos_w)
    hover = path.hover_w
    to_hover = (hover - hand.pos_w)[:, :2]
    is_far = dot(to_hover, to_hover) > path.far_m**2  # compares squared distances
    is_low = hand.pos_w[:, 2] < path.clear_z_w - path.slack_m

    # while the hand is far away, it travels above everything
    clear_z = xp.maximum(hover[:, 2], xp.full_like(hover[:, 2], path.clear_z_w))
    waypoint = with_z(xp, path.waypoint_w, clear_z)
    reach = xp.where(is_far[:, None], waypoint, hover)
    raised = with_z(xp, hand.pos_w, clear_z + path.rise_more_m)
    may_approach = is_empty & may_grasp & is_before_grip(hand, grip)
    return [  # the last row that applies wins
        Row("reach", when=is_empty, goal_w=reach),
        Row("grasp", when=may_approach, goal_w=grip.pos_w),
        Row("retreat", when=is_empty & is_far & is_low, goal_w=raised),
    ]


def is_at_grip(hand: Hand, grip: Grip) -> Array:
    """Returns (n,) bool, whether the hand is where its fingers may close."""
    error = hand.pos_w - grip.pos_w
    is_aligned = grip.alignment(hand) > AT_GRIP_COS
    return (dot(error, error) < AT_GRIP_M**2) & is_aligned


def is_before_grip(hand: Hand, grip: Grip) -> Array:
    """Returns (n,) bool, whether the hand is where it may approach the grip."""
    error = hand.pos_w - grip.pos_w
    # split into the part along the approach direction, which is negative before the grip,
    # and the part across it
    along = dot(error, grip.z)
    across = error - grip.z * along[:, None]
    is_on_line = dot(across, across) < NEAR_M**2
    is_aligned = grip.alignment(hand) > APPROACH_COS
    return is_on_line & (along > -BEFORE_M) & is_aligned


def grip_from_above(parcel: Parcels, preferred_x: Array) -> Grip:
    """Returns the grip of a hand that points down, its fingers across the parcel's width.

    Args:
        parcel: the parcel to take in each of n worlds.
        preferred_x: (n, 3), a horizontal direction. The hand's x axis may point either
            way along the parcel; the grip has the direction nearer to `preferred_x`.
    """
    xp: Any = array_namespace(preferred_x)
    # the horizontal direction along the parcel: perpendicular to its width, or to its
    # height if the parcel lies on its side
    is_width_level = (xp.abs(parcel.y[:, 2]) < MOSTLY_COS)[:, None]
    along = left_of(horizontal(xp.where(is_width_level, parcel.y, parcel.z)))
    along = along * xp.where(dot(along, preferred_x) < 0, -1.0, 1.0)[:, None]

    # at the height of the parcel's middle, but high enough for the palm to stay above the
    # parcel, and for the fingers to stay above what it lies on
    bottom_z = parcel.bottom_z()
    top_z = 2 * parcel.pos_w[:, 2] - bottom_z
    z = xp.maximum(parcel.pos_w[:, 2], top_z - BELOW_TOP_M)
    z = xp.maximum(z, bottom_z + ABOVE_BOTTOM_M)
    pos = with_z(xp, parcel.pos_w, z)
    return Grip(pos, x=along, z=for_each_world(xp, DOWN, like=pos))


def with_fingers(plan: HandPlan, may_close: Array) -> HandPlan:
    """Returns a plan whose gripper is closed to grasp and to hold, and open otherwise.

    Args:
        plan: the plan of one hand; its gripper command is replaced.
        may_close: (n,) bool, whether the hand is at its grip, so that a hand that grasps
            may close its fingers.
    """
    xp: Any = array_namespace(plan.skill)
    is_closed = is_skill(plan.skill, "grasp") & may_close
    for name in HOLDING_SKILLS:
        is_closed = is_closed | is_skill(plan.skill, name)
    return plan._replace(gripper=xp.where(is_closed, -1.0, 1.0))


def for_each_world(xp: Any, vector: tuple[float, float, float], like: Array) -> Array:
    """Returns a vector (3,), repeated to the shape (n, 3) of the array `like`."""
    return xp.broadcast_to(xp.asarray(vector), like.shape)
