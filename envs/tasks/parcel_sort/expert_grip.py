"""How a hand takes a parcel: what the planner of ParcelSort sees of hand and parcels,
and the grips it derives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.arrays import array_namespace, dot
from embodied.core import Array
from embodied.envs.tasks.parcel_sort.scene import BIN
from embodied.rotations import cross, quat_from_rot6d

UP = (0.0, 0.0, 1.0)
UP_COS = 0.97
ABOVE_FLOOR_M = 0.027  # of the grip: half a pad and a little
# of a hand that will turn a parcel: level all the way, the wrist would come to its
# limit
LEAN_RAD = 0.35
# of the grip towards a label on an end, and at least from that end
OFF_MIDDLE_M = 0.02
FROM_END_M = 0.025


@dataclass(frozen=True)
class Hand:
    """Where the hand is: its z is the approach, and the fingers open along its y."""

    pos_w: Array  # (n, 3)
    x: Array  # (n, 3)
    y: Array
    z: Array
    width: Array  # (n,) m

    @classmethod
    def of(cls, agent: dict[str, Array]) -> Hand:
        x = agent["tcp_rot6d"][:, :3]
        y = agent["tcp_rot6d"][:, 3:]
        return cls(agent["tcp_pos_w"], x, y, cross(x, y), agent["gripper_width"][:, 0])


@dataclass(frozen=True)
class Parcels:
    """All K parcels of n worlds, or with one axis fewer the one that each world works
    on.
    """

    pos_w: Array  # (n, K, 3) of the middle
    vel_w: Array
    x: Array  # (n, K, 3) axes: along length, width and height
    y: Array
    z: Array
    size: Array  # (n, K, 3) m
    label: Array  # (n, K, 3) from the middle to the label, m
    bin_w: Array  # (n, K, 3) middle of the floor of the bin that it belongs in
    wanted: Array  # (n, K) bool
    scanned: Array  # (n, K) bool

    @classmethod
    def of(cls, state: dict[str, Array]) -> Parcels:
        xp = array_namespace(state["parcel_bin_xy_w"])

        def rows(name: str, width: int) -> Array:
            return xp.reshape(state[name], (state[name].shape[0], -1, width))

        rot6d = rows("parcel_rot6d", 6)
        x = rot6d[..., :3]
        y = rot6d[..., 3:]
        bin_xy = rows("parcel_bin_xy_w", 2)
        bin_w = xp.concat([bin_xy, xp.full_like(bin_xy[..., :1], BIN.floor_z)], axis=2)
        return cls(
            rows("parcel_pos_w", 3), rows("parcel_vel_w", 3), x, y, cross(x, y), rows("parcel_size", 3),
            rows("label_w", 3), bin_w, state["parcel_wanted"] > 0.5, state["parcel_scanned"] > 0.5,
        )  # fmt: skip

    def one(self, which: Array) -> Parcels:
        """Of each world the parcel `which` (n,)."""
        rows = array_namespace(which).arange(which.shape[0])
        return Parcels(
            **{name: values[rows, which] for name, values in vars(self).items()}
        )

    def bottom_z(self) -> Array:
        """m, of the lowest corner."""
        xp = array_namespace(self.size)
        size = self.size
        up = [xp.abs(axis[..., 2]) for axis in (self.x, self.y, self.z)]
        return self.pos_w[..., 2] - sum(up[k] * size[..., k] for k in range(3)) / 2

    def label_way(self) -> Array:
        """Unit vectors out of the labels."""
        xp = array_namespace(self.label)
        return self.label / (xp.sqrt(dot(self.label, self.label))[..., None] + 1e-9)

    def label_up(self) -> Array:
        """Whether the label can be read from above."""
        return self.label_way()[..., 2] > UP_COS

    def held(self, hand: Hand) -> Array:
        """(n, K) bool, whether the fingers have closed on it."""
        xp = array_namespace(self.size)
        offset = hand.pos_w[:, None, :] - self.pos_w
        axes = (self.x, self.y, self.z)
        inside = True
        extent = 0.0
        for k, axis in enumerate(axes):
            inside = inside & (
                xp.abs(dot(axis, offset)) < self.size[..., k] / 2 + 0.006
            )
            extent = extent + xp.abs(dot(axis, hand.y[:, None, :])) * self.size[..., k]
        return inside & (hand.width[:, None] < extent + 0.003)


@dataclass(frozen=True)
class Grip:
    """Where the hand takes a parcel: x and z are the hand's axes there."""

    pos_w: Array  # (n, 3)
    x: Array
    z: Array

    def align(self, hand: Hand) -> Array:
        """(n,) cosine of the larger of the two angles by which the hand's axes are off."""
        xp = array_namespace(self.x)
        return xp.minimum(dot(self.x, hand.x), dot(self.z, hand.z))


def flat(vector: Array) -> Array:
    """The horizontal direction of (n, 3) vectors."""
    xp = array_namespace(vector)
    level = vector * xp.asarray([1.0, 1.0, 0.0])
    return level / (xp.sqrt(dot(level, level))[:, None] + 1e-9)


def left_of(way: Array) -> Array:
    """(n, 3) horizontal directions turned left by a quarter."""
    xp: Any = array_namespace(way)
    return xp.stack([-way[:, 1], way[:, 0], xp.zeros_like(way[:, 0])], axis=1)


def quat_of(x: Array, z: Array) -> Array:
    """(n, 4) of the hand whose axes are x and z."""
    return quat_from_rot6d(array_namespace(x).concat([x, cross(z, x)], axis=1))


def grip_of(parcel: Parcels, aside: Array, standing: Array) -> Grip:
    """From above across the width, the hand's x towards a label on an end; or, where a
    parcel is `standing` (n,) on its end, level and along `aside` (n, 3), which is how
    it was set down.
    """
    xp = array_namespace(aside)
    up = xp.broadcast_to(xp.asarray(UP), aside.shape)
    across = xp.where((xp.abs(parcel.y[:, 2]) < 0.7)[:, None], parcel.y, parcel.z)
    along = left_of(flat(across))
    way = parcel.label_way()
    label_up = parcel.label_up()
    forward = xp.broadcast_to(xp.asarray([1.0, 0.0, 0.0]), aside.shape)
    wanted = xp.where(
        standing[:, None], aside, xp.where(label_up[:, None], forward, way)
    )
    along = along * xp.where(dot(along, wanted) < 0, -1.0, 1.0)[:, None]
    on_end = xp.abs(dot(way, parcel.x)) > 0.7
    offset = xp.where(
        on_end, xp.clip(parcel.size[:, 0] / 2 - FROM_END_M, 0.0, OFF_MIDDLE_M), 0.0
    )
    pos = parcel.pos_w + way * offset[:, None]
    lowest = parcel.bottom_z() + ABOVE_FLOOR_M
    pos = xp.concat([pos[:, :2], xp.maximum(pos[:, 2], lowest)[:, None]], axis=1)
    lean = xp.where(standing | label_up, 0.0, LEAN_RAD)[:, None]
    sin = xp.sin(lean)
    cos = xp.cos(lean)
    above = Grip(pos, cos * along - sin * up, -cos * up - sin * along)
    beside = aside_grip(pos, along)
    rows = standing[:, None]
    return Grip(
        pos, xp.where(rows, beside.x, above.x), xp.where(rows, beside.z, above.z)
    )


def aside_grip(pos_w: Array, along: Array) -> Grip:
    """Nearly level and along the horizontal `along` (n, 3): a hand that leant as it
    took a parcel from above and that has turned it by a quarter.
    """
    xp = array_namespace(along)
    up = xp.broadcast_to(xp.asarray(UP), along.shape)
    sin = float(np.sin(LEAN_RAD))
    cos = float(np.cos(LEAN_RAD))
    return Grip(pos_w, sin * along + cos * up, cos * along - sin * up)
