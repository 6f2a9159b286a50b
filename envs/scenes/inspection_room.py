"""A pump room around a console: pipes, pumps and notices, drawn in pictures for people."""

from __future__ import annotations

import mujoco

from embodied.envs.props.colours import SAFETY_YELLOW
from embodied.envs.props.hall import COLUMN, STRIPE, WALL
from embodied.envs.props.paint import Paint
from embodied.envs.props.sign import FACING_MINUS_X, SignStyle, add_sign
from embodied.envs.scenes.views import add_view
from embodied.sim.cameras import DECOR_GROUP

ROOM_VIEW = "room"
WALL_X = 1.75
PIPE = (0.55, 0.60, 0.62, 1.0)
PUMP = (0.13, 0.36, 0.52, 1.0)
DARK = (0.16, 0.17, 0.18, 1.0)
WATER = (0.16, 0.42, 0.30, 1.0)
OIL = (0.52, 0.40, 0.22, 1.0)
CABINET = (0.74, 0.76, 0.76, 1.0)


def add_inspection_room(spec: mujoco.MjSpec) -> None:
    """Adds the room, a second lamp from behind the robot, and the camera `room`."""
    # a faint light from behind the robot, which casts no shadows
    fill = spec.worldbody.add_light(
        name="fill", pos=[-1.5, -0.8, 2.5], dir=[0.8, 0.35, -0.5]
    )
    fill.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    fill.diffuse = [0.14] * 3
    fill.specular = [0.05] * 3
    fill.castshadow = False

    # visual geoms, only in pictures for people
    decor = Paint(spec, spec.worldbody, "room_decor", decor=True)
    _paint_wall(decor)
    _paint_pipes(decor)
    for y in (-1.45, 1.45):
        _paint_pump(decor, y)
    decor.add()

    _add_notices(spec)
    add_view(
        spec,
        ROOM_VIEW,
        pos_w=(-1.05, -1.85, 1.85),
        target_w=(0.62, 0.05, 0.98),
        fovy_deg=44,
    )


def _paint_wall(decor: Paint) -> None:
    """Paints the wall ahead in the hall's colours, and a switch cabinet on that wall.

    Boxes are given by their middle and half size, m.
    """
    decor.box((WALL_X + 0.05, 0.0, 1.9), (0.05, 3.4, 1.9), WALL)
    decor.box((WALL_X + 0.05, 0.0, 0.45), (0.06, 3.4, 0.45), STRIPE)
    decor.box((WALL_X + 0.05, 0.0, 0.92), (0.065, 3.4, 0.02), SAFETY_YELLOW)
    for y in (-2.3, 2.45):
        decor.box((WALL_X, y, 1.9), (0.10, 0.10, 1.9), COLUMN)
    decor.box((WALL_X - 0.10, 0.78, 1.36), (0.10, 0.28, 0.36), CABINET)
    decor.box((WALL_X - 0.205, 0.58, 1.36), (0.008, 0.012, 0.05), DARK)


def _paint_pipes(decor: Paint) -> None:
    """Paints two mains along the wall, and pipes down to the pumps and the console.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.
    """
    # the mains, with flanges and brackets
    for z, radius, colour in ((2.12, 0.085, WATER), (1.90, 0.06, OIL)):
        x = WALL_X - 0.16
        decor.cylinder((x, -3.3, z), (x, 3.3, z), radius, colour)
        for y in (-2.6, -0.95, 0.35, 1.9):
            decor.cylinder((x, y - 0.02, z), (x, y + 0.02, z), radius + 0.03, PIPE)
            decor.box((WALL_X - 0.05, y + 0.2, z), (0.06, 0.02, radius + 0.02), DARK)
    # pipes down to the two pumps, and down to the floor behind the console
    for y in (-1.45, 1.45):
        _paint_riser(
            decor, xy=(WALL_X - 0.16, y), z=(0.55, 2.12), radius=0.055, colour=WATER
        )
    for y in (-0.66, -0.50):
        _paint_riser(
            decor, xy=(WALL_X - 0.16, y), z=(0.0, 1.90), radius=0.035, colour=PIPE
        )


def _paint_riser(
    decor: Paint,
    xy: tuple[float, float],
    z: tuple[float, float],
    radius: float,
    colour: tuple[float, ...],
) -> None:
    """Paints an upright pipe at (x, y) between two heights `z`, m, with two flanges.

    Cylinders are given by the middles of their two ends and their radius, m.

    Args:
        decor: collects the shapes.
        xy: x and y of the pipe's axis, m.
        z: heights of the pipe's two ends, m.
        radius: the pipe's radius, m.
        colour: the pipe's colour.
    """
    decor.cylinder((*xy, z[0]), (*xy, z[1]), radius, colour)
    for share in (0.25, 0.7):
        flange_z = z[0] + share * (z[1] - z[0])
        low = (*xy, flange_z - 0.015)
        decor.cylinder(low, (*xy, flange_z + 0.015), radius + 0.025, PIPE)


def _paint_pump(decor: Paint, y: float) -> None:
    """Paints a pump and its motor on a plinth, with the shaft along y.

    Boxes are given by their middle and half size, m.
    """
    x = WALL_X - 0.30
    z = 0.42  # height of the shaft
    # plinth and frame; the pump's housing and its inlet; the motor and its cooling ribs
    decor.box((x, y, 0.09), (0.24, 0.52, 0.09), (0.66, 0.67, 0.66, 1.0))
    decor.box((x, y, 0.20), (0.18, 0.46, 0.03), DARK)
    decor.cylinder((x, y - 0.02, z), (x, y + 0.12, z), 0.20, PUMP)
    decor.cylinder((x, y + 0.12, z), (x, y + 0.20, z), 0.09, PIPE)
    decor.cylinder((x, y - 0.44, z), (x, y - 0.08, z), 0.13, PUMP)
    for k in range(6):
        rib_y = y - 0.42 + 0.06 * k
        decor.cylinder((x, rib_y, z), (x, rib_y + 0.018, z), 0.145, DARK)


def _add_notices(spec: mujoco.MjSpec) -> None:
    """Adds the notices on the wall and the cabinet."""
    white = (0.97, 0.97, 0.96)
    yellow = (0.96, 0.78, 0.08)
    blue = (0.10, 0.30, 0.62)
    # name, text, centre of the plate (3,) in m, and style
    notices = (
        (
            "room",
            "PUMP ROOM 2",
            (WALL_X - 0.01, 0.13, 1.58),
            SignStyle((0.52, 0.14), ink=white, paper=blue, frame=True),
        ),
        (
            "caution",
            "CAUTION\nHOT PIPES",
            (WALL_X - 0.01, -2.0, 1.40),
            SignStyle((0.34, 0.20), ink=(0, 0, 0), paper=yellow, frame=True),
        ),
        (
            "volts",
            "DANGER\n400 V",
            (WALL_X - 0.21, 0.80, 1.43),
            SignStyle((0.20, 0.13), ink=(0, 0, 0), paper=yellow, frame=True),
        ),
    )
    for name, text, pos, style in notices:
        add_sign(
            spec,
            spec.worldbody,
            f"notice_{name}",
            text,
            pos=pos,
            style=style,
            quat=FACING_MINUS_X,
        ).group = DECOR_GROUP
