"""Hand, parcels and grips as the experts that sort parcels see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.arrays import array_namespace, dot
from embodied.core import Array
from embodied.envs.skills.scripted import Readings
from embodied.robots.parts.gripper import TIP_M
from embodied.rotations import cross, quat_from_rot6d

UP = (0.0, 0.0, 1.0)
FORWARD = (1.0, 0.0, 0.0)
# The cosine of the largest angle between a label that can be read and straight up.
UP_COS = 0.97
# An axis is along a direction if it is within 45 degrees of it.
MOSTLY_COS = 0.7
# The least height of the grip above the parcel's underside: half a pad and a little.
ABOVE_FLOOR_M = 0.027
# The hand leans by this angle when it takes a parcel that it will rotate by 90 degrees.
# From upright, the wrist would reach its limit in that rotation.
LEAN_RAD = 0.35
# If the label is on an end, the grip is this far off the centre towards it, but at least
# FROM_END_M from the end.
OFF_MIDDLE_M = 0.02
FROM_END_M = 0.025
# A parcel is held if the TCP is at most AROUND_M outside it, and the gripper at most
# WIDER_M wider than it.
AROUND_M = 0.006
WIDER_M = 0.003
# A gripper narrower than this has not let go yet.
OPEN_M = 0.074
# A suction cup with a vacuum above this holds a parcel.
HELD_VACUUM = 0.5
# A suction cup with a vacuum below this has let go.
LET_GO_VACUUM = 0.05
# The lip is pressed onto a parcel towards a goal this far below its upper side.
PRESS_M = 0.002
# Keeps divisors from being 0.
ALMOST_NOTHING = 1e-9


@dataclass(frozen=True)
class Hand:
    """The hand in n worlds. Its z axis is the approach; fingers open along y."""

    pos_w: Array  # (n, 3) m, the TCP
    # the axes in the world, (n, 3) each
    x: Array
    y: Array
    z: Array
    is_cup: bool
    # (n,) the width between the pads in m, or the vacuum of a suction cup, from 0 to 1
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
        """Returns the lean of a hand that will rotate a parcel; a cup must not lean."""
        return 0.0 if self.is_cup else LEAN_RAD


@dataclass(frozen=True)
class Parcels:
    """All K parcels of n worlds, or one parcel per world.

    In the latter case, as returned by `one`, the arrays have no axis K.
    """

    pos_w: Array  # (n, K, 3) m, of the centre
    vel_w: Array  # (n, K, 3) m/s
    # the axes along length, width and height, in the world, (n, K, 3) each
    x: Array
    y: Array
    z: Array
    size: Array  # (n, K, 3) m
    label: Array  # (n, K, 3) m, from the centre to the label, along world axes
    bin_w: Array  # (n, K, 3) m, centre of the floor of the parcel's bin
    is_wanted: Array  # (n, K) bool
    is_scanned: Array  # (n, K) bool

    @classmethod
    def read(cls, state: Readings, bin_z_w: float) -> Parcels:
        """Returns the parcels of an observation's privileged state.

        Args:
            state: the privileged state.
            bin_z_w: height of the bins' floors, a constant that is not in the state.
        """
        xp = array_namespace(state["parcel_bin_xy_w"])

        def per_parcel(name: str, width: int) -> Array:
            """Returns an entry of the state, (n, K * width), as (n, K, width)."""
            return xp.reshape(state[name], (state[name].shape[0], -1, width))

        rot6d = per_parcel("parcel_rot6d", 6)
        x = rot6d[..., :3]
        y = rot6d[..., 3:]
        bin_xy = per_parcel("parcel_bin_xy_w", 2)
        bin_z = xp.full_like(bin_xy[..., :1], bin_z_w)
        return cls(
            pos_w=per_parcel("parcel_pos_w", 3),
            vel_w=per_parcel("parcel_vel_w", 3),
            x=x,
            y=y,
            z=cross(x, y),
            size=per_parcel("parcel_size", 3),
            label=per_parcel("label_w", 3),
            bin_w=xp.concat([bin_xy, bin_z], axis=2),
            is_wanted=state["parcel_wanted"] > 0.5,
            is_scanned=state["parcel_scanned"] > 0.5,
        )

    def one(self, index: Array) -> Parcels:
        """Returns one parcel of each world: the one with its `index` (n,)."""
        worlds = array_namespace(index).arange(index.shape[0])
        chosen = {name: values[worlds, index] for name, values in vars(self).items()}
        return Parcels(**chosen)

    def bottom_z(self) -> Array:
        """Returns the height of each parcel's lowest corner, m."""
        xp = array_namespace(self.size)
        # the contribution of each of its three edges to the parcel's height
        extents = [
            xp.abs(axis[..., 2]) * self.size[..., k]
            for k, axis in enumerate((self.x, self.y, self.z))
        ]
        return self.pos_w[..., 2] - sum(extents) / 2

    def label_direction(self) -> Array:
        """Returns a unit vector per parcel: the outward normal of its label."""
        xp = array_namespace(self.label)
        length = xp.sqrt(dot(self.label, self.label))
        return self.label / (length[..., None] + ALMOST_NOTHING)

    def is_label_up(self) -> Array:
        """Returns for each parcel, bool, whether its label can be read from above."""
        return self.label_direction()[..., 2] > UP_COS

    def is_held(self, hand: Hand) -> Array:
        """Returns (n, K) bool, whether the gripper has closed on each parcel."""
        xp = array_namespace(self.size)
        # a suction cup holds with its lip, which is TIP_M beyond the TCP
        contact_w = hand.pos_w + TIP_M * hand.z if hand.is_cup else hand.pos_w
        offset = contact_w[:, None, :] - self.pos_w
        hand_y = hand.y[:, None, :]  # the fingers open along it

        # axis by axis: whether that point is inside the parcel, and the parcel's width
        # along hand_y
        is_inside = True
        width = 0.0
        for k, axis in enumerate((self.x, self.y, self.z)):
            size = self.size[..., k]
            is_inside = is_inside & (xp.abs(dot(axis, offset)) < size / 2 + AROUND_M)
            width = width + xp.abs(dot(axis, hand_y)) * size
        if hand.is_cup:
            return is_inside & (hand.reading[:, None] > HELD_VACUUM)
        return is_inside & (hand.reading[:, None] < width + WIDER_M)


@dataclass(frozen=True)
class Grip:
    """The pose of a hand that takes a parcel."""

    pos_w: Array  # (n, 3) m, the TCP
    # the hand's axes, (n, 3) each
    x: Array
    z: Array

    def alignment(self, hand: Hand) -> Array:
        """Returns the alignment (n,) of a hand with this grip, at most 1.

        It is the cosine of the larger of the angles between their x and their z axes.
        """
        xp = array_namespace(self.x)
        return xp.minimum(dot(self.x, hand.x), dot(self.z, hand.z))


def horizontal(vectors: Array) -> Array:
    """Returns the horizontal directions (n, 3) of vectors (n, 3)."""
    xp = array_namespace(vectors)
    level = vectors * xp.asarray([1.0, 1.0, 0.0])
    return level / (xp.sqrt(dot(level, level))[:, None] + ALMOST_NOTHING)


def left_of(direction: Array) -> Array:
    """Returns horizontal directions (n, 3), rotated by 90 degrees to the left."""
    xp: Any = array_namespace(direction)
    x = direction[:, 0]
    y = direction[:, 1]
    return xp.stack([-y, x, xp.zeros_like(x)], axis=1)


def quat_of_axes(x: Array, z: Array) -> Array:
    """Returns the rotation (n, 4) wxyz of a hand with these axes, (n, 3) each."""
    y = cross(z, x)
    return quat_from_rot6d(array_namespace(x).concat([x, y], axis=1))


def grip_of(
    hand: Hand,
    parcel: Parcels,
    side_approach: Array,
    is_standing: Array,
    back_m: float = 0.0,
) -> Grip:
    """Returns the grip on a parcel: from above, or from the side if it stands on an end.

    From above, the fingers are across its width. If the label is on an end, the hand's x
    axis points towards it.

    Args:
        hand: The hand, with fingers or with a suction cup.
        parcel: One parcel in each of n worlds.
        side_approach: (n, 3) horizontal approach direction for parcels that stand.
        is_standing: (n,) bool, parcels that stand on an end on the
            scanner's plate.
        back_m: How far the TCP stays back from the parcel, against the approach. Hands
            need it whose palm is nearer to the finger tips than the Franka hand's.
    """
    xp = array_namespace(side_approach)
    label = parcel.label_direction()
    is_label_up = parcel.is_label_up()

    # the horizontal direction along the parcel: perpendicular to its width, or to its
    # height if the parcel lies on its side
    is_width_level = (xp.abs(parcel.y[:, 2]) < MOSTLY_COS)[:, None]
    along = left_of(horizontal(xp.where(is_width_level, parcel.y, parcel.z)))
    # it has two opposite directions; choose the one nearer to the preferred direction
    forward = xp.broadcast_to(xp.asarray(FORWARD), side_approach.shape)
    preferred = xp.where(is_label_up[:, None], forward, label)
    preferred = xp.where(is_standing[:, None], side_approach, preferred)
    along = along * xp.where(dot(along, preferred) < 0, -1.0, 1.0)[:, None]

    # the position: off the centre towards a label on an end, and not too low for fingers
    is_label_on_end = xp.abs(dot(label, parcel.x)) > MOSTLY_COS
    max_offset = parcel.size[:, 0] / 2 - FROM_END_M
    offset = xp.where(is_label_on_end, xp.clip(max_offset, 0.0, OFF_MIDDLE_M), 0.0)
    pos = parcel.pos_w + label * offset[:, None]
    if not hand.is_cup:
        lowest_z = parcel.bottom_z() + ABOVE_FLOOR_M
        pos = xp.concat([pos[:, :2], xp.maximum(pos[:, 2], lowest_z)[:, None]], axis=1)

    # the axes: from above, leaning if the parcel will be rotated; or from the side
    up = xp.broadcast_to(xp.asarray(UP), side_approach.shape)
    lean = xp.where(is_standing | is_label_up, 0.0, hand.lean_rad())[:, None]
    sin = xp.sin(lean)
    cos = xp.cos(lean)
    from_above = Grip(pos, x=cos * along - sin * up, z=-cos * up - sin * along)
    from_side = level_grip(pos, along, hand.lean_rad())
    stands = is_standing[:, None]
    z = xp.where(stands, from_side.z, from_above.z)
    grip = Grip(pos - back_m * z, x=xp.where(stands, from_side.x, from_above.x), z=z)
    return _on_surface(grip, parcel) if hand.is_cup else grip


def _on_surface(grip: Grip, parcel: Parcels) -> Grip:
    """Returns the grip of a suction cup, from a grip around a point inside a parcel.

    The hand moves back along its approach until the lip lies on the parcel's surface.
    """
    xp = array_namespace(parcel.size)
    # half the parcel's extent along the approach
    half: Any = 0.0
    for k, axis in enumerate((parcel.x, parcel.y, parcel.z)):
        half = half + xp.abs(dot(axis, grip.z)) * parcel.size[:, k] / 2
    back_m = half + TIP_M - PRESS_M
    return Grip(grip.pos_w - back_m[:, None] * grip.z, grip.x, grip.z)


def level_grip(pos_w: Array, along: Array, lean_rad: float = LEAN_RAD) -> Grip:
    """Returns a nearly level grip that approaches along the direction `along` (n, 3).

    The approach is `lean_rad` below the horizontal: a hand that took a parcel from above
    leaning by this angle has this grip after a rotation by 90 degrees.
    """
    xp = array_namespace(along)
    up = xp.broadcast_to(xp.asarray(UP), along.shape)
    sin = float(np.sin(lean_rad))
    cos = float(np.cos(lean_rad))
    return Grip(pos_w, x=sin * along + cos * up, z=cos * along - sin * up)
