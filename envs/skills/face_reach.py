"""The pose of a hand that points straight at a console's face."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.props.console import ConsoleSize

# The rotation, wxyz in the face's frame, of a hand that points straight at the face. The
# hand's z axis points into the face. Its x axis points up along the face, so that the
# hand's camera is above the hand. Its y axis, along which the fingers open, points right.
HAND_IN_FACE = (0.0, np.sqrt(0.5), np.sqrt(0.5), 0.0)
# A TCP position, m, at which the hand hides nothing of the console from the camera.
ASIDE_W = (0.43, -0.24, 1.0)
# The hand is aligned if its x and y axes are within 0.1 rad of their goals.
ALIGNED_COS = float(np.cos(0.10))


def outwards(xp: Any, console: ConsoleSize) -> Array:
    """Returns the outward normal (3,) of the face, in the world."""
    # the columns of `axes` are the face's x, y and z axes; z is its outward normal
    return xp.asarray(console.axes()[:, 2])


def face_quat(xp: Any, console: ConsoleSize, num: int) -> Array:
    """Returns the face's rotation in the world, repeated: (num, 4) wxyz."""
    return xp.broadcast_to(xp.asarray(console.quat()), (num, 4))


def hand_quat_in_face(xp: Any, num: int) -> Array:
    """Returns HAND_IN_FACE, repeated: (num, 4) wxyz in the face's frame."""
    return xp.broadcast_to(xp.asarray(HAND_IN_FACE), (num, 4))


def is_aligned(rot6d: Array, goal_rot6d: Array) -> Array:
    """Returns (n,) bool, whether hands with x and y axes (n, 6) are near their goals."""
    x_cos = dot(rot6d[:, :3], goal_rot6d[:, :3])
    y_cos = dot(rot6d[:, 3:], goal_rot6d[:, 3:])
    return (x_cos > ALIGNED_COS) & (y_cos > ALIGNED_COS)
