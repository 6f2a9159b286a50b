"""What the planner of ParcelSort decides on: which parcel comes next, and how the hand
is to be held for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.tasks.parcel_sort.expert_grip import (
    UP,
    Grip,
    Hand,
    Parcels,
    aside_grip,
    flat,
    grip_of,
    left_of,
)
from embodied.envs.tasks.parcel_sort.scene import BELT, BIN

# over the belt before it goes sideways, and before it is turned too
FREE_M = (0.05, 0.09)
# along a bin's depth, where each of the parcels is let go
BIN_SLOTS_M = (-0.05, 0.03, -0.01)
REACH_Y_W = (-0.44, 0.42)  # on the belt, where the arm takes parcels


@dataclass(frozen=True)
class Scene:
    """What the planner decides on, for n worlds."""

    xp: Any
    hand: Hand
    parcel: Parcels  # the one to work on
    plate_w: Array  # (n, 3)
    slot_w: Array  # (n, 3) where it is let go in its bin
    idle: Array  # (n,) bool, there is none
    held: Array  # (n,) bool
    on_plate: Array  # (n,) bool
    done: Array  # (n,) share of the wanted ones

    def grip(self) -> Grip:
        """Where the hand is to take it."""
        standing = (
            self.on_plate
            & self.parcel.label_up()
            & (self.xp.abs(self.parcel.x[:, 2]) > 0.7)
        )
        return grip_of(self.parcel, left_of(flat(self.plate_w)), standing)

    def turned(self) -> Array:
        """(n,) bool, whether what is held must be turned to bring its label up."""
        return self.held & (dot(self.parcel.label_way(), self.hand.x) > 0.7)

    def low(self) -> Array:
        """(n,) bool, whether what is held must be lifted before it goes anywhere."""
        to_plate = self.parcel.pos_w - self.plate_w
        bottom = self.parcel.bottom_z()
        free = BELT.top_z + self.xp.where(self.turned(), FREE_M[1], FREE_M[0])
        return (
            self.held
            & (bottom < free)
            & (dot(to_plate[:, :2], to_plate[:, :2]) > 0.15**2)
        )

    def posture(self) -> Grip:
        """The hand's axes: as the grip wants; with a parcel, pointing down or aside, as
        its label wants.
        """
        xp = self.xp
        grip = self.grip()
        up = xp.broadcast_to(xp.asarray(UP), grip.x.shape)
        outward = flat(
            xp.where(self.parcel.scanned[:, None], self.slot_w, self.hand.pos_w)
        )
        low = self.low()[:, None]
        aside = (self.turned() & ~self.parcel.scanned & ~self.low())[:, None]
        turning = aside_grip(grip.pos_w, left_of(outward))
        carry_x = xp.where(aside, turning.x, xp.where(low, self.hand.x, outward))
        carry_z = xp.where(aside, turning.z, xp.where(low, self.hand.z, -up))
        held = self.held[:, None]
        rests = (self.on_plate & ~self.parcel.scanned & self.parcel.label_up())[:, None]
        # while it is read
        stay_x = xp.where(rests, self.hand.x, grip.x)
        stay_z = xp.where(rests, self.hand.z, grip.z)
        return Grip(
            grip.pos_w, xp.where(held, carry_x, stay_x), xp.where(held, carry_z, stay_z)
        )


def look(xp: Any, hand: Hand, parcels: Parcels, plate_w: Array) -> Scene:
    """Chooses the parcel: held, on the plate, scanned already, then the one furthest
    along the belt.
    """
    held = parcels.held(hand)
    to_plate = parcels.pos_w - plate_w[:, None, :]
    near_plate = dot(to_plate[..., :2], to_plate[..., :2]) < 0.08**2
    on_plate = near_plate & (xp.abs(parcels.bottom_z() - plate_w[:, 2:]) < 0.012)
    to_bin = parcels.pos_w - parcels.bin_w
    binned = (
        (dot(to_bin[..., :2], to_bin[..., :2]) < 0.14**2)
        & (to_bin[..., 2] < BIN.height)
        & ~held
    )
    finished = parcels.wanted & parcels.scanned & binned
    open_ones = parcels.wanted & ~finished
    y = parcels.pos_w[..., 1]
    worth = xp.where(within_reach(parcels), 3.0, 1.0) + 0.3 * xp.clip(y, -3.0, 1.0)
    worth = xp.where(y > REACH_Y_W[1], 0.05, worth)
    for when, value in ((parcels.scanned, 4.0), (on_plate, 5.0), (held, 6.0)):
        worth = xp.where(when, value, worth)
    worth = xp.where(open_ones, worth, -10.0)
    which = xp.argmax(worth, axis=1)
    rows = xp.arange(which.shape[0])
    ones = xp.ones_like(worth)
    count = [dot(xp.where(mask, 1.0, 0.0), ones) for mask in (finished, parcels.wanted)]
    parcel = parcels.one(which)
    slots = xp.asarray(BIN_SLOTS_M)
    return Scene(
        *(
            xp,
            hand,
            parcel,
            plate_w,
            parcel.bin_w + flat(parcel.bin_w) * slots[which][:, None],
        ),
        *(worth[rows, which] <= 0.1, held[rows, which], on_plate[rows, which]),
        count[0] / xp.maximum(count[1], ones[:, 0]),
    )


def within_reach(parcels: Parcels) -> Array:
    """Whether the arm takes parcels of their y."""
    y = parcels.pos_w[..., 1]
    return (y > REACH_Y_W[0]) & (y < REACH_Y_W[1])
