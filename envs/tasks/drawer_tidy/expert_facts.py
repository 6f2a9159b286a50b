"""The facts that the expert of DrawerTidy decides on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.skills.scripted import Readings
from embodied.envs.tasks.drawer_tidy.scene import DRAWERS_SIZE

# When the drawer is open at least this far, the hand need not pull it, and fetches a thing.
OPEN_M = 0.165
# Things that take no part in the episode are parked above this height.
OVERHEAD_Z_W = 2.0
# Added to each coordinate of things that are no obstacle, to move them out of the way.
FAR_OFFSET_M = 10.0
# Two positions with a squared distance below this (m2) belong to the same thing.
SAME_PLACE_M2 = 1e-12
# The fingers are around a thing if the TCP is within this distance of its middle,
# horizontally and vertically.
AROUND_M = 0.022
AROUND_Z_M = 0.05
# The gripper holds a thing if it is at most this much narrower or wider than the thing.
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
    is_inside: Array  # (n,) bool, it lies in the named drawer and is not held
    top_z: Array  # (n,) m, of its highest corner


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand, drawer and things in n worlds."""

    hand: Hand
    drawer: Array  # (n, 3) m, origin of the named drawer's frame
    opening: Array  # (n,) m, of the named drawer
    thing: Thing  # the named thing that the hand works on now
    others: Array  # (n, K, 3) m, positions of all other things
    # (n,) m, height of the other named thing's top if it lies in the drawer, otherwise 0
    neighbour_top: Array
    share_in: Array  # (n,) share of the named things that are in the drawer: 0, 0.5, 1

    @property
    def is_all_in(self) -> Array:
        """(n,) bool, all named things are in the drawer."""
        return self.share_in > 0.75  # between 0.5 (one of two) and 1 (all)

    @classmethod
    def read(cls, xp: Any, agent: Readings, state: Readings) -> ExpertFacts:
        """Returns the facts of an observation.

        If the instruction names only one thing, it is both the first and the second.
        """
        hand = Hand(
            tcp=agent["tcp_pos_w"],
            rot6d=agent["tcp_rot6d"],
            width=agent["gripper_width"][:, 0],
        )
        first = _named_thing(xp, hand, state, k=0)
        second = _named_thing(xp, hand, state, k=1)
        # the thing to work on now: in each world the fields of the first or the second
        is_second = _works_on_second(first, second)
        fields = {}
        for name, of_second in vars(second).items():
            of_first = getattr(first, name)
            fields[name] = _choose_rows(xp, is_second, of_second, otherwise=of_first)
        thing = Thing(**fields)

        # the other named thing is a neighbour only once it lies in the drawer
        is_other_inside = xp.where(is_second, first.is_inside, second.is_inside)
        other_top = xp.where(is_second, first.top_z, second.top_z)
        return cls(
            hand=hand,
            drawer=state["drawer_pos_w"],
            opening=state["opening"][:, 0],
            thing=thing,
            others=_obstacles_pos_w(xp, state["things_pos_w"], thing.pos),
            neighbour_top=xp.where(is_other_inside, other_top, 0.0),
            # the mean of two bools; a single named thing is both first and second
            share_in=(1.0 * first.is_inside + 1.0 * second.is_inside) / 2,
        )


def _named_thing(xp: Any, hand: Hand, state: Readings, k: int) -> Thing:
    """Returns the k-th of the two named things, counted from 0.

    Args:
        xp: the array namespace.
        hand: the hand, which may hold the thing.
        state: the privileged state.
        k: the index of the thing, 0 or 1.
    """
    pos = state["target_pos_w"][:, 3 * k : 3 * k + 3]
    rot6d = state["target_rot6d"][:, 6 * k : 6 * k + 6]
    size = state["target_size"][:, 3 * k : 3 * k + 3]

    is_held = _is_held(xp, hand, pos, rot6d=rot6d, size=size)

    # a thing that is held inside the drawer does not lie in it yet
    return Thing(
        pos=pos,
        rot6d=rot6d,
        size=size,
        is_round=state["target_round"][:, k] > 0.5,
        is_held=is_held,
        is_inside=_is_inside(pos - state["drawer_pos_w"]) & ~is_held,
        top_z=pos[:, 2] + _half_height(xp, rot6d, size),
    )


def _works_on_second(first: Thing, second: Thing) -> Array:
    """Returns (n,) bool: true to work on the second named thing, false for the first.

    A held thing comes before all else. If both things are still outside the drawer, the
    hand puts in the shorter one first, because its palm must stay above that thing when
    it puts in the taller one.
    """
    is_second_shorter = second.size[:, 2] < first.size[:, 2]
    is_second_next = (first.is_inside | is_second_shorter) & ~second.is_inside
    return second.is_held | (is_second_next & ~first.is_held)


def _choose_rows(xp: Any, is_chosen: Array, value: Array, otherwise: Array) -> Array:
    """Returns rows (n,) or (n, k) of `value` where `is_chosen`, else of `otherwise`."""
    rows = is_chosen if value.ndim == 1 else is_chosen[:, None]
    return xp.where(rows, value, otherwise)


def _obstacles_pos_w(xp: Any, things_pos_w: Array, pos: Array) -> Array:
    """Returns positions (n, K, 3) m of all things, as obstacles to the thing at `pos`.

    The thing itself and things that take no part are no obstacles, so they get positions
    far away.

    Args:
        xp: The array namespace.
        things_pos_w: (n, 3 K) m, of all things, one after another.
        pos: (n, 3) m, of the thing to which the others are obstacles.
    """
    things = xp.reshape(things_pos_w, (pos.shape[0], -1, 3))
    gap = things - pos[:, None, :]
    is_itself = dot(gap, gap) < SAME_PLACE_M2
    is_parked = things[:, :, 2] > OVERHEAD_Z_W
    return things + xp.where(is_itself | is_parked, FAR_OFFSET_M, 0.0)[:, :, None]


def _half_height(xp: Any, rot6d: Array, size: Array) -> Array:
    """Returns the height (n,) m of a box's highest corner above its middle."""
    # z components of the box's three axes; the third axis is the cross product of the
    # first two
    third_z = rot6d[:, 0] * rot6d[:, 4] - rot6d[:, 1] * rot6d[:, 3]
    axes_z = xp.abs(xp.stack([rot6d[:, 2], rot6d[:, 5], third_z], axis=1))
    return dot(axes_z, size) / 2


def _is_held(xp: Any, hand: Hand, pos: Array, rot6d: Array, size: Array) -> Array:
    """Returns (n,) bool, whether the fingers are around a thing and closed on it.

    Args:
        xp: the array namespace.
        hand: the hand.
        pos: (n, 3) m, the thing's middle.
        rot6d: (n, 6), the thing's x and y axes.
        size: (n, 3) m, the thing's size along its axes.
    """
    # cosines between the thing's axes and the hand's y axis, along which the fingers
    # open; their squares add up to 1
    hand_y = hand.rot6d[:, 3:]
    x_cos = xp.abs(dot(rot6d[:, :3], hand_y))
    y_cos = xp.abs(dot(rot6d[:, 3:], hand_y))
    xy_cos = xp.stack([x_cos, y_cos], axis=1)
    z_cos_squared = 1.0 - dot(xy_cos, xy_cos)
    z_cos = xp.sqrt(xp.maximum(z_cos_squared, xp.zeros_like(x_cos)))

    # the thing's width between the fingers: its size along the axis nearest to hand_y
    axis = xp.argmax(xp.concat([xy_cos, z_cos[:, None]], axis=1), axis=1)
    span = size[xp.arange(size.shape[0]), axis]

    # the fingers are around the thing, and as far apart as the thing is wide
    offset = hand.tcp - pos
    is_around = xp.sqrt(dot(offset[:, :2], offset[:, :2])) < AROUND_M
    is_around = is_around & (xp.abs(offset[:, 2]) < AROUND_Z_M)
    is_closed = hand.width < span + WIDER_M
    return is_around & is_closed & (hand.width > span - NARROWER_M)


def _is_inside(pos: Array) -> Array:
    """Returns (n,) bool, whether positions (n, 3) in the drawer's frame are inside."""
    low, high = DRAWERS_SIZE.inner
    within = (pos > low) & (pos < high)
    return within[:, 0] & within[:, 1] & within[:, 2]
