"""The facts that the expert of TeamSort decides on: parcels, hands, stand, scanner."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import any_of, dot
from embodied.core import Array
from embodied.envs.skills.parcel_grip import Hand, Parcels
from embodied.envs.skills.scripted import Readings
from embodied.envs.tasks.team_sort.scene import BIN, SCANNER, STAND

# A parcel is on the stand within this horizontal distance of the stand's middle.
ON_STAND_M = 0.09
# The underside of a parcel on the stand is at most this far above or below the stand's
# top.
ON_STAND_Z_M = 0.012
# A parcel is in its bin within this horizontal distance of the bin's middle.
IN_BIN_M = 0.15
# A hand is clear of the stand if its tool point and its wrist are farther than this from
# the stand's middle, horizontally.
CLEAR_M = 0.19
# The distance from a hand's tool point back to its wrist.
WRIST_BACK_M = 0.18


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of n worlds: all K parcels, both hands, and the stations."""

    xp: Any
    parcels: Parcels  # (n, K)
    sorter: Hand  # the hand that sorts
    picker: Hand  # the hand that picks
    stand_w: Array  # (n, 3) m, middle of the stand's top
    plate_w: Array  # (n, 3) m, middle of the scanner's plate
    share_done: Array  # (n,) share of the wanted parcels that are sorted, in [0, 1]
    # (n, K) bool each
    is_held_by_sorter: Array
    is_held_by_picker: Array
    is_on_stand: Array  # on the stand, and held by neither hand
    is_alone: bool  # whether one hand does all the work and waits for no other hand

    @classmethod
    def read(
        cls,
        xp: Any,
        sorter: Hand,
        picker: Hand,
        state: Readings,
        is_alone: bool = False,
    ) -> ExpertFacts:
        """Returns the facts of an observation.

        Args:
            xp: the array namespace.
            sorter: the hand that sorts.
            picker: the hand that picks; the same hand as `sorter` if it works alone.
            state: the privileged state.
            is_alone: whether one hand does all the work.
        """
        parcels = Parcels.read(state, BIN.floor_z)
        # the privileged state calls the stand "rest"
        stand_w = _at_height(xp, state["rest_xy_w"], STAND.top_z)
        is_held_by_sorter = parcels.is_held(sorter)
        is_held_by_picker = parcels.is_held(picker)
        is_held = is_held_by_sorter | is_held_by_picker

        # the parcels on the stand
        offset_xy = (parcels.pos_w - stand_w[:, None])[..., :2]
        is_near_stand = dot(offset_xy, offset_xy) < ON_STAND_M**2
        height = parcels.bottom_z() - STAND.top_z
        is_on_stand = is_near_stand & (xp.abs(height) < ON_STAND_Z_M)

        # count by dot products with ones: unlike `sum`, `dot` adds in the same order
        # whatever the number n of worlds is
        is_done = parcels.is_wanted & parcels.is_scanned & _is_in_bin(parcels)
        is_done = is_done & ~is_held
        wanted = xp.where(parcels.is_wanted, 1.0, 0.0)
        ones = xp.ones_like(wanted)
        num_done = dot(xp.where(is_done, 1.0, 0.0), ones)
        num_wanted = dot(wanted, ones)
        return cls(
            xp=xp,
            parcels=parcels,
            sorter=sorter,
            picker=picker,
            stand_w=stand_w,
            plate_w=_at_height(xp, state["scanner_xy_w"], SCANNER.top_z),
            # by at least 1, to avoid 0 / 0
            share_done=num_done / xp.maximum(num_wanted, ones[:, 0]),
            is_held_by_sorter=is_held_by_sorter,
            is_held_by_picker=is_held_by_picker,
            is_on_stand=is_on_stand & ~is_held,
            is_alone=is_alone,
        )

    def is_stand_free(self) -> Array:
        """Returns (n,) bool, whether no parcel is on the stand."""
        return ~any_of(self.is_on_stand)

    def is_clear_of_stand(self, hand: Hand) -> Array:
        """Returns (n,) bool, whether a hand is out of the other hand's way at the stand.

        A hand that works alone is always clear: there is no other hand to collide with.
        """
        is_clear = True
        wrist_w = hand.pos_w - WRIST_BACK_M * hand.z
        for point_w in (hand.pos_w, wrist_w):
            offset_xy = (point_w - self.stand_w)[:, :2]
            is_clear = is_clear & (dot(offset_xy, offset_xy) > CLEAR_M**2)
        return is_clear | self.is_alone


def _is_in_bin(parcels: Parcels) -> Array:
    """Returns (n, K) bool, whether each parcel is in its own bin."""
    offset = parcels.pos_w - parcels.bin_w
    offset_xy = offset[..., :2]
    return (dot(offset_xy, offset_xy) < IN_BIN_M**2) & (offset[..., 2] < BIN.height)


def _at_height(xp: Any, xy: Array, z: float) -> Array:
    """Returns points (n, 3) with these x and y (n, 2), all at the height z."""
    return xp.concat([xy, xp.full_like(xy[:, :1], z)], axis=1)
