"""Points of geoms, which of them are solid, and the main axis of their motion."""

from __future__ import annotations

import mujoco
import numpy as np

# Length over which the weight of a point in `main_axis` falls by a factor of e.
NEAR_M = 0.02


def points_of(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> np.ndarray:
    """Returns points (n, 3) of a geom in the world, in m.

    They are the vertices of a mesh, or the corners of the bounding box of another geom.
    """
    # `local` are the points in the geom's own frame
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = int(model.geom_dataid[geom])
        first = int(model.mesh_vertadr[mesh])
        local = model.mesh_vert[first : first + int(model.mesh_vertnum[mesh])]
    else:
        # the corners are centre +- half size, with all eight combinations of signs
        centre = model.geom_aabb[geom, :3]
        half = model.geom_aabb[geom, 3:]
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
        local = centre + signs * half
    return data.geom_xpos[geom] + local @ data.geom_xmat[geom].reshape(3, 3).T


def solid_geoms(model: mujoco.MjModel, bodies: set[int]) -> list[int]:
    """Returns the ids of the bodies' geoms with a contype, or of all if none has one.

    The buttons and furniture of scenes have contype 0, and two geoms with contype 0 pass
    through each other.
    """
    geoms = [g for g in range(model.ngeom) if int(model.geom_bodyid[g]) in bodies]
    solid = [g for g in geoms if model.geom_contype[g]]
    return solid or geoms


def main_axis(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Returns the unit vector (3,) along which points (n, 3) move; its sign is arbitrary.

    Points near the origin count most: the weight falls with the distance before the
    motion.
    """
    distance = np.linalg.norm(before, axis=1)
    weight = np.exp(-(distance - distance.min()) / NEAR_M)[:, None]
    # the first right singular vector is the direction of largest motion
    _, _, directions = np.linalg.svd((after - before) * weight, full_matrices=False)
    return directions[0]
