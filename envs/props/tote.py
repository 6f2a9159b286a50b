"""An open transport box whose size, mass and colour differ between worlds."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.envs.props.free_body import WEIGHTLESS_GRAVCOMP, FreeBodies
from embodied.envs.props.shapes import Rgb, Rgba, add_box, add_visual_box
from embodied.sim.engine import Engine

WALL_M = 0.005
BASE_M = 0.005
# Walls start this far above the base's underside. If they were flush with the underside,
# a tote would have five times as many contacts.
WALL_LIFT_M = 0.002
# The band around the rim, which is only drawn.
RIM_HALF_WIDTH_M = 0.006
RIM_HALF_HEIGHT_M = 0.012
SLIDING_FRICTION = 0.6
# The base, and the walls at +y, -y, +x and -x. The rims are on the walls, in this order.
SOLIDS = ("base", "wall_left", "wall_right", "wall_front", "wall_back")
RIMS = ("rim_5", "rim_6", "rim_7", "rim_8")
PARTS = SOLIDS + RIMS


@dataclass(frozen=True)
class ToteSize:
    """Outer size in m and mass in kg.

    The nominal footprint, 300 x 200 mm, is that of the smallest common Euro container.
    """

    length: float = 0.30  # along the tote's x
    width: float = 0.20  # along y
    height: float = 0.12  # along z
    mass: float = 0.6


def add_tote(
    spec: mujoco.MjSpec, name: str, rgba: Rgba, size: ToteSize | None = None
) -> None:
    """Adds a free tote with its frame at the centre of its underside.

    The tote is weightless until a world makes it present.

    Args:
        spec: the scene.
        name: the name of the tote's body and joint.
        rgba: the tote's colour.
        size: the tote's size and mass; None for the nominal size.
    """
    size = size or ToteSize()
    centre, inertia = _inertia(size)
    body = spec.worldbody.add_body(
        name=name, explicitinertial=True, mass=size.mass, ipos=centre, inertia=inertia
    )
    body.gravcomp = WEIGHTLESS_GRAVCOMP
    body.add_freejoint(name=name)

    pos, half = _boxes(size)
    for k, part in enumerate(PARTS):
        if part in SOLIDS:
            geom = add_box(body, pos[k], half[k], rgba, name=f"{name}_{part}")
            geom.friction[0] = SLIDING_FRICTION
            geom.condim = 3  # contacts with sliding friction only
        else:
            add_visual_box(body, pos[k], half[k], rgba, name=f"{name}_{part}")


def _boxes(size: ToteSize) -> tuple[np.ndarray, np.ndarray]:
    """Returns the centres and the half sizes of PARTS in the tote's frame, (9, 3) m each."""
    x = size.length / 2
    y = size.width / 2
    wall = WALL_M / 2
    half_z = (size.height - WALL_LIFT_M) / 2
    mid_z = WALL_LIFT_M + half_z
    rim_z = size.height - RIM_HALF_HEIGHT_M - 0.001  # 1 mm below the walls' top

    # half sizes of walls and rims that run along the tote's x, and along its y
    along = (x - WALL_M, wall, half_z)
    across = (wall, y, half_z)
    rim_along = (x + 0.002, RIM_HALF_WIDTH_M, RIM_HALF_HEIGHT_M)
    rim_across = (RIM_HALF_WIDTH_M, y + 0.002, RIM_HALF_HEIGHT_M)

    # centre and half size of the base, the four walls and the four rims, as in PARTS
    boxes = [
        ((0, 0, BASE_M / 2), (x - WALL_M, y - WALL_M, BASE_M / 2)),
        ((0, y - wall, mid_z), along),
        ((0, wall - y, mid_z), along),
        ((x - wall, 0, mid_z), across),
        ((wall - x, 0, mid_z), across),
        ((0, y, rim_z), rim_along),
        ((0, -y, rim_z), rim_along),
        ((x, 0, rim_z), rim_across),
        ((-x, 0, rim_z), rim_across),
    ]
    pos = np.array([pos for pos, _ in boxes])
    half = np.array([half for _, half in boxes])
    return pos, half


def _inertia(size: ToteSize) -> tuple[np.ndarray, np.ndarray]:
    """Returns the centre of mass (3,), m, and the inertia (3,) about it, kg m2.

    Both are computed from the base and the four walls, which have the same density.
    """
    all_pos, all_half = _boxes(size)
    pos = all_pos[: len(SOLIDS)]  # (5, 3) centres of the solids, m
    half = all_half[: len(SOLIDS)]  # (5, 3) their half sizes, m

    # distribute the mass in proportion to the volumes, which are 8 times the products of
    # the half sizes
    mass = np.prod(half, axis=1)  # (5,)
    mass *= size.mass / mass.sum()
    centre = mass @ pos / size.mass

    # (5, 3) inertia of each solid box about its own centre: m / 3 (b^2 + c^2) about the
    # axis of a, for half sizes a, b and c
    half2 = half**2
    about_own = mass[:, None] / 3 * (np.sum(half2, axis=1, keepdims=True) - half2)

    # parallel axis theorem: m (y^2 + z^2) for the x axis, and so on
    offset2 = (pos - centre) ** 2
    shifted = mass[:, None] * (np.sum(offset2, axis=1, keepdims=True) - offset2)
    return centre, np.sum(about_own + shifted, axis=0)


class Totes(FreeBodies):
    """The K totes of a scene in N worlds."""

    def __init__(self, engine: Engine, names: tuple[str, ...]) -> None:
        geoms = [[f"{name}_{part}" for part in PARTS] for name in names]
        varied = ("geom_pos", "geom_size", "body_mass", "body_inertia", "body_ipos")
        super().__init__(engine, names, geoms, varied)

    def resize(self, world: int, tote: int, size: ToteSize) -> None:
        """Sets the size of one world's tote: its geoms, mass and inertia.

        All boxes are computed anew, because scaling each box by itself would open gaps
        between the walls. Bounds that MuJoCo derives from the sizes, such as
        `geom_rbound`, follow at the engine's next `refresh`.

        Args:
            world: the index of the world.
            tote: the index of the tote.
            size: the new size and mass.
        """
        pos, half = _boxes(size)
        centre, inertia = _inertia(size)
        model_view = self._engine.model_view
        body = self._bodies[tote]
        geoms = self._geoms[tote]
        model_view("geom_pos")[world, geoms] = pos
        model_view("geom_size")[world, geoms] = half
        model_view("body_mass")[world, body] = size.mass
        model_view("body_ipos")[world, body] = centre
        model_view("body_inertia")[world, body] = inertia

    def paint(self, world: int, tote: int, rgb: Rgb) -> None:
        """Colours the walls of one world's tote, and its rim in a lighter shade."""
        rgba = np.tile((*rgb, 1.0), (len(PARTS), 1))
        rims = slice(len(SOLIDS), None)
        rgba[rims, :3] = 0.75 * rgba[rims, :3] + 0.25  # a quarter of white
        self._engine.model_view("geom_rgba")[world, self._geoms[tote]] = rgba
