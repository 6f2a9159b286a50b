"""How a hand reaches into the face of a console: straight, its camera's side up."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.props.console import ConsoleSize

HAND_IN_FACE = (0.0, np.sqrt(0.5), np.sqrt(0.5), 0.0)  # wxyz, in the face's frame
ASIDE_W = (0.43, -0.24, 1.0)  # of the TCP of a hand that hides nothing of the console
ALIGNED_COS = float(np.cos(0.10))


def outwards(xp: Any, console: ConsoleSize) -> Array:
    """(3,) unit vector out of the face, in the world."""
    return xp.asarray(console.axes()[:, 2])


def face_quat(xp: Any, console: ConsoleSize, num: int) -> Array:
    """(num, 4) wxyz of the face, in the world."""
    return xp.broadcast_to(xp.asarray(console.quat()), (num, 4))


def hand_quat_in_face(xp: Any, num: int) -> Array:
    """(num, 4) wxyz of hands that reach into it, in the face's frame."""
    return xp.broadcast_to(xp.asarray(HAND_IN_FACE), (num, 4))


def is_aligned(rot6d: Array, wanted_rot6d: Array) -> Array:
    """(n,) bool, whether the axes (n, 6) of hands point where they should."""
    x_cos = dot(rot6d[:, :3], wanted_rot6d[:, :3])
    y_cos = dot(rot6d[:, 3:], wanted_rot6d[:, 3:])
    return (x_cos > ALIGNED_COS) & (y_cos > ALIGNED_COS)
