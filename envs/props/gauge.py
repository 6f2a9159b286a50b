"""Gauge stations: a dial with a needle and two limit marks, and OK and FAULT buttons.

The reading of a dial and the name on a station's plate differ between worlds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from embodied.core import Array
from embodied.envs.props.button import CAP_HEIGHT_M, STOP_ABOVE_M, add_button
from embodied.envs.props.colours import FRAME_BLUE, SAFETY_YELLOW
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import Rgba, add_box, add_visual_box
from embodied.envs.props.sign import (
    FACING_MINUS_X,
    INK,
    PAPER,
    Signs,
    SignStyle,
    add_picture,
    add_plate,
    add_sign,
    add_text,
    blank_picture,
    oversampled_pixels_per_m,
    shrunk,
    to_bytes,
)
from embodied.sim.engine import Engine

# Indices of a station's buttons; the three constants below are in this order.
OK, FAULT = range(2)
BUTTON_COLOURS: tuple[Rgba, Rgba] = ((0.10, 0.55, 0.22, 1.0), (0.80, 0.10, 0.10, 1.0))
BUTTON_Y_M = (0.075, -0.075)  # as the robot sees the station, OK is on the left
BUTTON_LABELS = ("OK", "FAULT")
# The scale covers this angle, clockwise over the top, from lower left to lower right.
SCALE_RAD = np.deg2rad(240.0)
# Radius of the dial.
DIAL_M = 0.150
# Length of the needle.
NEEDLE_M = 0.105
# Distances of the limit marks' inner and outer ends from the dial's centre.
MARKS_M = (0.112, 0.148)
# The hands of a dial: the needle, and the marks of the lower and the upper limit.
HANDS = ("needle", "low", "high")
PLATE_M = (0.38, 0.11)  # width and height of the plate with the station's name
# Colours.
NEEDLE = (0.06, 0.06, 0.07, 1.0)
MARK = (0.88, 0.05, 0.05, 1.0)
CASE = (0.62, 0.65, 0.67, 1.0)
BOARD = (0.30, 0.34, 0.38, 1.0)
BEZEL = (0.12, 0.13, 0.14, 1.0)
# Positions in a station's frame, whose origin is on the floor, midway between its
# buttons.
DESK_Z_M = 0.80  # upper face of the desk
DESK_HALF_M = (0.075, 0.17)
BOARD_X_M = 0.20  # front of the board
# Centre of the board. It is to the left of the buttons, so that the arm does not hide it
# from a head camera.
BOARD_Y_M = 0.225
BOARD_HALF_M = 0.20  # half the width of the board
BOARD_Z_M = 0.79  # lower edge of the board
DIAL_Z_M = 0.965  # centre of the dial
PLATE_Z_M = 1.185  # centre of the plate with the name


@dataclass(frozen=True)
class Reading:
    """What a dial shows: the positions of its needle and limit marks, in [0, 1]."""

    needle: float
    low: float  # the mark below which the reading is a fault
    high: float  # the mark above which the reading is a fault


def button_name(station: str, button: int) -> str:
    """Returns the name of a station's button, given as the index OK or FAULT."""
    return f"{station}_{BUTTON_LABELS[button].lower()}"


def button_top_z() -> float:
    """Returns the height of a button's top above the floor while it is not pressed, m."""
    return DESK_Z_M + STOP_ABOVE_M + CAP_HEIGHT_M


def add_gauge_names(spec: mujoco.MjSpec, names: Sequence[str]) -> None:
    """Adds materials for the names that plates can show, and one for the dial's face."""
    for name in names:
        style = SignStyle(PLATE_M, stretched=True)
        add_text(spec, f"gauge_{name}", name.upper(), style)
    add_picture(spec, "gauge_dial", _draw_dial())


def add_gauge_station(
    spec: mujoco.MjSpec, name: str, pos: tuple[float, float], first_name: str
) -> None:
    """Adds a station as a body `name` that worlds may shift.

    The origin of its frame is on the floor, midway between its buttons. The robot stands
    on its -x side. `add_gauge_names` must be called first.

    Args:
        spec: the scene.
        name: name of the body, and prefix of the names of its parts.
        pos: x and y of the station in the world, m.
        first_name: the name that the plate shows at first: any name that was added.
            `Gauges.name` changes it.
    """
    body = spec.worldbody.add_body(name=name, pos=[*pos, 0])
    _add_desk(spec, body, name)

    # the board behind the desk, 24 mm thick, up to 65 mm above the middle of the plate
    half_z = (PLATE_Z_M + 0.065 - BOARD_Z_M) / 2
    board_half = (0.012, BOARD_HALF_M, half_z)
    board = (BOARD_X_M + 0.012, BOARD_Y_M, BOARD_Z_M + half_z)
    add_box(body, board, board_half, BOARD)
    dial_size = (2 * DIAL_M, 2 * DIAL_M)
    dial_pos = (BOARD_X_M - 0.004, BOARD_Y_M, DIAL_Z_M)
    add_plate(
        spec,
        body,
        f"{name}_dial",
        material="gauge_dial",
        pos=dial_pos,
        size_m=dial_size,
    )
    plate_pos = (BOARD_X_M - 0.002, BOARD_Y_M, PLATE_Z_M)
    add_plate(
        spec,
        body,
        f"{name}_plate",
        material=f"gauge_{first_name}",
        pos=plate_pos,
        size_m=PLATE_M,
    )

    # Each hand is a box on a body that worlds rotate; unrotated it points along z. The
    # boxes are given by centre, half size and colour, in the order of HANDS. The needle
    # extends by 24 mm behind its axis.
    mark_pos = (0, 0, sum(MARKS_M) / 2)
    mark_half = (0.002, 0.008, np.ptp(MARKS_M) / 2)
    boxes = (
        ((0, 0, NEEDLE_M / 2 - 0.012), (0.002, 0.007, NEEDLE_M / 2 + 0.012), NEEDLE),
        (mark_pos, mark_half, MARK),
        (mark_pos, mark_half, MARK),
    )
    for k, (hand, (box_pos, half, rgba)) in enumerate(zip(HANDS, boxes, strict=True)):
        # each hand is 4 mm in front of the previous hand, so that they don't overlap
        hand_pos = (BOARD_X_M - 0.010 - 0.004 * k, BOARD_Y_M, DIAL_Z_M)
        hand_body = body.add_body(name=f"{name}_{hand}", pos=hand_pos)
        add_visual_box(hand_body, box_pos, half, rgba, name=f"{name}_{hand}")


def _add_desk(spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str) -> None:
    """Adds the desk with its two labelled buttons, and the parts that are only drawn.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.
    """
    # the desk's plate, 4 cm thick, and the post that carries the plate
    half_x, half_y = DESK_HALF_M
    desk_half = (half_x, half_y, 0.02)
    add_box(body, (0, 0, DESK_Z_M - 0.02), desk_half, CASE)
    post_half = (0.04, 0.06, (DESK_Z_M - 0.04) / 2)
    add_box(body, (0.10, 0, post_half[2]), post_half, FRAME_BLUE)

    paint = Paint(spec, body, f"{name}_paint")
    for button, label in enumerate(BUTTON_LABELS):
        y = BUTTON_Y_M[button]
        pos = (0, y, DESK_Z_M + STOP_ABOVE_M)
        add_button(body, button_name(name, button), pos, BUTTON_COLOURS[button])
        paint.cylinder((0, y, DESK_Z_M), (0, y, DESK_Z_M + 0.004), 0.024, BEZEL)
        # the label is on the desk's front edge
        style = SignStyle((0.11, 0.034))
        front = (-half_x - 0.002, y, DESK_Z_M - 0.02)
        add_sign(
            spec,
            body,
            f"{name}_{label}",
            label,
            pos=front,
            style=style,
            quat=FACING_MINUS_X,
        )

    # a foot below the desk, and a post with its own foot behind the board
    paint.box((0.10, 0, 0.015), (0.14, 0.14, 0.015), FRAME_BLUE)
    post_x = BOARD_X_M + 0.044
    paint.box((post_x, BOARD_Y_M, 0.015), (0.14, 0.14, 0.015), FRAME_BLUE)
    post_half = (0.02, 0.05, (PLATE_Z_M + 0.05) / 2)
    paint.box((post_x, BOARD_Y_M, post_half[2]), post_half, FRAME_BLUE)

    # the dial's rim, and a yellow edge
    rim = (BOARD_X_M, BOARD_Y_M, DIAL_Z_M)
    rim_front = (BOARD_X_M - 0.003, BOARD_Y_M, DIAL_Z_M)
    paint.cylinder(rim, rim_front, DIAL_M + 0.012, BEZEL)
    edge = (BOARD_X_M - 0.001, BOARD_Y_M, BOARD_Z_M + 0.008)
    paint.box(edge, (0.001, BOARD_HALF_M, 0.006), SAFETY_YELLOW)
    paint.add()


def angle_rad(xp: Any, share: Array) -> Array:
    """Returns the angle of a hand, clockwise from straight up, rad.

    Args:
        xp: the array namespace.
        share: the hand's position on the scale, in [0, 1], of any shape.
    """
    return SCALE_RAD * (xp.asarray(share) - 0.5)


def _hand_quat(xp: Any, share: Array) -> Array:
    """Returns the rotations (..., 4) wxyz of a dial's hands at shares (...) of the scale."""
    # the robot looks along +x, so a clockwise rotation is about +x
    half = angle_rad(xp, share) / 2
    zero = xp.zeros_like(half)
    return xp.stack([xp.cos(half), xp.sin(half), zero, zero], axis=-1)


def _draw_dial() -> Image.Image:
    """Returns the face of a dial: a white disc with ticks and the numbers 0 to 10."""
    size_m = (2 * DIAL_M, 2 * DIAL_M)
    image = blank_picture(size_m, BOARD[:3])
    pixels_per_m = oversampled_pixels_per_m(size_m)
    middle = DIAL_M * pixels_per_m  # x and y of the dial's centre, pixels
    draw = ImageDraw.Draw(image)
    disc = (0, 0, 2 * middle - 1, 2 * middle - 1)
    draw.ellipse(disc, fill=to_bytes(PAPER))

    # 20 intervals between ticks; every second tick is long, every fourth has a number.
    # Lengths in m are multiplied by `pixels_per_m`.
    font = ImageFont.load_default(0.026 * pixels_per_m)
    for tick in range(21):
        angle = float(angle_rad(np, tick / 20))
        # outwards from the centre; the picture's y points down
        out = np.array([np.sin(angle), -np.cos(angle)])
        inner_m = 0.118 if tick % 2 == 0 else 0.128  # distance from the centre
        ends = [tuple(middle + out * r * pixels_per_m) for r in (inner_m, 0.140)]
        draw.line(ends, fill=to_bytes(INK), width=round(0.003 * pixels_per_m))
        if tick % 4 == 0:
            number_xy = tuple(middle + out * 0.095 * pixels_per_m)
            draw.text(
                number_xy, str(tick // 2), fill=to_bytes(INK), font=font, anchor="mm"
            )
    return shrunk(image)


class Gauges:
    """The K gauge stations of a scene in N worlds: their positions, plates and dials.

    `Buttons` reads their buttons.
    """

    def __init__(
        self,
        engine: Engine,
        stations: Sequence[str],
        places: Sequence[tuple[float, float]],
        names: Sequence[str],
    ) -> None:
        """Finds the stations in the model.

        Args:
            engine: the physics of the worlds.
            stations: names of the stations' bodies.
            places: nominal x and y of each station, m.
            names: names that the stations' plates can show.
        """
        self._engine = engine
        self._names = list(names)
        model = engine.model
        self._places = [np.array([x, y, 0.0]) for x, y in places]
        self._stations = [model.body(name).id for name in stations]
        # the bodies of the hands, station by station, in the order of HANDS
        hands = [f"{name}_{hand}" for name in stations for hand in HANDS]
        self._hands = [model.body(name).id for name in hands]
        plates = [f"{name}_plate" for name in stations]
        self._signs = Signs(engine, plates, [f"gauge_{name}" for name in names])
        # the first call for a field gives each world its own values of the field
        for field in ("body_pos", "body_quat"):
            engine.model_view(field)

    def shift(self, world: int, station: int, offset_m: tuple[float, float]) -> None:
        """Moves one station of one world by (x, y) m from its nominal place."""
        offset = np.array([*offset_m, 0.0])
        body = self._stations[station]
        pos = self._places[station] + offset
        self._engine.model_view("body_pos")[world, body] = pos

    def name(self, world: int, names: Sequence[str]) -> None:
        """Writes a name onto the plate of each station in one world."""
        self._signs.write(world, [self._names.index(name) for name in names])

    def show(self, shares: Array) -> None:
        """Sets the hands of the dials of all worlds.

        Args:
            shares: (N, K, 3) positions of needle, lower mark and upper mark, as shares of
                the scale.
        """
        xp = self._engine.xp
        quat = _hand_quat(xp, xp.reshape(shares, (-1, len(self._hands))))
        self._engine.model_view("body_quat")[:, self._hands] = quat

    def show_one(self, world: int, readings: Sequence[Reading]) -> None:
        """Sets the hands of the dials of one world, to one reading per station."""
        xp = self._engine.xp
        shares = [(reading.needle, reading.low, reading.high) for reading in readings]
        quat = _hand_quat(xp, xp.reshape(xp.asarray(shares), (-1,)))
        self._engine.model_view("body_quat")[world, self._hands] = quat

    def positions_w(self) -> Array:
        """Returns the positions (N, K, 3) m of the stations' frames, on the floor."""
        return self._engine.model_view("body_pos")[:, self._stations]
