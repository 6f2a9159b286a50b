"""A label scanner: a glass plate in a frame, and a reading head above the plate.

A lamp on the head shows whether the scanner has read a label.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.colours import FRAME_BLUE, SAFETY_YELLOW
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import add_box, add_visual_box, upright
from embodied.sim.engine import Engine

NAME = "scanner"
GLASS = (0.10, 0.13, 0.15, 1.0)
CASE = (0.86, 0.87, 0.88, 1.0)
LENS = (0.05, 0.05, 0.06, 1.0)
# the lamp's colours
WAITING = (0.35, 0.08, 0.06, 1.0)
READ = (0.15, 0.95, 0.30, 1.0)
EMISSION = 0.5  # of the lamp's MuJoCo material, so that the lamp seems to glow
PLATE_THICKNESS_M = 0.012
HEAD_BEHIND_M = 0.20  # horizontal distance of the head from the plate's centre
HEAD_ABOVE_M = 0.30  # height of the head above the plate's top
SLIDING_FRICTION = 0.8


@dataclass(frozen=True)
class ScannerPlace:
    """Nominal pose and size of the square plate, m."""

    # the centre of the plate's upper face in the world
    x: float
    y: float
    yaw: float  # direction from the plate to the head, rad
    top_z: float = 0.80
    half: float = 0.075  # half the length of the plate's sides


def add_scanner(spec: mujoco.MjSpec, place: ScannerPlace) -> None:
    """Adds the scanner as a body `scanner` that a world may shift.

    The frame is at the centre of the plate's upper face, with x towards the post that
    carries the head.
    """
    body = spec.worldbody.add_body(
        name=NAME, pos=[place.x, place.y, place.top_z], quat=upright(place.yaw)
    )
    half = place.half
    half_thick = PLATE_THICKNESS_M / 2
    plate = add_box(
        body, (0, 0, -half_thick), (half, half, half_thick), GLASS, name=f"{NAME}_plate"
    )
    plate.friction[0] = SLIDING_FRICTION

    # the post, from the floor, which is `top_z` below the frame, up to the head; and the
    # head on the post
    post = (HEAD_BEHIND_M + 0.012, 0, (HEAD_ABOVE_M - place.top_z) / 2)
    post_half = (0.009, 0.009, (HEAD_ABOVE_M + place.top_z) / 2)
    add_box(body, post, post_half, FRAME_BLUE)
    add_box(body, (HEAD_BEHIND_M, 0, HEAD_ABOVE_M), (0.030, 0.024, 0.018), CASE)

    _paint_frame(spec, body, place)
    _add_lamp(spec, body, place)


def _paint_frame(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, place: ScannerPlace
) -> None:
    """Adds the plate's rim, its support down to the floor, and the head's lens.

    The support is a tray, a column and a foot. Boxes are given by their middle and half
    size, m.
    """
    half = place.half
    half_z = place.top_z / 2
    paint = Paint(spec, body, f"{NAME}_paint")
    # the rim: strips of 12 mm around the plate
    for side in (-1, 1):
        edge = side * (half + 0.006)
        paint.box((0, edge, -0.006), (half + 0.012, 0.006, 0.0065), SAFETY_YELLOW)
        paint.box((edge, 0, -0.006), (0.006, half, 0.0065), SAFETY_YELLOW)

    # the support: tray, column and foot
    tray_half = (half - 0.03, half - 0.03, 0.02)
    paint.box((0.02, 0, -PLATE_THICKNESS_M - 0.02), tray_half, FRAME_BLUE)
    paint.box((0.02, 0, -half_z - 0.016), (0.03, 0.03, half_z - 0.016), FRAME_BLUE)
    paint.box((0.07, 0, -place.top_z + 0.012), (0.16, 0.10, 0.012), FRAME_BLUE)

    lens = (HEAD_BEHIND_M - 0.022, 0, HEAD_ABOVE_M - 0.019)
    paint.box(lens, (0.010, 0.018, 0.003), LENS)
    paint.add()


def _add_lamp(spec: mujoco.MjSpec, body: mujoco.MjsBody, place: ScannerPlace) -> None:
    """Adds a lamp on the head, and a beam of the same colour across the plate."""
    spec.add_material(name=f"{NAME}_lamp", emission=EMISSION)
    lamp = (HEAD_BEHIND_M, 0, HEAD_ABOVE_M + 0.038)
    lights = (
        ("lamp", lamp, (0.028, 0.028, 0.020)),
        ("beam", (0, 0, 0.0006), (place.half - 0.012, 0.007, 0.0006)),
    )
    for name, pos, half in lights:
        light = add_visual_box(body, pos, half, rgba=WAITING, name=f"{NAME}_{name}")
        light.material = f"{NAME}_lamp"


class Scanner:
    """The scanner and its lamp in N worlds."""

    def __init__(self, engine: Engine, place: ScannerPlace) -> None:
        """Finds the scanner in the model."""
        self._engine = engine
        self._place = place
        model = engine.model
        xp = engine.xp
        self._body = model.body(NAME).id
        self._lamp = model.geom(f"{NAME}_lamp").id
        self._beam = model.geom(f"{NAME}_beam").id

        # (2,) each: the world's x axis and its y axis in the scanner's frame
        cos = float(np.cos(place.yaw))
        sin = float(np.sin(place.yaw))
        self._world_x_in_scanner = xp.asarray([cos, -sin])
        self._world_y_in_scanner = xp.asarray([sin, cos])
        self._waiting = xp.asarray(WAITING)
        self._read = xp.asarray(READ)

        # the first call for a field gives each world its own values of the field
        for field in ("body_pos", "geom_rgba"):
            engine.model_view(field)

    def shift(self, world: int, offset_m: np.ndarray) -> None:
        """Moves the scanner of one world by (x, y) m from its nominal place."""
        place = self._place
        x = place.x + offset_m[0]
        y = place.y + offset_m[1]
        self._engine.model_view("body_pos")[world, self._body] = (x, y, place.top_z)

    def plate_w(self) -> Array:
        """Returns the centre (N, 3) of the plate's top, m."""
        return self._engine.model_view("body_pos")[:, self._body]

    def over(self, points_w: Array) -> Array:
        """Returns whether points (N, P, 3) are above the plate or below it, (N, P) bool."""
        xp = self._engine.xp
        offset = points_w - self.plate_w()[:, None, :]
        # (N, P, 2) x and y in the scanner's frame
        xy = offset[..., :1] * self._world_x_in_scanner
        xy = xy + offset[..., 1:2] * self._world_y_in_scanner
        distance = xp.abs(xy)
        return xp.maximum(distance[..., 0], distance[..., 1]) < self._place.half

    def darken(self, world: int) -> None:
        """Sets the lamp of one world to its colour before a label has been read."""
        self._engine.model_view("geom_rgba")[world, [self._lamp, self._beam]] = WAITING

    def show(self, read: Array) -> None:
        """Lights the lamps green in worlds where a label has been `read` (N,) bool."""
        # (N, 4) rgba
        colour = self._engine.xp.where(read[:, None], self._read, self._waiting)
        rgba = self._engine.model_view("geom_rgba")
        rgba[:, self._lamp] = colour
        rgba[:, self._beam] = colour
