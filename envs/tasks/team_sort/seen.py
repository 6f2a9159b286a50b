"""What the expert of TeamSort sees: parcels, hands, and who may come to the rest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import any_of, array_namespace, dot
from embodied.core import Array
from embodied.envs.skills.parcel_grip import (
    MOSTLY_COS,
    Grip,
    Hand,
    Parcels,
    horizontal,
    left_of,
)
from embodied.envs.skills.scripted import Readings, Row, is_skill, with_z
from embodied.envs.skills.two_hands import HandPlan
from embodied.envs.tasks.team_sort.scene import BIN, REST, SCANNER

DOWN = (0.0, 0.0, -1.0)
UP = (0.0, 0.0, 1.0)
# From the hand that picks to the one that sorts: a parcel on the rest has its label on
# this side.
ONWARDS = (0.0, 1.0, 0.0)
# The largest offset of a parcel on the rest from its middle, and from its top.
ON_REST_M = 0.09
ON_REST_Z_M = 0.012
# The largest offset of a parcel in its bin from the bin's middle.
IN_BIN_M = 0.15
# A hand is out of the other's way where it is farther than this from the rest, and its
# wrist, which is this far behind it.
CLEAR_M = 0.19
WRIST_BACK_M = 0.18
# The highest that the parcel is above the grip, for the palm, and the least height of
# the grip above the floor: half a pad and a little.
BELOW_TOP_M = 0.028
ABOVE_FLOOR_M = 0.027
# The hand goes in if it is this near to the line of approach and to the grip.
NEAR_M = 0.016
BEFORE_M = 0.16
# The fingers close if the hand is this near to the grip.
ON_M = 0.009
# The least alignment of the hand: to go in, and to close.
ALIGNED_COS = 0.98
ON_COS = 0.99


@dataclass(frozen=True)
class Seen:
    """What is seen of n worlds: all K parcels, both hands, and the places."""

    xp: Any
    parcels: Parcels  # (n, K)
    sorter: Hand
    picker: Hand
    rest_w: Array  # (n, 3) m, middle of the rest's top
    plate_w: Array  # (n, 3) m, middle of the scanner's plate
    share_done: Array  # (n,) of the parcels
    # (n, K) bool each
    is_sorters: Array  # held by the hand that sorts
    is_pickers: Array  # held by the hand that picks
    is_on_rest: Array  # and held by none
    is_alone: bool  # one hand does all, so that there is no other to wait for

    @classmethod
    def read(
        cls,
        xp: Any,
        sorter: Hand,
        picker: Hand,
        state: Readings,
        is_alone: bool = False,
    ) -> Seen:
        """Returns what is seen in an observation."""
        parcels = Parcels.read(state, BIN.floor_z)
        rest_w = _at_height(xp, state["rest_xy_w"], REST.top_z)
        is_sorters = parcels.is_held(sorter)
        is_pickers = parcels.is_held(picker)
        is_held = is_sorters | is_pickers

        away = (parcels.pos_w - rest_w[:, None])[..., :2]
        height = parcels.bottom_z() - REST.top_z
        is_on_rest = (dot(away, away) < ON_REST_M**2) & (xp.abs(height) < ON_REST_Z_M)
        offset = parcels.pos_w - parcels.bin_w
        beside = dot(offset[..., :2], offset[..., :2])
        is_in_bin = (beside < IN_BIN_M**2) & (offset[..., 2] < BIN.height)

        # count by products with ones: `dot` adds in the same order for any n
        is_done = parcels.is_wanted & parcels.is_scanned & is_in_bin & ~is_held
        wanted = xp.where(parcels.is_wanted, 1.0, 0.0)
        ones = xp.ones_like(wanted)
        done = dot(xp.where(is_done, 1.0, 0.0), ones)
        return cls(
            xp=xp,
            parcels=parcels,
            sorter=sorter,
            picker=picker,
            rest_w=rest_w,
            plate_w=_at_height(xp, state["scanner_xy_w"], SCANNER.top_z),
            share_done=done / xp.maximum(dot(wanted, ones), ones[:, 0]),
            is_sorters=is_sorters,
            is_pickers=is_pickers,
            is_on_rest=is_on_rest & ~is_held,
            is_alone=is_alone,
        )

    def is_rest_free(self) -> Array:
        """Returns (n,) bool, whether no parcel is on the rest."""
        return ~any_of(self.is_on_rest)

    def is_clear(self, hand: Hand) -> Array:
        """Returns (n,) bool, whether a hand is out of the way at the rest."""
        is_clear = True
        for point_w in (hand.pos_w, hand.pos_w - WRIST_BACK_M * hand.z):
            away = (point_w - self.rest_w)[:, :2]
            is_clear = is_clear & (dot(away, away) > CLEAR_M**2)
        return is_clear | self.is_alone


@dataclass(frozen=True)
class Approach:
    """The way of an empty hand to a grip.

    Attributes:
        hover_w: (n, 3) m, where it waits, before the grip.
        next_w: (n, 3) m, the next point of the way there, at any height.
        clear_z_w: the height at which empty fingers clear everything, m.
        slack_m: how much lower will do.
        far_m: farther than this from `hover_w`, horizontally, it stays at that height.
        higher_m: how much higher it goes if it is too low.
    """

    hover_w: Array
    next_w: Array
    clear_z_w: float
    slack_m: float
    far_m: float
    higher_m: float = 0.0


def is_on(hand: Hand, grip: Grip) -> Array:
    """Returns (n,) bool, whether a hand is where its fingers may close."""
    error = hand.pos_w - grip.pos_w
    return (dot(error, error) < ON_M**2) & (grip.alignment(hand) > ON_COS)


def is_before(hand: Hand, grip: Grip) -> Array:
    """Returns (n,) bool, whether a hand is where it may go in to its grip."""
    error = hand.pos_w - grip.pos_w
    # along the approach, negative before the grip; and at a right angle to it
    ahead = dot(error, grip.z)
    beside = error - grip.z * ahead[:, None]
    is_near = (dot(beside, beside) < NEAR_M**2) & (ahead > -BEFORE_M)
    return is_near & (grip.alignment(hand) > ALIGNED_COS)


def approach(
    seen: Seen,
    hand: Hand,
    grip: Grip,
    way: Approach,
    is_empty: Array,
    may_grasp: Array,
) -> list[Row]:
    """Returns the rows of an empty hand that goes to a grip, and takes the parcel.

    Args:
        seen: what is seen.
        hand: the empty hand.
        grip: where it takes the parcel.
        way: the points and heights of its way.
        is_empty: (n,) bool, whether it holds nothing.
        may_grasp: (n,) bool, whether the parcel may be taken.
    """
    xp = seen.xp
    hover = way.hover_w
    away = (hover - hand.pos_w)[:, :2]
    is_far = dot(away, away) > way.far_m**2

    # far from the grip, empty fingers clear everything
    clear_z = xp.maximum(hover[:, 2], xp.full_like(hover[:, 2], way.clear_z_w))
    over = with_z(xp, way.next_w, clear_z)
    is_low = hand.pos_w[:, 2] < way.clear_z_w - way.slack_m
    may_go_in = is_empty & may_grasp & is_before(hand, grip)
    up = with_z(xp, hand.pos_w, clear_z + way.higher_m)
    return [  # the last that applies wins
        Row("reach", when=is_empty, goal_w=xp.where(is_far[:, None], over, hover)),
        Row("grasp", when=may_go_in, goal_w=grip.pos_w),
        Row("retreat", when=is_empty & is_far & is_low, goal_w=up),
    ]


def grip_from_above(parcel: Parcels, towards: Array) -> Grip:
    """Returns how a hand takes a parcel from above, closing across its level width.

    Args:
        parcel: The one to take in each of n worlds.
        towards: (n, 3) the horizontal direction that the hand's x is to be near to.
    """
    xp: Any = array_namespace(towards)
    is_width_level = (xp.abs(parcel.y[:, 2]) < MOSTLY_COS)[:, None]
    along = left_of(horizontal(xp.where(is_width_level, parcel.y, parcel.z)))
    along = along * xp.where(dot(along, towards) < 0, -1.0, 1.0)[:, None]

    # as high as the palm lets it be, at most in the middle, and not too low
    bottom = parcel.bottom_z()
    top = 2 * parcel.pos_w[:, 2] - bottom
    z = xp.maximum(parcel.pos_w[:, 2], top - BELOW_TOP_M)
    z = xp.maximum(z, bottom + ABOVE_FLOOR_M)
    pos = xp.concat([parcel.pos_w[:, :2], z[:, None]], axis=1)
    return Grip(pos, x=along, z=every(xp, DOWN, pos))


def every(xp: Any, vector: tuple[float, float, float], like: Array) -> Array:
    """Returns a vector (3,) for each of n worlds, as the array `like` (n, 3)."""
    return xp.broadcast_to(xp.asarray(vector), like.shape)


def closing(
    xp: Any, plan: HandPlan, is_on_grip: Array, holding: tuple[str, ...]
) -> HandPlan:
    """Returns a plan whose fingers close at the grip, and hold in some skills."""
    is_closed = is_skill(plan.skill, "grasp") & is_on_grip
    for name in holding:
        is_closed = is_closed | is_skill(plan.skill, name)
    return plan._replace(gripper=xp.where(is_closed, -1.0, 1.0))


def _at_height(xp: Any, xy: Array, z: float) -> Array:
    """Returns points (n, 3) with these x and y (n, 2)."""
    return xp.concat([xy, xp.full_like(xy[:, :1], z)], axis=1)
