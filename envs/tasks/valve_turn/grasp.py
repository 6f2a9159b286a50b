"""The grasp of a valve's handle: approach along the face's normal, close across it."""

from __future__ import annotations

from typing import Any

from embodied.core import Array
from embodied.envs.props.valve import GRASP_RADIUS_M, UP_RAD
from embodied.envs.skills.face_reach import face_quat, hand_quat_in_face
from embodied.envs.tasks.valve_turn.scene import CONSOLE
from embodied.rotations import quat_from_yaw, quat_multiply


def grasp_pos_w(xp: Any, hub_w: Array, angle: Array, is_wheel: Array) -> Array:
    """Returns the TCP positions (n, 3) m for gripping the handles of valves.

    Args:
        xp: The array namespace.
        hub_w: (n, 3) m, centres of the handles.
        angle: (n,) rad, angles of the handles on their scales.
        is_wheel: (n,) 1 for wheels, 0 for levers.
    """
    # the console face's axes in the world: to the right, up, and out of the face
    right, up, _ = (xp.asarray(axis) for axis in CONSOLE.axes().T)  # (3,) each
    # anticlockwise angle of the handle from the face's up axis, where the scale shows
    # UP_RAD
    from_up = angle - UP_RAD
    radius = xp.where(is_wheel > 0.5, GRASP_RADIUS_M["wheel"], GRASP_RADIUS_M["lever"])
    along_up = (radius * xp.cos(from_up))[:, None] * up
    along_right = (radius * xp.sin(from_up))[:, None] * right
    return hub_w + along_up - along_right


def grasp_quat_wxyz(xp: Any, angle: Array) -> Array:
    """Returns the rotations (n, 4) wxyz of hands that grip handles at `angle` (n,) rad."""
    num = angle.shape[0]
    # the frame of the handle is the face's frame, rotated about the face's normal by the
    # handle's angle from straight up, where the scale shows UP_RAD
    handle_quat = quat_multiply(
        face_quat(xp, CONSOLE, num), quat_from_yaw(angle - UP_RAD)
    )
    return quat_multiply(handle_quat, hand_quat_in_face(xp, num))
