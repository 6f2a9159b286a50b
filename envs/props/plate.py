"""Deep plates with an upright rim, by which a hand takes them.

Plates differ in mass and colour between worlds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.envs.props.free_body import WEIGHTLESS_GRAVCOMP, FreeBodies
from embodied.envs.props.shapes import (
    COLLISION_GROUP,
    Mesh,
    Rgb,
    add_box,
    add_visual_mesh,
    upright,
)
from embodied.sim.engine import Engine

# The rim is a ring of flat walls; 12 of them are round enough to stand in a rack at any
# angle.
SIDES = 12
DRAWN_SIDES = 48
SLIDING_FRICTION = 0.5
NOMINAL_RGBA = (0.93, 0.93, 0.91, 1.0)
# The walls begin this far above the underside, so that a plate stands on its foot alone.
FOOT_M = 0.001
PARTS = ("china", "rim")  # drawn meshes


@dataclass(frozen=True)
class PlateSize:
    """Sizes of a plate in m, and its mass in kg.

    `radius` is the distance from the plate's axis to the outer faces of its rim.
    """

    radius: float = 0.085
    height: float = 0.028  # from the underside to the rim's upper edge
    wall: float = 0.004  # thickness of the rim
    floor: float = 0.005  # thickness of the floor
    mass: float = 0.30

    @property
    def grip_radius(self) -> float:
        """Distance from the axis to the middle of the rim's wall, m."""
        return self.radius - self.wall / 2


def add_plate(spec: mujoco.MjSpec, name: str, size: PlateSize) -> None:
    """Adds a free plate with its frame in the middle of its underside, its axis along z.

    The plate is weightless until a world makes it present.
    """
    body = spec.worldbody.add_body(
        name=name,
        explicitinertial=True,
        mass=size.mass,
        ipos=[0, 0, 0.35 * size.height],  # the centre of mass
        inertia=_inertia(size, size.mass),
    )
    body.gravcomp = WEIGHTLESS_GRAVCOMP
    body.add_freejoint(name=name)

    # the floor: two squares inside the ring, one turned by 45 degrees, of which only the
    # first touches the table
    half = 0.70 * size.radius  # the squares' corners are just inside the ring
    for k, low_z in enumerate((0.0, FOOT_M / 2)):
        half_z = (size.floor - low_z) / 2
        square = add_box(
            body, (0, 0, low_z + half_z), (half, half, half_z), NOMINAL_RGBA
        )
        square.quat = upright(k * np.pi / 4)
        _make_china(square)

    # the rim: a ring of SIDES flat walls that touch the outer circle
    half_across = size.radius * np.tan(np.pi / SIDES)
    half_z = (size.height - FOOT_M) / 2
    for k in range(SIDES):
        angle = 2 * np.pi * k / SIDES
        pos = (
            size.grip_radius * np.cos(angle),
            size.grip_radius * np.sin(angle),
            FOOT_M + half_z,
        )
        wall = add_box(body, pos, (size.wall / 2, half_across, half_z), NOMINAL_RGBA)
        wall.quat = upright(angle)
        _make_china(wall)
    _draw(spec, body, name, size)


def _make_china(geom: mujoco.MjsGeom) -> None:
    """Gives a geom the friction of china, and hides it, since meshes are drawn instead."""
    geom.friction[0] = SLIDING_FRICTION
    geom.group = COLLISION_GROUP


def _draw(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, size: PlateSize
) -> None:
    """Adds the visual meshes: a plate with a foot, and the coloured edge of its rim.

    Args:
        spec: the scene.
        body: the plate's body.
        name: the plate's name.
        size: the plate's sizes.
    """
    # the plate's profile, (height, radius) in m: from the axis along the underside, up the
    # outside, over the rim, and down the inside to the axis
    outer = size.radius + 0.001
    inner = size.radius - size.wall - 0.0005
    rim_z = size.height
    profile = (
        (0.0015, 0.001),
        (0.0015, 0.64 * size.radius),
        (0.0, 0.66 * size.radius),
        (0.0025, 0.68 * size.radius),
        (0.0030, 0.90 * size.radius),
        (0.0080, outer - 0.0015),
        (rim_z - 0.003, outer),
        (rim_z - 0.003, inner),
        (size.floor + 0.005, inner - 0.002),
        (size.floor + 0.0006, 0.88 * size.radius),
        (size.floor + 0.0006, 0.001),
    )
    # the profile of a band over the rim's upper edge, a little outside of the plate's
    edge = (
        (rim_z - 0.004, outer + 0.0003),
        (rim_z - 0.0005, outer + 0.0002),
        (rim_z, outer - 0.001),
        (rim_z, inner + 0.001),
        (rim_z - 0.0005, inner - 0.0002),
        (rim_z - 0.004, inner - 0.0004),
    )
    for part, outline in zip(PARTS, (profile, edge), strict=True):
        geom = add_visual_mesh(spec, body, f"{name}_{part}", _turned(outline))
        geom.rgba = NOMINAL_RGBA


def _turned(outline: tuple[tuple[float, float], ...]) -> Mesh:
    """Returns the surface that an outline sweeps when it is rotated about the z axis.

    The surface has no end caps: holes around the axis are not closed.

    Args:
        outline: (height, radius) in m of the points of the outline.
    """
    angle = 2 * np.pi * np.arange(DRAWN_SIDES) / DRAWN_SIDES
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    rings = [
        np.column_stack([radius * circle, np.full(DRAWN_SIDES, z)])
        for z, radius in outline
    ]

    # two triangles between neighbours on a ring and the same neighbours on the next ring
    side = np.arange(DRAWN_SIDES)
    after = (side + 1) % DRAWN_SIDES
    faces = []
    for k in range(len(outline) - 1):
        # the indices of the first vertices of ring k and of the next ring
        low = k * DRAWN_SIDES
        high = low + DRAWN_SIDES
        faces.append(np.stack([low + side, low + after, high + after], 1))
        faces.append(np.stack([low + side, high + after, high + side], 1))
    return np.concatenate(rings), np.concatenate(faces)


def _inertia(size: PlateSize, mass: float) -> np.ndarray:
    """Returns the principal inertia (3,) in kg m2.

    About the axis it is 3/4 m r^2, between that of a disc, 1/2 m r^2, and that of a ring,
    m r^2, because the rim has about half of the mass.
    """
    along = 0.75 * mass * size.radius**2
    across = along / 2 + mass * size.height**2 / 12
    return np.array([across, across, along])


class Plates(FreeBodies):
    """The K plates of a scene in N worlds."""

    def __init__(
        self, engine: Engine, names: Sequence[str], size: PlateSize | None = None
    ) -> None:
        geoms = [[f"{name}_{part}" for part in PARTS] for name in names]
        super().__init__(engine, names, geoms, ("body_mass", "body_inertia"))
        self._size = size or PlateSize()

    def weigh(self, world: int, which: int, mass: float) -> None:
        """Sets the mass of one world's plate, in kg, and the matching inertia."""
        body = self._bodies[which]
        self._engine.model_view("body_mass")[world, body] = mass
        self._engine.model_view("body_inertia")[world, body] = _inertia(
            self._size, mass
        )

    def paint(self, world: int, which: int, china: Rgb, rim: Rgb) -> None:
        """Colours one world's plate and the edge of its rim."""
        china_geom, rim_geom = self._geoms[which]
        rgba = self._engine.model_view("geom_rgba")
        rgba[world, china_geom, :3] = china
        rgba[world, rim_geom, :3] = rim
