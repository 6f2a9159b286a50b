"""A bottle to pour from, and a glass with two marks to pour into.

Both are made of thin boxes that collide with the grains of water and are not drawn, and of
meshes that are only drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.arrays import array_namespace, dot
from embodied.core import Array
from embodied.envs.props.free_body import FreeBody
from embodied.envs.props.granules import SOLREF
from embodied.envs.props.shapes import (
    COLLISION_GROUP,
    Rgb,
    Rgba,
    add_box,
    add_visual_mesh,
    make_visual,
)
from embodied.robots.shells import Loft, add_shell
from embodied.sim.engine import Engine

BOTTLE = "bottle"
CUP = "cup"
WALL_M = 0.003
FLOOR_M = 0.005
BOTTLE_GLASS: Rgba = (0.62, 0.84, 0.78, 0.30)
CUP_GLASS: Rgba = (0.86, 0.93, 0.96, 0.24)
COLLAR: Rgba = (0.16, 0.36, 0.46, 1.0)
SLIDING_FRICTION = 0.6
MARKS = ("cup_mark_0", "cup_mark_1")
LEVEL = "cup_level"
MARK_HALF_M = 0.0017
CUP_SIDES = 8
THIN_M = 1e-4  # half the drawn height of no water, because a geom needs a size


@dataclass(frozen=True)
class BottleSize:
    """Sizes of the bottle, which is square, in m, and its mass when empty, in kg.

    From the floor up to `shoulder_z` the inside has the half width `half_width`; up to
    `neck_z` it narrows to that of the mouth, which it keeps up to `height`. Heights are
    above the bottle's underside.
    """

    half_width: float = 0.028
    mouth_half_width: float = 0.023
    shoulder_z: float = 0.092
    neck_z: float = 0.125
    height: float = 0.150
    mass: float = 0.25

    @property
    def outer_half_width(self) -> float:
        return self.half_width + WALL_M


@dataclass(frozen=True)
class CupSize:
    """Inner radius and height of the glass in m, and its mass in kg."""

    radius: float = 0.033
    height: float = 0.100
    mass: float = 0.25
    # how much one grain of water raises the drawn level
    rise_m: float = 0.0009

    def level_m(self, grains: float) -> float:
        """Returns how high some grains of water fill the glass, m above its underside."""
        return FLOOR_M + self.rise_m * grains


def add_bottle(spec: mujoco.MjSpec, size: BottleSize) -> None:
    """Adds a bottle with a free joint; its frame is in the middle of its underside."""
    radius = size.outer_half_width
    body = _free_body(spec, BOTTLE, size.mass, radius=radius, height=size.height)
    floor_half = (radius, radius, FLOOR_M / 2)
    floor = add_box(body, (0, 0, FLOOR_M / 2), floor_half, BOTTLE_GLASS)
    _make_wall(floor)
    # the floor also touches the table, and that contact needs sliding friction (3)
    floor.condim = 3
    floor.friction[0] = SLIDING_FRICTION

    # four walls around each of three sections, whose ends are given by
    # (distance from the axis, height)
    low = (size.half_width, FLOOR_M)
    shoulder = (size.half_width, size.shoulder_z)
    neck = (size.mouth_half_width, size.neck_z)
    mouth = (size.mouth_half_width, size.height)
    for start, end in ((low, shoulder), (shoulder, neck), (neck, mouth)):
        half_across = max(start[0], end[0]) + WALL_M
        for k in range(4):
            _add_wall(body, k * np.pi / 2, start, end, half_across=half_across)
    _draw_bottle(spec, body, size)


def _free_body(
    spec: mujoco.MjSpec, name: str, mass: float, radius: float, height: float
) -> mujoco.MjsBody:
    """Adds a body with a free joint, and the mass and inertia of a hollow can."""
    body = spec.worldbody.add_body(
        name=name,
        explicitinertial=True,
        mass=mass,
        ipos=[0, 0, 0.42 * height],  # the centre of mass
        inertia=_inertia(mass, radius, height),
    )
    body.add_freejoint(name=name)
    return body


def _inertia(mass: float, radius: float, height: float) -> np.ndarray:
    """Returns the inertia (3,) kg m2 of a thin cylindrical wall along z, about its centre."""
    across = mass * (radius**2 / 2 + height**2 / 12)
    return np.array([across, across, mass * radius**2])


def _make_wall(geom: mujoco.MjsGeom) -> None:
    """Makes a geom's contacts with water stiff and frictionless, and hides the geom."""
    geom.condim = 1  # contacts without friction
    geom.solref = SOLREF
    geom.group = COLLISION_GROUP


def _add_wall(
    body: mujoco.MjsBody,
    angle: float,
    start: tuple[float, float],
    end: tuple[float, float],
    half_across: float,
) -> None:
    """Adds a flat wall, given by the lower and the upper edge of its inner face.

    Args:
        body: the vessel's body.
        angle: the direction from the vessel's axis to the wall, rad.
        start: (distance from the vessel's axis, height) of the lower edge, m.
        end: (distance from the vessel's axis, height) of the upper edge, m.
        half_across: half the wall's width, m.
    """
    out = end[0] - start[0]
    up = end[1] - start[1]
    lean = np.arctan2(out, up)  # from the vertical, outwards
    # the centre is half the wall's thickness outside the middle of the inner face
    distance = (start[0] + end[0]) / 2 + WALL_M / 2 * np.cos(lean)
    z = (start[1] + end[1]) / 2 - WALL_M / 2 * np.sin(lean)
    pos = (distance * np.cos(angle), distance * np.sin(angle), z)
    wall = add_box(
        body, pos, (WALL_M / 2, half_across, np.hypot(out, up) / 2), BOTTLE_GLASS
    )
    # the wall leans about y, then is turned about the vessel's axis; wxyz
    turn_quat = np.array([np.cos(angle / 2), 0.0, 0.0, np.sin(angle / 2)])
    lean_quat = np.array([np.cos(lean / 2), 0.0, np.sin(lean / 2), 0.0])
    quat = np.zeros(4)
    mujoco.mju_mulQuat(quat, turn_quat, lean_quat)
    wall.quat = quat
    _make_wall(wall)


def _draw_bottle(spec: mujoco.MjSpec, body: mujoco.MjsBody, size: BottleSize) -> None:
    """Draws glass with rounded edges, a thick bottom, and a collar around the mouth."""
    # (height, half width) of the glass from below, m
    outer = size.outer_half_width
    mouth = size.mouth_half_width + WALL_M
    glass = (
        (0.0, 0.86 * outer),
        (0.004, outer),
        (size.shoulder_z, outer),
        (size.neck_z, mouth),
        (size.height, mouth),
    )

    # the glass, and the thick bottom that shows through it
    spec.add_material(
        name="bottle_glass", rgba=BOTTLE_GLASS, specular=0.9, shininess=0.9
    )
    spec.add_material(name="bottle_collar", rgba=COLLAR, specular=0.3)
    add_shell(spec, body, "bottle_glass", [_square(glass)], material="bottle_glass")
    add_shell(
        spec,
        body,
        "bottle_collar",
        [_square(((0.0003, 0.86 * outer), (0.0045, outer + 0.0004)))],
        material="bottle_collar",
    )

    # the collar
    ring = _ring_mesh(
        mouth + 0.0015, size.height - 0.006, size.height, sides=24, power=6
    )
    geom = add_visual_mesh(spec, body, "bottle_ring", ring)
    geom.rgba = COLLAR


def _square(outline: tuple[tuple[float, float], ...]) -> Loft:
    """Returns a shape whose sections are squares with rounded corners.

    Args:
        outline: (height, half width) of the sections from below, m.
    """
    sections = tuple((z, 0.0, 0.0, half) for z, half in outline)
    return Loft("z", sections, power=7.0, smooth=0, sides=40)


def _ring_mesh(
    radius: float, low_z: float, high_z: float, sides: int = 32, power: float = 2.0
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mesh of a band around a vessel, visible from outside and inside.

    Args:
        radius: the band's radius, m.
        low_z: height of the band's lower edge, m.
        high_z: height of the band's upper edge, m.
        sides: number of vertices around the band.
        power: 2 for a circle; larger powers approach a square.
    """
    # vertices on the superellipse |x / radius|^power + |y / radius|^power = 1
    angle = np.arange(sides) * 2 * np.pi / sides
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    circle = radius * np.sign(circle) * np.abs(circle) ** (2 / power)
    low = np.column_stack([circle, np.full(sides, low_z)])
    high = np.column_stack([circle, np.full(sides, high_z)])
    # all vertices twice, because a triangle is visible from one side only
    vertices = np.concatenate([low, high, low, high])
    # two triangles between each side and the next
    side = np.arange(sides)
    after = (side + 1) % sides
    outside = np.concatenate(
        [
            np.stack([side, after, after + sides], 1),
            np.stack([side, after + sides, side + sides], 1),
        ]
    )
    inside = outside[:, ::-1] + 2 * sides
    return vertices, np.concatenate([outside, inside])


def add_cup(spec: mujoco.MjSpec, size: CupSize) -> None:
    """Adds a glass with a free joint; its frame is in the middle of its underside."""
    body = _free_body(spec, CUP, size.mass, radius=size.radius, height=size.height)
    # the floor: a square that is a little larger than the square inside the circle
    half = 0.72 * size.radius
    floor = add_box(body, (0, 0, FLOOR_M / 2), (half, half, FLOOR_M / 2), CUP_GLASS)
    _make_wall(floor)
    # the floor also touches the table, and that contact needs sliding friction (3)
    floor.condim = 3
    floor.friction[0] = SLIDING_FRICTION

    # a ring of flat walls that touch the inner circle; they are wider by their thickness,
    # so that there are no gaps between them
    half_across = size.radius * np.tan(np.pi / CUP_SIDES) + WALL_M / 2
    for k in range(CUP_SIDES):
        low = (size.radius, 0.001)
        high = (size.radius, size.height)
        angle = 2 * np.pi * k / CUP_SIDES
        _add_wall(body, angle, low, high, half_across=half_across)
    _draw_cup(spec, body, size)


def _draw_cup(spec: mujoco.MjSpec, body: mujoco.MjsBody, size: CupSize) -> None:
    """Draws the glass, the water in it up to its level, and two marks around it."""
    outer = size.radius + WALL_M + 0.001
    # water first, because what is seen through glass must be drawn before the glass
    level = body.add_geom(
        name=LEVEL,
        type=mujoco.mjtGeom.mjGEOM_CYLINDER,
        size=[size.radius + 0.0015, size.height / 2, 0],
        pos=[0, 0, size.height / 2],
        mass=0,
    )
    make_visual(level)
    for name in MARKS:
        ring = _ring_mesh(outer + 0.0008, -MARK_HALF_M, MARK_HALF_M)
        add_visual_mesh(spec, body, name, ring)

    spec.add_material(name="cup_glass", rgba=CUP_GLASS, specular=0.9, shininess=0.9)
    outline = ((0.0, 0.9 * outer), (0.003, outer), (size.height, outer))
    sections = tuple((z, 0.0, 0.0, radius) for z, radius in outline)
    glass = Loft("z", sections, smooth=0, sides=32)
    add_shell(spec, body, "cup_glass", [glass], material="cup_glass")


class Vessel(FreeBody):
    """A bottle or a cup in N worlds."""

    def __init__(self, engine: Engine, name: str) -> None:
        super().__init__(engine, name)
        self._xmat = engine.view("xmat")[:, self._body]  # (N, 9)

    def up_w(self) -> Array:
        """Returns the vessel's z axis in the world, (N, 3)."""
        return self._xmat[:, 2::3]  # the third column; matrices are stored row by row

    def in_own_frame(self, points_w: Array) -> tuple[Array, Array, Array]:
        """Returns x, y and z, (N, K) m each, of points (N, K, 3) in the vessel's frame."""
        offset = points_w - self.pos_w()[:, None]
        # along the vessel's axes, which are the columns of the rotation matrix
        x = dot(offset, self._xmat[:, None, 0::3])
        y = dot(offset, self._xmat[:, None, 1::3])
        z = dot(offset, self._xmat[:, None, 2::3])
        return x, y, z


class Bottle(Vessel):
    """The bottle of N worlds."""

    def __init__(self, engine: Engine, size: BottleSize) -> None:
        super().__init__(engine, BOTTLE)
        self._size = size
        # the first call for a field gives each world its own values of the field
        engine.model_view("body_mass")
        engine.model_view("body_inertia")

    def holds(self, points_w: Array) -> Array:
        """Returns whether points (N, K, 3) are in the bottle, (N, K) bool."""
        x, y, z = self.in_own_frame(points_w)
        xp = self._engine.xp
        half = self._size.outer_half_width
        # half the width of the square around the axis on whose edge the point is
        from_axis = xp.maximum(xp.abs(x), xp.abs(y))
        return (from_axis < half) & (z > 0.0) & (z < self._size.height)

    def weigh(self, world: int, mass: float) -> None:
        """Sets the mass of one world's empty bottle, in kg, and the matching inertia."""
        size = self._size
        inertia = _inertia(mass, size.outer_half_width, size.height)
        self._engine.model_view("body_mass")[world, self._body] = mass
        self._engine.model_view("body_inertia")[world, self._body] = inertia


class Cup(Vessel):
    """The glass of N worlds, with its two marks and the drawn level of the water."""

    def __init__(self, engine: Engine, size: CupSize) -> None:
        """Finds the glass, its marks and its drawn water in the model."""
        super().__init__(engine, CUP)
        self._size = size
        model = engine.model
        self._marks = [model.geom(name).id for name in MARKS]
        self._level = model.geom(LEVEL).id
        self._forces = engine.view("xfrc_applied")  # (N, B, 6)
        # views of model fields; the first call for a field gives each world its own values
        self._geom_pos = engine.model_view("geom_pos")
        self._geom_size = engine.model_view("geom_size")
        engine.model_view("geom_rgba")

    def holds(self, points_w: Array) -> Array:
        """Returns whether points (N, K, 3) are in the glass, (N, K) bool."""
        x, y, z = self.in_own_frame(points_w)
        size = self._size
        within = x * x + y * y < (size.radius + WALL_M) ** 2
        return within & (z > 0.0) & (z < size.height)

    def draw_mark(self, world: int, which: int, grains: int, rgb: Rgb) -> None:
        """Puts a world's mark `which`, 0 or 1, at the level of a number of grains."""
        z = self._size.level_m(grains)
        self._engine.model_view("geom_pos")[world, self._marks[which], 2] = z
        self._engine.model_view("geom_rgba")[world, self._marks[which]] = (*rgb, 1.0)

    def paint_water(self, world: int, rgb: Rgb) -> None:
        """Colours the drawn water in the glass of one world."""
        self._engine.model_view("geom_rgba")[world, self._level, :3] = rgb

    def push(self, force_n: Array) -> None:
        """Pushes each world's glass by a horizontal force (N, 2) N until called again."""
        self._forces[:, self._body, :2] = force_n

    def draw_level(self, world: int, grains: int) -> None:
        """Draws the water of one world at the level of a number of grains."""
        half, z = self._drawn_water(np.array([float(grains)]))
        self._engine.model_view("geom_size")[world, self._level, 1] = half[0]
        self._engine.model_view("geom_pos")[world, self._level, 2] = z[0]

    def show(self, grains: Array) -> None:
        """Draws the water of all worlds, each at the level of its number of grains (N,)."""
        half, z = self._drawn_water(grains)
        self._geom_size[:, self._level, 1] = half
        self._geom_pos[:, self._level, 2] = z

    def _drawn_water(self, grains: Array) -> tuple[Array, Array]:
        """Returns half the height of the drawn water, and z of its middle, (n,) m each.

        The water of an empty glass is drawn below the glass, where cameras don't see it.
        """
        half = self._size.rise_m * grains / 2 + THIN_M
        z = half + FLOOR_M
        return half, array_namespace(z).where(grains > 0, z, -FLOOR_M)
