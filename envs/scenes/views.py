"""Cameras that look at a point."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np


def add_view(
    spec: mujoco.MjSpec,
    name: str,
    pos_w: Sequence[float],
    target_w: Sequence[float],
    fovy_deg: float,
) -> mujoco.MjsCamera:
    """Adds a fixed camera that looks at a point, with vertical lines upright in pictures.

    Args:
        spec: the scene.
        name: name of the camera.
        pos_w: (3,) where the camera is, m.
        target_w: (3,) the point in the middle of the camera's picture, m.
        fovy_deg: the camera's vertical field of view.
    """
    # the camera's x points to the right of its picture, y up, and z back at the viewer
    back = np.asarray(pos_w, float) - np.asarray(target_w, float)
    back /= np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    matrix = np.stack([right, np.cross(back, right), back], axis=1)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, matrix.ravel())
    return spec.worldbody.add_camera(
        name=name, pos=list(pos_w), quat=quat, fovy=fovy_deg
    )
