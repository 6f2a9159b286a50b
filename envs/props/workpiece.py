"""Machined blocks, each in one colour, that stand upright."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.envs.props.free_body import WEIGHTLESS_GRAVCOMP, FreeBodies
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import Rgb, Rgba, add_box, add_visual_box, box_inertia
from embodied.sim.engine import Engine

# The friction is lower than the ratio of a block's width to its height, so that a pushed
# block slides and does not tip.
SLIDING_FRICTION = 0.4
BORE = (0.10, 0.10, 0.11, 1.0)
BARE = (0.80, 0.81, 0.82, 1.0)
PARTS = ("body", "band")  # geoms; only the body collides


@dataclass(frozen=True)
class WorkpieceSize:
    """Outer size in m and mass in kg of an aluminium block with bores.

    The gripper grips the block across its width.
    """

    length: float = 0.060  # along the workpiece's x
    width: float = 0.040  # along y
    height: float = 0.080  # along z
    mass: float = 0.4


def add_workpiece(
    spec: mujoco.MjSpec, name: str, size: WorkpieceSize, rgba: Rgba
) -> None:
    """Adds a free workpiece with its frame at its centre.

    The workpiece is weightless until a world makes it present.

    Cylinders are given by the middles of their two ends and their radius, m.

    Args:
        spec: the scene.
        name: the name of the workpiece's body and joint.
        size: the workpiece's size and mass.
        rgba: the workpiece's colour.
    """
    body = spec.worldbody.add_body(
        name=name,
        explicitinertial=True,
        mass=size.mass,
        inertia=box_inertia([size.length, size.width, size.height], size.mass),
    )
    body.gravcomp = WEIGHTLESS_GRAVCOMP
    body.add_freejoint(name=name)

    half = np.array([size.length, size.width, size.height]) / 2
    solid = add_box(body, (0, 0, 0), half, rgba, name=f"{name}_body")
    solid.friction[0] = SLIDING_FRICTION
    # an unpainted band, 18 mm high, around the lower part, which goes into the fixture
    band_half = (half[0] + 0.0003, half[1] + 0.0003, 0.009)
    add_visual_box(body, (0, 0, 0.009 - half[2]), band_half, BARE, name=f"{name}_band")

    # two bores in the top
    paint = Paint(spec, body, f"{name}_paint")
    for x in (-0.015, 0.015):
        top = (x, 0, half[2] + 0.0003)
        paint.cylinder((x, 0, half[2] - 0.002), top, 0.007, BORE)
    paint.add()


class Workpieces(FreeBodies):
    """The K workpieces of a scene in N worlds."""

    def __init__(self, engine: Engine, names: Sequence[str]) -> None:
        geoms = [[f"{name}_{part}" for part in PARTS] for name in names]
        super().__init__(engine, names, geoms, ("body_mass", "body_inertia"))

    def weigh(self, world: int, which: int, size: WorkpieceSize) -> None:
        """Sets the mass of one world's workpiece to that of `size`, and its inertia."""
        body = self._bodies[which]
        inertia = box_inertia([size.length, size.width, size.height], size.mass)
        self._engine.model_view("body_mass")[world, body] = size.mass
        self._engine.model_view("body_inertia")[world, body] = inertia

    def paint(self, world: int, which: int, rgb: Rgb) -> None:
        """Colours one world's workpiece, all but the band around its lower part."""
        body_geom, _ = self._geoms[which]
        self._engine.model_view("geom_rgba")[world, body_geom, :3] = rgb
