"""Quantities of labelled parcels, by which tasks that sort parcels are judged."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from embodied.arrays import any_of, dot, norm
from embodied.core import Array
from embodied.envs.facts import quantity
from embodied.envs.props.bin import Bins
from embodied.envs.props.parcel import Parcels
from embodied.sim.engine import ROT6D_OF_XMAT, Engine

# The scanner reads a label within 12 degrees of straight up.
LABEL_UP_COS = float(np.cos(np.deg2rad(12)))
# A parcel slower than this lies still.
STILL_M_S = 0.03
# A parcel whose middle is below this height, in m, has fallen to the floor.
FLOOR_Z_W = 0.40


class ParcelProps:
    """The parcels and the bins in N worlds.

    Args:
        engine: the physics of the worlds.
        parcels: the parcels.
        bins: the bins.
        num_bins: the number B of bins.
    """

    def __init__(
        self, engine: Engine, parcels: Parcels, bins: Bins, num_bins: int
    ) -> None:
        """Keeps the props, and index arrays of worlds and bins."""
        self.xp = engine.xp
        self.parcels = parcels
        self.bins = bins
        self.worlds = engine.xp.arange(engine.num_worlds)
        self.each_bin = engine.xp.arange(num_bins)


class ParcelFacts:
    """Quantities of the K parcels and B bins of N worlds in one state.

    Args:
        props: the parcels and the bins.
        memory: what the task remembers of each parcel, (N, K) or (N, K, 3): `present`, 1
            if the parcel takes part; `bin`, the index of the bin that it belongs in;
            `size`, m; `label`, the offset from its middle to its label in its own frame,
            m; and `scanned`, 1 once the scanner has read the label.
    """

    def __init__(self, props: ParcelProps, memory: Mapping[str, Array]) -> None:
        """Reads the poses; other quantities are computed when they are first used."""
        self._xp = props.xp
        self._parcels = props.parcels
        self._bins = props.bins
        self._worlds = props.worlds
        self._each_bin = props.each_bin
        self._memory = memory
        self.pos_w = props.parcels.positions_w()  # (N, K, 3) m, of the middles
        self.rotations = props.parcels.rotations()  # (N, K, 3, 3), columns are axes

    @quantity
    def vel_w(self) -> Array:
        """(N, K, 3) m/s, the velocities of the parcels."""
        return self._parcels.velocities_w()

    @quantity
    def is_present(self) -> Array:
        """(N, K) bool, parcels that take part."""
        return self._memory["present"] > 0

    @quantity
    def label_w(self) -> Array:
        """(N, K, 3) m, from the parcels' middles to their labels, along world axes."""
        # rotation matrices times vectors
        return dot(self.rotations, self._memory["label"][:, :, None, :])

    @quantity
    def is_label_up(self) -> Array:
        """(N, K) bool, parcels whose label points up, so that the scanner can read it."""
        label = self.label_w
        return label[..., 2] > LABEL_UP_COS * norm(label)

    @quantity
    def bin_w(self) -> Array:
        """(N, K, 3) m, centre of the floor of the bin that each parcel belongs in."""
        floors = self._bins.floors_w()
        return floors[self._worlds[:, None], self._memory["bin"]]

    @quantity
    def is_still(self) -> Array:
        """(N, K) bool, parcels that hardly move."""
        return dot(self.vel_w, self.vel_w) < STILL_M_S**2

    @quantity
    def is_in_bin(self) -> Array:
        """(N, K, B) bool, whether parcel k is in bin b."""
        return self._bins.contain(self.pos_w)

    # a plain property, which is computed anew each time, because a task may give a parcel
    # another bin in the same state
    @property
    def is_binned(self) -> Array:
        """(N, K) bool, parcels in the bin that they belong in."""
        is_own = self._memory["bin"][:, :, None] == self._each_bin
        return any_of(self.is_in_bin & is_own)

    @quantity
    def is_fallen(self) -> Array:
        """(N, K) bool, parcels that take part and lie on the floor."""
        return self.is_present & (self.pos_w[..., 2] < FLOOR_Z_W)

    def state_of_parcels(self, wanted: Array) -> list[Array]:
        """Returns the entries about parcels of the privileged state, (N, K * width) each.

        In order: position, rotation, velocity, size, label, `wanted`, whether the label
        was scanned, and x and y of the bin that the parcel belongs in.

        Args:
            wanted: (N, K), 1 for parcels that the robot must sort.
        """
        n, k, _ = self.pos_w.shape
        xmat = self._xp.reshape(self.rotations, (n, k, 9))
        # (N, K, ...) or (N, K) each
        values = [
            self.pos_w,
            xmat[:, :, ROT6D_OF_XMAT],
            self.vel_w,
            self._memory["size"],
            self.label_w,
            wanted,
            self._memory["scanned"],
            self.bin_w[..., :2],
        ]
        return [self._xp.reshape(value, (n, -1)) for value in values]
