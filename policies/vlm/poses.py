"""Converts poses of hands between the world and the mounts that carry their arms.

A pose relative to a mount has roll, pitch and yaw. These angles rotate a hand that points
down, about the fixed axes x, y and z of the mount, in this order.
"""

from __future__ import annotations

import numpy as np

from embodied.envs.skills.scripted import POINTING_DOWN
from embodied.rotations import (
    cross,
    quat_conjugate,
    quat_from_rotvec,
    quat_from_yaw,
    quat_multiply,
    quat_rotate,
    quat_to_rot6d,
)


def mount_to_world(
    mount: np.ndarray, pose: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions (n, 3) m and rotations (n, 4) wxyz of hands in the world.

    Args:
        mount: (n, 4) x, y, z in m and yaw in rad of the mounts in the world.
        pose: (n, 6) x, y, z, roll, pitch, yaw of the hands relative to their mounts.
    """
    rotation = quat_from_yaw(mount[:, 3])  # from the mount's axes to the world's
    down = np.broadcast_to(POINTING_DOWN, (len(pose), 4))
    quat_in_mount = quat_multiply(quat_of_angles(pose[:, 3:]), down)
    pos_w = mount[:, :3] + quat_rotate(rotation, pose[:, :3])
    return pos_w, quat_multiply(rotation, quat_in_mount)


def world_to_mount(
    mount: np.ndarray, pos_w: np.ndarray, quat_w: np.ndarray
) -> np.ndarray:
    """Returns x, y, z, roll, pitch, yaw (n, 6) of hands relative to mounts, in m and rad.

    Args:
        mount: (n, 4) x, y, z in m and yaw in rad of the mounts in the world.
        pos_w: (n, 3) m, the positions of the hands in the world.
        quat_w: (n, 4) the rotations of the hands in the world.
    """
    # from the world's axes to the mount's
    rotation = quat_conjugate(quat_from_yaw(mount[:, 3]))
    # The angles count from a hand that points down. Pointing down is half a turn, so the
    # same rotation undoes it.
    down = np.broadcast_to(POINTING_DOWN, quat_w.shape)
    quat_from_down = quat_multiply(quat_multiply(rotation, quat_w), down)
    offset = quat_rotate(rotation, pos_w - mount[:, :3])
    return np.concatenate([offset, angles_of_quat(quat_from_down)], axis=1)


def quat_of_angles(angles: np.ndarray) -> np.ndarray:  # (n, 3) rad -> (n, 4)
    """Returns the rotations by roll, then pitch, then yaw, about the fixed axes x, y, z."""
    quat = quat_from_yaw(0 * angles[:, 0])  # (n, 4) no rotation
    for axis in range(3):
        rotvec = np.zeros_like(angles)
        rotvec[:, axis] = angles[:, axis]
        # a later rotation about a fixed axis is multiplied from the left
        quat = quat_multiply(quat_from_rotvec(rotvec), quat)
    return quat


def angles_of_quat(quat: np.ndarray) -> np.ndarray:  # (n, 4) -> (n, 3) rad
    """Returns the roll, pitch and yaw of rotations; undoes `quat_of_angles`.

    At a pitch of 90 degrees, where roll and yaw are about the same axis, it returns one of
    the pairs of roll and yaw that give the rotation.
    """
    rot6d = quat_to_rot6d(quat)
    # the columns of the rotation matrix
    x_axis = rot6d[:, :3]
    y_axis = rot6d[:, 3:]
    z_axis = cross(x_axis, y_axis)
    # their z components: -sin(pitch), cos(pitch) sin(roll) and cos(pitch) cos(roll)
    roll = np.arctan2(y_axis[:, 2], z_axis[:, 2])
    pitch = np.arcsin(np.clip(-x_axis[:, 2], -1.0, 1.0))
    yaw = np.arctan2(x_axis[:, 1], x_axis[:, 0])
    return np.stack([roll, pitch, yaw], axis=1)
