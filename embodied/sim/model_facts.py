"""Facts about a compiled model that datasets and results store."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from typing import Any

import mujoco
import numpy as np

_PACKAGES = ("embodied-ground", "mujoco", "gymnasium", "numpy")


def model_facts(model: mujoco.MjModel) -> dict[str, Any]:
    """Returns the model's hash, package versions and camera poses, as JSON values."""
    return {
        "model_hash": model_hash(model),
        "versions": {name: version(name) for name in _PACKAGES},
        "camera_poses": fixed_camera_poses(model),
    }


def fixed_camera_poses(model: mujoco.MjModel) -> dict[str, dict[str, Any]]:
    """Returns the nominal pose and vertical field of view of the world's own cameras.

    A camera's x axis points to its right, y up, and it looks along -z. `mat_w` is the
    rotation matrix (3, 3), row by row.
    """
    poses = {}
    # cameras of body 0, the world
    for i in np.flatnonzero(model.cam_bodyid == 0).tolist():
        poses[model.camera(i).name] = {
            "pos_w": model.cam_pos[i].tolist(),
            "mat_w": model.cam_mat0[i].reshape(-1).tolist(),
            "fovy_deg": float(model.cam_fovy[i]),
        }
    return poses


def model_hash(model: mujoco.MjModel) -> str:
    """Returns the SHA-256 of the compiled model, in hexadecimal."""
    buffer = np.zeros(mujoco.mj_sizeModel(model), np.uint8)
    mujoco.mj_saveModel(model, None, buffer)
    return hashlib.sha256(buffer.tobytes()).hexdigest()


def position_units(model: mujoco.MjModel) -> tuple[str, ...]:
    """Returns the unit of each number in `qpos`: "m", "rad", or "quat" (four in a row).

    `qpos` has the joints in the model's order.
    """
    units_of_joint = {
        mujoco.mjtJoint.mjJNT_FREE: ("m",) * 3 + ("quat",) * 4,
        mujoco.mjtJoint.mjJNT_BALL: ("quat",) * 4,
        mujoco.mjtJoint.mjJNT_SLIDE: ("m",),
        mujoco.mjtJoint.mjJNT_HINGE: ("rad",),
    }
    units: list[str] = []
    for kind in model.jnt_type.tolist():
        units += units_of_joint[mujoco.mjtJoint(kind)]
    return tuple(units)


def thing_names(model: mujoco.MjModel) -> tuple[str, ...]:
    """Returns the names of the classes in a segmentation.

    They are `nothing`, each body, and each geom of the world itself, in this order.
    """
    bodies = [model.body(i).name or f"body_{i}" for i in range(1, model.nbody)]
    geoms = [model.geom(i).name or f"geom_{i}" for i in _geoms_of_world(model)]
    return ("nothing", *bodies, *geoms)


def things_of_model(model: mujoco.MjModel) -> tuple[np.ndarray, np.ndarray]:
    """Returns the index into `thing_names` of each geom and of each site, as uint16.

    A geom or site has the index of its body, which equals the body's id. But geoms of the
    world itself, body 0, have indices of their own, after all bodies.
    """
    index_of_geom = model.geom_bodyid.astype(np.uint16)
    for k, geom in enumerate(_geoms_of_world(model)):
        index_of_geom[geom] = model.nbody + k
    return index_of_geom, model.site_bodyid.astype(np.uint16)


def _geoms_of_world(model: mujoco.MjModel) -> list[int]:
    """Returns the ids of the geoms of body 0, the world."""
    return np.flatnonzero(model.geom_bodyid == 0).tolist()
