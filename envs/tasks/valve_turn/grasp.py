"""Where a hand grips a valve's handle: straight in, closing across it."""

from __future__ import annotations

from typing import Any

from embodied.core import Array
from embodied.envs.props.valve import GRASP_RADIUS_M, UP_RAD
from embodied.envs.skills.face_reach import face_quat, hand_quat_in_face
from embodied.envs.tasks.valve_turn.scene import CONSOLE
from embodied.rotations import quat_from_yaw, quat_multiply


def grasp_pos_w(xp: Any, hub_w: Array, angle: Array, is_wheel: Array) -> Array:
    """Returns the points (n, 3) m at which hands grip handles.

    Args:
        xp: The array namespace.
        hub_w: (n, 3) m, middles of the handles.
        angle: (n,) rad on the scale, at which they stand.
        is_wheel: (n,) 1 for wheels, 0 for levers.
    """
    # axes of the face in the world; the third points out of it
    right, up, _ = (xp.asarray(axis) for axis in CONSOLE.axes().T)
    turn = angle - UP_RAD  # anticlockwise of a handle that points up the face
    radius = xp.where(is_wheel > 0.5, GRASP_RADIUS_M["wheel"], GRASP_RADIUS_M["lever"])
    along_up = (radius * xp.cos(turn))[:, None] * up
    along_right = (radius * xp.sin(turn))[:, None] * right
    return hub_w + along_up - along_right


def grasp_quat_wxyz(xp: Any, angle: Array) -> Array:
    """Returns the rotations (n, 4) of hands that grip handles at `angle` (n,) rad."""
    num = angle.shape[0]
    # turn the face's frame as the handle is turned, and put the hand straight before it
    turned_face = quat_multiply(
        face_quat(xp, CONSOLE, num), quat_from_yaw(angle - UP_RAD)
    )
    return quat_multiply(turned_face, hand_quat_in_face(xp, num))
