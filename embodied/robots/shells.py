"""Smooth closed meshes for a robot's looks, computed from a few numbers: superelliptic
sections swept along an axis.

Meshes draw faster than the many primitives that would be needed for the same shape, and
their count of triangles does not depend on the viewer's slices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

VISUAL_GROUP = 2
# sweep axis -> (u, v, axis), a right-handed triple
AXES = {"x": (1, 2, 0), "y": (2, 0, 1), "z": (0, 1, 2)}


@dataclass(frozen=True)
class Loft:
    """A body swept along `axis`. Each section is (t, u, v, radius) or (t, u, v,
    radius_u, radius_v), all in metres: its place on the axis, its centre on the two
    next axes (cyclic) and its half widths. `power` 2 is an ellipse, more is boxier.
    Corners of the profile are rounded `smooth` times.
    """

    axis: str
    sections: tuple[tuple[float, ...], ...]
    power: float = 2.0
    smooth: int = 2
    sides: int = 18

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (n, 3) and outward faces (m, 3)."""
        sections = np.array(
            [row if len(row) == 5 else (*row, row[3]) for row in self.sections]
        )
        for _ in range(self.smooth):
            sections = _cut_corners(sections)
        if sections[0, 0] > sections[-1, 0]:
            sections = sections[::-1]
        rings = self._rings(sections)  # (k, sides, 3)
        centres = np.zeros((2, 3))
        centres[:, list(AXES[self.axis])] = sections[[0, -1]][:, [1, 2, 0]]
        # The ends have vertices of their own, so that shading is sharp at their rim.
        vertices = np.concatenate([rings.reshape(-1, 3), rings[0], rings[-1], centres])
        return vertices, self._faces(len(rings))

    def _rings(self, sections: np.ndarray) -> np.ndarray:
        angle = np.arange(self.sides) * 2 * np.pi / self.sides
        circle = np.stack([np.cos(angle), np.sin(angle)])  # (2, sides)
        circle = np.sign(circle) * np.abs(circle) ** (2 / self.power)
        rings = np.empty((len(sections), self.sides, 3))
        u, v, t = AXES[self.axis]
        rings[..., u] = sections[:, 1:2] + sections[:, 3:4] * circle[0]
        rings[..., v] = sections[:, 2:3] + sections[:, 4:5] * circle[1]
        rings[..., t] = sections[:, :1]
        return rings

    def _faces(self, num_rings: int) -> np.ndarray:
        n = self.sides
        side = np.arange(self.sides)
        after = (side + 1) % n
        row = n * np.arange(num_rings - 1)[:, None]
        a = row + side
        b = row + after
        c = row + n + after
        d = row + n + side
        wall = np.stack([np.stack([a, b, c], -1), np.stack([a, c, d], -1)]).reshape(
            -1, 3
        )
        first = n * num_rings
        bottom = np.stack([np.full(n, first + 2 * n), first + after, first + side], -1)
        top = np.stack(
            [np.full(n, first + 2 * n + 1), first + n + side, first + n + after], -1
        )
        return np.concatenate([wall, bottom, top])


@dataclass(frozen=True)
class Turned:
    """A loft that was made around the origin, turned and moved to `pos`, in m."""

    loft: Loft
    pos: tuple[float, ...]
    quat_wxyz: tuple[float, ...]

    def mesh(self) -> tuple[np.ndarray, np.ndarray]:
        """Vertices (n, 3) and outward faces (m, 3)."""
        vertices, faces = self.loft.mesh()
        matrix = np.zeros(9)
        mujoco.mju_quat2Mat(matrix, np.asarray(self.quat_wxyz, float))
        return vertices @ matrix.reshape(3, 3).T + np.asarray(self.pos), faces


Shape = Loft | Turned


def _cut_corners(points: np.ndarray) -> np.ndarray:
    """One round of Chaikin's corner cutting (towards a quadratic B-spline) that keeps
    both ends: (k, d) -> (2k, d).
    """
    cut = np.stack(
        [
            0.75 * points[:-1] + 0.25 * points[1:],
            0.25 * points[:-1] + 0.75 * points[1:],
        ],
        1,
    )
    return np.concatenate(
        [points[:1], cut.reshape(-1, points.shape[1])[1:-1], points[-1:]]
    )


def add_shell(
    spec: mujoco.MjSpec,
    body: mujoco.MjsBody,
    name: str,
    shapes: Sequence[Shape],
    material: str,
) -> mujoco.MjsGeom:
    """Adds the union of `shapes` to `body` as one visual geom (no collision, no mass)
    and one mesh `name`.
    """
    parts = [shape.mesh() for shape in shapes]
    offsets = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
    spec.add_mesh(
        name=name,
        uservert=np.concatenate([vertices for vertices, _ in parts]).ravel(),
        userface=np.concatenate(
            [faces + offset for (_, faces), offset in zip(parts, offsets, strict=False)]
        ).ravel(),
        # the parts overlap, so their volume has no meaning
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
