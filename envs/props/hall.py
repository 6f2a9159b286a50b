"""The hall around a station: floor with markings, and light."""

from __future__ import annotations

import mujoco

from embodied.envs.props.colours import SAFETY_YELLOW
from embodied.envs.props.paint import Paint

FLOOR = (0.58, 0.59, 0.58, 1.0)
WALL = (0.86, 0.87, 0.86, 1.0)
STRIPE = (0.20, 0.34, 0.46, 1.0)
COLUMN = (0.70, 0.72, 0.73, 1.0)
WOOD = (0.66, 0.52, 0.34, 1.0)
TOTE_COLOURS = (
    (0.12, 0.30, 0.72, 1),
    (0.45, 0.47, 0.50, 1),
    (0.13, 0.52, 0.22, 1),
)


def add_hall(spec: mujoco.MjSpec, fenced: bool = True) -> None:
    """Adds a floor, a marked work area and a lamp; around them decor for pictures.

    Args:
        spec: the scene.
        fenced: whether to draw a guard rail behind the station; False for a robot
            that travels, which needs that room.
    """
    add_floor_and_light(spec)
    _paint_markings(spec)

    decor = Paint(spec, spec.worldbody, "hall_decor", decor=True)
    _paint_walls(decor)
    if fenced:
        _paint_fence(decor)
    _paint_pallet(decor)
    decor.add()


def add_floor_and_light(spec: mujoco.MjSpec) -> None:
    """Adds the floor and the light, which every hall has and every task varies."""
    # an endless plane; the size is (half x, half y, grid spacing) of the drawn part
    floor = spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[6, 6, 0.1]
    )
    floor.rgba = list(FLOOR)
    _add_light(spec)


def _paint_markings(spec: mujoco.MjSpec) -> None:
    """Draws the lines around the work area.

    Boxes are given by their middle and half size, m.
    """
    # the four lines: middle x and y, half size along x and y; m
    lines = (
        (0, -1.15, 1.1, 0.03),
        (0, 1.25, 1.1, 0.03),
        (-1.1, 0.05, 0.03, 1.2),
        (1.1, 0.05, 0.03, 1.2),
    )
    markings = Paint(spec, spec.worldbody, "hall_marking")
    for x, y, half_x, half_y in lines:
        markings.box((x, y, 0.001), (half_x, half_y, 0.001), SAFETY_YELLOW)
    markings.add()


def _add_light(spec: mujoco.MjSpec) -> None:
    """Sets MuJoCo's headlight, which shines from each camera, and adds a lamp overhead."""
    headlight = spec.visual.headlight
    headlight.ambient = [0.35] * 3
    headlight.diffuse = [0.25] * 3
    headlight.specular = [0.05] * 3

    # a lamp that shines in parallel rays, almost straight down
    lamp = spec.worldbody.add_light(
        name="lamp", pos=[0.6, -0.6, 3.5], dir=[-0.1, 0.2, -1]
    )
    lamp.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    lamp.diffuse = [0.55] * 3
    lamp.specular = [0.1] * 3
    lamp.castshadow = True


def _paint_walls(decor: Paint) -> None:
    """Paints walls with a plinth and columns, behind and to the left of the robot.

    Boxes are given by their middle and half size, m.
    """
    # each wall: the wall itself, its plinth, and a line along the plinth's upper edge
    for x, y, half_x, half_y in ((-3.2, 0.4, 0.05, 4.4), (0.8, 3.4, 4.0, 0.05)):
        decor.box((x, y, 1.9), (half_x, half_y, 1.9), WALL)
        decor.box((x, y, 0.45), (half_x + 0.01, half_y + 0.01, 0.45), STRIPE)
        line_half = (half_x + 0.015, half_y + 0.015, 0.02)
        decor.box((x, y, 0.92), line_half, SAFETY_YELLOW)
    # the columns
    for x, y in ((-3.1, -1.6), (-3.1, 1.2), (-0.6, 3.3), (2.2, 3.3)):
        decor.box((x, y, 1.9), (0.10, 0.10, 1.9), COLUMN)


def _paint_fence(decor: Paint) -> None:
    """Paints a low guard rail behind the station and to its left.

    Boxes are given by their middle and half size, m.
    """
    left_y = 1.75
    back_x = -1.55
    # posts along the back and along the left side, and two rails from post to post
    posts = [(back_x, y) for y in (-1.2, 0.0, 1.2)]
    posts += [(x, left_y) for x in (-1.55, -0.35, 0.85)]
    for x, y in posts:
        decor.box((x, y, 0.30), (0.04, 0.04, 0.30), SAFETY_YELLOW)
    for z in (0.25, 0.50):
        decor.cylinder((back_x, -1.2, z), (back_x, left_y, z), 0.03, SAFETY_YELLOW)
        decor.cylinder((back_x, left_y, z), (0.85, left_y, z), 0.03, SAFETY_YELLOW)


def _paint_pallet(decor: Paint) -> None:
    """Paints a pallet of stacked totes behind the rail.

    Boxes are given by their middle and half size, m.
    """
    # the pallet: three runners and a deck
    for y in (2.05, 2.45, 2.85):
        decor.box((-1.9, y, 0.05), (0.60, 0.06, 0.05), WOOD)
    decor.box((-1.9, 2.45, 0.12), (0.60, 0.50, 0.02), WOOD)
    # nine totes: a layer of three along x and two along y, and three on top
    for k in range(9):
        x = -2.25 + 0.35 * (k % 3)
        y = 2.25 + 0.4 * (k // 3 % 2)
        z = 0.21 + 0.145 * (k // 6)
        decor.box((x, y, z), (0.16, 0.18, 0.07), TOTE_COLOURS[k % 3])
