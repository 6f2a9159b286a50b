"""Smooth closed meshes for a robot's looks, computed from a few numbers.

Each is a row of superelliptic sections swept along an axis. A mesh is rendered faster
than the many primitives that would make the same shape, and its number of triangles
does not depend on the viewer's settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

VISUAL_GROUP = 2
# sweep axis -> indices into (x, y, z) of u, v and the axis, a right-handed triple
AXES = {"x": (1, 2, 0), "y": (2, 0, 1), "z": (0, 1, 2)}


@dataclass(frozen=True)
class Loft:
    """A body swept along an axis.

    Each section is (t, u, v, radius) or (t, u, v, radius_u, radius_v), all in metres:
    its place t on the axis, its centre (u, v) on the two axes that follow in the cycle
    x, y, z, and its half widths along these.
    """

    axis: str
    sections: tuple[tuple[float, ...], ...]
    power: float = 2.0  # of the superellipse: 2 is an ellipse, more is boxier
    smooth: int = 2  # rounds of cutting the profile's corners
    sides: int = 18  # of a section

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns vertices (n, 3) and outward faces (m, 3)."""
        rows = []
        for row in self.sections:
            is_circle = len(row) == 4  # one radius for both directions
            rows.append((*row, row[3]) if is_circle else row)
        sections = np.array(rows)  # (k, 5)

        # smooth, and ascending along the axis
        for _ in range(self.smooth):
            sections = _cut_corners(sections)
        if sections[0, 0] > sections[-1, 0]:
            sections = sections[::-1]

        rings = self._rings(sections)  # (k, sides, 3)
        # of the first and the last ring; a section begins with t, u, v
        centres = np.zeros((2, 3))
        centres[:, list(AXES[self.axis])] = sections[[0, -1]][:, [1, 2, 0]]

        # the ends have vertices of their own, so that shading is sharp at their rim
        vertices = np.concatenate([rings.reshape(-1, 3), rings[0], rings[-1], centres])
        return vertices, self._faces(len(rings))

    def _rings(self, sections: np.ndarray) -> np.ndarray:
        """Returns the outline of each section, (k, sides, 3).

        A section is (t, u, v, radius_u, radius_v).
        """
        # a superellipse of half widths 1
        angle = np.arange(self.sides) * 2 * np.pi / self.sides
        circle = np.stack([np.cos(angle), np.sin(angle)])  # (2, sides)
        circle = np.sign(circle) * np.abs(circle) ** (2 / self.power)

        rings = np.empty((len(sections), self.sides, 3))
        u, v, t = AXES[self.axis]
        places, u_centres, v_centres, u_radii, v_radii = sections.T[..., None]  # (k, 1)
        rings[..., u] = u_centres + u_radii * circle[0]
        rings[..., v] = v_centres + v_radii * circle[1]
        rings[..., t] = places
        return rings

    def _faces(self, num_rings: int) -> np.ndarray:
        """Returns the triangles (m, 3) between the rings, then those of the two ends.

        They index the vertices of `mesh`: k rings of `sides` vertices, the first and the
        last ring once more (so that the rims look sharp), and the two ends' centres.
        """
        n = self.sides
        side = np.arange(n)
        after = (side + 1) % n

        # the wall: two triangles between each pair of neighbours and those a ring above
        row = n * np.arange(num_rings - 1)[:, None]
        a = row + side
        b = row + after
        c = row + n + after
        d = row + n + side
        halves = [np.stack([a, b, c], -1), np.stack([a, c, d], -1)]
        wall = np.stack(halves).reshape(-1, 3)

        # the ends: triangles from the repeated rings to the centres
        first = n * num_rings
        last = first + n
        bottom_centre = np.full(n, first + 2 * n)
        top_centre = bottom_centre + 1
        bottom = np.stack([bottom_centre, first + after, first + side], -1)
        top = np.stack([top_centre, last + side, last + after], -1)
        return np.concatenate([wall, bottom, top])


@dataclass(frozen=True)
class Turned:
    """A loft around the origin, turned and then moved to `pos`, in m."""

    loft: Loft
    pos: tuple[float, ...]
    quat_wxyz: tuple[float, ...]

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns vertices (n, 3) and outward faces (m, 3)."""
        vertices, faces = self.loft.mesh()
        matrix = np.zeros(9)
        mujoco.mju_quat2Mat(matrix, np.asarray(self.quat_wxyz, float))
        return vertices @ matrix.reshape(3, 3).T + np.asarray(self.pos), faces


Shape = Loft | Turned


def _cut_corners(points: np.ndarray) -> np.ndarray:
    """Returns points (2k, d) of a smoother line through points (k, d), with its ends.

    It is one round of Chaikin's corner cutting, towards a quadratic B-spline.
    """
    near = 0.75 * points[:-1] + 0.25 * points[1:]
    far = 0.25 * points[:-1] + 0.75 * points[1:]
    cut = np.stack([near, far], 1).reshape(-1, points.shape[1])
    return np.concatenate([points[:1], cut[1:-1], points[-1:]])


def add_shell(
    spec: mujoco.MjSpec,
    body: mujoco.MjsBody,
    name: str,
    shapes: Sequence[Shape],
    material: str,
) -> mujoco.MjsGeom:
    """Adds the union of `shapes` to `body` as one mesh and one visual geom.

    Both are called `name`. The geom has no mass, and nothing touches it.
    """
    vertices = []
    faces = []
    num_vertices = 0
    for shape in shapes:
        own_vertices, own_faces = shape.mesh()
        vertices.append(own_vertices)
        # faces are indices into the vertices of all shapes together
        faces.append(own_faces + num_vertices)
        num_vertices += len(own_vertices)

    spec.add_mesh(
        name=name,
        uservert=np.concatenate(vertices).ravel(),
        userface=np.concatenate(faces).ravel(),
        # MuJoCo computes the inertia of every mesh, even of a massless geom's: from its
        # surface, since the shapes overlap and their volume has no meaning
        inertia=mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL,
    )
    return body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_MESH,
        meshname=name,
        material=material,
        contype=0,
        conaffinity=0,
        group=VISUAL_GROUP,
        mass=0,
    )
