"""Points of shapes, and how they move."""

from __future__ import annotations

import mujoco
import numpy as np

# With each further stretch of this length from the origin, a point's weight in how a
# hand opens falls by a factor of e.
NEAR_M = 0.02


def points_of(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> np.ndarray:
    """Returns points (n, 3) of a shape in the world, in m.

    They are a mesh's vertices, or the corners of any other shape's bounding box.
    """
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
    """Returns the bodies' shapes (ids) that have a contype; all where none has.

    A shape whose contype is 0 passes through buttons and furniture, whose contype is 0,
    too.
    """
    geoms = [g for g in range(model.ngeom) if int(model.geom_bodyid[g]) in bodies]
    solid = [g for g in geoms if model.geom_contype[g]]
    return solid or geoms


def main_axis(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Returns the unit vector (3,) along which points (n, 3) move; its sign is arbitrary.

    Those that are near the origin before they move count most.
    """
    distance = np.linalg.norm(before, axis=1)
    near = np.exp(-(distance - distance.min()) / NEAR_M)[:, None]
    _, _, axes = np.linalg.svd((after - before) * near, full_matrices=False)
    return axes[0]
