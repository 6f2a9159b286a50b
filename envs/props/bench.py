"""A workbench of a machine shop: a steel top on a frame, tools on a board behind it."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco

from embodied.envs.props.colours import FRAME_BLUE, SAFETY_YELLOW, STEEL
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import add_box

TOP = (0.62, 0.64, 0.66, 1.0)
DRAWER = (0.28, 0.36, 0.44, 1.0)
BOARD = (0.80, 0.82, 0.83, 1.0)
HANDLE_RED = (0.72, 0.16, 0.13, 1.0)
DARK = (0.16, 0.17, 0.18, 1.0)
SLIDING_FRICTION = 0.4


@dataclass(frozen=True)
class BenchSize:
    """Centre of the top in the world, and its size along x and y, m."""

    x: float = 0.62
    y: float = 0.08
    top_z: float = 0.70  # height of the upper face
    depth: float = 0.60  # along x
    width: float = 1.24  # along y
    thickness: float = 0.03  # of the top


def add_bench(spec: mujoco.MjSpec, size: BenchSize) -> None:
    """Adds the bench as a body `bench` whose origin is on the floor below its middle.

    Boxes are given by their middle and half size, m.
    """
    bench = spec.worldbody.add_body(name="bench", pos=[size.x, size.y, 0])
    half_x = size.depth / 2
    half_y = size.width / 2
    top_half = (half_x, half_y, size.thickness / 2)
    top = add_box(bench, (0, 0, size.top_z - size.thickness / 2), top_half, TOP)
    top.friction[0] = SLIDING_FRICTION

    # the robot collides with everything below the top as with one block, which begins 8
    # cm above the floor
    under_z = size.top_z - size.thickness
    cabinet_half = (half_x - 0.04, half_y - 0.04, (under_z - 0.08) / 2)
    add_box(bench, (0, 0, 0.08 + cabinet_half[2]), cabinet_half, FRAME_BLUE)

    paint = Paint(spec, bench, "bench_paint")
    # a yellow edge towards the robot
    edge_half = (0.003, half_y, size.thickness / 2)
    edge_pos = (-half_x - 0.002, 0, size.top_z - size.thickness / 2)
    paint.box(edge_pos, edge_half, SAFETY_YELLOW)
    paint.add()
    _paint_decor(spec, bench, size)


def _paint_decor(spec: mujoco.MjSpec, bench: mujoco.MjsBody, size: BenchSize) -> None:
    """Paints drawers below the top, and a board with tools behind it.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.
    """
    decor = Paint(spec, bench, "bench_decor", decor=True)
    half_y = size.width / 2
    # the drawers' front is just before the cabinet, which is 4 cm behind the top's edge
    front_x = -size.depth / 2 + 0.036

    # four columns of three drawers, each with a handle
    pitch_y = (size.width - 0.10) / 4
    for column in range(4):
        y = -half_y + 0.05 + pitch_y * (column + 0.5)
        for z in (0.19, 0.36, 0.53):
            decor.box((front_x, y, z), (0.004, pitch_y / 2 - 0.006, 0.078), DRAWER)
            decor.box((front_x - 0.012, y, z + 0.045), (0.006, 0.05, 0.006), STEEL)

    # the board stands on the bench's far edge
    back_x = size.depth / 2 - 0.012
    top_z = size.top_z
    decor.box((back_x, 0, top_z + 0.26), (0.010, half_y, 0.26), BOARD)
    for y in (-half_y + 0.015, half_y - 0.015):
        decor.box((back_x, y, top_z + 0.27), (0.014, 0.015, 0.27), FRAME_BLUE)

    # on the board: spanners from long to short, two screwdrivers, a row of small boxes
    tool_x = back_x - 0.016
    for k in range(5):
        y = 0.48 - 0.06 * k
        length = 0.22 - 0.03 * k
        upper = (tool_x, y, top_z + 0.46)
        lower = (tool_x, y, top_z + 0.46 - length)
        decor.cylinder(lower, upper, 0.007, STEEL)
        for x, y, z in (lower, upper):
            decor.box((x, y, z), (0.006, 0.014, 0.012), STEEL)
    for k in range(2):
        y = 0.12 - 0.06 * k
        middle = (tool_x, y, top_z + 0.36)
        decor.cylinder(middle, (tool_x, y, top_z + 0.46), 0.014, HANDLE_RED)
        decor.cylinder((tool_x, y, top_z + 0.24), middle, 0.004, STEEL)
    for k in range(5):
        y = -0.12 - 0.09 * k
        colour = SAFETY_YELLOW if k % 2 else DRAWER
        decor.box((tool_x - 0.04, y, top_z + 0.34), (0.05, 0.038, 0.035), colour)
        decor.box((tool_x - 0.08, y, top_z + 0.36), (0.012, 0.030, 0.020), DARK)
    decor.add()
