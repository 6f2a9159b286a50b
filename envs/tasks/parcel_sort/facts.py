"""The quantities by which ParcelSort is judged: of the parcels, scanner and bins."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from embodied.arrays import all_of, any_of, dot
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.hand import Hand
from embodied.envs.props.belt import Belt
from embodied.envs.props.bin import Bins
from embodied.envs.props.parcel import Parcels
from embodied.envs.props.scanner import Scanner
from embodied.envs.reward import tolerance
from embodied.envs.tasks.parcel_sort.scene import BELT, BIN, BINS, PARCELS, SCANNER
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

# The scanner reads a label within 12 degrees of straight up.
LABEL_UP_COS = float(np.cos(np.deg2rad(12)))
# A parcel slower than this lies still.
STILL_M_S = 0.03
# The hand hides a label that is nearer to it than this.
CLEAR_M = 0.07
# The largest gap between a parcel's underside and the plate on which it lies.
FLAT_M = 0.006
# A parcel is held if the gripper is narrower than this, or its cup holds, and the TCP at
# most this far outside the parcel.
OPEN_M = 0.074
AROUND_M = 0.005
# A parcel below this has fallen.
FLOOR_Z_W = 0.40
# The belt does not bring back a parcel beyond this.
PASSED_Y_W = 0.62
# A reward for getting nearer is full within NEAR_M, and a tenth FAR_M farther away.
NEAR_M = 0.06
FAR_M = 0.5


class Props:
    """The parts of the scene in N worlds, as a task moves and reads them."""

    def __init__(self, engine: Engine, robot: Robot) -> None:
        xp = engine.xp
        self.xp = xp
        self.parcels = Parcels(engine, PARCELS)
        self.scanner = Scanner(engine, SCANNER)
        self.bins = Bins(engine, BINS, BIN)
        self.belt = Belt(engine)
        self.hand = Hand(engine, robot)
        self.worlds = xp.arange(engine.num_worlds)
        self.each_bin = xp.arange(len(BINS))


class Facts:
    """Quantities of the K parcels of N worlds in one state."""

    def __init__(self, props: Props, memory: Mapping[str, Array]) -> None:
        self._props = props
        self._memory = memory
        self._xp = props.xp
        self.pos_w = props.parcels.positions_w()  # (N, K, 3) m, of the middles
        self.rotations = props.parcels.rotations()  # (N, K, 3, 3), columns are axes
        self.vel_w = props.parcels.velocities_w()  # (N, K, 3) m/s

    @quantity
    def plate_w(self) -> Array:
        """(N, 3) m, middle of the scanner's plate."""
        return self._props.scanner.plate_w()

    @quantity
    def belt_speed(self) -> Array:
        """(N,) m/s along +y."""
        return self._props.belt.speed()

    @quantity
    def to_hand(self) -> Array:
        """(N, K, 3) m, from the parcels' middles to the tool centre point."""
        return self._props.hand.pos_w()[:, None, :] - self.pos_w

    @quantity
    def label_w(self) -> Array:
        """(N, K, 3) m, from the parcels' middles to their labels, along world axes."""
        # rotation matrices times vectors
        return dot(self.rotations, self._memory["label"][:, :, None, :])

    @quantity
    def bin_w(self) -> Array:
        """(N, K, 3) m, middle of the floor of each parcel's bin."""
        floors = self._props.bins.floors_w()
        return floors[self._props.worlds[:, None], self._memory["bin"]]

    @quantity
    def is_still(self) -> Array:
        """(N, K) bool, parcels that hardly move."""
        return dot(self.vel_w, self.vel_w) < STILL_M_S**2

    @quantity
    def is_readable(self) -> Array:
        """(N, K) bool, parcels that lie still on the plate, their labels visible."""
        xp = self._xp
        memory = self._memory
        up = self.rotations[:, :, 2, :]  # (N, K, 3) how far up each axis points
        # the parcel's underside above the plate, however it lies
        half_height = dot(xp.abs(up), memory["size"]) / 2
        under = self.pos_w[..., 2] - half_height - self.plate_w[:, 2:]
        is_on_plate = self._props.scanner.over(self.pos_w) & (xp.abs(under) < FLAT_M)
        lies = is_on_plate & self.is_still & (memory["present"] > 0)

        # the label points up, and the hand does not hide it
        label = self.label_w
        is_label_up = label[..., 2] > LABEL_UP_COS * xp.sqrt(dot(label, label))
        to_hand = self.to_hand - label
        return lies & is_label_up & (dot(to_hand, to_hand) > CLEAR_M**2)

    @quantity
    def is_in_bin(self) -> Array:
        """(N, K, B) bool, which parcel is in which bin."""
        return self._props.bins.contain(self.pos_w)

    @property
    def is_binned(self) -> Array:
        """(N, K) bool, parcels in the bin of their colour."""
        is_own = self._memory["bin"][:, :, None] == self._props.each_bin
        return any_of(self.is_in_bin & is_own)

    @quantity
    def is_held(self) -> Array:
        """(N, K) bool, parcels with the TCP in or on them and the gripper not open."""
        xp = self._xp
        own_axes = xp.permute_dims(self.rotations, (0, 1, 3, 2))  # rows are axes
        # (N, K, 3) from the parcels' middles to the TCP, along their own axes
        offset = xp.abs(dot(own_axes, self.to_hand[:, :, None, :]))
        inside = offset < self._memory["size"] / 2 + AROUND_M
        return all_of(inside) & self._props.hand.is_closed(OPEN_M)[:, None]

    @quantity
    def is_on_belt(self) -> Array:
        """(N, K) bool, over the belt, not beside or below it."""
        is_within = self._xp.abs(self.pos_w[..., 0] - BELT.x) < BELT.width / 2
        return is_within & (self.pos_w[..., 2] > BELT.top_z)

    @quantity
    def is_fallen(self) -> Array:
        """(N, K) bool, parcels that take part and lie on the floor."""
        is_present = self._memory["present"] > 0
        return is_present & (self.pos_w[..., 2] < FLOOR_Z_W)

    @quantity
    def has_passed(self) -> Array:
        """(N, K) bool, parcels that the belt does not bring back."""
        return self.is_on_belt & (self.pos_w[..., 1] > PASSED_Y_W)

    @property
    def parcel_progress(self) -> Array:
        """(N, K) below 1, the progress of each parcel on its way to its bin.

        It is reached for, held, brought to the plate, read and brought to the bin.
        Once it is read, progress begins at 0.45.
        """
        xp = self._xp
        # how near the hand is to the parcel, and that to plate and bin: (N, K) each
        ways = [
            self.to_hand,
            self.plate_w[:, None, :] - self.pos_w,
            self.bin_w - self.pos_w,
        ]
        ways = xp.stack(ways)  # (3, N, K, 3)
        near = tolerance(xp.sqrt(dot(ways, ways)), bound=NEAR_M, margin=FAR_M)
        near_hand, near_plate, near_bin = near

        is_lifted = self.is_held | (self.pos_w[..., 2] > SCANNER.top_z)
        unread = 0.1 * near_hand + 0.2 * xp.where(is_lifted, near_plate, 0.0)
        read = 0.45 + 0.35 * near_bin
        progress = xp.where(self._memory["scanned"] > 0, read, unread)
        return progress + xp.where(self.is_held, 0.1, 0.0)
