"""Smooth closed meshes for a robot's appearance, computed from a few numbers.

Each mesh is a loft through superelliptic sections along an axis. A mesh is rendered
faster than the many primitives it replaces, and its number of triangles does not depend
on the viewer's settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

VISUAL_GROUP = 2
# axis of a loft -> the indices in (x, y, z) of the axes u, v and the loft's axis, which
# form a right-handed frame
AXES = {"x": (1, 2, 0), "y": (2, 0, 1), "z": (0, 1, 2)}


@dataclass(frozen=True)
class Loft:
    """A closed surface through sections along an axis.

    Attributes:
        axis: "x", "y" or "z". The axes u and v are the next two in the cycle x, y, z.
        sections: (t, u, v, radius) or (t, u, v, radius_u, radius_v) each, m: position t
            along the axis, centre (u, v), and half widths along u and v.
        power: exponent of the superellipse: 2 is an ellipse, larger is boxier.
        smooth: how many rounds of corner cutting smooth the profile along the axis.
        sides: number of vertices of a section.
    """

    axis: str
    sections: tuple[tuple[float, ...], ...]
    power: float = 2.0
    smooth: int = 2
    sides: int = 18

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns vertices (n, 3) and outward faces (m, 3)."""
        # sections with one radius have it along both u and v
        with_two_radii = []
        for section in self.sections:
            has_one_radius = len(section) == 4
            with_two_radii.append((*section, section[3]) if has_one_radius else section)
        sections = np.array(with_two_radii)  # (k, 5)

        # smoothed, and ascending along the axis
        for _ in range(self.smooth):
            sections = _cut_corners(sections)
        if sections[0, 0] > sections[-1, 0]:
            sections = sections[::-1]

        rings = self._rings(sections)  # (k, sides, 3)
        # centres of the first and the last ring; a section begins with t, u, v
        centres = np.zeros((2, 3))
        centres[:, list(AXES[self.axis])] = sections[[0, -1]][:, [1, 2, 0]]

        # the end caps have their own vertices, so that their rims are shaded sharply
        vertices = np.concatenate([rings.reshape(-1, 3), rings[0], rings[-1], centres])
        return vertices, self._faces(len(rings))

    def _rings(self, sections: np.ndarray) -> np.ndarray:
        """Returns the outline of each section, (k, sides, 3).

        A section is (t, u, v, radius_u, radius_v).
        """
        # a superellipse with half widths of 1
        angle = np.arange(self.sides) * 2 * np.pi / self.sides
        circle = np.stack([np.cos(angle), np.sin(angle)])  # (2, sides)
        circle = np.sign(circle) * np.abs(circle) ** (2 / self.power)

        rings = np.empty((len(sections), self.sides, 3))
        u, v, t = AXES[self.axis]
        # (k, 1) each
        positions, u_centres, v_centres, u_radii, v_radii = sections.T[..., None]
        rings[..., u] = u_centres + u_radii * circle[0]
        rings[..., v] = v_centres + v_radii * circle[1]
        rings[..., t] = positions
        return rings

    def _faces(self, num_rings: int) -> np.ndarray:
        """Returns the triangles (m, 3) between the rings, then those of the end caps.

        They index the vertices of `mesh`: k rings of `sides` vertices, the first and the
        last ring again for the end caps, and the two caps' centres.
        """
        n = self.sides
        side = np.arange(n)
        after = (side + 1) % n

        # the wall: each quad of two neighbours on a ring and on the next is two triangles
        row = n * np.arange(num_rings - 1)[:, None]
        a = row + side
        b = row + after
        c = row + n + after
        d = row + n + side
        halves = [np.stack([a, b, c], -1), np.stack([a, c, d], -1)]
        wall = np.stack(halves).reshape(-1, 3)

        # the end caps: triangles from the repeated rings to the centres
        first = n * num_rings
        last = first + n
        bottom_centre = np.full(n, first + 2 * n)
        top_centre = bottom_centre + 1
        bottom = np.stack([bottom_centre, first + after, first + side], -1)
        top = np.stack([top_centre, last + side, last + after], -1)
        return np.concatenate([wall, bottom, top])


@dataclass(frozen=True)
class PlacedLoft:
    """A loft that is rotated about the origin and then moved to `pos`, m."""

    loft: Loft
    pos: tuple[float, ...]
    quat_wxyz: tuple[float, ...]

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Returns vertices (n, 3) and outward faces (m, 3)."""
        vertices, faces = self.loft.mesh()
        matrix = np.zeros(9)
        mujoco.mju_quat2Mat(matrix, np.asarray(self.quat_wxyz, float))
        return vertices @ matrix.reshape(3, 3).T + np.asarray(self.pos), faces


Shape = Loft | PlacedLoft


def _cut_corners(points: np.ndarray) -> np.ndarray:
    """Returns points (2k - 2, d) of a smoother polyline with the same ends as (k, d).

    This is one round of Chaikin's corner cutting; repeated rounds approach a quadratic
    B-spline.
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

    Both get the name `name`. The geom has no mass and does not collide.
    """
    vertices = []
    faces = []
    num_vertices = 0
    for shape in shapes:
        shape_vertices, shape_faces = shape.mesh()
        vertices.append(shape_vertices)
        # faces are indices into the vertices of all shapes together
        faces.append(shape_faces + num_vertices)
        num_vertices += len(shape_vertices)

    spec.add_mesh(
        name=name,
        uservert=np.concatenate(vertices).ravel(),
        userface=np.concatenate(faces).ravel(),
        # MuJoCo computes an inertia even for a massless mesh. It fails for volumes of
        # overlapping shapes, so it is computed from the surface.
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
