"""What a file must say of the compiled model that it was made with."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import Any

import mujoco
import numpy as np


def model_facts(model: mujoco.MjModel) -> dict[str, Any]:
    """Hash, versions of what made it, and cameras; JSON-able."""
    return {
        "model_hash": model_hash(model),
        "versions": {
            name: version(name)
            for name in ("embodied-ground", "mujoco", "gymnasium", "numpy")
        },
        "camera_poses": fixed_camera_poses(model),
    }


def fixed_camera_poses(model: mujoco.MjModel) -> dict[str, dict[str, Any]]:
    """Nominal pose and vertical field of view of the cameras that stand still; x right,
    y up, looking along -z.
    """
    poses = {}
    for i in np.flatnonzero(model.cam_bodyid == 0).tolist():
        pos_w = model.cam_pos[i].tolist()
        mat_w = model.cam_mat0[i].reshape(-1).tolist()
        poses[model.camera(i).name] = {
            "pos_w": pos_w,
            "mat_w": mat_w,
            "fovy_deg": float(model.cam_fovy[i]),
        }
    return poses


def model_hash(model: mujoco.MjModel) -> str:
    """SHA-256 of the compiled model."""
    buffer = np.zeros(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return hashlib.sha256(buffer.tobytes()).hexdigest()
