"""Static things to look at, that nothing touches: as many boxes and cylinders as one
likes, one mesh a colour.

Each geom costs every step and every frame, so a hall of a hundred boxes is eight meshes
here.
"""

from __future__ import annotations

from collections import defaultdict

import mujoco
import numpy as np

from embodied.envs.props.shapes import VISUAL_GROUP, Vector
from embodied.sim.cameras import DECOR_GROUP

SIDES = 12  # of a cylinder
# vertices (n, 3), faces (m, 3) counterclockwise from outside
Mesh = tuple[np.ndarray, np.ndarray]


class Paint:
    """Collects shapes on a body, in its frame; `add` puts them there. `name` must be
    the scene's only one.

    `decor` is for what only pictures for people show: frames for policies cost less
    without it.
    """

    def __init__(
        self, spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, decor: bool = False
    ) -> None:
        self._spec = spec
        self._body = body
        self._name = name
        self._group = DECOR_GROUP if decor else VISUAL_GROUP
        self._parts: dict[tuple[float, ...], list[Mesh]] = defaultdict(list)

    def box(self, pos: Vector, half_size: Vector, rgba: Vector) -> None:
        """An upright box, m."""
        vertices, faces = _cube()
        self._parts[tuple(rgba)].append(
            (vertices * np.asarray(half_size) + np.asarray(pos), faces)
        )

    def cylinder(self, ends: Vector, radius: float, rgba: Vector) -> None:
        """A cylinder between two points (6,), m."""
        start, end = np.reshape(ends, (2, 3)).astype(float)
        self._parts[tuple(rgba)].append(_cylinder(start, end, radius))

    def add(self) -> None:
        """Adds the shapes to the body and forgets them."""
        for k, (rgba, parts) in enumerate(self._parts.items()):
            name = f"{self._name}_{k}"
            offsets = np.cumsum([0, *(len(vertices) for vertices, _ in parts)])
            faces = [
                faces + offset
                for (_, faces), offset in zip(parts, offsets, strict=False)
            ]
            mesh = self._spec.add_mesh(
                name=name, uservert=np.concatenate([v for v, _ in parts]).ravel()
            )
            mesh.userface = np.concatenate(faces).ravel()
            mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
            geom = self._body.add_geom(
                name=name,
                type=mujoco.mjtGeom.mjGEOM_MESH,
                meshname=name,
                rgba=list(rgba),
            )
            geom.contype = 0
            geom.conaffinity = 0
            geom.group = self._group
            geom.mass = 0
        self._parts.clear()


def _cube() -> Mesh:
    """Half size 1, each side with corners of its own, so that its edges are sharp."""
    square = np.array([(-1, -1), (1, -1), (1, 1), (-1, 1)], float)
    sides = []
    for axis in range(3):
        for sign in (-1, 1):
            corners = np.empty((4, 3))
            corners[:, axis] = sign
            corners[:, [(axis + 1) % 3, (axis + 2) % 3]] = square[::sign]
            sides.append(corners)
    faces = np.array([(0, 1, 2), (0, 2, 3)])
    return np.concatenate(sides), np.concatenate([faces + 4 * k for k in range(6)])


def _cylinder(start: np.ndarray, end: np.ndarray, radius: float) -> Mesh:
    axis = (end - start) / np.linalg.norm(end - start)
    across = np.cross(axis, np.eye(3)[np.argmin(np.abs(axis))])
    across /= np.linalg.norm(across)
    angle = np.arange(SIDES) * 2 * np.pi / SIDES
    ring = radius * (
        np.cos(angle)[:, None] * across
        + np.sin(angle)[:, None] * np.cross(axis, across)
    )
    # the ends' own ones last, so that their rims are sharp
    vertices = np.concatenate([start + ring, end + ring] * 2)
    side = np.arange(SIDES)
    after = (side + 1) % SIDES
    wall = [(side, after, after + SIDES), (side, after + SIDES, side + SIDES)]
    fan = np.arange(1, SIDES - 1)
    first = 2 * SIDES
    last = 3 * SIDES
    caps = [
        (np.full(SIDES - 2, first), first + fan + 1, first + fan),
        (np.full(SIDES - 2, last), last + fan, last + fan + 1),
    ]
    return vertices, np.concatenate(
        [np.stack(columns, axis=1) for columns in (*wall, *caps)]
    )
