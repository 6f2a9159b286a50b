"""Points of shapes, and how they move."""

from __future__ import annotations

import mujoco
import numpy as np

# What is nearer than this to the origin counts most in how a hand opens.
NEAR_M = 0.02


def points_of(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> np.ndarray:
    """Returns points (n, 3) that a shape spans, in the world: corners or vertices."""
    if model.geom_type[geom] == mujoco.mjtGeom.mjGEOM_MESH:
        mesh = int(model.geom_dataid[geom])
        first = int(model.mesh_vertadr[mesh])
        local = model.mesh_vert[first : first + int(model.mesh_vertnum[mesh])]
    else:
        centre = model.geom_aabb[geom, :3]
        half = model.geom_aabb[geom, 3:]
        signs = np.array(np.meshgrid([-1, 1], [-1, 1], [-1, 1])).reshape(3, -1).T
        local = centre + signs * half
    return data.geom_xpos[geom] + local @ data.geom_xmat[geom].reshape(3, 3).T


def solid_geoms(model: mujoco.MjModel, bodies: set[int]) -> list[int]:
    """Returns the shapes of some bodies that things feel; all where there is none.

    Without a contype a shape passes through buttons and furniture, which have none
    either.
    """
    geoms = [g for g in range(model.ngeom) if int(model.geom_bodyid[g]) in bodies]
    solid = [g for g in geoms if model.geom_contype[g]]
    return solid or geoms


def main_axis(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Returns the unit vector (3,) along which points (n, 3) move, either way.

    Those that are near the origin before they move count most.
    """
    distance = np.linalg.norm(before, axis=1)
    near = np.exp(-(distance - distance.min()) / NEAR_M)[:, None]
    _, _, axes = np.linalg.svd((after - before) * near, full_matrices=False)
    return axes[0]
