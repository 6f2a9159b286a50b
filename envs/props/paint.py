"""Visual boxes and cylinders that never change, joined into one mesh per colour.

The shapes are joined because every geom costs time in each step and frame: a hall of a
hundred boxes is then only eight meshes.
"""

from __future__ import annotations

from collections import defaultdict

import mujoco
import numpy as np

from embodied.envs.props.shapes import (
    VISUAL_GROUP,
    Mesh,
    Vector,
    add_visual_mesh,
    join_meshes,
)
from embodied.sim.cameras import DECOR_GROUP

CYLINDER_SIDES = 12


class Paint:
    """Collects boxes and cylinders in the frame of a body, until `add` adds them."""

    def __init__(
        self, spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, decor: bool = False
    ) -> None:
        """Starts an empty collection.

        Args:
            spec: the scene.
            body: the body that the meshes are added to.
            name: prefix of the meshes' names; it must be unique in the scene.
            decor: whether to show the meshes only in pictures for people, so that frames
                for policies cost less.
        """
        self._spec = spec
        self._body = body
        self._name = name
        self._group = DECOR_GROUP if decor else VISUAL_GROUP
        self._meshes: dict[tuple[float, ...], list[Mesh]] = defaultdict(list)

    def box(self, pos: Vector, half_size: Vector, rgba: Vector) -> None:
        """Collects a box along the body's axes, given by its middle and half size, m."""
        vertices, faces = _cube()
        vertices = vertices * np.asarray(half_size) + np.asarray(pos)
        self._meshes[tuple(rgba)].append((vertices, faces))

    def cylinder(self, start: Vector, end: Vector, radius: float, rgba: Vector) -> None:
        """Collects a cylinder between the middles (3,) of its two ends, m."""
        mesh = _cylinder(np.asarray(start, float), np.asarray(end, float), radius)
        self._meshes[tuple(rgba)].append(mesh)

    def add(self) -> None:
        """Adds one mesh per colour to the body, and empties the collection."""
        for k, (rgba, meshes) in enumerate(self._meshes.items()):
            name = f"{self._name}_{k}"
            geom = add_visual_mesh(self._spec, self._body, name, join_meshes(meshes))
            geom.rgba = list(rgba)
            geom.group = self._group
        self._meshes.clear()


def _cube() -> Mesh:
    """Returns a cube of half size 1.

    Each side has its own corners, so that edges are drawn sharp.
    """
    # the corners of each side, counterclockwise as seen from outside
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
    sides = []
    for axis in range(3):
        for sign in (-1, 1):
            corners = np.empty((4, 3))
            corners[:, axis] = sign
            # the order is reversed on the low side, so that all faces look outwards
            corners[:, [(axis + 1) % 3, (axis + 2) % 3]] = square[::sign]
            sides.append(corners)

    two_triangles = np.array([(0, 1, 2), (0, 2, 3)])
    faces = [two_triangles + 4 * k for k in range(len(sides))]
    return np.concatenate(sides), np.concatenate(faces)


def _cylinder(start: np.ndarray, end: np.ndarray, radius: float) -> Mesh:
    """Returns a cylinder between two points (3,) m.

    Its vertices are two rings for the wall and the same two rings again for the end caps,
    so that edges are drawn sharp.

    Args:
        start: (3,) m, the middle of one end.
        end: (3,) m, the middle of the other end.
        radius: the radius, m.
    """
    # `across` is some direction perpendicular to the cylinder's axis: the cross product
    # with the coordinate axis that is least parallel to it, because that is never zero
    axis = (end - start) / np.linalg.norm(end - start)
    across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    across /= np.linalg.norm(across)

    angle = np.arange(CYLINDER_SIDES) * 2 * np.pi / CYLINDER_SIDES
    ring = radius * (
        np.cos(angle)[:, None] * across
        + np.sin(angle)[:, None] * np.cross(axis, across)
    )
    vertices = np.concatenate([start + ring, end + ring] * 2)

    # the wall: two triangles per side, of vertices of the first two rings; `side` and
    # `after` are neighbours on the first ring, `above` and `above_after` on the second
    side = np.arange(CYLINDER_SIDES)
    after = (side + 1) % CYLINDER_SIDES
    above = side + CYLINDER_SIDES
    above_after = after + CYLINDER_SIDES
    wall = [(side, after, above_after), (side, above_after, above)]

    # the two ends, each a fan of triangles, of the vertices of the third and fourth ring
    fan = np.arange(1, CYLINDER_SIDES - 1)
    first = 2 * CYLINDER_SIDES
    last = 3 * CYLINDER_SIDES
    caps = [
        (np.full(CYLINDER_SIDES - 2, first), first + fan + 1, first + fan),
        (np.full(CYLINDER_SIDES - 2, last), last + fan, last + fan + 1),
    ]
    triangles = [np.stack(corners, axis=1) for corners in wall + caps]
    return vertices, np.concatenate(triangles)
