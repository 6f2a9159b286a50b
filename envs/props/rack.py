"""A stepped rack with two rows of two slots, filled from above; the back row is higher,
so that both are in reach.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import add_box
from embodied.sim.engine import Engine

# as the robot sees them, facing the rack
SLOTS = ("lower left", "lower right", "upper left", "upper right")
STEEL = (0.42, 0.45, 0.48, 1.0)
DECK = (0.80, 0.81, 0.80, 1.0)
ACCENT = (0.93, 0.70, 0.13, 1.0)


@dataclass(frozen=True)
class RackSize:
    """Nominal place in the world and slot size, m. Left is -x for a robot that looks
    along +y.
    """

    x: float = -0.04
    y_near: float = 0.36
    lower_z: float = 0.66
    upper_z: float = 0.80
    slot_x: float = 0.345
    slot_y: float = 0.245
    lip: float = 0.012  # height of the dividers

    def slot_centres(self) -> np.ndarray:
        """(4, 3) middle of each slot's floor, relative to (x, y_near, 0), in the order
        of SLOTS.
        """
        near = self.slot_y / 2
        far = self.slot_y * 1.5
        left = -self.slot_x / 2
        right = self.slot_x / 2
        rows = [(left, near, self.lower_z), (right, near, self.lower_z)]
        return np.array([*rows, (left, far, self.upper_z), (right, far, self.upper_z)])


def add_rack(spec: mujoco.MjSpec, size: RackSize) -> None:
    """Adds the rack as a body `rack` that a world may shift."""
    rack = spec.worldbody.add_body(name="rack", pos=[size.x, size.y_near, 0])
    paint = Paint(spec, rack, "rack_paint")
    half_x = size.slot_x + 0.008
    for row, top in enumerate((size.lower_z, size.upper_z)):
        y = size.slot_y * (row + 0.5)
        add_box(rack, (0, y, top - 0.01), (half_x, size.slot_y / 2, 0.01), DECK)
        for x in (-size.slot_x, 0.0, size.slot_x):
            add_box(
                rack,
                (x, y, top + size.lip / 2),
                (0.006, size.slot_y / 2 - 0.004, size.lip / 2),
                ACCENT,
            )
        for edge in (-1, 1):
            lip_y = y + edge * (size.slot_y / 2 - 0.004)
            add_box(
                rack,
                (0, lip_y, top + size.lip / 2),
                (half_x, 0.004, size.lip / 2),
                STEEL,
            )
        for x in (-half_x, half_x):
            paint.box(
                (x, y + size.slot_y / 2 - 0.02, top / 2), (0.018, 0.018, top / 2), STEEL
            )
            paint.box(
                (x, y - size.slot_y / 2 + 0.02, top / 2), (0.018, 0.018, top / 2), STEEL
            )
        for z in (0.15, top - 0.035):
            paint.box((0, y - size.slot_y / 2 + 0.02, z), (half_x, 0.012, 0.02), STEEL)
    _paint_labels(paint, size)
    paint.add()


def _paint_labels(paint: Paint, size: RackSize) -> None:
    """One plate a slot on the row's front edge, with one to four marks."""
    for k, (x, y, z) in enumerate(size.slot_centres()):
        front = y - size.slot_y / 2 - 0.001
        paint.box((x, front, z - 0.03), (0.07, 0.003, 0.022), (0.96, 0.96, 0.94, 1))
        for mark in range(k + 1):
            paint.box(
                (x + 0.025 * (mark - k / 2), front - 0.002, z - 0.03),
                (0.006, 0.003, 0.014),
                (0.1, 0.1, 0.1, 1),
            )


class Rack:
    """The rack's place and its slots in N worlds."""

    def __init__(self, engine: Engine, size: RackSize) -> None:
        self._engine = engine
        self._body = engine.model.body("rack").id
        self._size = size
        self._centres = engine.xp.asarray(size.slot_centres())  # (4, 3)
        engine.vary("body_pos")

    def shift(self, world: int, offset_m: np.ndarray) -> None:
        """Moves the rack of one world by (x, y) from its nominal place."""
        nominal = np.array([self._size.x, self._size.y_near, 0.0])
        self._engine.vary("body_pos")[world, self._body] = nominal + np.array(
            [*offset_m, 0.0]
        )

    def slot_w(self, slot: Array) -> Array:
        """(N, 3) middle of the floor of each world's `slot` (N,) in the world frame, m."""
        return self._engine.vary("body_pos")[:, self._body] + self._centres[slot]
