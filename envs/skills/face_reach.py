"""How a hand reaches straight at a console's face, its camera on the upper side."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.props.console import ConsoleSize

# The rotation of such a hand in the face's frame, wxyz: its z points into the face, its
# x up the face, and its fingers open along its y, to the right.
HAND_IN_FACE = (0.0, np.sqrt(0.5), np.sqrt(0.5), 0.0)
# Where the TCP is when the hand hides nothing of the console from the camera, m.
ASIDE_W = (0.43, -0.24, 1.0)
# The hand is aligned when each axis is within 0.1 rad of the wanted one.
ALIGNED_COS = float(np.cos(0.10))


def outwards(xp: Any, console: ConsoleSize) -> Array:
    """Returns the unit vector (3,) out of the face, in the world."""
    return xp.asarray(console.axes()[:, 2])


def face_quat(xp: Any, console: ConsoleSize, num: int) -> Array:
    """Returns the face's rotation in the world, `num` times: (num, 4) wxyz."""
    return xp.broadcast_to(xp.asarray(console.quat()), (num, 4))


def hand_quat_in_face(xp: Any, num: int) -> Array:
    """Returns HAND_IN_FACE `num` times: (num, 4) wxyz in the face's frame."""
    return xp.broadcast_to(xp.asarray(HAND_IN_FACE), (num, 4))


def is_aligned(rot6d: Array, wanted_rot6d: Array) -> Array:
    """Returns (n,) bool, whether hands' axes (n, 6) point along the wanted ones."""
    x_cos = dot(rot6d[:, :3], wanted_rot6d[:, :3])
    y_cos = dot(rot6d[:, 3:], wanted_rot6d[:, 3:])
    return (x_cos > ALIGNED_COS) & (y_cos > ALIGNED_COS)
