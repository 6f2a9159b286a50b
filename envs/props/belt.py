"""A straight conveyor belt, drawn with rollers or as a rubber band.

Its collision geom is a single box whose surface moves.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco

from embodied.core import Array
from embodied.envs.props.colours import FRAME_BLUE, INVISIBLE, SAFETY_YELLOW
from embodied.envs.props.paint import Paint
from embodied.envs.props.shapes import COLLISION_GROUP, add_box
from embodied.sim.engine import Engine

SURFACE = "belt_surface"
SURFACE_HALF_M = 0.02  # half the height of the collision box
# A rail on each side keeps things on the belt: half its width, half its height, and how
# far its middle is below the belt's top. So the rail's top is 25 mm above the belt's.
RAIL_HALF_M = 0.015
RAIL_HALF_HEIGHT_M = 0.045
RAIL_BELOW_M = 0.02
# The stop at the belt's end: half its thickness along the belt, and half its height.
STOP_HALF_M = 0.01
STOP_HALF_HEIGHT_M = 0.04
ROLLER = (0.72, 0.74, 0.76, 1.0)
ROLLER_RADIUS_M = 0.022
# The bed under the rollers: half its thickness, and how far its middle is below the
# belt's top.
BED_HALF_M = 0.01
BED_BELOW_M = 0.05
BED = (0.16, 0.17, 0.18, 1.0)
RUBBER = (0.30, 0.33, 0.36, 1.0)
RUBBER_HALF_M = 0.010  # half the band's thickness
# The band's top is 0.5 mm below the belt's top. Things sink into the collision box by
# less than that, so that the band is never drawn over their undersides.
RUBBER_BELOW_M = RUBBER_HALF_M + 0.0005
# The band ends this far before the belt's ends, so that the end rollers are seen.
RUBBER_SHORTER_M = 0.03
LEGS_APART_M = 2.0  # approximate distance between pairs of legs; a pair is at each end
SLIDING_FRICTION = 0.8
# The belt's speed in the compiled model. It must not be 0, because MuJoCo would then
# ignore later changes of the speed.
COMPILED_SPEED_M_S = 0.05


@dataclass(frozen=True)
class BeltSize:
    """Position and size in m of a belt along the world's y axis."""

    x: float = 0.53  # of the belt's centre line
    y_start: float = -1.05
    y_end: float = 1.05  # where the belt carries things to
    top_z: float = 0.70  # top of the rollers
    width: float = 0.36  # of the surface between the rails
    roller_pitch: float = 0.10  # from one roller to the next
    rubber: bool = False  # whether a rubber band covers the rollers, for small goods

    @property
    def middle_y(self) -> float:
        """The y of the belt's centre."""
        return (self.y_start + self.y_end) / 2

    @property
    def half_length(self) -> float:
        """Half the belt's length."""
        return (self.y_end - self.y_start) / 2


def add_belt(spec: mujoco.MjSpec, size: BeltSize) -> None:
    """Adds the belt, its rails and legs, and a stop at its end.

    Boxes are given by their middle and half size, m.
    """
    world = spec.worldbody
    half_width = size.width / 2
    y = size.middle_y

    # what things lie on: an invisible box whose surface moves
    surface = add_box(
        world,
        (size.x, y, size.top_z - SURFACE_HALF_M),
        (half_width, size.half_length, SURFACE_HALF_M),
        INVISIBLE,
        name=SURFACE,
    )
    surface.surfacevel = [0, COMPILED_SPEED_M_S, 0, 0, 0, 0]  # linear, then angular
    surface.friction[0] = SLIDING_FRICTION
    surface.group = COLLISION_GROUP

    # the drawn surface, and on either side a rail on legs
    paint = Paint(spec, world, "belt_paint")
    _paint_surface(paint, size)
    for side in (-1, 1):
        rail_x = size.x + side * (half_width + RAIL_HALF_M)
        rail_half = (RAIL_HALF_M, size.half_length, RAIL_HALF_HEIGHT_M)
        add_box(world, (rail_x, y, size.top_z - RAIL_BELOW_M), rail_half, FRAME_BLUE)
        leg_half_z = (size.top_z - 0.06) / 2  # legs end 6 cm below the belt's top
        for leg_y in _legs_y(size):
            leg_half = (0.02, 0.03, leg_half_z)
            paint.box((rail_x, leg_y, leg_half_z), leg_half, FRAME_BLUE)
    paint.add()

    stop = (size.x, size.y_end - STOP_HALF_M, size.top_z + STOP_HALF_HEIGHT_M)
    stop_half = (half_width, STOP_HALF_M, STOP_HALF_HEIGHT_M)
    add_box(world, stop, stop_half, SAFETY_YELLOW)


def _paint_surface(paint: Paint, size: BeltSize) -> None:
    """Paints the bed, the rollers, and the rubber band if there is one.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.
    """
    half_width = size.width / 2
    y = size.middle_y
    # the bed under the rollers
    bed_half = (half_width, size.half_length, BED_HALF_M)
    paint.box((size.x, y, size.top_z - BED_BELOW_M), bed_half, BED)

    # the rollers, whose tops are at the belt's top
    roller_z = size.top_z - ROLLER_RADIUS_M
    left_x = size.x - half_width
    right_x = size.x + half_width
    for roller_y in _rollers_y(size):
        left_end = (left_x, roller_y, roller_z)
        right_end = (right_x, roller_y, roller_z)
        paint.cylinder(left_end, right_end, ROLLER_RADIUS_M, ROLLER)

    # the rubber band, a little shorter than the belt
    if size.rubber:
        half_length = size.half_length - RUBBER_SHORTER_M
        rubber_half = (half_width, half_length, RUBBER_HALF_M)
        paint.box((size.x, y, size.top_z - RUBBER_BELOW_M), rubber_half, RUBBER)


def _rollers_y(size: BeltSize) -> list[float]:
    """Returns the y of each roller, m; under a rubber band only the two end rollers."""
    if size.rubber:
        return [size.y_start + ROLLER_RADIUS_M, size.y_end - ROLLER_RADIUS_M]
    count = int((size.y_end - size.y_start) / size.roller_pitch)
    return [size.y_start + (k + 0.5) * size.roller_pitch for k in range(count)]


def _legs_y(size: BeltSize) -> list[float]:
    """Returns the y of each pair of legs, m, evenly spaced."""
    # the outer pairs are 0.15 m from the belt's ends
    first = size.y_start + 0.15
    last = size.y_end - 0.15
    gaps = max(1, round((last - first) / LEGS_APART_M))
    return [first + k * (last - first) / gaps for k in range(gaps)] + [last]


class Belt:
    """The belt's speed in N worlds."""

    def __init__(self, engine: Engine) -> None:
        surface = engine.model.geom(SURFACE).id
        # (N,) m/s along +y, a view of the model's field, of which each world has its own
        # values
        self._speed_m_s = engine.model_view("geom_surfacevel")[:, surface, 1]

    def start(self, world: int, speed_m_s: float) -> None:
        """Sets the speed with which an episode of one world begins."""
        self._speed_m_s[world] = speed_m_s

    def speed(self) -> Array:
        """Returns the speed (N,) along +y, m/s."""
        return self._speed_m_s

    def set_speed(self, speed_m_s: Array) -> None:
        """Sets the speed (N,) along +y, m/s, at once."""
        self._speed_m_s[...] = speed_m_s
