"""What experts that sort parcels compute with: the hand, the parcels, grips on them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.arrays import array_namespace, dot, norm
from embodied.core import Array
from embodied.envs.skills.scripted import Readings
from embodied.robots.parts.gripper import TIP_M
from embodied.rotations import cross, quat_from_rot6d

UP = (0.0, 0.0, 1.0)
FORWARD = (1.0, 0.0, 0.0)
# A label can be read from above if the cosine of the angle between its normal and
# straight up is above this: the angle is below 14 degrees.
UP_COS = 0.97
# An axis counts as along a direction if the angle between them is below about 45 degrees.
MOSTLY_COS = 0.7
# The least height of the TCP above the parcel's underside: a little more than half the
# height of the fingers' pads, so that these don't touch what the parcel lies on.
ABOVE_FLOOR_M = 0.027
# The hand leans by this angle when it takes a parcel that it will rotate by 90 degrees,
# because from upright the wrist would reach its limit in that rotation.
LEAN_RAD = 0.35
# On a parcel with the label on an end, the TCP is off the parcel's centre by OFF_MIDDLE_M
# towards that end, but stays at least FROM_END_M away from the end.
OFF_MIDDLE_M = 0.02
FROM_END_M = 0.025
# Fingers hold a parcel if the TCP is inside the parcel or at most AROUND_M outside it,
# and the gap between the fingers is at most WIDER_M wider than the parcel.
AROUND_M = 0.006
WIDER_M = 0.003
# A gripper narrower than this has not let go yet: it opens to 0.080 m.
OPEN_M = 0.074
# A suction cup with a vacuum above this holds a parcel.
HELD_VACUUM = 0.5
# A suction cup with a vacuum below this has let go.
LET_GO_VACUUM = 0.05
# The goal of a suction cup's lip is this far below the parcel's surface, so that the lip
# is pressed onto it.
PRESS_M = 0.002
# Added to divisors to keep them from being 0.
ALMOST_NOTHING = 1e-9


@dataclass(frozen=True)
class Hand:
    """The hand in n worlds, which approaches along its z axis; its fingers open along y."""

    pos_w: Array  # (n, 3) m, the TCP
    # unit vectors in the world along the hand's axes, (n, 3) each
    x: Array
    y: Array
    z: Array
    is_cup: bool  # whether the hand is a suction cup instead of fingers
    # (n,) the width between the fingers in m, or the cup's vacuum, from 0 to 1
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
        """Returns the angle by which the hand leans to take a parcel that it will rotate.

        The angle is 0 for a suction cup, whose lip must lie flat on the parcel.
        """
        return 0.0 if self.is_cup else LEAN_RAD


@dataclass(frozen=True)
class Parcels:
    """All K parcels of n worlds, or one parcel per world.

    The method `select` returns one parcel per world; then the arrays have no axis K.
    """

    pos_w: Array  # (n, K, 3) m, of the centre
    vel_w: Array  # (n, K, 3) m/s
    # unit vectors in the world along length, width and height, (n, K, 3) each
    x: Array
    y: Array
    z: Array
    size: Array  # (n, K, 3) m: length, width, height
    label: Array  # (n, K, 3) m, from the centre to the label, along world axes
    # (n, K, 3) m, centre of the floor of the bin that the parcel belongs in
    bin_w: Array
    is_wanted: Array  # (n, K) bool, whether the instruction asks for the parcel
    is_scanned: Array  # (n, K) bool, whether a scanner has read the label

    @classmethod
    def read(cls, state: Readings, bin_z_w: float) -> Parcels:
        """Returns the parcels of an observation's privileged state.

        Args:
            state: the entries of the privileged state.
            bin_z_w: height of the bins' floors in m, which the state does not contain.
        """
        xp = array_namespace(state["parcel_bin_xy_w"])

        def per_parcel(name: str, width: int) -> Array:
            """Returns an entry of the state, (n, K * width), as (n, K, width)."""
            return xp.reshape(state[name], (state[name].shape[0], -1, width))

        # (n, K, 3) each: the parcels' axes, and the centres of their bins
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
            # the state holds 0 or 1
            is_wanted=state["parcel_wanted"] > 0.5,
            is_scanned=state["parcel_scanned"] > 0.5,
        )

    def select(self, index: Array) -> Parcels:
        """Returns one parcel per world: in world i, the parcel number `index[i]`."""
        worlds = array_namespace(index).arange(index.shape[0])
        # name of a field -> its values for the chosen parcels
        chosen = {name: values[worlds, index] for name, values in vars(self).items()}
        return Parcels(**chosen)

    def bottom_z(self) -> Array:
        """Returns the height of each parcel's lowest corner, m."""
        xp = array_namespace(self.size)
        # how high the parcel extends as it lies: the sum of its edges' vertical extents
        edge_heights = [
            xp.abs(axis[..., 2]) * self.size[..., k]
            for k, axis in enumerate((self.x, self.y, self.z))
        ]
        return self.pos_w[..., 2] - sum(edge_heights) / 2

    def label_direction(self) -> Array:
        """Returns a unit vector per parcel: the outward normal of its label."""
        xp = array_namespace(self.label)
        length = xp.sqrt(dot(self.label, self.label))
        return self.label / (length[..., None] + ALMOST_NOTHING)

    def is_label_up(self) -> Array:
        """Returns for each parcel, bool, whether its label can be read from above."""
        return self.label_direction()[..., 2] > UP_COS

    def is_held(self, hand: Hand) -> Array:
        """Returns (n, K) bool, whether the hand holds each parcel."""
        xp = array_namespace(self.size)
        # the point of the hand that is inside a held parcel: the TCP between the fingers,
        # or the lip of a suction cup, which is TIP_M beyond the TCP
        contact_w = hand.pos_w + TIP_M * hand.z if hand.is_cup else hand.pos_w
        offset = contact_w[:, None, :] - self.pos_w
        hand_y = hand.y[:, None, :]  # the fingers open along this axis

        # is the contact point between the two faces across each axis of the parcel? And
        # how wide is the parcel between the fingers: the sum of its edges' extents along
        # hand_y
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
    """The goal pose of a hand that takes a parcel."""

    pos_w: Array  # (n, 3) m, the TCP
    # unit vectors in the world along the hand's axes, (n, 3) each
    x: Array
    z: Array

    def alignment(self, hand: Hand) -> Array:
        """Returns how well a hand is aligned with this grip, (n,) from -1 to 1.

        The alignment is the cosine of an angle: the angle between the x axes of hand
        and grip, or the angle between their z axes if that is larger.
        """
        xp = array_namespace(self.x)
        return xp.minimum(dot(self.x, hand.x), dot(self.z, hand.z))


def horizontal(vectors: Array) -> Array:
    """Returns the horizontal parts of vectors (n, 3) as unit vectors (n, 3)."""
    xp = array_namespace(vectors)
    level = vectors * xp.asarray([1.0, 1.0, 0.0])
    length = norm(level)[:, None]
    return level / (length + ALMOST_NOTHING)


def left_of(direction: Array) -> Array:
    """Returns horizontal directions (n, 3), rotated by 90 degrees to the left."""
    xp: Any = array_namespace(direction)
    x = direction[:, 0]
    y = direction[:, 1]
    return xp.stack([-y, x, xp.zeros_like(x)], axis=1)


def quat_of_axes(x: Array, z: Array) -> Array:
    """Returns the rotation (n, 4) wxyz of a hand from its x and z axes, (n, 3) each."""
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

    From above, the fingers close across the parcel's width. If the label is on an end,
    the hand's x axis points towards the label.

    Args:
        hand: The hand, with fingers or with a suction cup.
        parcel: One parcel in each of n worlds.
        side_approach: (n, 3) horizontal directions, in which the hand approaches parcels
            that stand.
        is_standing: (n,) bool, whether each parcel stands on an end on the scanner's
            plate.
        back_m: How far the TCP stays back from the parcel, against the approach. Hands
            need this whose palm is nearer to the fingertips than the Franka hand's palm.
    """
    xp = array_namespace(side_approach)
    label = parcel.label_direction()
    is_label_up = parcel.is_label_up()

    # the horizontal direction along the parcel: perpendicular to its width, or to its
    # height if the parcel lies on its side
    is_width_level = (xp.abs(parcel.y[:, 2]) < MOSTLY_COS)[:, None]
    along = left_of(horizontal(xp.where(is_width_level, parcel.y, parcel.z)))
    # `along` may as well point the opposite way: flip it if that is nearer to the
    # preferred direction
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

    # the axes: from above, leaning if the parcel will be rotated to turn its label up; or
    # from the side
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
    # half the parcel's extent along the approach: the sum over its three edges
    half_extent: Any = 0.0
    for k, axis in enumerate((parcel.x, parcel.y, parcel.z)):
        half_extent = half_extent + xp.abs(dot(axis, grip.z)) * parcel.size[:, k] / 2
    back_m = half_extent + TIP_M - PRESS_M
    return Grip(grip.pos_w - back_m[:, None] * grip.z, grip.x, grip.z)


def level_grip(pos_w: Array, along: Array, lean_rad: float = LEAN_RAD) -> Grip:
    """Returns a nearly level grip that approaches along the direction `along` (n, 3).

    The approach points down by `lean_rad` from the horizontal, because a hand that took
    a parcel from above leaning by this angle has this grip after rotating by 90 degrees.

    Args:
        pos_w: (n, 3) m, the TCP's position.
        along: (n, 3) horizontal unit vectors, the direction of the approach.
        lean_rad: the angle by which the approach points down.
    """
    xp = array_namespace(along)
    up = xp.broadcast_to(xp.asarray(UP), along.shape)
    sin = float(np.sin(lean_rad))
    cos = float(np.cos(lean_rad))
    return Grip(pos_w, x=sin * along + cos * up, z=cos * along - sin * up)
