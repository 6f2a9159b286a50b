"""A stand: a small padded table where one robot puts things down for another."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.colours import FRAME_BLUE, SAFETY_YELLOW
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import add_box
from embodied.sim.engine import Engine

# The name of the stand's body in models.
BODY = "rest"
PAD = (0.20, 0.23, 0.26, 1.0)
THICKNESS_M = 0.012
SLIDING_FRICTION = 0.9  # of the pad, on which parcels lie


@dataclass(frozen=True)
class ParcelStandPlace:
    """Position and size of the stand, m."""

    # the middle of the stand's upper face in the world
    x: float
    y: float
    top_z: float = 0.80
    half: float = 0.075  # half the length of a side


def add_parcel_stand(spec: mujoco.MjSpec, place: ParcelStandPlace) -> None:
    """Adds the stand as a body that a world may shift.

    The frame is in the middle of the stand's upper face. Boxes are given by their middle
    and half size, m.
    """
    body = spec.worldbody.add_body(name=BODY, pos=[place.x, place.y, place.top_z])
    half = place.half
    half_thick = THICKNESS_M / 2
    pad = add_box(body, (0, 0, -half_thick), (half, half, half_thick), PAD)
    pad.friction[0] = SLIDING_FRICTION

    # the rim, the tray under the pad, the column and its foot
    paint = Paint(spec, body, f"{BODY}_paint")
    for side in (-1, 1):
        edge = side * (half + 0.005)
        paint.box((0, edge, -0.007), (half + 0.010, 0.005, 0.006), SAFETY_YELLOW)
        paint.box((edge, 0, -0.007), (0.005, half, 0.006), SAFETY_YELLOW)
    paint.box((0, 0, -THICKNESS_M - 0.015), (0.055, 0.055, 0.015), FRAME_BLUE)
    half_z = place.top_z / 2
    paint.box((0, 0, -half_z - 0.016), (0.028, 0.028, half_z - 0.016), FRAME_BLUE)
    paint.box((0, 0, -place.top_z + 0.012), (0.11, 0.11, 0.012), FRAME_BLUE)
    paint.add()


class ParcelStand:
    """The position of the stand in N worlds."""

    def __init__(self, engine: Engine, place: ParcelStandPlace) -> None:
        self._engine = engine
        self._place = place
        self._body = engine.model.body(BODY).id
        engine.model_view("body_pos")  # gives each world its own values

    def shift(self, world: int, offset_m: np.ndarray) -> None:
        """Moves the stand of one world by (x, y) m from its nominal place."""
        place = self._place
        pos = (place.x + offset_m[0], place.y + offset_m[1], place.top_z)
        self._engine.model_view("body_pos")[world, self._body] = pos

    def top_w(self) -> Array:
        """Returns the middle (N, 3) m of the stand's upper face."""
        return self._engine.model_view("body_pos")[:, self._body]
