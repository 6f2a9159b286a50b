"""A stepped rack with two rows of two slots, filled from above.

The back row is higher, so that a robot can reach over the near row.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.colours import PLATE_WHITE, SAFETY_YELLOW, STEEL
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import add_box
from embodied.sim.engine import Engine

# Names of the slots, as seen by a robot that faces the rack.
SLOTS = ("lower left", "lower right", "upper left", "upper right")
DECK = (0.80, 0.81, 0.80, 1.0)
MARK = (0.1, 0.1, 0.1, 1.0)


@dataclass(frozen=True)
class RackSize:
    """Nominal position in the world, and sizes of the slots, m.

    Left is -x, because the robot looks along +y.
    """

    x: float = -0.04  # midway between the left and right slots
    y_near: float = 0.36  # edge nearest to the robot
    lower_z: float = 0.66  # height of the floors of the near row
    upper_z: float = 0.80  # height of the floors of the far row
    slot_x: float = 0.345  # size of a slot along x
    slot_y: float = 0.245  # size of a slot along y
    lip: float = 0.012  # height of the dividers above the slots' floors

    def slot_centres(self) -> np.ndarray:
        """Returns the centres (4, 3) of the slots' floors, in the order of SLOTS.

        The centres are in the rack's frame, whose origin is at (x, y_near, 0) in the
        world.
        """
        near = self.slot_y / 2
        far = self.slot_y * 1.5
        left = -self.slot_x / 2
        right = self.slot_x / 2
        return np.array(
            [
                (left, near, self.lower_z),
                (right, near, self.lower_z),
                (left, far, self.upper_z),
                (right, far, self.upper_z),
            ]
        )


def add_rack(spec: mujoco.MjSpec, size: RackSize) -> None:
    """Adds the rack as a body `rack` that a world may shift.

    The frame is on the floor at (x, y_near), along the world's axes.
    """
    rack = spec.worldbody.add_body(name="rack", pos=[size.x, size.y_near, 0])
    paint = Paint(spec, rack, "rack_paint")
    for row, top_z in enumerate((size.lower_z, size.upper_z)):
        middle_y = size.slot_y * (row + 0.5)
        _add_row(rack, paint, size, y=middle_y, top_z=top_z)
    _paint_labels(paint, size)
    paint.add()


def _add_row(
    rack: mujoco.MjsBody, paint: Paint, size: RackSize, y: float, top_z: float
) -> None:
    """Adds a row of two slots: deck, dividers, edges and legs.

    Boxes are given by their middle and half size in the rack's frame, m.

    Args:
        rack: the rack's body.
        paint: the collection that gets the visual boxes.
        size: the size of the rack.
        y: y of the row's centre in the rack's frame, m.
        top_z: height of the deck's upper face, which is the slots' floor, m.
    """
    half_x = size.slot_x + 0.008  # half the length of two slots, and 8 mm more
    half_y = size.slot_y / 2
    half_lip = size.lip / 2
    add_box(rack, (0, y, top_z - 0.01), (half_x, half_y, 0.01), DECK)

    # dividers to the left, between and to the right of the slots
    for x in (-size.slot_x, 0.0, size.slot_x):
        divider_half = (0.006, half_y - 0.004, half_lip)
        add_box(rack, (x, y, top_z + half_lip), divider_half, SAFETY_YELLOW)

    # low edges at the near and the far side
    for side in (-1, 1):
        edge_y = y + side * (half_y - 0.004)
        add_box(rack, (0, edge_y, top_z + half_lip), (half_x, 0.004, half_lip), STEEL)

    # four legs, and two rails at the near side
    for x in (-half_x, half_x):
        leg_half = (0.018, 0.018, top_z / 2)
        paint.box((x, y + half_y - 0.02, top_z / 2), leg_half, STEEL)
        paint.box((x, y - half_y + 0.02, top_z / 2), leg_half, STEEL)
    for z in (0.15, top_z - 0.035):
        paint.box((0, y - half_y + 0.02, z), (half_x, 0.012, 0.02), STEEL)


def _paint_labels(paint: Paint, size: RackSize) -> None:
    """Paints a plate for each slot on its row's near edge; slot k has k + 1 marks.

    Boxes are given by their middle and half size, m.
    """
    for k, (x, y, z) in enumerate(size.slot_centres()):
        front_y = y - size.slot_y / 2 - 0.001
        # the plate hangs below the edge
        paint.box((x, front_y, z - 0.03), (0.07, 0.003, 0.022), PLATE_WHITE)
        for mark in range(k + 1):
            mark_x = x + 0.025 * (mark - k / 2)  # side by side, 25 mm apart
            mark_half = (0.006, 0.003, 0.014)
            paint.box((mark_x, front_y - 0.002, z - 0.03), mark_half, MARK)


class Rack:
    """The rack and its slots in N worlds."""

    def __init__(self, engine: Engine, size: RackSize) -> None:
        body = engine.model.body("rack").id
        # (N, 3) m, a view of the model's field, of which each world has its own values
        self._pos_w = engine.model_view("body_pos")[:, body]
        self._nominal = np.array([size.x, size.y_near, 0.0])
        self._centres = engine.xp.asarray(size.slot_centres())  # (4, 3)

    def shift(self, world: int, offset_m: np.ndarray) -> None:
        """Moves the rack of one world by (x, y) m from its nominal place."""
        offset = np.array([*offset_m, 0.0])
        self._pos_w[world] = self._nominal + offset

    def slot_w(self, slot: Array) -> Array:
        """Returns the centre (N, 3) m in the world of the floor of one slot per world.

        Args:
            slot: (N,) the index into SLOTS of each world's slot.
        """
        return self._pos_w + self._centres[slot]
