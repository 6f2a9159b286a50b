"""How a hand takes a parcel: what the planner of ParcelSort sees of hand and parcels,
and the grips that follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.arrays import array_namespace, dot
from embodied.core import Array
from embodied.envs.skills.scripted import Readings
from embodied.envs.tasks.parcel_sort.scene import BIN
from embodied.rotations import cross, quat_from_rot6d

UP = (0.0, 0.0, 1.0)
FORWARD = (1.0, 0.0, 0.0)
UP_COS = 0.97
MOSTLY_COS = 0.7  # of an axis that is nearer to a direction than to others
ABOVE_FLOOR_M = 0.027  # of the grip: half a pad and a little
# of a hand that will turn a parcel: level all the way, the wrist would come to its
# limit
LEAN_RAD = 0.35
# of the grip towards a label on an end, and at least from that end
OFF_MIDDLE_M = 0.02
FROM_END_M = 0.025
# of fingers around a parcel, and of a gripper that has closed on it
AROUND_M = 0.006
WIDER_M = 0.003
ALMOST_NOTHING = 1e-9  # keeps lengths from 0


@dataclass(frozen=True)
class Hand:
    """Where the hand is: its z is the approach, and the fingers open along its y."""

    pos_w: Array  # (n, 3)
    x: Array  # (n, 3)
    y: Array
    z: Array
    width: Array  # (n,) m

    @classmethod
    def read(cls, agent: Readings) -> Hand:
        x = agent["tcp_rot6d"][:, :3]
        y = agent["tcp_rot6d"][:, 3:]
        return cls(
            pos_w=agent["tcp_pos_w"],
            x=x,
            y=y,
            z=cross(x, y),
            width=agent["gripper_width"][:, 0],
        )


@dataclass(frozen=True)
class Parcels:
    """All K parcels of n worlds, or with one axis fewer the one that each world works
    on.
    """

    pos_w: Array  # (n, K, 3) m, of the middle
    vel_w: Array  # (n, K, 3) m/s
    x: Array  # (n, K, 3) axes: along length, width and height
    y: Array
    z: Array
    size: Array  # (n, K, 3) m
    label: Array  # (n, K, 3) from the middle to the label, m
    bin_w: Array  # (n, K, 3) middle of the floor of the bin that it belongs in
    is_wanted: Array  # (n, K) bool
    is_scanned: Array  # (n, K) bool

    @classmethod
    def read(cls, state: Readings) -> Parcels:
        xp = array_namespace(state["parcel_bin_xy_w"])

        def rows(name: str, width: int) -> Array:
            return xp.reshape(state[name], (state[name].shape[0], -1, width))

        rot6d = rows("parcel_rot6d", 6)
        x = rot6d[..., :3]
        y = rot6d[..., 3:]
        bin_xy = rows("parcel_bin_xy_w", 2)
        bin_z = xp.full_like(bin_xy[..., :1], BIN.floor_z)
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
        """Returns of each world the parcel `which` (n,)."""
        rows = array_namespace(which).arange(which.shape[0])
        chosen = {name: values[rows, which] for name, values in vars(self).items()}
        return Parcels(**chosen)

    def bottom_z(self) -> Array:
        """m, of the lowest corner."""
        xp = array_namespace(self.size)
        extents = [
            xp.abs(axis[..., 2]) * self.size[..., k]
            for k, axis in enumerate((self.x, self.y, self.z))
        ]
        return self.pos_w[..., 2] - sum(extents) / 2

    def label_way(self) -> Array:
        """Unit vectors out of the labels."""
        xp = array_namespace(self.label)
        length = xp.sqrt(dot(self.label, self.label))
        return self.label / (length[..., None] + ALMOST_NOTHING)

    def is_label_up(self) -> Array:
        """bool, whether the label can be read from above."""
        return self.label_way()[..., 2] > UP_COS

    def is_held(self, hand: Hand) -> Array:
        """(n, K) bool, whether the fingers have closed on it."""
        xp = array_namespace(self.size)
        offset = hand.pos_w[:, None, :] - self.pos_w
        opens_along = hand.y[:, None, :]

        is_inside = True
        extent = 0.0  # along the hand's opening
        for k, axis in enumerate((self.x, self.y, self.z)):
            size = self.size[..., k]
            is_inside = is_inside & (xp.abs(dot(axis, offset)) < size / 2 + AROUND_M)
            extent = extent + xp.abs(dot(axis, opens_along)) * size
        return is_inside & (hand.width[:, None] < extent + WIDER_M)


@dataclass(frozen=True)
class Grip:
    """Where the hand takes a parcel: x and z are the hand's axes there."""

    pos_w: Array  # (n, 3)
    x: Array
    z: Array

    def alignment(self, hand: Hand) -> Array:
        """(n,) cosine of the larger of the two angles by which the hand's axes are off."""
        xp = array_namespace(self.x)
        return xp.minimum(dot(self.x, hand.x), dot(self.z, hand.z))


def horizontal(vectors: Array) -> Array:
    """(n, 3) the horizontal directions of vectors (n, 3)."""
    xp = array_namespace(vectors)
    level = vectors * xp.asarray([1.0, 1.0, 0.0])
    return level / (xp.sqrt(dot(level, level))[:, None] + ALMOST_NOTHING)


def left_of(way: Array) -> Array:
    """(n, 3) horizontal directions turned left by a quarter."""
    xp: Any = array_namespace(way)
    return xp.stack([-way[:, 1], way[:, 0], xp.zeros_like(way[:, 0])], axis=1)


def quat_of_axes(x: Array, z: Array) -> Array:
    """(n, 4) wxyz of the hand whose axes are x and z."""
    return quat_from_rot6d(array_namespace(x).concat([x, cross(z, x)], axis=1))


def grip_of(parcel: Parcels, aside: Array, is_standing: Array) -> Grip:
    """Returns how the hand takes a parcel: from above across the width, its x towards a
    label on an end.

    Args:
        parcel: The one to take in each of n worlds.
        aside: (n, 3) horizontal, along which the hand is level for those that stand.
        is_standing: (n,) bool, parcels that stand on an end, as they were set down.
    """
    xp = array_namespace(aside)
    way = parcel.label_way()
    is_label_up = parcel.is_label_up()

    # along the parcel, of both directions the one that is wanted
    is_on_back = (xp.abs(parcel.y[:, 2]) < MOSTLY_COS)[:, None]
    along = left_of(horizontal(xp.where(is_on_back, parcel.y, parcel.z)))
    forward = xp.broadcast_to(xp.asarray(FORWARD), aside.shape)
    wanted = xp.where(is_label_up[:, None], forward, way)
    wanted = xp.where(is_standing[:, None], aside, wanted)
    along = along * xp.where(dot(along, wanted) < 0, -1.0, 1.0)[:, None]

    # towards a label on an end, and not too low
    is_on_end = xp.abs(dot(way, parcel.x)) > MOSTLY_COS
    towards_end = parcel.size[:, 0] / 2 - FROM_END_M
    offset = xp.where(is_on_end, xp.clip(towards_end, 0.0, OFF_MIDDLE_M), 0.0)
    pos = parcel.pos_w + way * offset[:, None]
    lowest = parcel.bottom_z() + ABOVE_FLOOR_M
    pos = xp.concat([pos[:, :2], xp.maximum(pos[:, 2], lowest)[:, None]], axis=1)

    # leaning where it will be turned
    up = xp.broadcast_to(xp.asarray(UP), aside.shape)
    lean = xp.where(is_standing | is_label_up, 0.0, LEAN_RAD)[:, None]
    sin = xp.sin(lean)
    cos = xp.cos(lean)
    above = Grip(pos, x=cos * along - sin * up, z=-cos * up - sin * along)
    beside = level_grip(pos, along)
    rows = is_standing[:, None]
    return Grip(
        pos,
        x=xp.where(rows, beside.x, above.x),
        z=xp.where(rows, beside.z, above.z),
    )


def level_grip(pos_w: Array, along: Array) -> Grip:
    """Returns a grip nearly level and along the horizontal `along` (n, 3): that of a
    hand which leant as it took a parcel from above and has turned it by a quarter.
    """
    xp = array_namespace(along)
    up = xp.broadcast_to(xp.asarray(UP), along.shape)
    sin = float(np.sin(LEAN_RAD))
    cos = float(np.cos(LEAN_RAD))
    return Grip(pos_w, x=sin * along + cos * up, z=cos * along - sin * up)
