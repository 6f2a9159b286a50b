"""The quantities by which ToteTransfer is judged: of the named tote, hand and slot."""

from __future__ import annotations

from collections.abc import Mapping
from functools import reduce

import numpy as np

from embodied.arrays import all_of, count_of, dot, one_row, surely_none
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.belt import Belt
from embodied.envs.props.rack import Rack
from embodied.envs.props.tote import Totes, ToteSize
from embodied.envs.tasks.tote_transfer.scene import TOTES, Station, sides_of
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# How far below a wall's rim the middles of the fingers' pads are when they grip the wall.
GRASP_DEPTH_M = 0.02
# A gripper holds a wall if its width is HELD_WIDTH_M +- HELD_WIDTH_SLACK_M and the TCP
# is within HELD_ERROR_M of the grip.
HELD_WIDTH_M = 0.007
HELD_WIDTH_SLACK_M = 0.005
HELD_ERROR_M = 0.03
# A tote is in its slot if its underside is within this height of the slot's floor, and
# its horizontal offset from the slot's middle is within the station's `slot_room_m`.
SLOT_Z_M = 0.012
# A tote is upright if it leans by less than 8 degrees.
UPRIGHT_COS = float(np.cos(np.deg2rad(8)))
# A tote slower than this is at rest.
AT_REST_M_S = 0.02
# A tote lower than this has fallen off the belt or the rack.
FALLEN_Z_W = 0.45
# A tote rides on the belt if its underside is at most this high above the belt.
RIDING_M = 0.10
# A riding tote of normal width is out of reach once it is this near to the belt's end.
# For a wider tote, half of its additional width is added.
OUT_OF_REACH_M = 0.25


class Props:
    """The parts of the scene that the task moves and reads, in N worlds."""

    def __init__(self, engine: Engine, robot: Robot, station: Station) -> None:
        """Finds the parts in the model, and computes limits from the station's sizes."""
        xp = engine.xp
        tote = station.tote
        self.xp = xp
        self.station = station
        self.totes = Totes(engine, TOTES)
        self.rack = Rack(engine, station.rack)
        self.belt = Belt(engine)
        # the hands that hold a tote, and the side of the tote that each hand holds: 1 for
        # the wall at +y, -1 for -y
        self.sides = sides_of(robot)
        effectors = robot.effectors[: len(self.sides)]
        self.hands = [Hand(engine, robot, effector) for effector in effectors]

        count = len(TOTES)
        # (K, 3): row k begins with the index k, followed by those of the other two totes
        named_first = [[k, (k + 1) % count, (k + 2) % count] for k in range(count)]
        self.named_first = xp.asarray(named_first)
        # the grips in the tote's frame: in the middle of the walls on both sides, x = 0
        self.grip_y_m = tote.width / 2
        self.grip_z_m = tote.height - GRASP_DEPTH_M
        # the belt's edge towards the robot
        self.belt_edge_x_w = station.belt.x - station.belt.width / 2
        # limits of a tote that rides within reach
        self.riding_z_w = station.belt.top_z + RIDING_M
        wider_m = tote.width - ToteSize().width
        self.out_of_reach_y_w = station.belt.y_end - OUT_OF_REACH_M - wider_m / 2
        # (1, 3) largest offsets of a tote in its slot from the slot's centre
        self.slot_room_m = one_row(xp, [*station.slot_room_m, SLOT_Z_M])
        # (1, 3) weights of the squared grip error along the world's axes; x counts less,
        # since it runs roughly along the wall
        self.grip_weight = one_row(xp, [0.75, 1.0, 1.0])


class Facts:
    """Quantities of N worlds in one state; "the tote" is the one that is named."""

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        """Reads the totes; other facts are computed when they are first used."""
        self._props = props
        self._memory = memory
        self._xp = props.xp
        # positions of all totes (N, 3, 3) m, and rotation matrices (N, 3, 9), row by row;
        # the named tote is the first
        named_first = props.named_first[memory["tote"]]  # (N, 3)
        self.pos_w, xmat = props.totes.poses_of(named_first)
        # the centre of the tote's underside (N, 3) m, its rotation matrix (N, 9), and its
        # velocity (N, 3) m/s
        self.tote_pos_w = self.pos_w[:, 0]
        self.tote_xmat = xmat[:, 0]
        self.tote_vel_w = props.totes.velocity_of(memory["tote"])

    @quantity
    def slot_pos_w(self) -> Array:
        """(N, 3) m, centre of the floor of the named slot."""
        return self._props.rack.slot_w(self._memory["slot"])

    @quantity
    def belt_speed(self) -> Array:
        """(N,) m/s along +y."""
        return self._props.belt.speed()

    @quantity
    def slot_offset_m(self) -> Array:
        """(N, 3) m, absolute offsets between slot and tote along the world's axes."""
        return self._xp.abs(self.tote_pos_w - self.slot_pos_w)

    @quantity
    def slot_distance_m(self) -> Array:
        """(N,) m, horizontal distance between slot and tote."""
        x = self.slot_offset_m[:, 0]
        y = self.slot_offset_m[:, 1]
        return self._xp.sqrt(x * x + y * y)

    @quantity
    def height_m(self) -> Array:
        """(N,) m, height of the tote above the belt."""
        return self.tote_pos_w[:, 2] - self._props.station.belt.top_z

    @quantity
    def grasp_errors_m(self) -> list[Array]:
        """(N,) m for each hand, the distance from its TCP to its grip.

        Errors along the wall count less, because the wall is long.
        """
        props = self._props
        # the tote's y and z axes are columns of its rotation matrix, stored row by row
        y_axis = self.tote_xmat[:, 1::3]
        z_axis = self.tote_xmat[:, 2::3]
        errors = []
        for hand, side in zip(props.hands, props.sides, strict=True):
            tote_to_grip = y_axis * (side * props.grip_y_m) + z_axis * props.grip_z_m
            error = hand.pos_w() - (self.tote_pos_w + tote_to_grip)
            errors.append(self._xp.sqrt(dot(error * props.grip_weight, error)))
        return errors

    @quantity
    def grasp_error_m(self) -> Array:
        """(N,) m, the error of the hand that is farther from its grip."""
        return reduce(self._xp.maximum, self.grasp_errors_m)

    @quantity
    def is_held(self) -> Array:
        """(N,) bool, the fingers of all hands are closed on the tote's walls."""
        is_held = self.grasp_error_m < HELD_ERROR_M
        # most of the time a hand is elsewhere, and its width does not matter
        if surely_none(is_held):
            return is_held
        for hand in self._props.hands:
            width_error = self._xp.abs(hand.width_m() - HELD_WIDTH_M)
            is_held = is_held & (width_error < HELD_WIDTH_SLACK_M)
        return is_held

    @quantity
    def is_set_down(self) -> Array:
        """(N,) bool, the tote stands upright in its slot."""
        is_inside = all_of(self.slot_offset_m < self._props.slot_room_m)
        if surely_none(is_inside):  # the usual case, which saves work
            return is_inside
        is_upright = self.tote_xmat[:, 8] > UPRIGHT_COS  # how far up its z axis points
        return is_inside & is_upright

    @quantity
    def is_in_hand(self) -> Array:
        """(N,) bool, the tote is held, or stands in its slot."""
        return self.is_held | self.is_set_down

    @quantity
    def is_at_rest(self) -> Array:
        """(N,) bool, the tote hardly moves."""
        return dot(self.tote_vel_w, self.tote_vel_w) < AT_REST_M_S**2

    @quantity
    def is_done(self) -> Array:
        """(N,) bool, the tote stands in its slot, released and at rest."""
        if surely_none(self.is_set_down):
            return self.is_set_down
        return self.is_set_down & ~self.is_held & self.is_at_rest

    @quantity
    def is_lost(self) -> Array:
        """(N,) bool, the tote has fallen, or the belt has carried it out of reach."""
        props = self._props
        is_fallen = self.are_fallen[:, 0]
        # most of the time no tote is as far along the belt
        is_far = self.tote_pos_w[:, 1] > props.out_of_reach_y_w
        if surely_none(is_far):
            return is_fallen

        x = self.tote_pos_w[:, 0]
        z = self.tote_pos_w[:, 2]
        # above the belt, or beyond the belt as seen from the robot
        is_riding = (x > props.belt_edge_x_w) & (z < props.riding_z_w)
        return is_fallen | (is_far & is_riding)

    @quantity
    def are_fallen(self) -> Array:
        """(N, 3) bool, the totes that lie below the belt; the named tote is the first."""
        return self.pos_w[..., 2] < FALLEN_Z_W

    @quantity
    def fallen_totes(self) -> Array:
        """(N,) int, how many of the totes that take part lie below the belt."""
        if surely_none(self.are_fallen):  # also of the totes that take no part
            return self._xp.zeros(len(self.pos_w), dtype=self._xp.int64)
        height = self._props.totes.positions_w()[..., 2]  # (N, 3), in the totes' order
        is_present = self._memory["present"] > 0.0
        return count_of((height < FALLEN_Z_W) & is_present)
