"""Hand, parcels and grips as the expert of ParcelSort sees them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.arrays import array_namespace, dot
from embodied.core import Array
from embodied.envs.skills.scripted import Readings
from embodied.envs.tasks.parcel_sort.scene import BIN
from embodied.robots.parts.gripper import TIP_M
from embodied.rotations import cross, quat_from_rot6d

UP = (0.0, 0.0, 1.0)
FORWARD = (1.0, 0.0, 0.0)
# A label faces up if its direction is this near to straight up.
UP_COS = 0.97
# An axis is along a direction if it is within 45 degrees of it.
MOSTLY_COS = 0.7
# The least height of the grip above the floor: half a pad and a little.
ABOVE_FLOOR_M = 0.027
# How far a hand leans that will turn a parcel by a quarter: from upright to level the
# wrist would come to its limit.
LEAN_RAD = 0.35
# The grip is this far off the middle towards a label on an end, and at least this far
# from that end.
OFF_MIDDLE_M = 0.02
FROM_END_M = 0.025
# The TCP of a hand that holds a parcel is at most this far outside it, and the gripper
# at most this much wider.
AROUND_M = 0.006
WIDER_M = 0.003
# The width of a gripper that has let go.
OPEN_M = 0.074
# The vacuum of a cup that holds a parcel, and of one that has let go.
HELD_VACUUM = 0.5
LET_GO_VACUUM = 0.05
# The lip is pressed onto a parcel towards a goal this far below its upper side.
PRESS_M = 0.002
# Keeps divisors from being 0.
ALMOST_NOTHING = 1e-9


@dataclass(frozen=True)
class Hand:
    """The hand in n worlds: z is its approach, and fingers open along y."""

    pos_w: Array  # (n, 3) m, the TCP
    # the axes in the world, (n, 3) each
    x: Array
    y: Array
    z: Array
    is_cup: bool
    # (n,) width between the pads in m; of a cup its vacuum, from 0 to 1
    reading: Array

    @classmethod
    def read(cls, agent: Readings) -> Hand:
        """Returns the hand of an observation's proprioception."""
        x = agent["tcp_rot6d"][:, :3]
        y = agent["tcp_rot6d"][:, 3:]
        is_cup = "gripper_vacuum" in agent
        reading = agent["gripper_vacuum" if is_cup else "gripper_width"]
        return cls(
            pos_w=agent["tcp_pos_w"],
            x=x,
            y=y,
            z=cross(x, y),
            is_cup=is_cup,
            reading=reading[:, 0],
        )

    def is_closed(self) -> Array:
        """Returns (n,) bool, whether the gripper has not let go."""
        if self.is_cup:
            return self.reading > LET_GO_VACUUM
        return self.reading < OPEN_M

    def lean_rad(self) -> float:
        """Returns how far the hand leans that will turn a parcel; a lip lies flat."""
        return 0.0 if self.is_cup else LEAN_RAD


@dataclass(frozen=True)
class Parcels:
    """All K parcels of n worlds.

    The parcel that each world works on has the same fields without the axis K.
    """

    pos_w: Array  # (n, K, 3) m, of the middle
    vel_w: Array  # (n, K, 3) m/s
    # the axes along length, width and height, in the world, (n, K, 3) each
    x: Array
    y: Array
    z: Array
    size: Array  # (n, K, 3) m
    label: Array  # (n, K, 3) from the middle to the label, m
    bin_w: Array  # (n, K, 3) middle of the floor of the bin that it belongs in
    is_wanted: Array  # (n, K) bool
    is_scanned: Array  # (n, K) bool

    @classmethod
    def read(cls, state: Readings) -> Parcels:
        """Returns the parcels of an observation's privileged state."""
        xp = array_namespace(state["parcel_bin_xy_w"])

        def rows(name: str, width: int) -> Array:
            """Returns (n, K, width) from a part of the state, which is (n, K * width)."""
            return xp.reshape(state[name], (state[name].shape[0], -1, width))

        rot6d = rows("parcel_rot6d", 6)
        x = rot6d[..., :3]
        y = rot6d[..., 3:]
        bin_xy = rows("parcel_bin_xy_w", 2)
        bin_z = xp.full_like(bin_xy[..., :1], BIN.floor_z)  # which never varies
        return cls(
            pos_w=rows("parcel_pos_w", 3),
            vel_w=rows("parcel_vel_w", 3),
            x=x,
            y=y,
            z=cross(x, y),
            size=rows("parcel_size", 3),
            label=rows("label_w", 3),
            bin_w=xp.concat([bin_xy, bin_z], axis=2),
            is_wanted=state["parcel_wanted"] > 0.5,
            is_scanned=state["parcel_scanned"] > 0.5,
        )

    def one(self, which: Array) -> Parcels:
        """Returns the parcel `which` (n,) of each world."""
        rows = array_namespace(which).arange(which.shape[0])
        chosen = {name: values[rows, which] for name, values in vars(self).items()}
        return Parcels(**chosen)

    def bottom_z(self) -> Array:
        """Returns the height of each parcel's lowest corner, m."""
        xp = array_namespace(self.size)
        # how much of the parcel's height each of its three sides makes
        extents = [
            xp.abs(axis[..., 2]) * self.size[..., k]
            for k, axis in enumerate((self.x, self.y, self.z))
        ]
        return self.pos_w[..., 2] - sum(extents) / 2

    def label_way(self) -> Array:
        """Returns a unit vector out of each parcel's label."""
        xp = array_namespace(self.label)
        length = xp.sqrt(dot(self.label, self.label))
        return self.label / (length[..., None] + ALMOST_NOTHING)

    def is_label_up(self) -> Array:
        """Returns for each parcel, bool, whether its label can be read from above."""
        return self.label_way()[..., 2] > UP_COS

    def is_held(self, hand: Hand) -> Array:
        """Returns (n, K) bool, whether the gripper has closed on each parcel."""
        xp = array_namespace(self.size)
        # of a cup it is the lip that touches the parcel
        holds_at = hand.pos_w + TIP_M * hand.z if hand.is_cup else hand.pos_w
        offset = holds_at[:, None, :] - self.pos_w
        opens_along = hand.y[:, None, :]

        # whether that point is inside along each axis, and how wide the parcel is for
        # fingers
        is_inside = True
        extent = 0.0
        for k, axis in enumerate((self.x, self.y, self.z)):
            size = self.size[..., k]
            is_inside = is_inside & (xp.abs(dot(axis, offset)) < size / 2 + AROUND_M)
            extent = extent + xp.abs(dot(axis, opens_along)) * size
        if hand.is_cup:
            return is_inside & (hand.reading[:, None] > HELD_VACUUM)
        return is_inside & (hand.reading[:, None] < extent + WIDER_M)


@dataclass(frozen=True)
class Grip:
    """The pose of a hand that takes a parcel."""

    pos_w: Array  # (n, 3) m, the TCP
    # the hand's axes, (n, 3) each
    x: Array
    z: Array

    def alignment(self, hand: Hand) -> Array:
        """Returns the alignment (n,) of a hand: the cosine of the larger axis error."""
        xp = array_namespace(self.x)
        return xp.minimum(dot(self.x, hand.x), dot(self.z, hand.z))


def horizontal(vectors: Array) -> Array:
    """Returns the horizontal directions (n, 3) of vectors (n, 3)."""
    xp = array_namespace(vectors)
    level = vectors * xp.asarray([1.0, 1.0, 0.0])
    return level / (xp.sqrt(dot(level, level))[:, None] + ALMOST_NOTHING)


def left_of(way: Array) -> Array:
    """Returns horizontal directions (n, 3) turned to the left by a quarter turn."""
    xp: Any = array_namespace(way)
    return xp.stack([-way[:, 1], way[:, 0], xp.zeros_like(way[:, 0])], axis=1)


def quat_of_axes(x: Array, z: Array) -> Array:
    """Returns the rotation (n, 4) wxyz of a hand with these axes, (n, 3) each."""
    y = cross(z, x)
    return quat_from_rot6d(array_namespace(x).concat([x, y], axis=1))


def grip_of(
    hand: Hand,
    parcel: Parcels,
    aside: Array,
    is_standing: Array,
    back_m: float = 0.0,
) -> Grip:
    """Returns how a hand takes a parcel: from above, closing across its width.

    The hand's x axis points towards a label on an end.

    Args:
        hand: The hand, which tells fingers from a cup.
        parcel: The one to take in each of n worlds.
        aside: (n, 3) the horizontal direction in which a hand reaches for parcels that
            stand on an end.
        is_standing: (n,) bool, parcels that stand on an end, as they were set down.
        back_m: How far a hand with a nearer palm than the house's own stays back.
    """
    xp = array_namespace(aside)
    way = parcel.label_way()
    is_label_up = parcel.is_label_up()

    # the horizontal direction along the parcel, at a right angle to a side that is
    # level: its width, or its height if it lies on its side
    is_width_level = (xp.abs(parcel.y[:, 2]) < MOSTLY_COS)[:, None]
    along = left_of(horizontal(xp.where(is_width_level, parcel.y, parcel.z)))
    # of the two such directions take the one that is nearer to what is wanted
    forward = xp.broadcast_to(xp.asarray(FORWARD), aside.shape)
    wanted = xp.where(is_label_up[:, None], forward, way)
    wanted = xp.where(is_standing[:, None], aside, wanted)
    along = along * xp.where(dot(along, wanted) < 0, -1.0, 1.0)[:, None]

    # the position: off the middle towards a label on an end, and not too low for fingers
    is_on_end = xp.abs(dot(way, parcel.x)) > MOSTLY_COS
    towards_end = parcel.size[:, 0] / 2 - FROM_END_M
    offset = xp.where(is_on_end, xp.clip(towards_end, 0.0, OFF_MIDDLE_M), 0.0)
    pos = parcel.pos_w + way * offset[:, None]
    if not hand.is_cup:
        lowest = parcel.bottom_z() + ABOVE_FLOOR_M
        pos = xp.concat([pos[:, :2], xp.maximum(pos[:, 2], lowest)[:, None]], axis=1)

    # the axes: from above, leaning if the parcel will be turned; or from beside
    up = xp.broadcast_to(xp.asarray(UP), aside.shape)
    lean = xp.where(is_standing | is_label_up, 0.0, hand.lean_rad())[:, None]
    sin = xp.sin(lean)
    cos = xp.cos(lean)
    above = Grip(pos, x=cos * along - sin * up, z=-cos * up - sin * along)
    beside = level_grip(pos, along, hand.lean_rad())
    rows = is_standing[:, None]
    z = xp.where(rows, beside.z, above.z)
    grip = Grip(pos - back_m * z, x=xp.where(rows, beside.x, above.x), z=z)
    return _on_surface(grip, parcel) if hand.is_cup else grip


def _on_surface(grip: Grip, parcel: Parcels) -> Grip:
    """Returns a grip around a point inside a parcel as that of a cup.

    The hand moves back along its approach, until the lip lies on the parcel's side.
    """
    xp = array_namespace(parcel.size)
    # how far the parcel reaches towards the hand
    half: Any = 0.0
    for k, axis in enumerate((parcel.x, parcel.y, parcel.z)):
        half = half + xp.abs(dot(axis, grip.z)) * parcel.size[:, k] / 2
    back_m = half + TIP_M - PRESS_M
    return Grip(grip.pos_w - back_m[:, None] * grip.z, grip.x, grip.z)


def level_grip(pos_w: Array, along: Array, lean_rad: float = LEAN_RAD) -> Grip:
    """Returns a nearly level grip whose approach is the horizontal `along` (n, 3).

    It is that of a hand that leant by `lean_rad` as it took a parcel from above, and
    has turned it by a quarter.
    """
    xp = array_namespace(along)
    up = xp.broadcast_to(xp.asarray(UP), along.shape)
    sin = float(np.sin(lean_rad))
    cos = float(np.cos(lean_rad))
    return Grip(pos_w, x=sin * along + cos * up, z=cos * along - sin * up)
