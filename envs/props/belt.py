"""A straight belt: drawn with rollers or as a rubber band, carried by one box whose
surface moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco

from embodied.core import Array
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import add_box
from embodied.sim.engine import Engine

FRAME = (0.20, 0.28, 0.36, 1.0)
ROLLER = (0.72, 0.74, 0.76, 1.0)
BED = (0.16, 0.17, 0.18, 1.0)
RUBBER = (0.30, 0.33, 0.36, 1.0)
SURFACE = "belt_surface"
LEGS_APART_M = 2.0  # about


@dataclass(frozen=True)
class BeltSize:
    """Along the world's y: centre x, ends in y, top of the rollers, width; m."""

    x: float = 0.53
    y_start: float = -1.05
    y_end: float = 1.05
    top_z: float = 0.70
    width: float = 0.36
    roller_pitch: float = 0.10
    rubber: bool = False  # a band over the rollers, for goods too small for their pitch


def add_belt(spec: mujoco.MjSpec, size: BeltSize) -> None:
    """Adds the belt. It is compiled moving, since a speed given to a belt compiled at
    rest has no effect.
    """
    world = spec.worldbody
    half_width = size.width / 2
    y = (size.y_start + size.y_end) / 2
    half_length = (size.y_end - size.y_start) / 2
    surface = add_box(
        world,
        (size.x, y, size.top_z - 0.02),
        (half_width, half_length, 0.02),
        (0, 0, 0, 0),
        SURFACE,
    )
    surface.surfacevel = [0, 0.05, 0, 0, 0, 0]
    surface.friction = [0.8, 0.005, 0.0001]
    surface.group = 3
    paint = Paint(spec, world, "belt_paint")
    paint.box((size.x, y, size.top_z - 0.05), (half_width, half_length, 0.01), BED)
    for at in _rollers(size):
        ends = (
            size.x - half_width,
            at,
            size.top_z - 0.022,
            size.x + half_width,
            at,
            size.top_z - 0.022,
        )
        paint.cylinder(ends, 0.022, ROLLER)
    if size.rubber:
        paint.box(
            (size.x, y, size.top_z - 0.0105),
            (half_width, half_length - 0.03, 0.010),
            RUBBER,
        )
    for side in (-1, 1):
        rail_x = size.x + side * (half_width + 0.015)
        add_box(
            world, (rail_x, y, size.top_z - 0.02), (0.015, half_length, 0.045), FRAME
        )
        for at in _legs(size):
            leg_z = (size.top_z - 0.06) / 2
            paint.box((rail_x, at, leg_z), (0.02, 0.03, leg_z), FRAME)
    paint.add()
    stop = (size.x, size.y_end - 0.01, size.top_z + 0.04)
    add_box(world, stop, (half_width, 0.01, 0.04), (0.93, 0.70, 0.13, 1))


def _rollers(size: BeltSize) -> list[float]:
    """Where rollers are along y: all along, or under a band only at its ends."""
    if size.rubber:
        return [size.y_start + 0.022, size.y_end - 0.022]
    return [
        size.y_start + (k + 0.5) * size.roller_pitch
        for k in range(int((size.y_end - size.y_start) / size.roller_pitch))
    ]


def _legs(size: BeltSize) -> list[float]:
    """Where pairs of legs are along y."""
    first = size.y_start + 0.15
    last = size.y_end - 0.15
    fields = max(1, round((last - first) / LEGS_APART_M))
    return [first + k * (last - first) / fields for k in range(fields)] + [last]


class Belt:
    """The belt's speed in N worlds."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.geom = engine.model.geom(SURFACE).id
        engine.vary("geom_surfacevel")

    def start(self, world: int, speed_m_s: float) -> None:
        """The speed with which one world begins."""
        self._engine.vary("geom_surfacevel")[world, self.geom, 1] = speed_m_s

    def speed(self) -> Array:
        """(N,) m/s along +y."""
        return self._engine.vary("geom_surfacevel")[:, self.geom, 1]

    def set_speed(self, speed_m_s: Array) -> None:
        """(N,) m/s along +y, at once."""
        self._engine.vary("geom_surfacevel")[:, self.geom, 1] = speed_m_s
