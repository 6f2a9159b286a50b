"""The facts that the expert of DishRack decides on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.props.plate import SIDES
from embodied.envs.skills.scripted import Readings
from embodied.envs.tasks.dish_rack.facts import CUP_GRIP_Z_M, RIM_GRIP_Z_M, rim_error_m
from embodied.envs.tasks.dish_rack.scene import CUP, DISHES, PLATE, PLATES, RACK
from embodied.rotations import cross

# The order in which dishes are brought: cups first, as they stand behind the plates.
ORDER = (2, 3, 0, 1)
# A gripper holds a dish if its width is at most this much below or above what is between
# the fingers, and the hand no farther than this from the grip.
NARROWER_M = 0.0035
WIDER_M = 0.003
IN_HAND_M = 0.022
# A hand leaves a dish once its gripper is wider than the dish by this.
OPENED_M = 0.009
# A plate that leans more than this from lying flat is being put on edge.
TIPPED_COS = float(np.cos(np.deg2rad(40)))


@dataclass(frozen=True)
class Dish:
    """One dish in n worlds, and the place in the rack that it gets."""

    is_plate: Array  # (n,) bool
    middle: Array  # (n, 3) m
    axis: Array  # (n, 3) its axis
    speed2: Array  # (n,) m2/s2
    width: Array  # (n,) m, between the fingers
    grip: Array  # (n, 3) m, where an empty hand takes it
    grip_yaw: Array  # (n,) rad, of the way from the plate's middle to the grip
    is_held: Array  # (n,) bool
    is_left: Array  # (n,) bool, it takes part and is not in the rack, or still held
    is_placed: Array  # (n,) bool, it is in the rack and released
    seat: Array  # (n, 3) m, where its middle goes


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand, rack, and the dish to bring in n worlds."""

    tcp: Array  # (n, 3) m
    rot6d: Array  # (n, 6)
    dish: Dish  # the one to bring now
    is_done: Array  # (n,) bool, no dish is left
    heading: Array  # (n,) rad, of the rack
    into: Array  # (n, 3) the way from slot to slot
    up_slot: Array  # (n, 3) the way out of a slot, along its pins
    along: Array  # (n, 3) the way along a plate in a slot
    # (n,) bool: the hand is still around a dish that is placed, and not yet open
    is_at_placed_plate: Array
    is_at_placed_cup: Array
    is_letting_go: Array
    last_width: Array  # (n,) m, between the fingers while they held that dish

    @classmethod
    def read(cls, xp: Any, agent: Readings, state: Readings) -> ExpertFacts:
        """Returns the facts of an observation."""
        tcp = agent["tcp_pos_w"]
        width = agent["gripper_width"][:, 0]
        rack = Rack(xp, state["rack_pos_w"], state["rack_heading"])
        dishes = [
            _read_dish(xp, k, tcp, width, state, rack) for k in range(len(DISHES))
        ]

        # around which placed dish the hand is: none to begin with
        nowhere = width < -1.0
        at_plate = nowhere
        at_cup = nowhere
        is_tight = nowhere
        last_width = width
        for dish in dishes:
            is_around = _is_around(xp, tcp, dish)
            at_plate = at_plate | (is_around & dish.is_plate)
            at_cup = at_cup | (is_around & ~dish.is_plate)
            is_tight = is_tight | (is_around & (width < dish.width + OPENED_M))
            last_width = xp.where(is_around, dish.width, last_width)

        return cls(
            tcp=tcp,
            rot6d=agent["tcp_rot6d"],
            dish=_next_dish(xp, dishes),
            is_done=~_any_left(dishes),
            heading=rack.heading,
            into=rack.way(RACK.into_rack),
            up_slot=rack.way(-RACK.down_slot),
            along=rack.way(np.array([0.0, 1.0, 0.0])),
            is_at_placed_plate=at_plate,
            is_at_placed_cup=at_cup,
            is_letting_go=is_tight,
            last_width=last_width,
        )


def _is_around(xp: Any, tcp: Array, dish: Dish) -> Array:
    """Returns (n,) bool, whether the hand is still around a dish that is placed."""
    offset = tcp - dish.middle
    up = dot(offset, dish.axis)
    across = offset - up[:, None] * dish.axis
    out = xp.sqrt(dot(across, across))
    reach_m = xp.where(dish.is_plate, PLATE.radius + 0.06, 0.05)
    height_m = xp.where(dish.is_plate, 0.07, 0.10)
    return dish.is_placed & (out < reach_m) & (up < height_m)


def _next_dish(xp: Any, dishes: list[Dish]) -> Dish:
    """Returns the dish to bring now: one that is held, or the first that is left."""
    chosen = dishes[ORDER[-1]]
    for k in ORDER[-2::-1]:
        chosen = _either(xp, dishes[k].is_left, dishes[k], chosen)
    for dish in dishes:
        chosen = _either(xp, dish.is_held, dish, chosen)
    return chosen


def _any_left(dishes: list[Dish]) -> Array:
    """Returns (n,) bool, whether any dish is left."""
    is_left = dishes[0].is_left
    for dish in dishes[1:]:
        is_left = is_left | dish.is_left
    return is_left


class Rack:
    """The poses of racks in n worlds."""

    def __init__(self, xp: Any, pos: Array, heading: Array) -> None:
        """Stores the positions (n, 3) m, and cosine and sine (n, 2) of the yaws."""
        self._xp = xp
        self._pos = pos
        self._cos = heading[:, 0]
        self._sin = heading[:, 1]

    @property
    def heading(self) -> Array:
        """(n,) rad."""
        return self._xp.atan2(self._sin, self._cos)

    def way(self, way: np.ndarray) -> Array:
        """Returns a way (3,) of the rack's frame in the world, (n, 3)."""
        x, y, z = (float(part) for part in way)
        parts = [
            self._cos * x - self._sin * y,
            self._sin * x + self._cos * y,
            self._xp.full_like(self._cos, z),
        ]
        return self._xp.stack(parts, axis=1)

    def point(self, point: np.ndarray) -> Array:
        """Returns a point (3,) of the rack's frame in the world, (n, 3) m."""
        return self._pos + self.way(point)


def _read_dish(
    xp: Any, k: int, tcp: Array, width: Array, state: Readings, rack: Rack
) -> Dish:
    """Returns the k-th dish of `DISHES`."""
    pos = state["dishes_pos_w"][:, 3 * k : 3 * k + 3]
    rot6d = state["dishes_rot6d"][:, 6 * k : 6 * k + 6]
    vel = state["dishes_vel_w"][:, 3 * k : 3 * k + 3]
    axis = cross(rot6d[:, :3], rot6d[:, 3:])
    heading = rack.heading

    is_plate = k < len(PLATES)
    if is_plate:
        middle = pos + PLATE.height / 2 * axis
        grip_yaw = _wall_yaw(xp, rot6d, heading)
        out = xp.stack([xp.cos(grip_yaw), xp.sin(grip_yaw), 0.0 * grip_yaw], axis=1)
        up = xp.asarray([0.0, 0.0, RIM_GRIP_Z_M])
        grip = pos + PLATE.grip_radius * out + up
        error = rim_error_m(xp, tcp - pos, axis)
        span = xp.full_like(width, PLATE.wall)
        seat = rack.point(RACK.seats(PLATE)[k])
    else:
        middle = pos
        grip_yaw = heading
        grip = pos + xp.asarray([0.0, 0.0, CUP_GRIP_Z_M])
        offset = tcp - grip
        error = xp.sqrt(dot(offset, offset))
        span = state["cup_width"][:, 0]
        seat = rack.point(RACK.places(CUP.z / 2)[k - len(PLATES)])

    is_closed = (width > span - NARROWER_M) & (width < span + WIDER_M)
    is_present = state["present"][:, k] > 0.5
    is_held = is_closed & (error < IN_HAND_M) & is_present
    is_placed = (state["in_rack"][:, k] > 0.5) & is_present & ~is_held
    return Dish(
        is_plate=xp.full(width.shape, is_plate, dtype=xp.bool),
        middle=middle,
        axis=axis,
        speed2=dot(vel, vel),
        width=span,
        grip=grip,
        grip_yaw=grip_yaw,
        is_held=is_held,
        is_left=is_present & ~is_placed,
        is_placed=is_placed,
        seat=seat,
    )


def _wall_yaw(xp: Any, rot6d: Array, heading: Array) -> Array:
    """Returns the yaw (n,) of a lying plate's wall that is nearest to a heading (n,)."""
    step = 2 * float(xp.pi) / SIDES
    yaw = xp.atan2(rot6d[:, 1], rot6d[:, 0])
    return yaw + step * xp.floor((heading - yaw) / step + 0.5)


def _either(xp: Any, is_first: Array, first: Dish, second: Dish) -> Dish:
    """Returns the first dish in the worlds where `is_first`, else the second."""
    fields = {}
    for name, value in vars(first).items():
        rows = is_first if value.ndim == 1 else is_first[:, None]
        fields[name] = xp.where(rows, value, getattr(second, name))
    return Dish(**fields)
