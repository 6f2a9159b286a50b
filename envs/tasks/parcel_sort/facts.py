"""What ParcelSort asks of its worlds: which parcels can be read, are held, lie in their
bins, how far each one is.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.props.bin import Bins
from embodied.envs.props.parcel import Parcels
from embodied.envs.props.scanner import Scanner
from embodied.envs.reward import tolerance
from embodied.envs.tasks.parcel_sort.scene import BELT, BIN, BINS, PARCELS, SCANNER
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

LABEL_UP_COS = float(np.cos(np.deg2rad(12)))
# of a parcel; of the hand, from the label that it must not hide
STILL_M_S = 0.03
CLEAR_M = 0.07
FLAT_M = 0.006  # between a parcel's underside and the plate
# width of a gripper that holds nothing; how far around a parcel it may still be held
OPEN_M = 0.074
AROUND_M = 0.005
# where the reward of a way is all of it; how much further a tenth
NEAR_M = 0.06
FAR_M = 0.5


class Facts:
    """Of the K parcels in N worlds; `goal` are the task's parameters."""

    def __init__(self, engine: Engine, robot: Robot, goal: Mapping[str, Array]) -> None:
        self._engine = engine
        self._goal = goal
        xp = engine.xp
        self.parcels = Parcels(engine, PARCELS)
        self.scanner = Scanner(engine, SCANNER)
        self.bins = Bins(engine, BINS, BIN)
        self._tcp = engine.model.site(robot.effectors[0].site).id
        self._fingers = [
            int(engine.model.joint(name).qposadr[0])
            for name in robot.grippers[0].fingers
        ]
        self._rows = xp.arange(engine.num_worlds)[:, None]
        self._each_bin = xp.arange(len(BINS))

    def _to_hand(self) -> Array:
        """(N, K, 3) m, from the parcels' middles to the tool centre point."""
        return (
            self._engine.view("site_xpos")[:, self._tcp][:, None, :]
            - self.parcels.positions_w()
        )

    def label_w(self) -> Array:
        """(N, K, 3) m, from the parcels' middles to their labels."""
        return dot(self.parcels.rotations(), self._goal["label"][:, :, None, :])

    def bin_w(self) -> Array:
        """(N, K, 3) m, middle of the floor of each parcel's bin."""
        return self.bins.floors_w()[self._rows, self._goal["bin"]]

    def still(self) -> Array:
        """(N, K) bool."""
        velocity = self.parcels.velocities_w()
        return dot(velocity, velocity) < STILL_M_S**2

    def readable(self) -> Array:
        """(N, K) bool, parcels that lie still on the plate, the label up and clear of
        the hand.
        """
        xp = self._engine.xp
        goal = self._goal
        pos = self.parcels.positions_w()
        label = self.label_w()
        # (N, K, 3) how far up each of the parcel's axes points
        up = self.parcels.rotations()[:, :, 2, :]
        under = (
            pos[..., 2]
            - dot(xp.abs(up), goal["size"]) / 2
            - self.scanner.plate_w()[:, 2:]
        )
        lies = (
            self.scanner.over(pos)
            & (xp.abs(under) < FLAT_M)
            & self.still()
            & (goal["present"] > 0)
        )
        label_up = label[..., 2] > LABEL_UP_COS * xp.sqrt(dot(label, label))
        to_hand = self._to_hand() - label
        return lies & label_up & (dot(to_hand, to_hand) > CLEAR_M**2)

    def binned(self) -> Array:
        """(N, K) bool, parcels in the bin of their colour."""
        inside = self.bins.contain(self.parcels.positions_w())  # (N, K, B)
        return self._engine.xp.any(
            inside & (self._goal["bin"][:, :, None] == self._each_bin), axis=2
        )

    def held(self) -> Array:
        """(N, K) bool, parcels around whose inside the gripper is not open."""
        xp = self._engine.xp
        # rows are the parcels' axes
        own_axes = xp.permute_dims(self.parcels.rotations(), (0, 1, 3, 2))
        inside = (
            xp.abs(dot(own_axes, self._to_hand()[:, :, None, :]))
            < self._goal["size"] / 2 + AROUND_M
        )
        width = sum(self._engine.view("qpos")[:, finger] for finger in self._fingers)
        return (
            inside[..., 0] & inside[..., 1] & inside[..., 2] & (width[:, None] < OPEN_M)
        )

    def on_belt(self) -> Array:
        """(N, K) bool, over the belt, not beside or below it."""
        xp = self._engine.xp
        pos = self.parcels.positions_w()
        return (xp.abs(pos[..., 0] - BELT.x) < BELT.width / 2) & (
            pos[..., 2] > BELT.top_z
        )

    def stage(self, held: Array) -> Array:
        """(N, K) below 1 of a parcel on its way: reach, hold, bring to the plate, read,
        bring to the bin.
        """
        xp = self._engine.xp
        pos = self.parcels.positions_w()
        ways = xp.stack(
            [
                self._to_hand(),
                self.scanner.plate_w()[:, None, :] - pos,
                self.bin_w() - pos,
            ]
        )
        # (3, N, K)
        reach, plate, near_bin = tolerance(xp.sqrt(dot(ways, ways)), NEAR_M, FAR_M)
        first = 0.1 * reach + 0.2 * xp.where(
            held | (pos[..., 2] > SCANNER.top_z), plate, 0.0
        )
        return xp.where(
            self._goal["scanned"] > 0, 0.45 + 0.35 * near_bin, first
        ) + xp.where(held, 0.1, 0.0)
