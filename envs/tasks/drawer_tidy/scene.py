"""A kitchen corner: drawers in the counter ahead of the robot, things on the counter at
its left.
"""

from __future__ import annotations

import mujoco

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

DRAWERS_SIZE = DrawersSize()

CAMERA = "overview"
BEAUTY = "kitchen"
SIDE_Y = 0.44  # edge of the counter at the left, m
STONE = (0.64, 0.62, 0.59, 1)
PLINTH = (0.20, 0.21, 0.22, 1)
STEEL = (0.66, 0.68, 0.70, 1)
DARK = (0.16, 0.17, 0.18, 1)
# where the counters end
END_Y = -1.05
END_X = -0.40


def build_drawer_kitchen(robot: Robot) -> mujoco.MjSpec:
    """The corner with `robot` and all the things (absent ones are parked).

    Camera `overview` sees drawers, things and hand, for policies; `kitchen` is the view
    for people.
    """
    spec = start_station("drawer_kitchen", robot, fenced=False)
    add_kitchen(spec)
    chest = spec.worldbody.add_body(name="chest")
    _add_front_counter(spec, chest, DRAWERS_SIZE)
    add_drawers(spec, chest, DRAWERS_SIZE)
    _add_side_counter(spec, DRAWERS_SIZE)
    for name in THINGS:
        add_thing(spec, name)
    add_view(spec, CAMERA, (1.00, 0.08, 1.90), (0.29, 0.10, 0.71), 43)
    add_view(spec, BEAUTY, (-1.08, -1.92, 1.98), (0.32, 0.16, 0.84), 40)
    return spec


def _solid(body: mujoco.MjsBody, low: Vector, high: Vector, rgba: Vector) -> None:
    """A box between two corners, m."""
    middle, half = zip(
        *(((a + b) / 2, (b - a) / 2) for a, b in zip(low, high, strict=True)),
        strict=True,
    )
    add_box(body, middle, half, rgba).friction[0] = SLIDING_FRICTION


def _add_front_counter(
    spec: mujoco.MjSpec, chest: mujoco.MjsBody, size: DrawersSize
) -> None:
    """Worktop, the drawers' surroundings and the doors below them."""
    under = size.top_z - size.worktop
    floor_z = size.floor_z - 0.024
    end = size.y[-1] - size.pitch / 2
    _solid(
        chest,
        (size.x - 0.005, END_Y, under),
        (FRONT_X - 0.02, LEFT_Y - 0.02, size.top_z),
        STONE,
    )
    _solid(
        chest,
        (size.x + 0.002, END_Y + 0.01, 0.10),
        (FRONT_X - 0.04, LEFT_Y - 0.04, floor_z),
        FRONT,
    )
    _solid(
        chest,
        (size.x + 0.002, END_Y + 0.01, floor_z),
        (FRONT_X - 0.04, end - 0.003, under),
        FRONT,
    )
    paint = Paint(spec, chest, "front_counter")
    paint.box(
        (size.x + 0.36, 0, (floor_z + under) / 2),
        (0.005, 0.36, (under - floor_z) / 2),
        DARK,
    )
    paint.box((size.x + 0.34, 0.09, 0.05), (0.30, 1.12, 0.05), PLINTH)
    paint.add()
    decor = Paint(spec, chest, "front_counter_decor", decor=True)
    for y in (0.18, -0.18, -0.53, -0.87):
        _paint_door(decor, (size.x, y), 0.165, (0.12, floor_z - 0.012))
    _paint_door(decor, (size.x, -0.70), 0.33, (floor_z + 0.006, under - 0.006))
    _paint_kettle(decor, (0.98, -0.62, size.top_z))
    _paint_board(decor, (1.20, 0.62, size.top_z))
    decor.add()


def _add_side_counter(spec: mujoco.MjSpec, size: DrawersSize) -> None:
    """Where the things lie."""
    counter = spec.worldbody.add_body(name="side_counter")
    top = size.top_z - 0.0005  # where the worktops overlap, one of them is seen
    _solid(
        counter,
        (END_X, SIDE_Y, top - 0.016),
        (size.x + 0.03, LEFT_Y - 0.02, top),
        STONE,
    )
    _solid(
        counter,
        (END_X + 0.01, SIDE_Y + 0.03, 0.10),
        (size.x, LEFT_Y - 0.04, size.top_z - 0.016),
        FRONT,
    )
    decor = Paint(spec, counter, "side_counter_decor", decor=True)
    decor.box((0.08, SIDE_Y + 0.40, 0.05), (0.45, 0.32, 0.05), PLINTH)
    for x in (-0.16, 0.16, 0.42):
        half = 0.15 if x < 0.4 else 0.10
        decor.box((x, SIDE_Y + 0.026, 0.40), (half, 0.004, 0.29), FRONT_EDGE)
        decor.box((x, SIDE_Y + 0.024, 0.40), (half - 0.035, 0.004, 0.255), FRONT)
        decor.box((x + half - 0.02, SIDE_Y + 0.010, 0.62), (0.006, 0.010, 0.05), STEEL)
    for k, x in enumerate((-0.22, -0.12, -0.02)):  # canisters at the wall
        high = 0.16 - 0.025 * k
        decor.cylinder(
            (x, 1.14, size.top_z, x, 1.14, size.top_z + high),
            0.045,
            (0.93, 0.91, 0.86, 1),
        )
        decor.cylinder(
            (x, 1.14, size.top_z + high, x, 1.14, size.top_z + high + 0.02),
            0.047,
            (0.70, 0.53, 0.36, 1),
        )
    decor.add()


def _paint_door(
    decor: Paint, at: tuple[float, float], half_y: float, z: tuple[float, float]
) -> None:
    """A door or a wide drawer with a frame and a handle at its top, facing -x."""
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
    x, y, z = pos
    decor.cylinder((x, y, z, x, y, z + 0.02), 0.085, DARK)
    decor.cylinder((x, y, z + 0.02, x, y, z + 0.19), 0.075, STEEL)
    decor.cylinder((x, y, z + 0.19, x, y, z + 0.205), 0.060, DARK)
    decor.cylinder((x - 0.06, y, z + 0.13, x - 0.12, y, z + 0.18), 0.014, STEEL)
    decor.box((x + 0.11, y, z + 0.11), (0.012, 0.012, 0.075), DARK)
    for high in (0.05, 0.18):
        decor.box((x + 0.09, y, z + high), (0.025, 0.012, 0.010), DARK)


def _paint_board(decor: Paint, pos: Vector) -> None:
    """Cutting boards that lean at the wall, and a bowl of fruit."""
    x, y, z = pos
    decor.box((x + 0.02, y, z + 0.15), (0.012, 0.12, 0.15), (0.62, 0.45, 0.28, 1))
    decor.box(
        (x - 0.01, y + 0.09, z + 0.11), (0.010, 0.09, 0.11), (0.78, 0.62, 0.42, 1)
    )
    bowl = (x - 0.12, y - 0.32)
    for k in range(4):
        decor.cylinder(
            (*bowl, z + 0.015 * k, *bowl, z + 0.015 * (k + 1)),
            0.06 + 0.018 * k,
            (0.94, 0.93, 0.90, 1),
        )
    fruit = ((0.75, 0.16, 0.12, 1), (0.93, 0.62, 0.13, 1), (0.56, 0.70, 0.20, 1))
    for k, colour in enumerate(fruit):
        a = 2.1 * k
        at = (
            bowl[0] + 0.045 * (1 if k % 2 else -1),
            bowl[1] + 0.04 * (k - 1),
            z + 0.06,
        )
        decor.cylinder((*at, at[0], at[1], at[2] + 0.05 + 0.003 * a), 0.034, colour)
