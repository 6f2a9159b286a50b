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
WOOD = (0.60, 0.44, 0.29, 1.0)
WOOD_DARK = (0.50, 0.36, 0.23, 1.0)
LEG_M = 0.025  # half width
INSET_M = 0.05  # of legs and apron from the edge


@dataclass(frozen=True)
class TableSize:
    """Middle of the top in the world and its size along x and y, m."""

    x: float = 0.66
    y: float = 0.0
    top_z: float = 0.70
    depth: float = 0.66
    width: float = 1.36
    thickness: float = 0.028


def add_table(spec: mujoco.MjSpec, size: TableSize) -> mujoco.MjsBody:
    """Adds the table as a body of its own, its frame in the middle of the top's upper
    face. Worlds may differ in its height: a mocap body can be set where a state says,
    which a GPU engine does not do for a merely fixed one.
    """
    table = spec.worldbody.add_body(
        name=TABLE, pos=[size.x, size.y, size.top_z], mocap=True
    )
    half_x = size.depth / 2
    half_y = size.width / 2
    half_z = size.thickness / 2
    top = add_box(
        table, (0, 0, -half_z), (half_x, half_y, half_z), (0.70, 0.61, 0.48, 1.0), TOP
    )
    top.friction = [0.5, 0.005, 0.0001]
    leg_z = (size.top_z - size.thickness) / 2
    legs = [
        (sx * (half_x - INSET_M), sy * (half_y - INSET_M))
        for sx in (-1, 1)
        for sy in (-1, 1)
    ]
    for x, y in legs:
        add_box(table, (x, y, -size.thickness - leg_z), (LEG_M, LEG_M, leg_z), WOOD)
    paint = Paint(spec, table, "table_paint")
    for side in (-1, 1):
        along = (half_x - INSET_M, 0.010, 0.035)
        across = (0.010, half_y - INSET_M, 0.035)
        paint.box(
            (0, side * (half_y - INSET_M), -size.thickness - 0.035), along, WOOD_DARK
        )
        paint.box(
            (side * (half_x - INSET_M), 0, -size.thickness - 0.035), across, WOOD_DARK
        )
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
        engine.vary("geom_rgba")

    def raise_by(self, world: int, height_m: float) -> None:
        """Sets one world's table so much higher than nominal; its legs go into the
        floor or end above it.
        """
        size = self._size
        self._engine.view("mocap_pos")[world, self._mocap] = (
            size.x,
            size.y,
            size.top_z + height_m,
        )

    def paint(self, world: int, rgb: Vector) -> None:
        """Colours the top of one world's table."""
        self._engine.vary("geom_rgba")[world, self._top, :3] = rgb

    def top_z_w(self) -> Array:
        """(N,) height of the upper face, m."""
        return self._engine.view("mocap_pos")[:, self._mocap, 2]
