"""The scene of DrawerTidy: a kitchen corner, drawers ahead, things at the left."""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.envs.props.drawer import (
    FRONT,
    FRONT_EDGE,
    SLIDING_FRICTION,
    DrawersSize,
    add_drawers,
)
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import Vector, add_box
from embodied.envs.props.things import THINGS, add_thing
from embodied.envs.scenes.kitchen import FRONT_X, LEFT_Y, add_kitchen
from embodied.envs.scenes.station import start_station
from embodied.envs.scenes.views import add_view
from embodied.robots.robot import Robot
from embodied.robots.work import WorkPlace

DRAWERS_SIZE = DrawersSize()

CAMERA = "overview"
BEAUTY = "kitchen"
SIDE_Y = 0.44  # edge of the counter at the left, m
STONE = (0.64, 0.62, 0.59, 1)
PLINTH = (0.20, 0.21, 0.22, 1)
STEEL = (0.66, 0.68, 0.70, 1)
DARK = (0.16, 0.17, 0.18, 1)
CERAMIC = (0.93, 0.91, 0.86, 1)
WOOD = (0.70, 0.53, 0.36, 1)
DARK_BOARD = (0.62, 0.45, 0.28, 1)
LIGHT_BOARD = (0.78, 0.62, 0.42, 1)
BOWL = (0.94, 0.93, 0.90, 1)
FRUIT = ((0.75, 0.16, 0.12, 1), (0.93, 0.62, 0.13, 1), (0.56, 0.70, 0.20, 1))
# The y at which the counter ahead ends, and the x at which the counter at the left ends, m.
END_Y = -1.05
END_X = -0.40
# What the expert reaches for at the edges of the scene, at L2.
WORK = (
    WorkPlace("the handle of a closed drawer", (0.53, -0.24, 0.72)),
    WorkPlace("the handle of an open drawer", (0.32, 0.24, 0.72)),
    WorkPlace("the bottom of a drawer", (0.44, 0.29, 0.64)),
    WorkPlace("the farthest object on the counter", (0.34, 0.55, 0.79)),
    WorkPlace("the object at the left end of the counter", (0.02, 0.55, 0.79)),
)


def build_drawer_kitchen(robot: Robot) -> mujoco.MjSpec:
    """Returns the kitchen corner with a robot and all things.

    Things that take no part in an episode are parked out of sight. Policies look through
    the camera `overview`, which sees drawers, things and hand; `kitchen` is the camera of
    pictures for people.
    """
    spec = start_station("drawer_kitchen", robot, fenced=False)
    add_kitchen(spec)
    chest = spec.worldbody.add_body(name="chest")
    _add_front_counter(spec, chest, DRAWERS_SIZE)
    add_drawers(spec, chest, DRAWERS_SIZE)
    _add_side_counter(spec, DRAWERS_SIZE)
    for name in THINGS:
        add_thing(spec, name)

    # the cameras, of policies first
    add_view(
        spec, CAMERA, pos_w=(1.00, 0.08, 1.90), target_w=(0.29, 0.10, 0.71), fovy_deg=43
    )
    add_view(
        spec,
        BEAUTY,
        pos_w=(-1.08, -1.92, 1.98),
        target_w=(0.32, 0.16, 0.84),
        fovy_deg=40,
    )
    return spec


def _solid(body: mujoco.MjsBody, low: Vector, high: Vector, rgba: Vector) -> None:
    """Adds a box between two opposite corners (3,), m, with the friction of a worktop."""
    corner = np.array(low)
    opposite = np.array(high)
    box = add_box(body, (corner + opposite) / 2, (opposite - corner) / 2, rgba)
    box.friction[0] = SLIDING_FRICTION


def _add_front_counter(
    spec: mujoco.MjSpec, chest: mujoco.MjsBody, size: DrawersSize
) -> None:
    """Adds the worktop, the cupboards around the drawers, and decoration.

    The worktop stands out over the drawers' fronts; the cupboards leave a gap of a few
    mm around the drawers. Solid boxes are given by two opposite corners, painted boxes by
    their middle and half size, m.
    """
    under = size.top_z - size.worktop  # z of the worktop's underside
    below = size.floor_z - 0.024  # z of the lower edge of the gap below the fronts
    right_end = size.y[-1] - size.pitch / 2  # y of the drawers' right end
    front_x = size.x + 0.002
    back_x = FRONT_X - 0.04

    # the worktop, the cupboards below the drawers, and those to their right
    top_low = (size.x - 0.005, END_Y, under)
    top_high = (FRONT_X - 0.02, LEFT_Y - 0.02, size.top_z)
    _solid(chest, top_low, top_high, STONE)
    below_low = (front_x, END_Y + 0.01, 0.10)
    below_high = (back_x, LEFT_Y - 0.04, below)
    _solid(chest, below_low, below_high, FRONT)
    beside_low = (front_x, END_Y + 0.01, below)
    beside_high = (back_x, right_end - 0.003, under)
    _solid(chest, beside_low, beside_high, FRONT)

    # the dark wall behind the drawers, and the plinth: boxes by middle and half size, m
    paint = Paint(spec, chest, "front_counter")
    paint.box(
        (size.x + 0.36, 0, (below + under) / 2),
        (0.005, 0.36, (under - below) / 2),
        DARK,
    )
    paint.box((size.x + 0.34, 0.09, 0.05), (0.30, 1.12, 0.05), PLINTH)
    paint.add()

    # four doors below, a wide drawer that does not open, and decoration on the worktop
    decor = Paint(spec, chest, "front_counter_decor", decor=True)
    for y in (0.18, -0.18, -0.53, -0.87):
        _paint_door(decor, at=(size.x, y), half_y=0.165, z=(0.12, below - 0.012))
    _paint_door(
        decor, at=(size.x, -0.70), half_y=0.33, z=(below + 0.006, under - 0.006)
    )
    _paint_kettle(decor, (0.98, -0.62, size.top_z))
    _paint_boards_and_bowl(decor, (1.20, 0.62, size.top_z))
    decor.add()


def _add_side_counter(spec: mujoco.MjSpec, size: DrawersSize) -> None:
    """Adds the counter on which the things stand.

    Painted boxes are given by middle and half size, m.
    """
    counter = spec.worldbody.add_body(name="side_counter")
    # a little below the other worktop, because coinciding faces would flicker in pictures
    top = size.top_z - 0.0005
    top_low = (END_X, SIDE_Y, top - 0.016)
    top_high = (size.x + 0.03, LEFT_Y - 0.02, top)
    _solid(counter, top_low, top_high, STONE)
    below_low = (END_X + 0.01, SIDE_Y + 0.03, 0.10)
    below_high = (size.x, LEFT_Y - 0.04, size.top_z - 0.016)
    _solid(counter, below_low, below_high, FRONT)

    # the plinth, and three doors: edge, panel and handle of each
    decor = Paint(spec, counter, "side_counter_decor", decor=True)
    decor.box((0.08, SIDE_Y + 0.40, 0.05), (0.45, 0.32, 0.05), PLINTH)
    for x, half in ((-0.16, 0.15), (0.16, 0.15), (0.42, 0.10)):
        decor.box((x, SIDE_Y + 0.026, 0.40), (half, 0.004, 0.29), FRONT_EDGE)
        decor.box((x, SIDE_Y + 0.024, 0.40), (half - 0.035, 0.004, 0.255), FRONT)
        decor.box((x + half - 0.02, SIDE_Y + 0.010, 0.62), (0.006, 0.010, 0.05), STEEL)

    # three canisters with lids at the wall, in descending order of height
    y = 1.14
    for k, x in enumerate((-0.22, -0.12, -0.02)):
        rim_z = size.top_z + (0.16 - 0.025 * k)
        rim = (x, y, rim_z)
        decor.cylinder((x, y, size.top_z), rim, 0.045, CERAMIC)
        decor.cylinder(rim, (x, y, rim_z + 0.02), 0.047, WOOD)
    decor.add()


def _paint_door(
    decor: Paint, at: tuple[float, float], half_y: float, z: tuple[float, float]
) -> None:
    """Paints a door or a wide drawer, facing -x, with a handle at its top.

    Boxes are given by their middle and half size, m.

    Args:
        decor: Collects the shapes.
        at: x and y of the middle of the door's surface, m.
        half_y: Half the door's width, m.
        z: Heights of the door's lower and upper edge, m.
    """
    x, y = at
    middle = (z[0] + z[1]) / 2
    half_z = (z[1] - z[0]) / 2
    decor.box((x, y, middle), (0.004, half_y, half_z), FRONT_EDGE)
    decor.box((x - 0.002, y, middle), (0.004, half_y - 0.024, half_z - 0.024), FRONT)
    decor.box((x - 0.022, y, z[1] - 0.035), (0.006, 0.05, 0.006), STEEL)
    for side in (-1, 1):
        decor.box(
            (x - 0.012, y + side * 0.04, z[1] - 0.035), (0.010, 0.004, 0.004), STEEL
        )


def _paint_kettle(decor: Paint, pos: Vector) -> None:
    """Paints a kettle that stands at `pos`; boxes by middle and half size, m."""
    x, y, z = pos
    decor.cylinder((x, y, z), (x, y, z + 0.02), 0.085, DARK)
    decor.cylinder((x, y, z + 0.02), (x, y, z + 0.19), 0.075, STEEL)
    decor.cylinder((x, y, z + 0.19), (x, y, z + 0.205), 0.060, DARK)
    decor.cylinder((x - 0.06, y, z + 0.13), (x - 0.12, y, z + 0.18), 0.014, STEEL)
    decor.box((x + 0.11, y, z + 0.11), (0.012, 0.012, 0.075), DARK)
    for high in (0.05, 0.18):
        decor.box((x + 0.09, y, z + high), (0.025, 0.012, 0.010), DARK)


def _paint_boards_and_bowl(decor: Paint, pos: Vector) -> None:
    """Paints two cutting boards that stand at the wall, and a bowl of fruit.

    The boards stand around `pos` (3,). Boxes are given by middle and half size, m.
    """
    x, y, z = pos
    decor.box((x + 0.02, y, z + 0.15), (0.012, 0.12, 0.15), DARK_BOARD)
    decor.box((x - 0.01, y + 0.09, z + 0.11), (0.010, 0.09, 0.11), LIGHT_BOARD)

    # the bowl is four rings that grow wider; a fruit is a short cylinder, each a little
    # taller than the one before
    bowl_x = x - 0.12
    bowl_y = y - 0.32
    for k in range(4):
        low = (bowl_x, bowl_y, z + 0.015 * k)
        high = (bowl_x, bowl_y, z + 0.015 * (k + 1))
        decor.cylinder(low, high, 0.06 + 0.018 * k, BOWL)
    for k, colour in enumerate(FRUIT):
        fruit_x = bowl_x + (0.045 if k % 2 else -0.045)
        fruit_y = bowl_y + 0.04 * (k - 1)
        low = (fruit_x, fruit_y, z + 0.06)
        high = (fruit_x, fruit_y, z + 0.06 + 0.05 + 0.003 * (2.1 * k))
        decor.cylinder(low, high, 0.034, colour)
