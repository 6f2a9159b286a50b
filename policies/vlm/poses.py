"""Poses of hands as seen from mounts, with roll, pitch and yaw.

The angles turn a hand that points down, about the fixed axes x, y and z of the mount, in
this order.
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


def seen_in_world(mount: np.ndarray, pose: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions (n, 3) and rotations (n, 4) wxyz in the world.

    Args:
        mount: (n, 4) x, y, z in m and yaw in rad of the mounts in the world.
        pose: (n, 6) x, y, z, roll, pitch, yaw of the hands, from their mounts.
    """
    to_world = quat_from_yaw(mount[:, 3])
    down = np.broadcast_to(POINTING_DOWN, (len(pose), 4))
    turned = quat_multiply(quat_of_angles(pose[:, 3:]), down)
    pos_w = mount[:, :3] + quat_rotate(to_world, pose[:, :3])
    return pos_w, quat_multiply(to_world, turned)


def seen_from_mount(
    mount: np.ndarray, pos_w: np.ndarray, quat_w: np.ndarray
) -> np.ndarray:
    """Returns x, y, z, roll, pitch, yaw (n, 6) of hands, in m and rad, from their mounts.

    Args:
        mount: (n, 4) x, y, z and yaw of the mounts in the world.
        pos_w: (n, 3) positions of the hands.
        quat_w: (n, 4) their rotations.
    """
    to_mount = quat_conjugate(quat_from_yaw(mount[:, 3]))
    # pointing down is half a turn, which is its own inverse
    down = np.broadcast_to(POINTING_DOWN, quat_w.shape)
    turned = quat_multiply(quat_multiply(to_mount, quat_w), down)
    offset = quat_rotate(to_mount, pos_w - mount[:, :3])
    return np.concatenate([offset, angles_of_quat(turned)], axis=1)


def quat_of_angles(angles: np.ndarray) -> np.ndarray:  # (n, 3) rad -> (n, 4)
    """Returns the rotation by roll, then pitch, then yaw, about the fixed x, y and z."""
    quat = quat_from_yaw(0 * angles[:, 0])  # no rotation
    for axis in range(3):
        rotvec = np.zeros_like(angles)
        rotvec[:, axis] = angles[:, axis]
        quat = quat_multiply(quat_from_rotvec(rotvec), quat)
    return quat


def angles_of_quat(quat: np.ndarray) -> np.ndarray:  # (n, 4) -> (n, 3) rad
    """Returns roll, pitch and yaw; the inverse of `quat_of_angles`.

    At a pitch of 90 degrees, where roll and yaw are one turn, they are one of the
    possible pairs.
    """
    rot6d = quat_to_rot6d(quat)
    x = rot6d[:, :3]
    y = rot6d[:, 3:]
    z = cross(x, y)
    roll = np.arctan2(y[:, 2], z[:, 2])
    pitch = np.arcsin(np.clip(-x[:, 2], -1.0, 1.0))
    yaw = np.arctan2(x[:, 1], x[:, 0])
    return np.stack([roll, pitch, yaw], axis=1)
