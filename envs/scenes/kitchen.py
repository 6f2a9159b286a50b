"""The kitchen of household tasks, drawn only in pictures for people.

It has walls with tiles, a window, a shelf and a fridge.
"""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import Vector

# The inner faces of the walls ahead of the robot and at its left, m.
FRONT_X = 1.30
LEFT_Y = 1.25
# x and y where floor and walls end, behind and at the right of the robot, m.
ROOM = (-2.6, -2.8)
HEIGHT_M = 2.7
TILES_Z = (0.74, 1.34)  # lower and upper edge of the tiles, m
# Colours.
WALL = (0.93, 0.91, 0.86, 1)
SKIRTING = (0.97, 0.96, 0.94, 1)
GROUT = (0.80, 0.80, 0.77, 1)
TILE = (0.90, 0.92, 0.90, 1)
TILE_BAND = (0.36, 0.55, 0.56, 1)
OAK = (0.70, 0.53, 0.36, 1)
OAK_DARK = (0.56, 0.41, 0.27, 1)
WHITE = (0.96, 0.96, 0.95, 1)
STEEL = (0.66, 0.68, 0.70, 1)
SKY = (0.66, 0.83, 0.96, 1)
HILL = (0.49, 0.66, 0.42, 1)
LEAF = (0.25, 0.47, 0.24, 1)
CLAY = (0.72, 0.40, 0.27, 1)
DARK = (0.16, 0.17, 0.18, 1)


def add_kitchen(spec: mujoco.MjSpec) -> None:
    """Adds the room to a scene made by `start_station`, and makes the light brighter.

    The room is only drawn, and only in pictures for people.
    """
    # more light from the camera, because walls get little light from the lamp above
    spec.visual.headlight.ambient = [0.42] * 3
    spec.visual.headlight.diffuse = [0.38] * 3
    decor = Paint(spec, spec.worldbody, "kitchen", decor=True)
    _paint_floor(decor)
    _paint_walls(decor)
    _paint_tiles(decor)
    _paint_window(decor)
    _paint_shelf(decor)
    _paint_fridge(decor)
    _paint_clock(decor)
    decor.add()


def _box_between(paint: Paint, low: Vector, high: Vector, rgba: Vector) -> None:
    """Paints a box between two corners, m."""
    low = np.asarray(low, float)
    high = np.asarray(high, float)
    paint.box((low + high) / 2, (high - low) / 2, rgba)


def _paint_floor(decor: Paint) -> None:
    """Paints boards along x, over the hall's floor and its markings.

    The boards and the seams between them are boxes between two opposite corners, m.
    """
    _box_between(decor, (ROOM[0], ROOM[1], 0.0022), (FRONT_X, LEFT_Y, 0.004), OAK)

    # Rows of boards, 0.18 m wide, each with a seam along the row. The boards are 1.3 m
    # long, and the first board of each row has a random length, so that the ends of
    # boards in neighbouring rows are not in line.
    rng = np.random.default_rng(0)
    for row, y in enumerate(np.arange(ROOM[1], LEFT_Y, 0.18)):
        _box_between(decor, (ROOM[0], y, 0.004), (FRONT_X, y + 0.005, 0.0045), OAK_DARK)
        # a seam across the row at the end of each board
        far_y = min(y + 0.18, LEFT_Y)
        first_x = ROOM[0] + rng.uniform(0.2, 1.2) + 0.1 * (row % 2)
        for x in np.arange(first_x, FRONT_X, 1.3):
            _box_between(decor, (x, y, 0.004), (x + 0.005, far_y, 0.0045), OAK_DARK)


def _paint_walls(decor: Paint) -> None:
    """Paints both walls and their skirting boards, each a box between two corners."""
    for low, high in (
        ((FRONT_X, ROOM[1], 0), (FRONT_X + 0.08, LEFT_Y + 0.08, HEIGHT_M)),
        ((ROOM[0], LEFT_Y, 0), (FRONT_X, LEFT_Y + 0.08, HEIGHT_M)),
    ):
        _box_between(decor, low, high, WALL)
    _box_between(
        decor, (FRONT_X - 0.015, ROOM[1], 0), (FRONT_X, LEFT_Y, 0.10), SKIRTING
    )
    _box_between(decor, (ROOM[0], LEFT_Y - 0.015, 0), (FRONT_X, LEFT_Y, 0.10), SKIRTING)


def _paint_tiles(decor: Paint) -> None:
    """Paints rows of tiles on both walls, shifted by half a tile from row to row.

    The fifth row has another colour.
    """
    low_z, high_z = TILES_Z
    start_x = -0.45  # start of the tiles on the wall at the left
    start_y = -1.0  # start of the tiles on the wall ahead
    width = 0.20
    height = 0.10
    seam = 0.006  # of grout between tiles
    _box_between(
        decor, (FRONT_X - 0.008, start_y, low_z), (FRONT_X, LEFT_Y, high_z), GROUT
    )
    _box_between(
        decor, (start_x, LEFT_Y - 0.008, low_z), (FRONT_X, LEFT_Y, high_z), GROUT
    )

    # the tiles on the wall ahead, then those on the wall at the left; the outermost tiles
    # of a row are cut off
    for row, z in enumerate(np.arange(low_z, high_z - 0.01, height)):
        colour = TILE_BAND if row == 4 else TILE
        shift = width / 2 * (row % 2)
        for y in np.arange(start_y - shift, LEFT_Y, width):
            near = max(y, start_y)
            far = min(y + width - seam, LEFT_Y)
            _box_between(
                decor,
                (FRONT_X - 0.012, near, z),
                (FRONT_X, far, z + height - seam),
                colour,
            )
        for x in np.arange(start_x - shift, FRONT_X, width):
            near = max(x, start_x)
            far = min(x + width - seam, FRONT_X)
            _box_between(
                decor,
                (near, LEFT_Y - 0.012, z),
                (far, LEFT_Y, z + height - seam),
                colour,
            )


def _paint_window(decor: Paint) -> None:
    """Paints a window in the wall ahead, with hills behind and a plant on its sill."""
    x = FRONT_X
    low_y = -0.75
    high_y = 0.25
    low_z = 1.46
    high_z = 2.22
    _box_between(decor, (x - 0.004, low_y, low_z), (x, high_y, high_z), SKY)
    _box_between(decor, (x - 0.006, low_y, low_z), (x, high_y, low_z + 0.20), HILL)

    # the frame: uprights, rails, and the sill
    for y in (low_y, (low_y + high_y) / 2, high_y):
        _box_between(decor, (x - 0.03, y - 0.025, low_z), (x, y + 0.025, high_z), WHITE)
    for z in (low_z, high_z, low_z + 0.52):
        _box_between(
            decor,
            (x - 0.03, low_y - 0.025, z - 0.022),
            (x, high_y + 0.025, z + 0.022),
            WHITE,
        )
    _box_between(
        decor,
        (x - 0.16, low_y - 0.06, low_z - 0.05),
        (x, high_y + 0.06, low_z - 0.022),
        WHITE,
    )
    _paint_plant(decor, (x - 0.08, 0.08, low_z - 0.022))


def _paint_plant(decor: Paint, pos: Vector) -> None:
    """Paints a pot with leaves that lean outwards.

    Cylinders are given by the middles of their two ends and their radius, m.
    """
    x, y, z = pos
    decor.cylinder((x, y, z), (x, y, z + 0.10), 0.055, CLAY)
    decor.cylinder((x, y, z + 0.10), (x, y, z + 0.115), 0.062, CLAY)

    # from leaf to leaf it is the golden angle, 2.4 rad, which spreads the leaves evenly
    for k in range(9):
        angle = 2.4 * k
        lean = 0.04 + 0.012 * (k % 3)
        tip = (
            x + lean * np.cos(angle),
            y + lean * np.sin(angle),
            z + 0.20 + 0.03 * (k % 4),
        )
        decor.cylinder((x, y, z + 0.11), tip, 0.011, LEAF)


def _paint_shelf(decor: Paint) -> None:
    """Paints two boards on the wall at the left, with jars, bowls and books.

    Cylinders are given by the middles of their two ends and their radius, m.
    """
    low_x = -0.45  # the boards' ends
    high_x = 1.29
    depth = 0.20
    # the boards, on two brackets each
    for z in (1.52, 1.88):
        _box_between(
            decor, (low_x, LEFT_Y - depth, z), (high_x, LEFT_Y, z + 0.025), OAK
        )
        for x in (low_x + 0.1, high_x - 0.15):
            _box_between(
                decor,
                (x - 0.01, LEFT_Y - depth * 0.8, z - 0.10),
                (x + 0.01, LEFT_Y, z),
                STEEL,
            )

    # jars with lids
    y = LEFT_Y - depth / 2
    contents = (
        (0.78, 0.55, 0.20, 1),
        (0.55, 0.27, 0.18, 1),
        (0.85, 0.80, 0.66, 1),
        (0.42, 0.52, 0.30, 1),
    )
    for k, colour in enumerate(contents):
        x = low_x + 0.45 + 0.13 * k
        decor.cylinder((x, y, 1.545), (x, y, 1.545 + 0.14), 0.045, colour)
        decor.cylinder((x, y, 1.685), (x, y, 1.705), 0.047, STEEL)

    # a stack of bowls
    for k in range(4):
        z = 1.545 + 0.022 * k
        decor.cylinder(
            (0.85, y, z), (0.85, y, z + 0.018), 0.075 - 0.004 * (k % 2), WHITE
        )

    # books of different heights
    books = (
        (0.62, 0.20, 0.18, 1),
        (0.20, 0.34, 0.46, 1),
        (0.93, 0.70, 0.13, 1),
        (0.36, 0.55, 0.56, 1),
    )
    for k, colour in enumerate(books):
        x = low_x + 0.40 + 0.045 * k
        _box_between(
            decor,
            (x, LEFT_Y - 0.17, 1.905),
            (x + 0.038, LEFT_Y - 0.02, 2.10 + 0.02 * (k % 3)),
            colour,
        )
    _paint_plant(decor, (0.80, y, 1.905))


def _paint_fridge(decor: Paint) -> None:
    """Paints a fridge in the corner at the right, with two doors and some notes."""
    x = 0.66  # of the fridge's front
    low_y = -1.78
    high_y = -1.14
    _box_between(decor, (x, low_y, 0.03), (FRONT_X - 0.01, high_y, 1.80), WHITE)

    # the doors and their handles
    for low_z, high_z in ((0.06, 0.62), (0.64, 1.78)):
        _box_between(
            decor, (x - 0.03, low_y + 0.01, low_z), (x, high_y - 0.01, high_z), SKIRTING
        )
        _box_between(
            decor,
            (x - 0.07, high_y - 0.09, low_z + 0.15),
            (x - 0.05, high_y - 0.06, high_z - 0.15),
            STEEL,
        )

    # the notes
    for k, colour in enumerate((TILE_BAND, (0.93, 0.70, 0.13, 1), CLAY)):
        _box_between(
            decor,
            (x - 0.034, -1.60 + 0.12 * k, 1.40 - 0.05 * k),
            (x - 0.03, -1.53 + 0.12 * k, 1.49 - 0.05 * k),
            colour,
        )


def _paint_clock(decor: Paint) -> None:
    """Paints a clock on the wall ahead, at about ten to one.

    Cylinders are given by the middles of their two ends and their radius, m.
    """
    x = FRONT_X
    y = 0.72
    z = 1.95
    decor.cylinder((x - 0.03, y, z), (x, y, z), 0.15, DARK)
    decor.cylinder((x - 0.034, y, z), (x, y, z), 0.135, WHITE)

    # (clockwise angle from straight up, length) of the hour hand and of the minute hand
    for angle, length in ((np.radians(35), 0.07), (np.radians(-60), 0.11)):
        tip = (x - 0.036, y - length * np.sin(angle), z + length * np.cos(angle))
        decor.cylinder((x - 0.036, y, z), tip, 0.006, DARK)
