"""Helpers that add boxes and meshes to a spec."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

# The MuJoCo groups of geoms that are drawn but don't collide, and of geoms that collide
# but are not drawn.
VISUAL_GROUP = 2
COLLISION_GROUP = 3
Vector = Sequence[float] | np.ndarray
Rgb = tuple[float, float, float]  # in [0, 1]
Rgba = tuple[float, float, float, float]
# centre and half size of a box, m
Box = tuple[tuple[float, float, float], tuple[float, float, float]]
# vertices (n, 3) in m, and faces (m, 3) that run counterclockwise seen from outside
Mesh = tuple[np.ndarray, np.ndarray]


def upright(yaw_rad: float) -> np.ndarray:
    """Returns the rotation (4,) wxyz of an upright body with a yaw."""
    return np.array([np.cos(yaw_rad / 2), 0.0, 0.0, np.sin(yaw_rad / 2)])


def box_inertia(size_m: Vector, mass_kg: float) -> np.ndarray:
    """Returns the principal inertia (3,) in kg m2 of a solid box of full `size_m` (3,)."""
    squares = np.asarray(size_m) ** 2
    return mass_kg / 12 * (squares.sum() - squares)


def add_box(
    body: mujoco.MjsBody, pos: Vector, half_size: Vector, rgba: Vector, name: str = ""
) -> mujoco.MjsGeom:
    """Adds a box that collides.

    The box has no mass, because props set the mass and inertia of their bodies
    explicitly.

    Args:
        body: the body that gets the box.
        pos: the box's centre (3,) in the body's frame, m.
        half_size: half the box's size (3,) along its axes, m.
        rgba: the box's colour.
        name: name of the geom; empty for a geom without a name.
    """
    geom = body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=list(pos),
        size=list(half_size),
        rgba=list(rgba),
        mass=0,
    )
    if name:
        geom.name = name
    return geom


def add_visual_box(
    body: mujoco.MjsBody, pos: Vector, half_size: Vector, rgba: Vector, name: str = ""
) -> mujoco.MjsGeom:
    """Adds a box that is only drawn, as a geom that worlds may change.

    The arguments are those of `add_box`. For boxes that never change, `Paint` costs less,
    because all of them are one geom.
    """
    geom = add_box(body, pos, half_size, rgba, name=name)
    make_visual(geom)
    return geom


def add_visual_mesh(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, mesh: Mesh
) -> mujoco.MjsGeom:
    """Adds a mesh, and a massless visual geom that shows it; both are called `name`.

    Args:
        spec: the scene.
        body: the body that gets the geom.
        name: the name of the mesh and of the geom.
        mesh: vertices and faces.
    """
    vertices, faces = mesh
    added = spec.add_mesh(name=name, uservert=vertices.ravel(), userface=faces.ravel())
    # MuJoCo computes a mesh's inertia from its volume and refuses meshes without any,
    # such as flat ones; the inertia of a shell comes from its surface
    added.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
    geom = body.add_geom(
        name=name, type=mujoco.mjtGeom.mjGEOM_MESH, meshname=name, mass=0
    )
    make_visual(geom)
    return geom


def join_meshes(meshes: Sequence[Mesh]) -> Mesh:
    """Returns one mesh that has the vertices and faces of several meshes."""
    vertices = []
    faces = []
    count = 0  # vertices so far: the offset of the next part's vertex indices
    for part_vertices, part_faces in meshes:
        vertices.append(part_vertices)
        faces.append(part_faces + count)
        count += len(part_vertices)
    return np.concatenate(vertices), np.concatenate(faces)


def make_visual(geom: mujoco.MjsGeom) -> None:
    """Makes a geom visual: it does not collide, and all cameras draw it."""
    geom.contype = 0
    geom.conaffinity = 0
    geom.group = VISUAL_GROUP


def touched_by_robots_only(geom: mujoco.MjsGeom) -> None:
    """Makes a geom collide with robots, but not with other geoms changed in this way.

    MuJoCo tests a pair of geoms for contact only if the contype of one matches the
    conaffinity of the other. Two geoms with contype 0 never match.
    """
    geom.contype = 0
