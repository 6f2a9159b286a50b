"""A label scanner: a glass plate in a frame, and a reading head over it whose lamp
tells whether it has read.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import add_box, paint_box
from embodied.sim.engine import Engine

STEEL = (0.20, 0.28, 0.36, 1.0)
ACCENT = (0.93, 0.70, 0.13, 1.0)
GLASS = (0.10, 0.13, 0.15, 1.0)
CASE = (0.86, 0.87, 0.88, 1.0)
LENS = (0.05, 0.05, 0.06, 1.0)
# colours of the lamp
WAITING = (0.35, 0.08, 0.06, 1.0)
READ = (0.15, 0.95, 0.30, 1.0)
EMISSION = 0.5  # share of its colour that a lamp shows whatever light falls on it
NAME = "scanner"
PLATE_M = 0.012  # thickness
HEAD_M = (0.20, 0.30)  # of the head: behind the plate's middle, and above its top


@dataclass(frozen=True)
class ScannerPlace:
    """Where the plate is: its middle (x, y), its top z and half side in m, and the yaw
    in rad towards the head.
    """

    x: float
    y: float
    yaw: float
    top_z: float = 0.80
    half: float = 0.075


def add_scanner(spec: mujoco.MjSpec, place: ScannerPlace) -> None:
    """Adds the scanner as a body `scanner` that a world may shift, its frame in the
    middle of the plate's top.
    """
    turn = place.yaw / 2
    body = spec.worldbody.add_body(
        name=NAME,
        pos=[place.x, place.y, place.top_z],
        quat=[np.cos(turn), 0, 0, np.sin(turn)],
    )
    half, back, up = place.half, *HEAD_M
    plate = add_box(
        body, (0, 0, -PLATE_M / 2), (half, half, PLATE_M / 2), GLASS, f"{NAME}_plate"
    )
    plate.friction = [0.8, 0.005, 0.0001]
    post = (back + 0.012, 0, (up - place.top_z) / 2)
    add_box(body, post, (0.009, 0.009, (up + place.top_z) / 2), STEEL)
    add_box(body, (back, 0, up), (0.030, 0.024, 0.018), CASE)
    paint = Paint(spec, body, f"{NAME}_paint")
    for sign in (-1, 1):
        paint.box(
            (0, sign * (half + 0.006), -0.006), (half + 0.012, 0.006, 0.0065), ACCENT
        )
        paint.box((sign * (half + 0.006), 0, -0.006), (0.006, half, 0.0065), ACCENT)
    paint.box((0.02, 0, -PLATE_M - 0.02), (half - 0.03, half - 0.03, 0.02), STEEL)
    paint.box(
        (0.02, 0, -place.top_z / 2 - 0.016),
        (0.03, 0.03, place.top_z / 2 - 0.016),
        STEEL,
    )
    paint.box((0.07, 0, -place.top_z + 0.012), (0.16, 0.10, 0.012), STEEL)
    paint.box((back - 0.022, 0, up - 0.019), (0.010, 0.018, 0.003), LENS)
    paint.add()
    spec.add_material(name=f"{NAME}_lamp", emission=EMISSION)
    lights = (
        ("lamp", (back, 0, up + 0.038), (0.028, 0.028, 0.020)),
        ("beam", (0, 0, 0.0006), (half - 0.012, 0.007, 0.0006)),
    )
    for name, pos, size in lights:
        light = paint_box(body, pos, size, WAITING)
        light.name = f"{NAME}_{name}"
        light.material = f"{NAME}_lamp"


class Scanner:
    """The scanner's place and lamp in N worlds."""

    def __init__(self, engine: Engine, place: ScannerPlace) -> None:
        self._engine = engine
        self._place = place
        model = engine.model
        xp = engine.xp
        self._body = model.body(NAME).id
        self._lamp = model.geom(f"{NAME}_lamp").id
        self._beam = model.geom(f"{NAME}_beam").id
        cos = float(np.cos(place.yaw))
        sin = float(np.sin(place.yaw))
        # of its own axes, the world's x and y
        self._of_x = xp.asarray([cos, -sin])
        self._of_y = xp.asarray([sin, cos])
        self._waiting = xp.asarray(WAITING)
        self._read = xp.asarray(READ)
        for field in ("body_pos", "geom_rgba"):
            engine.vary(field)

    def shift(self, world: int, offset_m: np.ndarray) -> None:
        """Moves the scanner of one world by (x, y) from its nominal place."""
        place = self._place
        (x, y) = offset_m
        self._engine.vary("body_pos")[world, self._body] = (
            place.x + x,
            place.y + y,
            place.top_z,
        )

    def plate_w(self) -> Array:
        """(N, 3) middle of the plate's top, m."""
        return self._engine.vary("body_pos")[:, self._body]

    def over(self, points_w: Array) -> Array:
        """(N, P) bool, whether points (N, P, 3) are above the plate."""
        xp = self._engine.xp
        offset = points_w - self.plate_w()[:, None, :]
        # (N, P, 2)
        own = xp.abs(offset[..., :1] * self._of_x + offset[..., 1:2] * self._of_y)
        return xp.maximum(own[..., 0], own[..., 1]) < self._place.half

    def darken(self, world: int) -> None:
        """The lamp of one world as if nothing had been read."""
        self._engine.vary("geom_rgba")[world, [self._lamp, self._beam]] = WAITING

    def show(self, read: Array) -> None:
        """The lamp of each world, green where something has been read (N,)."""
        # (N, 4)
        colour = self._engine.xp.where(read[:, None], self._read, self._waiting)
        rgba = self._engine.vary("geom_rgba")
        rgba[:, self._lamp] = colour
        rgba[:, self._beam] = colour
