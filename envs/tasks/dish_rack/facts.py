"""The quantities by which DishRack is judged: of dishes, rack and hands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from embodied.arrays import all_of, any_of, count_of, dot, norm
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
# A gripper holds a dish if it is at most NARROWER_M narrower or WIDER_M wider than what is
# between the fingers, and the TCP is within HELD_ERROR_M of the grip.
NARROWER_M = 0.003
WIDER_M = 0.006
HELD_ERROR_M = 0.025
# A plate is in a slot if its middle is less than this from the slot's seat, across the
# slot, along the slot, and up along the pins.
SLOT_TOLERANCE_M = (0.016, 0.030, 0.012)
# A plate in a slot must also lean by less than 15 degrees from the pins.
ON_EDGE_COS = float(np.cos(np.deg2rad(15)))
# A cup is in its place if its middle is less than this from the place's, along x, y and z
# of the rack.
PLACE_TOLERANCE_M = (0.020, 0.020, 0.006)
# A cup in its place must also lean by less than 10 degrees from the vertical.
UPRIGHT_COS = float(np.cos(np.deg2rad(10)))
# A dish slower than this is at rest.
AT_REST_M_S = 0.03
# A dish lower than this has fallen off the table.
FALLEN_Z_W = 0.6


class Props:
    """The parts of the scene that the task moves and reads, in N worlds."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        """Finds the parts in the model."""
        xp = engine.xp
        self.xp = xp
        self.plates = Plates(engine, PLATES, PLATE)
        self.cups = Things(engine, CUPS)
        self.rack = DishRack(engine, RACK)
        self.hands = [Hand(engine, robot, effector) for effector in robot.effectors]
        self.force = ContactForce(engine, *FORCES)
        # in the rack's frame: the middles of plates in slots and of cups in places, and
        # the directions across slots and out of slots
        self.seats = xp.asarray(RACK.seats(PLATE))  # (slots, 3) m
        self.places = xp.asarray(RACK.places(CUP.z / 2))  # (2, 3) m
        self.across_slots = xp.asarray(RACK.into_rack)  # (3,)
        self.up_slot = xp.asarray(-RACK.down_slot)  # (3,)
        self.slot_tolerance_m = xp.asarray(SLOT_TOLERANCE_M)
        self.place_tolerance_m = xp.asarray(PLACE_TOLERANCE_M)


class Facts:
    """Quantities of N worlds in one state: K dishes, plates first."""

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        """Reads the dishes' poses; other facts are computed when they are first used."""
        self._props = props
        self._memory = memory
        self._xp = props.xp
        xp = props.xp
        # positions in m: of plates' undersides and of cups' middles
        self.plates_pos_w = props.plates.positions_w()  # (N, plates, 3)
        self.cups_pos_w = props.cups.positions_w()  # (N, cups, 3)
        # those of all dishes, (N, K, 3)
        self.pos_w = xp.concat([self.plates_pos_w, self.cups_pos_w], axis=1)

        # rotation matrices, whose third columns are the dishes' axes of symmetry
        plate_rotations = props.plates.rotations()
        cup_rotations = props.cups.rotations()
        self.rotations = xp.concat([plate_rotations, cup_rotations], axis=1)
        self.plate_axes_w = plate_rotations[..., 2]  # (N, plates, 3)
        self.cup_axes_w = cup_rotations[..., 2]  # (N, cups, 3)
        self.is_present = memory["present"] > 0  # (N, K)

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
        """(N, plates, slots, 3) m, from each slot's seat to each plate's middle.

        The last axis is across the slot, along the slot, and out of the slot.
        """
        xp = self._xp
        props = self._props
        middles = self.plates_pos_w + PLATE.height / 2 * self.plate_axes_w
        offset = self._points_in_rack(middles)[:, :, None, :] - props.seats
        across = dot(offset, props.across_slots)
        up = dot(offset, props.up_slot)
        along = offset[..., 1]  # slots run along the rack's y axis
        return xp.stack([across, along, up], axis=-1)

    @quantity
    def cup_place_error_m(self) -> Array:
        """(N, cups, places, 3) m, from each place to each cup's middle, in rack axes."""
        cups = self._points_in_rack(self.cups_pos_w)
        return cups[:, :, None, :] - self._props.places

    @quantity
    def is_in_rack(self) -> Array:
        """(N, K) bool, plates on edge in a slot, cups upright in a place."""
        xp = self._xp
        props = self._props
        # plates, (N, plates): in any slot, their axes along the direction across slots
        is_in_slot = all_of(xp.abs(self.plate_slot_error_m) < props.slot_tolerance_m)
        axes = to_rack(xp, self.plate_axes_w, self.rack_heading)
        is_on_edge = xp.abs(dot(axes, props.across_slots)) > ON_EDGE_COS
        are_plates_in = any_of(is_in_slot) & is_on_edge

        # cups, (N, cups): in any place, upright
        is_in_place = all_of(xp.abs(self.cup_place_error_m) < props.place_tolerance_m)
        is_upright = self.cup_axes_w[..., 2] > UPRIGHT_COS
        are_cups_in = any_of(is_in_place) & is_upright
        return xp.concat([are_plates_in, are_cups_in], axis=1)

    @quantity
    def grip_error_m(self) -> Array:
        """(N, K) m, from the nearest hand's TCP to the grip on each dish."""
        xp = self._xp
        errors = [self._grip_error_m(hand) for hand in self._props.hands]
        nearest = errors[0]
        for error in errors[1:]:
            nearest = xp.minimum(nearest, error)
        return nearest

    @quantity
    def is_held(self) -> Array:
        """(N, K) bool, a gripper is closed on the dish."""
        spans = self._memory["span"]  # (N, K) m, of what is between the fingers
        is_held = spans < 0  # all false at first, since no span is negative
        for hand in self._props.hands:
            width = hand.width_m()[:, None]
            is_closed = (width > spans - NARROWER_M) & (width < spans + WIDER_M)
            is_held = is_held | (is_closed & (self._grip_error_m(hand) < HELD_ERROR_M))
        return is_held

    @quantity
    def is_placed(self) -> Array:
        """(N, K) bool, dishes in the rack, at rest and released."""
        is_at_rest = dot(self.vel_w, self.vel_w) < AT_REST_M_S**2
        return self.is_in_rack & is_at_rest & ~self.is_held & self.is_present

    @quantity
    def way_to_rack_m(self) -> Array:
        """(N, K) m, distance of each dish from the nearest slot or place for it.

        The distance is across and along the slot or place, without the height.
        """
        xp = self._xp
        plates = self.plate_slot_error_m[..., :2]
        cups = self.cup_place_error_m[..., :2]
        # squared distances to both slots, or both places, of the rack
        squares = [dot(plates, plates), dot(cups, cups)]  # (N, 2, 2) each
        nearest = [xp.minimum(square[..., 0], square[..., 1]) for square in squares]
        return xp.sqrt(xp.concat(nearest, axis=1))

    @quantity
    def is_fallen(self) -> Array:
        """(N, K) bool, dishes that have fallen off the table."""
        return (self.pos_w[..., 2] < FALLEN_Z_W) & self.is_present

    @quantity
    def num_present(self) -> Array:
        """(N,) int, the number of dishes that take part."""
        return count_of(self.is_present)

    @quantity
    def num_placed(self) -> Array:
        """(N,) int, the number of dishes that are placed."""
        return count_of(self.is_placed)

    def _points_in_rack(self, points_w: Array) -> Array:
        """Returns points (N, K, 3) m of the world in the rack's frame."""
        offset = points_w - self.rack_pos_w[:, None, :]
        return to_rack(self._xp, offset, self.rack_heading)

    def _grip_error_m(self, hand: Hand) -> Array:
        """Returns (N, K) m, from one hand's TCP to the grip on each dish."""
        xp = self._xp
        tcp = hand.pos_w()[:, None, :]
        plate_error_m = rim_error_m(xp, tcp - self.plates_pos_w, self.plate_axes_w)
        cup_grip = self.cups_pos_w + CUP_GRIP_Z_M * self.cup_axes_w
        error = tcp - cup_grip
        cup_error_m = norm(error)
        return xp.concat([plate_error_m, cup_error_m], axis=1)


def to_rack(xp: Any, vectors_w: Array, heading: Array) -> Array:
    """Returns vectors (N, K, 3) of the world along a rack's axes.

    Args:
        xp: The array namespace.
        vectors_w: (N, K, 3), along the axes of the world.
        heading: (N, 2), cosine and sine of the rack's yaw.
    """
    cos = heading[:, None, 0]
    sin = heading[:, None, 1]
    x = cos * vectors_w[..., 0] + sin * vectors_w[..., 1]
    y = cos * vectors_w[..., 1] - sin * vectors_w[..., 0]
    return xp.stack([x, y, vectors_w[..., 2]], axis=-1)


def rim_error_m(xp: Any, offset: Array, axis: Array) -> Array:
    """Returns the distances (...) m from points to the grip on a plate's rim.

    A hand may take a plate anywhere on its rim, so the grips are a circle.

    Args:
        xp: The array namespace.
        offset: (..., 3) m, from the middle of the plate's underside to the points.
        axis: (..., 3) the plate's axis, a unit vector.
    """
    height = dot(offset, axis)
    across = offset - height[..., None] * axis
    radius = norm(across)
    # the errors to the circle of grips, outwards and along the axis
    radius_error = radius - PLATE.grip_radius
    height_error = height - RIM_GRIP_Z_M
    return xp.sqrt(radius_error * radius_error + height_error * height_error)
