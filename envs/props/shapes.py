"""Short words for adding geoms to a spec."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

VISUAL_GROUP = 2
Vector = Sequence[float] | np.ndarray


def add_box(
    body: mujoco.MjsBody, pos: Vector, half_size: Vector, rgba: Vector, name: str = ""
) -> mujoco.MjsGeom:
    """A solid box; massless, since props set their inertia themselves."""
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


def paint_box(
    body: mujoco.MjsBody, pos: Vector, half_size: Vector, rgba: Vector
) -> mujoco.MjsGeom:
    """A box to look at, that nothing touches, and that worlds may change; for static
    ones see `Paint`.
    """
    geom = add_box(body, pos, half_size, rgba)
    geom.contype = 0
    geom.conaffinity = 0
    geom.group = VISUAL_GROUP
    return geom
