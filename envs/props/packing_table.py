"""A packing table: a light top on a steel frame, with packing material behind it."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco

from embodied.envs.props.colours import FRAME_BLUE, SAFETY_YELLOW, STEEL
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import add_box

TOP = (0.80, 0.79, 0.76, 1.0)
MAT = (0.22, 0.30, 0.31, 1.0)
BOARD = (0.82, 0.83, 0.84, 1.0)
CARDBOARD = (0.76, 0.60, 0.41, 1.0)
DARK_CARDBOARD = (0.64, 0.49, 0.32, 1.0)
PAPER = (0.72, 0.58, 0.40, 1.0)
TAPE = (0.80, 0.62, 0.36, 1.0)
TAPE_GUN = (0.72, 0.16, 0.13, 1.0)
FILM = (0.78, 0.84, 0.88, 1.0)
DARK = (0.14, 0.15, 0.17, 1.0)
CASE = (0.86, 0.87, 0.88, 1.0)
LABEL = (0.97, 0.97, 0.96, 1.0)
GREEN = (0.15, 0.60, 0.30, 1.0)
SLIDING_FRICTION = 0.5


@dataclass(frozen=True)
class PackingTableSize:
    """Centre of the top in the world, and its size along x and y, m."""

    x: float = 0.62
    y: float = 0.02
    top_z: float = 0.70  # height of the upper face
    depth: float = 0.64  # along x
    width: float = 1.30  # along y
    thickness: float = 0.03  # of the top


def add_packing_table(spec: mujoco.MjSpec, size: PackingTableSize) -> None:
    """Adds the table as a body whose frame is on the floor below its middle.

    Boxes are given by their middle and half size, m.
    """
    table = spec.worldbody.add_body(name="packing_table", pos=[size.x, size.y, 0])
    half_x = size.depth / 2
    half_y = size.width / 2
    top_half = (half_x, half_y, size.thickness / 2)
    top = add_box(table, (0, 0, size.top_z - size.thickness / 2), top_half, TOP)
    top.friction[0] = SLIDING_FRICTION

    # four legs, 5 cm from the edges
    under_z = size.top_z - size.thickness
    leg_half = under_z / 2
    for x in (-1, 1):
        for y in (-1, 1):
            leg = (x * (half_x - 0.05), y * (half_y - 0.05), leg_half)
            add_box(table, leg, (0.025, 0.025, leg_half), FRAME_BLUE)

    paint = Paint(spec, table, "packing_table_paint")
    # a yellow edge towards the robot
    edge_half = (0.003, half_y, size.thickness / 2)
    paint.box((-half_x - 0.002, 0, size.top_z - 0.015), edge_half, SAFETY_YELLOW)
    # a cutting mat on the part of the table where the robot works
    mat_half = (0.185, half_y - 0.09, 0.0008)
    paint.box((-0.115, 0, size.top_z), mat_half, MAT)
    paint.add()
    _paint_decor(spec, table, size)


def _paint_decor(
    spec: mujoco.MjSpec, table: mujoco.MjsBody, size: PackingTableSize
) -> None:
    """Paints a shelf below the top, and packing material and a printer on the top.

    Boxes are given by their middle and half size, m.
    """
    decor = Paint(spec, table, "packing_decor", decor=True)
    half_x = size.depth / 2
    half_y = size.width / 2

    # the lower shelf; on it two stacks of flat cartons, of two sizes, and a crate with
    # filling material
    shelf_z = 0.24
    decor.box((0, 0, shelf_z), (half_x - 0.05, half_y - 0.05, 0.012), BOARD)
    for k in range(8):
        sheet_z = shelf_z + 0.018 + 0.012 * k
        rgba = CARDBOARD if k % 2 else DARK_CARDBOARD
        shift = 0.004 * (k % 3)
        decor.box((0.02 + shift, 0.34 - shift, sheet_z), (0.20, 0.17, 0.005), rgba)
    for k in range(5):
        sheet_z = shelf_z + 0.018 + 0.012 * k
        rgba = DARK_CARDBOARD if k % 2 else CARDBOARD
        decor.box((0.04, -0.02 + 0.003 * k, sheet_z), (0.16, 0.12, 0.005), rgba)
    decor.box((0.02, -0.40, shelf_z + 0.09), (0.17, 0.14, 0.08), FRAME_BLUE)
    decor.box((0.02, -0.40, shelf_z + 0.171), (0.155, 0.125, 0.004), FILM)

    _paint_material(decor, size)
    _paint_printer(decor, (half_x - 0.13, -half_y + 0.16, size.top_z))
    decor.add()


def _paint_material(decor: Paint, size: PackingTableSize) -> None:
    """Paints a roll of paper, rolls of tape and a tape gun along the table's far edge.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.
    """
    back_x = size.depth / 2 - 0.09
    z = size.top_z

    # a roll of paper on its stand, with a sheet that hangs out
    roll_z = z + 0.085
    for y in (0.10, 0.56):
        decor.box((back_x, y, z + 0.06), (0.035, 0.008, 0.06), FRAME_BLUE)
    decor.cylinder((back_x, 0.12, roll_z), (back_x, 0.54, roll_z), 0.062, PAPER)
    decor.cylinder((back_x, 0.09, roll_z), (back_x, 0.57, roll_z), 0.014, STEEL)
    decor.box((back_x - 0.064, 0.33, z + 0.045), (0.0015, 0.20, 0.044), PAPER)

    # two rolls of tape on top of each other, each with a dark core, and a tape gun
    for k in range(2):
        low = (back_x + 0.01, -0.06, z + 0.052 * k)
        high = (back_x + 0.01, -0.06, z + 0.052 * k + 0.050)
        decor.cylinder(low, high, 0.055, TAPE)
        decor.cylinder(low, (*high[:2], high[2] + 0.001), 0.036, DARK)
    gun_y = -0.22
    decor.cylinder(
        (back_x, gun_y - 0.024, z + 0.055),
        (back_x, gun_y + 0.024, z + 0.055),
        0.050,
        TAPE,
    )
    decor.box((back_x - 0.045, gun_y, z + 0.035), (0.075, 0.004, 0.030), TAPE_GUN)
    decor.box((back_x + 0.055, gun_y, z + 0.016), (0.050, 0.014, 0.014), TAPE_GUN)


def _paint_printer(decor: Paint, pos: tuple[float, float, float]) -> None:
    """Paints a label printer that stands at `pos`, m; its labels come out towards -x.

    Boxes are given by their middle and half size, m.
    """
    x, y, z = pos
    decor.box((x, y, z + 0.065), (0.10, 0.085, 0.065), CASE)
    decor.box((x - 0.005, y, z + 0.131), (0.085, 0.070, 0.004), DARK)
    decor.box((x - 0.101, y, z + 0.050), (0.003, 0.060, 0.010), DARK)
    decor.box((x - 0.125, y, z + 0.047), (0.025, 0.050, 0.001), LABEL)
    decor.box((x - 0.101, y + 0.060, z + 0.095), (0.003, 0.008, 0.008), GREEN)
