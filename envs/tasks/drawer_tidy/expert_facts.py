"""The facts that the expert of DrawerTidy decides on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.skills.scripted import Readings
from embodied.envs.tasks.drawer_tidy.scene import DRAWERS_SIZE

# The drawer is open enough to go and get a thing.
OPEN_M = 0.165
# Things that take no part hang above this.
OVERHEAD_Z_W = 2.0
# Added to the positions of things that are in nobody's way.
NOWHERE_M = 10.0
# Two positions whose squared distance is less than this are those of one thing.
SAME_PLACE_M2 = 1e-12
# The hand is around a thing within these distances of its middle, horizontal and
# vertical.
AROUND_M = 0.022
AROUND_Z_M = 0.05
# A gripper holds a thing if its width is at most this much below or above the thing's.
NARROWER_M = 0.015
WIDER_M = 0.0025


@dataclass(frozen=True)
class Hand:
    """Where the hand is in n worlds."""

    tcp: Array  # (n, 3) m
    rot6d: Array  # (n, 6)
    width: Array  # (n,) m between the pads


@dataclass(frozen=True)
class Thing:
    """One named thing in each of n worlds."""

    pos: Array  # (n, 3) m
    rot6d: Array  # (n, 6)
    size: Array  # (n, 3) m
    is_round: Array  # (n,) bool
    is_held: Array  # (n,) bool
    is_inside: Array  # (n,) bool, in the named drawer, and let go
    top_z: Array  # (n,) m, of its highest corner


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand, drawer and things in n worlds."""

    hand: Hand
    drawer: Array  # (n, 3) m, the named drawer's frame
    opening: Array  # (n,) m
    thing: Thing  # the one to work on
    others: Array  # (n, K, 3) m, of the other things
    # (n,) m, top of the other named thing if that is in the drawer, else 0
    neighbour_top: Array
    share_in: Array  # (n,) the share of the named things that are in the drawer

    @property
    def is_all_in(self) -> Array:
        """(n,) bool, nothing is left to be put in: the share, in halves, is 1."""
        return self.share_in > 0.75

    @classmethod
    def read(cls, xp: Any, agent: Readings, state: Readings) -> ExpertFacts:
        """Returns the facts of an observation.

        An instruction that names one thing has it as the first and the second.
        """
        hand = Hand(
            tcp=agent["tcp_pos_w"],
            rot6d=agent["tcp_rot6d"],
            width=agent["gripper_width"][:, 0],
        )
        first = _named_thing(xp, hand, state, 0)
        second = _named_thing(xp, hand, state, 1)
        is_second = _is_second_next(first, second)
        # field by field the one to work on
        fields = {}
        for name, value in vars(second).items():
            fields[name] = _choose_rows(xp, is_second, value, getattr(first, name))
        thing = Thing(**fields)

        # the other named thing, which is a neighbour only once it is in the drawer
        is_other_inside = xp.where(is_second, first.is_inside, second.is_inside)
        other_top = xp.where(is_second, first.top_z, second.top_z)
        return cls(
            hand=hand,
            drawer=state["drawer_pos_w"],
            opening=state["opening"][:, 0],
            thing=thing,
            others=_others(xp, state["things_pos_w"], thing.pos),
            neighbour_top=xp.where(is_other_inside, other_top, 0.0),
            share_in=(1.0 * first.is_inside + 1.0 * second.is_inside) / 2,
        )


def _named_thing(xp: Any, hand: Hand, state: Readings, k: int) -> Thing:
    """Returns the k-th of the two named things, counted from 0."""
    pos = state["target_pos_w"][:, 3 * k : 3 * k + 3]
    rot6d = state["target_rot6d"][:, 6 * k : 6 * k + 6]
    size = state["target_size"][:, 3 * k : 3 * k + 3]

    is_held = _is_held(xp, hand, pos, rot6d, size)

    # what is held over the drawer does not lie in it yet
    return Thing(
        pos=pos,
        rot6d=rot6d,
        size=size,
        is_round=state["target_round"][:, k] > 0.5,
        is_held=is_held,
        is_inside=_is_inside(pos - state["drawer_pos_w"]) & ~is_held,
        top_z=pos[:, 2] + _half_height(xp, rot6d, size),
    )


def _is_second_next(first: Thing, second: Thing) -> Array:
    """Returns (n,) bool, whether the second named thing is the one to work on.

    That is the one in the hand, or else the lower one of those not yet in the drawer:
    the hand that brings the other must stay above it.
    """
    is_lower = second.size[:, 2] < first.size[:, 2]
    is_preferred = (first.is_inside | is_lower) & ~second.is_inside
    return second.is_held | is_preferred & ~first.is_held


def _choose_rows(xp: Any, is_chosen: Array, value: Array, otherwise: Array) -> Array:
    """Returns rows (n,) or (n, k) of `value` where `is_chosen`, else of `otherwise`."""
    rows = is_chosen if value.ndim == 1 else is_chosen[:, None]
    return xp.where(rows, value, otherwise)


def _others(xp: Any, things_pos_w: Array, pos: Array) -> Array:
    """Returns what may be in the way of a thing at `pos`: positions (n, K, 3) m.

    The thing itself and things that take no part are moved far away.
    """
    things = xp.reshape(things_pos_w, (pos.shape[0], -1, 3))
    gap = things - pos[:, None, :]
    is_itself = dot(gap, gap) < SAME_PLACE_M2
    is_nowhere = is_itself | (things[:, :, 2] > OVERHEAD_Z_W)
    return things + xp.where(is_nowhere, NOWHERE_M, 0.0)[:, :, None]


def _half_height(xp: Any, rot6d: Array, size: Array) -> Array:
    """Returns the height (n,) m of the highest corner above the middle of a box."""
    # how far up each of the three axes points; the third is the others' cross product
    third_z = rot6d[:, 0] * rot6d[:, 4] - rot6d[:, 1] * rot6d[:, 3]
    up = xp.abs(xp.stack([rot6d[:, 2], rot6d[:, 5], third_z], axis=1))
    return dot(up, size) / 2


def _is_held(xp: Any, hand: Hand, pos: Array, rot6d: Array, size: Array) -> Array:
    """Returns (n,) bool, whether the fingers are around a thing and closed on it."""
    # how far each of the thing's axes points along the hand's y, along which the
    # fingers open: cosines, whose squares add up to 1
    opens_along = hand.rot6d[:, 3:]
    x_cos = xp.abs(dot(rot6d[:, :3], opens_along))
    y_cos = xp.abs(dot(rot6d[:, 3:], opens_along))
    xy_cos = xp.stack([x_cos, y_cos], axis=1)
    z_cos2 = 1.0 - dot(xy_cos, xy_cos)
    z_cos = xp.sqrt(xp.maximum(z_cos2, xp.zeros_like(x_cos)))

    # the thing's width between the fingers: its size along the axis nearest to theirs
    axis = xp.argmax(xp.concat([xy_cos, z_cos[:, None]], axis=1), axis=1)
    span = size[xp.arange(size.shape[0]), axis]

    away = hand.tcp - pos
    is_around = xp.sqrt(dot(away[:, :2], away[:, :2])) < AROUND_M
    is_around = is_around & (xp.abs(away[:, 2]) < AROUND_Z_M)
    is_closed = hand.width < span + WIDER_M
    return is_around & is_closed & (hand.width > span - NARROWER_M)


def _is_inside(pos: Array) -> Array:
    """Returns (n,) bool, whether positions (n, 3) in the drawer's frame are inside."""
    low, high = DRAWERS_SIZE.inner
    within = (pos > low) & (pos < high)
    return within[:, 0] & within[:, 1] & within[:, 2]
