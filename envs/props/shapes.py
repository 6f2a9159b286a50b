"""Short words for adding geoms to a spec."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from embodied.sim.cameras import DECOR_GROUP

VISUAL_GROUP = 2
_BOX, _CYLINDER = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER
Vector = Sequence[float] | np.ndarray


def add_box(body: mujoco.MjsBody, pos: Vector, half_size: Vector, rgba: Vector, name: str = "") -> mujoco.MjsGeom:
    """A solid box; massless, since props set their inertia themselves."""
    geom = body.add_geom(type=_BOX, pos=list(pos), size=list(half_size), rgba=list(rgba), mass=0)
    if name:
        geom.name = name
    return geom


def paint_box(body: mujoco.MjsBody, pos: Vector, half_size: Vector, rgba: Vector) -> mujoco.MjsGeom:
    """A box to look at, that nothing touches."""
    return _untouchable(add_box(body, pos, half_size, rgba))


def paint_cylinder(body: mujoco.MjsBody, ends: Vector, radius: float, rgba: Vector) -> mujoco.MjsGeom:
    """A cylinder to look at, between two points (6,)."""
    return _untouchable(body.add_geom(type=_CYLINDER, fromto=list(ends), size=[radius, 0, 0], rgba=list(rgba), mass=0))


def decorate(geom: mujoco.MjsGeom) -> mujoco.MjsGeom:
    """Leaves a painted geom to pictures for people: what policies see costs less without it."""
    geom.group = DECOR_GROUP
    return geom


def _untouchable(geom: mujoco.MjsGeom) -> mujoco.MjsGeom:
    geom.contype, geom.conaffinity, geom.group = 0, 0, VISUAL_GROUP
    return geom
