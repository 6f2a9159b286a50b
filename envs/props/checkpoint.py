"""Stations of an inspection round: machines, each with a sign that robots and people read.

The sign shows a number on white, in a wide frame of the station's colour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.arrays import columns
from embodied.core import Array
from embodied.envs.props.colours import FRAME_BLUE, SAFETY_YELLOW, STEEL
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import (
    COLLISION_GROUP,
    Rgb,
    add_box,
    add_visual_box,
    upright,
)
from embodied.envs.props.sign import Signs, SignStyle, add_plate, add_text
from embodied.sim.engine import Engine

# Width and height of the plate with the number.
PLATE_M = (0.26, 0.26)
# Half the width and half the height of the coloured frame around it.
FRAME_HALF_M = (0.21, 0.19)
# Height of the sign's middle above the floor.
SIGN_Z_M = 0.74
# Half depth, half width and half height of the box with which robots collide. The front,
# with the sign, is at the origin of the station's frame; the machine is behind it.
HALF_M = (0.36, 0.48, 0.90)
# Colours.
HOUSING = (0.66, 0.69, 0.70, 1.0)
DOOR = (0.73, 0.76, 0.77, 1.0)
DARK = (0.14, 0.15, 0.16, 1.0)
PUMP_BLUE = (0.12, 0.34, 0.50, 1.0)
CONCRETE = (0.64, 0.65, 0.64, 1.0)
COPPER = (0.62, 0.38, 0.20, 1.0)
GLASS = (0.90, 0.91, 0.88, 1.0)
GREEN_LAMP = (0.20, 0.80, 0.30, 1.0)
RED_LAMP = (0.85, 0.16, 0.12, 1.0)


@dataclass(frozen=True)
class Checkpoint:
    """A station: its name, its kind of machine, and the pose of its front.

    Attributes:
        name: the name of its body.
        kind: "cabinet", "pump" or "meter".
        place: x and y of the front's middle, m.
        facing_rad: the yaw in the world of someone who looks straight at the sign.
    """

    name: str
    kind: str
    place: tuple[float, float]
    facing_rad: float


def add_numbers(spec: mujoco.MjSpec, numbers: Sequence[int]) -> None:
    """Adds materials for the numbers that signs can show."""
    style = SignStyle(PLATE_M, stretched=True)
    for number in numbers:
        add_text(spec, _number_name(number), str(number), style)


def add_checkpoint(spec: mujoco.MjSpec, station: Checkpoint, number: int) -> None:
    """Adds a station that worlds may shift, relabel and recolour.

    Args:
        spec: the scene.
        station: the station, at its nominal place.
        number: the number that the sign shows at first; `add_numbers` must have added it.
    """
    body = spec.worldbody.add_body(
        name=station.name,
        pos=[*station.place, 0.0],
        quat=upright(station.facing_rad),
    )
    touchable = add_box(body, (HALF_M[0], 0, HALF_M[2]), HALF_M, HOUSING)
    touchable.group = COLLISION_GROUP

    paint = Paint(spec, body, f"{station.name}_paint")
    _PAINTERS[station.kind](paint)
    _paint_sign_post(paint, station.kind)
    paint.add()

    # the sign's frame, grey until worlds colour it, and the number in front of it
    name = station.name
    frame_half = (0.004, *FRAME_HALF_M)
    frame_pos = (-0.006, 0, SIGN_Z_M)
    add_visual_box(body, frame_pos, frame_half, HOUSING, name=f"{name}_frame")
    add_plate(
        spec,
        body,
        f"{name}_number",
        material=_number_name(number),
        pos=(-0.011, 0.0, SIGN_Z_M),
        size_m=PLATE_M,
    )


def _number_name(number: int) -> str:
    return f"checkpoint_{number}"


def _paint_sign_post(paint: Paint, kind: str) -> None:
    """Paints a post for the sign; on a cabinet the sign hangs on the front instead."""
    if kind != "cabinet":
        paint.box((0.02, 0, 0.48), (0.018, 0.03, 0.48), STEEL)
        paint.box((0.03, 0, 0.012), (0.09, 0.12, 0.012), STEEL)


def _paint_cabinet(paint: Paint) -> None:
    """Paints a switchgear cabinet: two doors, louvres, lamps, handles, and a plinth.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.
    """
    # plinth and body; and on either side a door, its handle and its louvres
    paint.box((0.36, 0, 0.05), (0.34, 0.46, 0.05), DARK)
    paint.box((0.37, 0, 0.98), (0.35, 0.48, 0.88), HOUSING)
    for side in (-1, 1):
        paint.box((0.014, side * 0.235, 0.98), (0.012, 0.225, 0.84), DOOR)
        paint.box((0.0, side * 0.035, 1.16), (0.012, 0.012, 0.07), DARK)
        for k in range(6):
            z = 0.20 + 0.03 * k
            paint.box((0.001, side * 0.235, z), (0.003, 0.14, 0.007), DARK)
    # a display and lamps above the sign, and a yellow edge at the top
    paint.box((0.0, 0.22, 1.50), (0.006, 0.12, 0.075), DARK)
    paint.box((-0.004, 0.22, 1.50), (0.004, 0.10, 0.055), (0.35, 0.62, 0.60, 1.0))
    for k, colour in enumerate((GREEN_LAMP, GREEN_LAMP, RED_LAMP)):
        y = -0.14 - 0.08 * k
        paint.cylinder((0.004, y, 1.50), (-0.012, y, 1.50), 0.022, colour)
    paint.box((0.37, 0, 1.85), (0.352, 0.482, 0.015), SAFETY_YELLOW)


def _paint_pump(paint: Paint) -> None:
    """Paints a pump with its motor on a plinth, the shaft along y, and its pipes.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.
    """
    # height of the shaft, and its distance behind the station's front
    z = 0.62
    x = 0.42
    # plinth and frame, the pump's housing and inlet, the motor and its cooling ribs
    paint.box((x, 0, 0.14), (0.30, 0.46, 0.14), CONCRETE)
    paint.box((x, 0, 0.31), (0.22, 0.42, 0.03), DARK)
    paint.cylinder((x, 0.10, z), (x, 0.30, z), 0.27, PUMP_BLUE)
    paint.cylinder((x, 0.28, z), (x, 0.38, z), 0.11, STEEL)
    paint.cylinder((x, -0.42, z), (x, 0.02, z), 0.20, PUMP_BLUE)
    for k in range(8):
        y = -0.40 + 0.05 * k
        paint.cylinder((x, y, z), (x, y + 0.018, z), 0.215, DARK)
    for y in (-0.28, 0.20):
        paint.box((x, y, 0.42), (0.14, 0.05, 0.10), DARK)
    # the outlet rises to the mains, with a flange and a red hand wheel
    paint.cylinder((x, 0.20, z), (x, 0.20, 1.78), 0.09, STEEL)
    paint.cylinder((x, 0.20, 1.10), (x, 0.20, 1.14), 0.14, STEEL)
    paint.cylinder((x, 0.20, 1.35), (x, 0.20, 1.39), 0.14, STEEL)
    paint.cylinder((x - 0.09, 0.20, 1.25), (x - 0.24, 0.20, 1.25), 0.02, STEEL)
    paint.cylinder((x - 0.22, 0.20, 1.25), (x - 0.24, 0.20, 1.25), 0.11, RED_LAMP)


def _paint_meter(paint: Paint) -> None:
    """Paints a board with three dials, in front of a tank and its pipes.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.
    """
    # the tank, with bands around it and a foot
    paint.cylinder((0.42, 0, 0.10), (0.42, 0, 1.72), 0.29, GLASS)
    for z in (0.30, 0.95, 1.60):
        paint.cylinder((0.42, 0, z), (0.42, 0, z + 0.03), 0.30, STEEL)
    paint.cylinder((0.42, 0, 0.0), (0.42, 0, 0.10), 0.26, DARK)
    # the board above the sign, on two posts
    paint.box((0.05, 0, 1.28), (0.02, 0.40, 0.26), FRAME_BLUE)
    for side in (-1, 1):
        paint.box((0.07, side * 0.36, 0.77), (0.02, 0.025, 0.77), STEEL)
    # dials, each with a rim, a face and a red needle; and the pipes
    for y, z, radius in ((-0.22, 1.34, 0.115), (0.22, 1.34, 0.115), (0.0, 1.38, 0.08)):
        paint.cylinder((0.035, y, z), (0.012, y, z), radius, DARK)
        paint.cylinder((0.014, y, z), (0.008, y, z), radius - 0.018, GLASS)
        paint.box((0.006, y + 0.02, z + 0.02), (0.003, 0.045, 0.007), RED_LAMP)
    for y in (-0.32, 0.32):
        paint.cylinder((0.12, y, 0.0), (0.12, y, 1.05), 0.035, COPPER)


_PAINTERS = {"cabinet": _paint_cabinet, "pump": _paint_pump, "meter": _paint_meter}


class Checkpoints:
    """The K stations of a scene in N worlds."""

    def __init__(
        self, engine: Engine, stations: Sequence[Checkpoint], numbers: Sequence[int]
    ) -> None:
        """Finds the stations in the model.

        Args:
            engine: the physics of the worlds.
            stations: the stations, at their nominal places.
            numbers: the numbers that their signs can show.
        """
        self._engine = engine
        self._numbers = list(numbers)
        model = engine.model
        self._places = np.array([(*station.place, 0.0) for station in stations])
        self._bodies = [model.body(station.name).id for station in stations]
        names = [station.name for station in stations]
        self._frames = [model.geom(f"{name}_frame").id for name in names]
        plates = [f"{name}_number" for name in names]
        texts = [_number_name(number) for number in numbers]
        self._signs = Signs(engine, plates, texts)
        self._columns = columns(self._bodies)
        self._front_to_sign = engine.xp.asarray((0.0, 0.0, SIGN_Z_M))
        # the first call for a field gives each world its own values of the field
        for field in ("body_pos", "geom_rgba"):
            engine.model_view(field)

    def shift(self, world: int, along_m: Sequence[float]) -> None:
        """Moves the stations of one world along x from their nominal places.

        Args:
            world: index of the world.
            along_m: K distances in m, one for each station.
        """
        for station, body in enumerate(self._bodies):
            pos = self._places[station] + np.array([along_m[station], 0.0, 0.0])
            xp = self._engine.xp
            self._engine.model_view("body_pos")[world, body] = xp.asarray(pos)

    def label(self, world: int, numbers: Sequence[int], colours: Sequence[Rgb]) -> None:
        """Sets number and frame colour of the sign of each station in one world."""
        self._signs.write(world, [self._numbers.index(number) for number in numbers])
        rgba = self._engine.model_view("geom_rgba")
        for frame, colour in zip(self._frames, colours, strict=True):
            rgba[world, frame, :3] = self._engine.xp.asarray(colour)

    def signs_w(self) -> Array:
        """Returns (N, K, 3) m, the middles of the signs."""
        places = self._engine.model_view("body_pos")[:, self._columns]
        return places + self._front_to_sign
