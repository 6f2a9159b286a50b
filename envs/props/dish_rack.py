"""A rack of steel wire for dishes: slots for plates on edge, and a tray for cups.

The rack's position and yaw differ between worlds. Its frame is on the table in the rack's
middle. The x axis is the direction in which a hand brings plates; y is to its left.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.core import Array
from embodied.envs.props.paint import Paint
from embodied.envs.props.plate import PlateSize
from embodied.envs.props.shapes import Vector, add_box, upright
from embodied.sim.engine import Engine

BODY = "dish_rack"
STEEL = (0.74, 0.76, 0.78, 1.0)
TRAY = (0.24, 0.30, 0.34, 1.0)
TRAY_INSIDE = (0.31, 0.38, 0.42, 1.0)
RUBBER = (0.13, 0.14, 0.15, 1.0)
SLIDING_FRICTION = 0.4
WIRE_M = 0.003  # radius of the wire


@dataclass(frozen=True)
class DishRackSize:
    """Nominal pose in the world and sizes, in m and rad."""

    # the middle of the rack's underside in the world, and the yaw of the rack's x axis
    x: float = 0.53
    y: float = 0.27
    floor_z: float = 0.70
    yaw: float = 1.2
    # sizes and positions in the rack's frame
    half_depth: float = 0.115  # along x
    # for plates: two rails carry them, and pins stand at both sides of each slot, leaning
    # back
    plate_y: float = 0.055  # of the plates' middles
    rail_y: float = 0.050  # distance from the plates' middles to each rail
    rail_z: float = 0.030  # height of the rails' upper edge
    slot_x: float = 0.028  # of the pins behind the last slot, at the rails
    pitch: float = 0.048  # from one slot to the next
    slots: int = 2  # number of slots
    pin: float = 0.080  # length of the pins above the rails
    lean: float = float(np.deg2rad(15.0))  # angle of the pins from the vertical
    # for cups: a tray with two places, each with a ridge around it
    cup_y: float = -0.105  # of both places
    cup_x: float = 0.058  # of the first place; the second place is at -cup_x
    tray_z: float = 0.012  # height of the tray's upper face
    ridge: float = 0.010  # height of the ridges above the tray
    place: float = 0.086  # inner width of a place along x and y

    @property
    def down_slot(self) -> np.ndarray:
        """Unit vector (3,) in the rack's frame, down into a slot along its pins."""
        return np.array([-np.sin(self.lean), 0.0, -np.cos(self.lean)])

    @property
    def into_rack(self) -> np.ndarray:
        """Unit vector (3,) in the rack's frame, perpendicular to plates in the slots.

        The vector points from each slot to the slot behind.
        """
        return np.array([np.cos(self.lean), 0.0, -np.sin(self.lean)])

    def pins_x(self) -> np.ndarray:
        """Returns x of each row of pins at the rails, (slots + 1,) m.

        The first row is behind the last slot.
        """
        return self.slot_x - self.pitch * np.arange(self.slots + 1)

    def seats(self, plate: PlateSize) -> np.ndarray:
        """Returns the middles of plates in their slots, the last slot first.

        Args:
            plate: the size of the plates.

        Returns:
            (slots, 3) m in the rack's frame.
        """
        # a plate rests on both rails, so its middle is this far above them along the slot
        up = np.sqrt(plate.radius**2 - self.rail_y**2)
        # and this far in front of the pins behind the slot, halfway to the pins before it
        before = self.pitch / 2 * np.cos(self.lean)
        seats = []
        for x in self.pins_x()[:-1]:
            pin_foot = np.array([x, self.plate_y, self.rail_z])
            seats.append(pin_foot - up * self.down_slot - before * self.into_rack)
        return np.array(seats)

    def places(self, up_m: float = 0.0) -> np.ndarray:
        """Returns the points (2, 3) m that are `up_m` above the two places for cups.

        The points are in the rack's frame.
        """
        z = self.tray_z + up_m
        return np.array([(x, self.cup_y, z) for x in (self.cup_x, -self.cup_x)])


def add_dish_rack(spec: mujoco.MjSpec, size: DishRackSize) -> None:
    """Adds the rack as a body that stands on the table."""
    body = spec.worldbody.add_body(
        name=BODY, pos=[size.x, size.y, size.floor_z], quat=upright(size.yaw)
    )
    paint = Paint(spec, body, "dish_rack_paint")
    _add_slots(body, size)
    _add_cup_tray(body, size)
    _paint_frame(paint, size)
    paint.add()


def _add_slots(body: mujoco.MjsBody, size: DishRackSize) -> None:
    """Adds the drip tray, two rails, and the pins between the slots."""
    # the drip tray reaches 45 mm beyond the rails
    half_y = size.rail_y + 0.045
    floor = add_box(
        body, (0, size.plate_y, 0.004), (size.half_depth, half_y, 0.004), TRAY_INSIDE
    )
    floor.friction[0] = SLIDING_FRICTION

    # the rails, and on each rail a row of pins that lean with the slots
    for side in (-1, 1):
        y = size.plate_y + side * size.rail_y
        z = size.rail_z - WIRE_M
        half_x = size.half_depth - 0.004
        _add_wire(body, (-half_x, y, z), (half_x, y, z))
        for x in size.pins_x():
            foot = np.array([x, y, z])
            _add_wire(body, foot, foot - (size.pin + WIRE_M) * size.down_slot)


def _add_wire(body: mujoco.MjsBody, start: Vector, end: Vector) -> None:
    """Adds a straight wire between two points (3,) m, with which things collide.

    Args:
        body: the rack's body.
        start: (3,) m, one end of the wire.
        end: (3,) m, the other end of the wire.
    """
    wire = body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        size=[WIRE_M, 0, 0],
        fromto=[*start, *end],
        rgba=list(STEEL),
        mass=0,
    )
    wire.friction[0] = SLIDING_FRICTION


def _add_cup_tray(body: mujoco.MjsBody, size: DishRackSize) -> None:
    """Adds the tray for cups, with ridges around its two places."""
    half_place = size.place / 2
    # the ridges along the tray's edges are 6 mm wide
    half_x = size.cup_x + half_place + 0.006
    half_y = half_place + 0.006
    half_z = size.tray_z / 2
    floor = add_box(
        body, (0, size.cup_y, half_z), (half_x, half_y, half_z), TRAY_INSIDE
    )
    floor.friction[0] = SLIDING_FRICTION

    z = size.tray_z + size.ridge / 2
    for side in (-1, 1):
        y = size.cup_y + side * (half_place + 0.003)
        along = (half_x, 0.003, size.ridge / 2)
        add_box(body, (0, y, z), along, TRAY)
        x = side * (half_x - 0.003)
        add_box(body, (x, size.cup_y, z), (0.003, half_place, size.ridge / 2), TRAY)
    # the ridge between the two places
    between_half = size.cup_x - half_place
    add_box(body, (0, size.cup_y, z), (between_half, half_place, size.ridge / 2), TRAY)


def _paint_frame(paint: Paint, size: DishRackSize) -> None:
    """Paints the rim of the drip tray, a frame of wire, and rubber feet.

    Boxes are given by their middle and half size, cylinders by the middles of their two
    ends and their radius, m.
    """
    # the rim of the drip tray, on all four sides
    half_x = size.half_depth
    half_y = size.rail_y + 0.045
    for side in (-1, 1):
        y = size.plate_y + side * half_y
        paint.box((0, y, 0.010), (half_x + 0.004, 0.004, 0.010), TRAY)
        x = side * half_x
        paint.box((x, size.plate_y, 0.010), (0.004, half_y, 0.010), TRAY)

    # the frame: uprights at the corners, up to half the pins' height
    top_z = size.rail_z + 0.5 * size.pin
    corners = []
    for side_x, side_y in ((-1, -1), (1, -1), (1, 1), (-1, 1)):
        x = side_x * (half_x - 0.004)
        y = size.plate_y + side_y * (half_y - 0.006)
        corners.append(np.array([x, y, top_z]))
        paint.cylinder((x, y, 0.006), (x, y, top_z), 0.0032, STEEL)
        paint.box((x, y, 0.001), (0.010, 0.008, 0.0012), RUBBER)

    # short posts below the ends of both rails
    for side in (-1, 1):
        y = size.plate_y + side * size.rail_y
        z = size.rail_z - WIRE_M
        for x in (-half_x + 0.004, half_x - 0.004):
            paint.cylinder((x, y, 0.006), (x, y, z), WIRE_M, STEEL)

    # two wires from corner to corner: across the front, low so that a hand gets in, and
    # along the left side at the top
    front_right, _, back_left, front_left = corners
    for start, end, height in (
        (front_right, front_left, size.rail_z),
        (back_left, front_left, top_z),
    ):
        # the corners' x and y, at the height of this wire
        first = start * (1, 1, 0) + np.array([0, 0, height])
        second = end * (1, 1, 0) + np.array([0, 0, height])
        paint.cylinder(first, second, 0.0032, STEEL)


class DishRack:
    """The rack of N worlds."""

    def __init__(self, engine: Engine, size: DishRackSize) -> None:
        self._engine = engine
        self._size = size
        self._body = engine.model.body(BODY).id
        # the first call for a field gives each world its own values of the field
        for field in ("body_pos", "body_quat"):
            engine.model_view(field)

    def place(self, world: int, shift_m: tuple[float, float], turn_rad: float) -> None:
        """Moves one world's rack by (x, y) m from its nominal place, and turns the rack.

        Args:
            world: the index of the world.
            shift_m: (x, y) offset from the nominal place.
            turn_rad: the angle added to the nominal yaw.
        """
        size = self._size
        pos = (size.x + shift_m[0], size.y + shift_m[1], size.floor_z)
        self._engine.model_view("body_pos")[world, self._body] = pos
        yaw = size.yaw + turn_rad
        self._engine.model_view("body_quat")[world, self._body] = upright(yaw)

    def pos_w(self) -> Array:
        """Returns the rack's middle on the table (N, 3), m."""
        return self._engine.view("xpos")[:, self._body]

    def heading(self) -> Array:
        """Returns the cosine and the sine (N, 2) of the rack's yaw."""
        # x and y of the rack's x axis, the first column of its rotation matrix
        return self._engine.view("xmat")[:, self._body][:, [0, 3]]
