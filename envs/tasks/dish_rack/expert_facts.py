"""The facts that the expert of DishRack decides on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.arrays import dot, norm
from embodied.core import Array
from embodied.envs.props.plate import SIDES
from embodied.envs.skills.scripted import Readings
from embodied.envs.tasks.dish_rack.facts import CUP_GRIP_Z_M, RIM_GRIP_Z_M, rim_error_m
from embodied.envs.tasks.dish_rack.scene import CUP, DISHES, PLATE, PLATES, RACK
from embodied.rotations import cross

# The order in which dishes are brought, as indices into DISHES: the cups first, because
# they stand behind the plates.
ORDER = (2, 3, 0, 1)
# A gripper holds a dish if it is at most NARROWER_M narrower or WIDER_M wider than what is
# between the fingers, and the hand is at most IN_HAND_M from the grip.
NARROWER_M = 0.0035
WIDER_M = 0.003
IN_HAND_M = 0.022
# A hand leaves a placed dish once its gripper is wider than the dish by this.
OPENED_M = 0.009
# A plate that is tilted by more than 40 degrees from lying flat is being put on edge.
TIPPED_COS = float(np.cos(np.deg2rad(40)))
# A hand is around a placed dish if the TCP is within the first distance of the dish's axis,
# and at most the second distance above the dish's middle, along the axis.
AROUND_PLATE_M = (PLATE.radius + 0.06, 0.07)
AROUND_CUP_M = (0.05, 0.10)


@dataclass(frozen=True)
class Dish:
    """One dish in n worlds, and the place in the rack that it gets."""

    is_plate: Array  # (n,) bool, whether it is a plate, not a cup
    middle: Array  # (n, 3) m
    axis: Array  # (n, 3) unit vector, the axis of rotational symmetry
    speed_squared: Array  # (n,) m2/s2
    width: Array  # (n,) m, of what is between the fingers that hold it
    grip: Array  # (n, 3) m, TCP position where an empty hand takes it
    # (n,) rad, direction in which the fingers open: outwards from a plate's middle to its
    # rim; for a cup the rack's heading
    grip_yaw: Array
    is_held: Array  # (n,) bool
    is_unplaced: Array  # (n,) bool, it takes part and is not placed yet
    is_placed: Array  # (n,) bool, it is in the rack and released
    seat: Array  # (n, 3) m, position of its middle in the rack


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand, rack, and the dish to bring in n worlds."""

    tcp: Array  # (n, 3) m
    rot6d: Array  # (n, 6)
    dish: Dish  # the dish to bring now
    is_done: Array  # (n,) bool, all dishes are placed
    heading: Array  # (n,) rad, of the rack
    # unit vectors (n, 3) of the rack
    into: Array  # across the slots, from each slot to the next
    up_slot: Array  # out of a slot, along its pins
    along: Array  # horizontally along a slot
    # (n,) bool each
    is_at_placed_plate: Array  # the hand is still around a plate that is placed
    is_at_placed_cup: Array  # the hand is still around a cup that is placed
    is_letting_go: Array  # it is, and the gripper has not yet opened
    placed_width: Array  # (n,) m, width of that placed dish between the fingers

    @classmethod
    def read(cls, xp: Any, agent: Readings, state: Readings) -> ExpertFacts:
        """Returns the facts of an observation."""
        tcp = agent["tcp_pos_w"]
        width = agent["gripper_width"][:, 0]
        rack = Rack(xp, state["rack_pos_w"], state["rack_heading"])
        dishes = [
            _read_dish(xp, k, tcp=tcp, width=width, state=state, rack=rack)
            for k in range(len(DISHES))
        ]

        # the placed dish that the hand is around, if any
        is_at_plate = xp.zeros_like(width) > 0  # false in all worlds
        is_at_cup = is_at_plate
        is_letting_go = is_at_plate
        placed_width = width  # where the hand is around no placed dish
        for dish in dishes:
            is_around = _is_around(xp, tcp, dish)
            is_at_plate = is_at_plate | (is_around & dish.is_plate)
            is_at_cup = is_at_cup | (is_around & ~dish.is_plate)
            is_tight = width < dish.width + OPENED_M
            is_letting_go = is_letting_go | (is_around & is_tight)
            placed_width = xp.where(is_around, dish.width, placed_width)

        return cls(
            tcp=tcp,
            rot6d=agent["tcp_rot6d"],
            dish=_next_dish(xp, dishes),
            is_done=~_any_unplaced(dishes),
            heading=rack.heading,
            into=rack.direction_w(RACK.into_rack),
            up_slot=rack.direction_w(-RACK.down_slot),
            along=rack.direction_w(np.array([0.0, 1.0, 0.0])),
            is_at_placed_plate=is_at_plate,
            is_at_placed_cup=is_at_cup,
            is_letting_go=is_letting_go,
            placed_width=placed_width,
        )


def _is_around(xp: Any, tcp: Array, dish: Dish) -> Array:
    """Returns (n,) bool, whether the hand is still around a dish that is placed."""
    # the TCP's height above the dish's middle along its axis, and distance from the axis
    offset = tcp - dish.middle
    height_m = dot(offset, dish.axis)
    across = offset - height_m[:, None] * dish.axis
    radius_m = norm(across)

    plate_radius_m, plate_height_m = AROUND_PLATE_M
    cup_radius_m, cup_height_m = AROUND_CUP_M
    is_beside = radius_m < xp.where(dish.is_plate, plate_radius_m, cup_radius_m)
    is_low = height_m < xp.where(dish.is_plate, plate_height_m, cup_height_m)
    return dish.is_placed & is_beside & is_low


def _next_dish(xp: Any, dishes: list[Dish]) -> Dish:
    """Returns the dish to bring now: a held one, or the first of ORDER not yet placed."""
    # from the last to the first of ORDER, so that the first unplaced one wins
    chosen = dishes[ORDER[-1]]
    for k in ORDER[-2::-1]:
        chosen = _either(xp, dishes[k].is_unplaced, first=dishes[k], second=chosen)
    # a held dish comes before all others
    for dish in dishes:
        chosen = _either(xp, dish.is_held, first=dish, second=chosen)
    return chosen


def _any_unplaced(dishes: list[Dish]) -> Array:
    """Returns (n,) bool, whether any dish still has to be placed."""
    is_unplaced = dishes[0].is_unplaced
    for dish in dishes[1:]:
        is_unplaced = is_unplaced | dish.is_unplaced
    return is_unplaced


class Rack:
    """The pose of the rack in each of n worlds."""

    def __init__(self, xp: Any, pos: Array, heading: Array) -> None:
        """Stores the positions (n, 3) m, and cosine and sine (n, 2) of the yaws."""
        self._xp = xp
        self._pos = pos
        self._cos = heading[:, 0]
        self._sin = heading[:, 1]

    @property
    def heading(self) -> Array:
        """(n,) rad, the racks' yaws."""
        return self._xp.atan2(self._sin, self._cos)

    def direction_w(self, direction: np.ndarray) -> Array:
        """Returns a direction (3,) of the rack's frame in the world, (n, 3)."""
        x, y, z = (float(part) for part in direction)
        parts = [
            self._cos * x - self._sin * y,
            self._sin * x + self._cos * y,
            self._xp.full_like(self._cos, z),
        ]
        return self._xp.stack(parts, axis=1)

    def point_w(self, point: np.ndarray) -> Array:
        """Returns a point (3,) of the rack's frame in the world, (n, 3) m."""
        return self._pos + self.direction_w(point)


def _read_dish(
    xp: Any, k: int, tcp: Array, width: Array, state: Readings, rack: Rack
) -> Dish:
    """Returns the k-th dish of `DISHES`.

    Args:
        xp: The array namespace.
        k: The dish's index.
        tcp: (n, 3) m, the hand's position.
        width: (n,) m, between the fingers.
        state: The privileged state.
        rack: The racks' poses.
    """
    pos = state["dishes_pos_w"][:, 3 * k : 3 * k + 3]
    rot6d = state["dishes_rot6d"][:, 6 * k : 6 * k + 6]
    vel = state["dishes_vel_w"][:, 3 * k : 3 * k + 3]
    axis = cross(rot6d[:, :3], rot6d[:, 3:])
    heading = rack.heading

    # middle, grip, the hand's error to the grip, width between the fingers, and seat
    is_plate = k < len(PLATES)
    if is_plate:
        middle = pos + PLATE.height / 2 * axis
        grip_yaw = _wall_yaw(xp, rot6d, heading)
        outwards = xp.stack(
            [xp.cos(grip_yaw), xp.sin(grip_yaw), 0.0 * grip_yaw], axis=1
        )
        up = xp.asarray([0.0, 0.0, RIM_GRIP_Z_M])
        grip = pos + PLATE.grip_radius * outwards + up
        # a held plate may be anywhere along its rim
        error = rim_error_m(xp, tcp - pos, axis)
        span = xp.full_like(width, PLATE.wall)
        seat = rack.point_w(RACK.seats(PLATE)[k])
    else:
        middle = pos
        grip_yaw = heading
        grip = pos + xp.asarray([0.0, 0.0, CUP_GRIP_Z_M])
        offset = tcp - grip
        error = norm(offset)
        span = state["cup_width"][:, 0]
        seat = rack.point_w(RACK.places(CUP.z / 2)[k - len(PLATES)])

    is_closed = (width > span - NARROWER_M) & (width < span + WIDER_M)
    is_present = state["present"][:, k] > 0.5  # the state holds 0 or 1
    is_held = is_closed & (error < IN_HAND_M) & is_present
    is_placed = (state["in_rack"][:, k] > 0.5) & is_present & ~is_held
    return Dish(
        is_plate=xp.full(width.shape, is_plate, dtype=xp.bool),
        middle=middle,
        axis=axis,
        speed_squared=dot(vel, vel),
        width=span,
        grip=grip,
        grip_yaw=grip_yaw,
        is_held=is_held,
        is_unplaced=is_present & ~is_placed,
        is_placed=is_placed,
        seat=seat,
    )


def _wall_yaw(xp: Any, rot6d: Array, heading: Array) -> Array:
    """Returns the direction (n,) of the wall of a lying plate that is nearest to a heading.

    The rim of a plate consists of SIDES flat walls. Directions and headings are yaws in
    rad; a wall's direction is from the plate's middle to the middle of the wall.
    """
    step = 2 * float(xp.pi) / SIDES
    yaw = xp.atan2(rot6d[:, 1], rot6d[:, 0])  # direction of one of the walls
    # from there, the whole number of walls that comes nearest to the heading
    return yaw + step * xp.floor((heading - yaw) / step + 0.5)


def _either(xp: Any, is_first: Array, first: Dish, second: Dish) -> Dish:
    """Returns the first dish in the worlds where `is_first`, else the second.

    Args:
        xp: The array namespace.
        is_first: (n,) bool, the worlds in which the first dish is returned.
        first: One dish in each world.
        second: Another dish in each world.
    """
    fields = {}
    for name, value in vars(first).items():
        # a column (n, 1) chooses between rows of vectors
        rows = is_first if value.ndim == 1 else is_first[:, None]
        fields[name] = xp.where(rows, value, getattr(second, name))
    return Dish(**fields)
