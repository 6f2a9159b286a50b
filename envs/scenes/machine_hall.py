"""A machine hall: an aisle between two rows of stations, with walkways for people.

The aisle runs along x. People walk in its middle and cross it between the stations, on
green walkways; robots drive on either side, along yellow lines.
"""

from __future__ import annotations

import mujoco

from embodied.envs.props.colours import SAFETY_YELLOW
from embodied.envs.props.hall import COLUMN, STRIPE, WALL, add_floor_and_light
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import COLLISION_GROUP, add_box
from embodied.envs.props.sign import (
    FACING_MINUS_X,
    FACING_MINUS_Y,
    FACING_PLUS_Y,
    SignStyle,
    add_sign,
)
from embodied.sim.cameras import DECOR_GROUP

# Inner faces of the walls.
WALL_X_M = 4.3
WALL_Y_M = 4.1
# The y of the stations' fronts.
FRONT_Y_M = 2.3
# Centre lines of the walkways that run along y between the stations.
CROSSINGS_X_M = (-1.15, 1.15)
# Centre lines of the walkways that run along y at the ends of the aisle.
ENDS_X_M = (-3.45, 3.45)
# Distance of the walkways behind the stations from the middle of the aisle.
BEHIND_Y_M = 3.55
# Half the width of the walkway in the middle of the aisle.
WAY_HALF_M = 0.55
# Distance of the robots' lanes from the middle of the aisle, on either side of it.
ROBOT_Y_M = 1.45
LINE_HALF_M = 0.03  # half the width of a painted line
EDGE_HALF_M = LINE_HALF_M / 1.5  # half the width of a walkway's white edge
# Colours.
WAY_GREEN = (0.30, 0.52, 0.40, 1.0)
WHITE = (0.90, 0.90, 0.88, 1.0)
PIPE_GREEN = (0.18, 0.42, 0.32, 1.0)
PIPE_OCHRE = (0.60, 0.46, 0.22, 1.0)
DUCT = (0.58, 0.61, 0.63, 1.0)
DOOR_GREY = (0.42, 0.46, 0.50, 1.0)
TRAY = (0.34, 0.36, 0.38, 1.0)
EXIT_GREEN = (0.02, 0.45, 0.22)


def add_machine_hall(spec: mujoco.MjSpec) -> None:
    """Adds floor, light, walls, markings and pipes, but neither stations nor people."""
    add_floor_and_light(spec)
    _add_walls(spec)
    # what all cameras see on the floor
    markings = Paint(spec, spec.worldbody, "hall_marking")
    _paint_ways(markings)
    _paint_robot_lines(markings)
    markings.add()

    # what only pictures for people show
    decor = Paint(spec, spec.worldbody, "hall_decor", decor=True)
    _paint_walls(decor)
    _paint_pipes(decor)
    decor.add()
    _add_notices(spec)


def _add_walls(spec: mujoco.MjSpec) -> None:
    """Adds four walls that collide but are not drawn."""
    half_x = WALL_X_M + 0.1
    half_y = WALL_Y_M + 0.1
    for sign in (-1, 1):
        along_y = ((sign * half_x, 0, 1.0), (0.1, half_y, 1.0))
        along_x = ((0, sign * half_y, 1.0), (half_x, 0.1, 1.0))
        for pos, half in (along_y, along_x):
            geom = add_box(spec.worldbody, pos, half, WALL)
            geom.group = COLLISION_GROUP


def _paint_ways(paint: Paint) -> None:
    """Paints the walkways: green with white edges; and zebra crossings over the lanes.

    Boxes are given by their middle and half size, m.
    """
    z = 0.0008  # half the thickness of the paint
    half = WAY_HALF_M
    paint.box((0, 0, z), (WALL_X_M - 0.3, half, z), WAY_GREEN)
    # on either side: a white edge, and the walkway behind the stations
    for sign in (-1, 1):
        # thicker than the green paint, so that it lies on top
        edge_half = (WALL_X_M - 0.3, EDGE_HALF_M, 0.0012)
        paint.box((0, sign * half, 0.0012), edge_half, WHITE)
        paint.box((0, sign * BEHIND_Y_M, z), (WALL_X_M - 0.3, 0.4, z), WAY_GREEN)

    # zebra crossings where people cross the robots' lanes
    for x in (*CROSSINGS_X_M, *ENDS_X_M):
        for sign in (-1, 1):
            for k in range(6):
                y = sign * (half + 0.16 + 0.27 * k)
                paint.box((x, y, z), (0.42, 0.075, z), WHITE)


def _paint_robot_lines(paint: Paint) -> None:
    """Paints the yellow lines of the robots' route, and a bay before each station.

    Boxes are given by their middle and half size, m.
    """
    z = 0.0016  # half the thickness of the paint
    for sign in (-1, 1):
        y = sign * ROBOT_Y_M
        for x in (-2.3, 0.0, 2.3):
            # a bay: an open rectangle with a cross, where the robot stands
            for side in (-1, 1):
                bay = (x + side * 0.50, y, z)
                paint.box(bay, (LINE_HALF_M, 0.62, z), SAFETY_YELLOW)
            paint.box((x, y + sign * 0.62, z), (0.53, LINE_HALF_M, z), SAFETY_YELLOW)
            paint.box((x, y, z), (0.16, LINE_HALF_M, z), SAFETY_YELLOW)
            paint.box((x, y, z), (LINE_HALF_M, 0.16, z), SAFETY_YELLOW)
            # a dash towards the bay on the other side of the aisle
            paint.box((x, sign * 0.70, z), (LINE_HALF_M, 0.10, z), SAFETY_YELLOW)
        # dashes along the lane, from bay to bay
        for x in (-1.15, 1.15):
            for side in (-1, 1):
                dash = (x + side * 0.54, y, z)
                paint.box(dash, (0.09, LINE_HALF_M, z), SAFETY_YELLOW)
    # dashes across the walkway in the middle
    for x in (-2.3, 0.0, 2.3):
        for y in (-0.3, 0.0, 0.3):
            paint.box((x, y, z), (LINE_HALF_M, 0.08, z), SAFETY_YELLOW)


def _paint_walls(decor: Paint) -> None:
    """Paints three walls with plinths, columns and doors.

    The fourth wall, nearest to the camera, is left out. Boxes are given by their middle
    and half size, m.
    """
    # each wall has a plinth, 0.9 m high, and a yellow line along the plinth's upper edge
    height = 1.9  # half the height of the walls
    far_x = WALL_X_M + 0.05
    decor.box((far_x, 0, height), (0.05, WALL_Y_M + 0.1, height), WALL)
    decor.box((far_x, 0, 0.45), (0.06, WALL_Y_M + 0.1, 0.45), STRIPE)
    decor.box((far_x, 0, 0.92), (0.065, WALL_Y_M + 0.1, 0.02), SAFETY_YELLOW)
    for sign in (-1, 1):
        y = sign * (WALL_Y_M + 0.05)
        decor.box((0, y, height), (WALL_X_M, 0.05, height), WALL)
        decor.box((0, y, 0.45), (WALL_X_M, 0.06, 0.45), STRIPE)
        decor.box((0, y, 0.92), (WALL_X_M, 0.065, 0.02), SAFETY_YELLOW)
        for x in (-2.3, 0.0, 2.3):
            column = (x, sign * (WALL_Y_M - 0.03), height)
            decor.box(column, (0.10, 0.10, height), COLUMN)
        for x in CROSSINGS_X_M:
            door = (x, sign * (WALL_Y_M - 0.005), 1.05)
            decor.box(door, (0.46, 0.02, 1.05), DOOR_GREY)
            handle = (x + 0.36, sign * (WALL_Y_M - 0.04), 1.05)
            decor.box(handle, (0.06, 0.015, 0.012), TRAY)
    # a gate at the far end of the aisle, with its frame
    decor.box((WALL_X_M - 0.005, 0, 1.35), (0.02, 1.05, 1.35), DOOR_GREY)
    for k in range(8):
        decor.box((WALL_X_M - 0.028, 0, 0.16 + 0.34 * k), (0.006, 1.04, 0.012), TRAY)
    for sign in (-1, 1):
        post = (WALL_X_M - 0.02, sign * 1.10, 1.40)
        decor.box(post, (0.05, 0.06, 1.40), SAFETY_YELLOW)


def _paint_pipes(decor: Paint) -> None:
    """Paints pipes along both rows of stations, cable trays, and a duct at the far wall.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.
    """
    for sign in (-1, 1):
        y = sign * 2.78
        for z, shift, radius, colour in (
            (2.30, 0.0, 0.09, PIPE_GREEN),
            (2.55, 0.24, 0.06, PIPE_OCHRE),
        ):
            pipe_y = y + sign * shift
            start = (-WALL_X_M, pipe_y, z)
            decor.cylinder(start, (WALL_X_M, pipe_y, z), radius, colour)
            for x in (-3.2, -1.15, 1.15, 3.2):
                flange_start = (x - 0.02, pipe_y, z)
                flange_end = (x + 0.02, pipe_y, z)
                decor.cylinder(flange_start, flange_end, radius + 0.03, DUCT)
        # the cable tray, and the hangers that carry it
        decor.box((0, y, 2.86), (WALL_X_M, 0.20, 0.02), TRAY)
        for x in (-3.2, -1.15, 1.15, 3.2):
            hanger = (x, y + sign * 0.30, 2.95)
            decor.box(hanger, (0.02, 0.02, 0.75), TRAY)
    # the duct, with seams
    decor.box((WALL_X_M - 0.28, 0, 3.25), (0.25, WALL_Y_M, 0.22), DUCT)
    for y in (-3.0, -1.5, 0.0, 1.5, 3.0):
        decor.box((WALL_X_M - 0.28, y, 3.25), (0.26, 0.02, 0.23), COLUMN)


def _add_notices(spec: mujoco.MjSpec) -> None:
    """Adds notices on the walls, for people's pictures."""
    white = (0.97, 0.97, 0.96)
    yellow = (0.96, 0.78, 0.08)
    far = WALL_X_M - 0.01
    side = WALL_Y_M - 0.03
    blue = SignStyle((1.10, 0.26), ink=white, paper=(0.10, 0.30, 0.62), frame=True)
    warning = SignStyle((0.52, 0.30), ink=(0, 0, 0), paper=yellow, frame=True)
    way_out = SignStyle((0.44, 0.17), ink=white, paper=EXIT_GREEN, frame=True)
    # name, text, centre of the plate (3,) in m, style, and its rotation
    notices = (
        ("hall", "SUBSTATION 4", (far, 2.0, 2.0), blue, FACING_MINUS_X),
        ("people", "PEOPLE\nON GREEN", (far, -1.9, 1.75), warning, FACING_MINUS_X),
        ("exit_left", "EXIT", (1.15, side, 2.28), way_out, FACING_MINUS_Y),
        ("exit_right", "EXIT", (-1.15, -side, 2.28), way_out, FACING_PLUS_Y),
        ("volts", "DANGER\n10 kV", (-2.3, side - 0.12, 1.6), warning, FACING_MINUS_Y),
    )
    for name, text, pos, style, quat in notices:
        sign = add_sign(
            spec,
            spec.worldbody,
            f"notice_{name}",
            text,
            pos=pos,
            style=style,
            quat=quat,
        )
        sign.group = DECOR_GROUP
