"""A kitchen table whose height and colour differ between worlds."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco

from embodied.core import Array
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import Vector, add_box
from embodied.sim.engine import Engine

TABLE = "table"
TOP = "table_top"
TOP_WOOD = (0.70, 0.61, 0.48, 1.0)
LEG_WOOD = (0.60, 0.44, 0.29, 1.0)
APRON_WOOD = (0.50, 0.36, 0.23, 1.0)
LEG_HALF_M = 0.025
APRON_HALF_HEIGHT_M = 0.035
INSET_M = 0.05  # of legs and apron from the edge
SLIDING_FRICTION = 0.5


@dataclass(frozen=True)
class TableSize:
    """Centre of the top in the world, and its size along x and y, m."""

    x: float = 0.66
    y: float = 0.0
    top_z: float = 0.70  # height of the upper face
    depth: float = 0.66  # along x
    width: float = 1.36  # along y
    thickness: float = 0.028  # of the top


def add_table(spec: mujoco.MjSpec, size: TableSize) -> mujoco.MjsBody:
    """Adds the table, whose height may differ between worlds, and returns its body.

    The body's frame is at the centre of the top's upper face. The body is a mocap body,
    because the GPU engine keeps the positions of mocap bodies in the state, but not the
    positions of fixed bodies. Boxes are given by their middle and half size, m.
    """
    table = spec.worldbody.add_body(
        name=TABLE, pos=[size.x, size.y, size.top_z], mocap=True
    )
    half_x = size.depth / 2
    half_y = size.width / 2
    half_z = size.thickness / 2
    top = add_box(table, (0, 0, -half_z), (half_x, half_y, half_z), TOP_WOOD, name=TOP)
    top.friction[0] = SLIDING_FRICTION

    # x and y of the centre lines of the legs, and of the apron, the frame under the top
    leg_x = half_x - INSET_M
    leg_y = half_y - INSET_M
    leg_half_z = (size.top_z - size.thickness) / 2
    for side_x in (-1, 1):
        for side_y in (-1, 1):
            leg = (side_x * leg_x, side_y * leg_y, -size.thickness - leg_half_z)
            add_box(table, leg, (LEG_HALF_M, LEG_HALF_M, leg_half_z), LEG_WOOD)

    # the apron, a board along each of the four edges
    paint = Paint(spec, table, "table_paint")
    apron_z = -size.thickness - APRON_HALF_HEIGHT_M
    along = (leg_x, 0.010, APRON_HALF_HEIGHT_M)
    across = (0.010, leg_y, APRON_HALF_HEIGHT_M)
    for side in (-1, 1):
        paint.box((0, side * leg_y, apron_z), along, APRON_WOOD)
        paint.box((side * leg_x, 0, apron_z), across, APRON_WOOD)
    paint.add()
    return table


class Table:
    """The table of N worlds."""

    def __init__(self, engine: Engine, size: TableSize) -> None:
        self._engine = engine
        self._size = size
        model = engine.model
        self._mocap = int(model.body(TABLE).mocapid[0])
        self._top = model.geom(TOP).id
        engine.model_view("geom_rgba")  # gives each world its own values

    def raise_by(self, world: int, height_m: float) -> None:
        """Sets the height of one world's table: nominal plus `height_m`.

        The legs keep their length, so they end above or below the floor.
        """
        size = self._size
        pos_w = (size.x, size.y, size.top_z + height_m)
        self._engine.view("mocap_pos")[world, self._mocap] = pos_w

    def paint(self, world: int, rgb: Vector) -> None:
        """Colours the top of one world's table."""
        self._engine.model_view("geom_rgba")[world, self._top, :3] = rgb

    def top_z_w(self) -> Array:
        """Returns the height (N,) m of the top's upper face."""
        return self._engine.view("mocap_pos")[:, self._mocap, 2]
