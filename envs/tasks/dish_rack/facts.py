"""The quantities by which DishRack is judged: of dishes, rack and hands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from embodied.arrays import all_of, any_of, count_of, dot
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.dish_rack import DishRack
from embodied.envs.props.plate import Plates
from embodied.envs.props.things import Things
from embodied.envs.tasks.dish_rack.scene import (
    CUP,
    CUPS,
    FORCES,
    PLATE,
    PLATES,
    RACK,
)
from embodied.robots.robot import Robot
from embodied.sim.contact_force import ContactForce
from embodied.sim.engine import Engine

# A hand takes a plate by its rim, and a cup around its body, with the TCP this far above
# the plate's underside or the cup's middle.
RIM_GRIP_Z_M = PLATE.height
CUP_GRIP_Z_M = 0.0145
# A gripper holds a dish if its width is at most this much smaller or larger than what is
# between the fingers, and the TCP within HELD_ERROR_M of the grip.
NARROWER_M = 0.003
WIDER_M = 0.006
HELD_ERROR_M = 0.025
# A plate is in a slot if its middle's errors to the seat, across the slot, along the
# plate and up, are below these, and it leans by less than 15 degrees from the pins.
SLOT_ROOM_M = (0.016, 0.030, 0.012)
ON_EDGE_COS = float(np.cos(np.deg2rad(15)))
# A cup is in its place if its errors along x and y, and its height's, are below these,
# and it leans by less than 10 degrees.
PLACE_ROOM_M = (0.020, 0.020, 0.006)
UPRIGHT_COS = float(np.cos(np.deg2rad(10)))
AT_REST_M_S = 0.03
FALLEN_Z_W = 0.6


class Props:
    """The parts of the scene in N worlds, as a task moves and reads them."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        xp = engine.xp
        self.xp = xp
        self.plates = Plates(engine, PLATES, PLATE)
        self.cups = Things(engine, CUPS)
        self.rack = DishRack(engine, RACK)
        self.hands = [Hand(engine, robot, effector) for effector in robot.effectors]
        self.force = ContactForce(engine, *FORCES)
        # in the rack's frame: the middles of plates in slots, and of cups in places
        self.seats = xp.asarray(RACK.seats(PLATE))  # (slots, 3)
        self.places = xp.asarray(RACK.places(CUP.z / 2))  # (2, 3)
        self.across = xp.asarray(RACK.into_rack)
        self.up_slot = xp.asarray(-RACK.down_slot)
        self.slot_room_m = xp.asarray(SLOT_ROOM_M)
        self.place_room_m = xp.asarray(PLACE_ROOM_M)


class Facts:
    """Quantities of N worlds in one state: K dishes, plates first."""

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        self._props = props
        self._memory = memory
        self._xp = props.xp
        xp = props.xp
        # plates' undersides and cups' middles (N, K, 3) m, their axes, and velocities
        self.plates_pos_w = props.plates.positions_w()
        self.cups_pos_w = props.cups.positions_w()
        self.pos_w = xp.concat([self.plates_pos_w, self.cups_pos_w], axis=1)
        plates = props.plates.rotations()
        cups = props.cups.rotations()
        self.rotations = xp.concat([plates, cups], axis=1)  # (N, K, 3, 3)
        self.plate_axes_w = plates[..., 2]  # (N, plates, 3)
        self.cup_axes_w = cups[..., 2]
        self.is_present = memory["present"] > 0

    @quantity
    def vel_w(self) -> Array:
        """(N, K, 3) m/s."""
        plates = self._props.plates.velocities_w()
        return self._xp.concat([plates, self._props.cups.velocities_w()], axis=1)

    @quantity
    def rack_pos_w(self) -> Array:
        """(N, 3) m, the rack's middle on the table."""
        return self._props.rack.pos_w()

    @quantity
    def rack_heading(self) -> Array:
        """(N, 2) cosine and sine of the rack's yaw."""
        return self._props.rack.heading()

    @quantity
    def plate_slot_error_m(self) -> Array:
        """(N, plates, slots, 3) m, of plates' middles: across, along, and up each slot."""
        xp = self._xp
        props = self._props
        middles = self.plates_pos_w + PLATE.height / 2 * self.plate_axes_w
        offset = self._in_rack(middles)[:, :, None, :] - props.seats
        across = dot(offset, props.across)
        up = dot(offset, props.up_slot)
        return xp.stack([across, offset[..., 1], up], axis=-1)

    @quantity
    def cup_place_error_m(self) -> Array:
        """(N, cups, places, 3) m, of cups' middles, along the rack's axes."""
        return self._in_rack(self.cups_pos_w)[:, :, None, :] - self._props.places

    @quantity
    def is_in_rack(self) -> Array:
        """(N, K) bool, plates on edge in a slot, cups upright in a place."""
        xp = self._xp
        props = self._props
        in_slot = all_of(xp.abs(self.plate_slot_error_m) < props.slot_room_m)
        axes = self._in_rack(self.plate_axes_w, is_way=True)
        on_edge = xp.abs(dot(axes, props.across)) > ON_EDGE_COS
        in_place = all_of(xp.abs(self.cup_place_error_m) < props.place_room_m)
        is_upright = self.cup_axes_w[..., 2] > UPRIGHT_COS
        plates = any_of(in_slot) & on_edge
        return xp.concat([plates, any_of(in_place) & is_upright], axis=1)

    @quantity
    def grip_error_m(self) -> Array:
        """(N, K) from the nearest hand's TCP to where hands take each dish."""
        xp = self._xp
        errors = [self._grip_error_m(hand) for hand in self._props.hands]
        nearest = errors[0]
        for error in errors[1:]:
            nearest = xp.minimum(nearest, error)
        return nearest

    @quantity
    def is_held(self) -> Array:
        """(N, K) bool, a gripper is closed on the dish."""
        spans = self._memory["span"]  # (N, K) m between the fingers
        is_held = spans < 0
        for hand in self._props.hands:
            width = hand.width_m()[:, None]
            is_closed = (width > spans - NARROWER_M) & (width < spans + WIDER_M)
            is_held = is_held | (is_closed & (self._grip_error_m(hand) < HELD_ERROR_M))
        return is_held

    @quantity
    def is_placed(self) -> Array:
        """(N, K) bool, in the rack, at rest, and released."""
        is_at_rest = dot(self.vel_w, self.vel_w) < AT_REST_M_S**2
        return self.is_in_rack & is_at_rest & ~self.is_held & self.is_present

    @quantity
    def way_to_rack_m(self) -> Array:
        """(N, K) horizontal distance to the nearest slot or place of the dish's kind."""
        xp = self._xp
        plates = self.plate_slot_error_m[..., :2]
        cups = self.cup_place_error_m[..., :2]
        squares = [dot(plates, plates), dot(cups, cups)]  # (N, 2, 2) each
        nearest = [xp.minimum(square[..., 0], square[..., 1]) for square in squares]
        return xp.sqrt(xp.concat(nearest, axis=1))

    @quantity
    def is_fallen(self) -> Array:
        """(N, K) bool, off the table."""
        return (self.pos_w[..., 2] < FALLEN_Z_W) & self.is_present

    @quantity
    def count(self) -> Array:
        """(N,) int, of dishes that take part."""
        return count_of(self.is_present)

    @quantity
    def placed(self) -> Array:
        """(N,) int, of dishes that are placed."""
        return count_of(self.is_placed)

    def _in_rack(self, points_w: Array, is_way: bool = False) -> Array:
        """Returns points, or ways, (N, K, 3) in the rack's frame."""
        xp = self._xp
        offset = points_w if is_way else points_w - self.rack_pos_w[:, None, :]
        return to_rack(xp, offset, self.rack_heading)

    def _grip_error_m(self, hand: Hand) -> Array:
        """Returns (N, K) from one hand's TCP to where it takes each dish."""
        xp = self._xp
        tcp = hand.pos_w()[:, None, :]
        plates = rim_error_m(xp, tcp - self.plates_pos_w, self.plate_axes_w)
        grip = self.cups_pos_w + CUP_GRIP_Z_M * self.cup_axes_w
        error = tcp - grip
        return xp.concat([plates, xp.sqrt(dot(error, error))], axis=1)


def to_rack(xp: Any, ways_w: Array, heading: Array) -> Array:
    """Returns ways (N, K, 3) in a rack's axes, of its heading (N, 2)."""
    cos = heading[:, None, 0]
    sin = heading[:, None, 1]
    x = cos * ways_w[..., 0] + sin * ways_w[..., 1]
    y = cos * ways_w[..., 1] - sin * ways_w[..., 0]
    return xp.stack([x, y, ways_w[..., 2]], axis=-1)


def rim_error_m(xp: Any, offset: Array, axis: Array) -> Array:
    """Returns the distances (...) from points to the circle of grips on a plate's rim.

    Args:
        xp: The array namespace.
        offset: (..., 3) m, from the plate's underside to the points.
        axis: (..., 3) the plate's axis.
    """
    up = dot(offset, axis)
    across = offset - up[..., None] * axis
    out = xp.sqrt(dot(across, across)) - PLATE.grip_radius
    up = up - RIM_GRIP_Z_M
    return xp.sqrt(out * out + up * up)
