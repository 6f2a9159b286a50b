"""The facts that the expert of ParcelSort decides on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.skills.scripted import Readings
from embodied.envs.tasks.parcel_sort.grip import (
    MOSTLY_COS,
    UP,
    Grip,
    Hand,
    Parcels,
    grip_of,
    horizontal,
    left_of,
    level_grip,
)
from embodied.envs.tasks.parcel_sort.scene import BELT, BIN, SCANNER

# Where along the belt the arm takes parcels.
REACH_Y_W = (-0.44, 0.42)
# The height of a parcel's underside over the belt: to go sideways, and to be turned.
FREE_M = 0.05
FREE_TO_TURN_M = 0.09
# A held parcel farther than this from the plate must have that height before it moves.
AWAY_M = 0.15
# The largest offset of a parcel on the plate from its middle, and from its top.
ON_PLATE_M = 0.08
ON_PLATE_Z_M = 0.012
# The largest offset of a parcel in its bin from the bin's middle.
IN_BIN_M = 0.14
# Where along the depth of a bin each of the parcels is let go.
BIN_SLOTS_M = (-0.05, 0.03, -0.01)
# Priorities of parcels to be worked on next; the highest wins.
HELD = 6.0
ON_PLATE = 5.0
SCANNED = 4.0
WITHIN_REACH = 3.0
COMING = 1.0
PASSED = 0.05
FINISHED = -10.0
# What is added for each m along the belt, and the priority that is worth any work.
PER_M_ALONG_BELT = 0.3
LEAST = 0.1


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of the hand and the next parcel in n worlds."""

    xp: Any
    hand: Hand
    parcel: Parcels  # the one to work on
    plate_w: Array  # (n, 3) m
    slot_w: Array  # (n, 3) m, where the parcel is let go in its bin
    share_done: Array  # (n,) of the wanted parcels
    # (n,) bool each
    is_idle: Array  # there is no parcel to work on
    is_held: Array
    is_on_plate: Array
    # how far the hand stays back from a grip, for the sake of its palm
    back_m: float = 0.0

    @classmethod
    def read(
        cls,
        xp: Any,
        agent: Readings,
        state: Readings,
        back_m: float = 0.0,
        slots_m: tuple[float, ...] = BIN_SLOTS_M,
    ) -> ExpertFacts:
        """Returns the facts of an observation.

        The parcel to work on is the held one, or else the one on the plate, one that
        has been scanned, or the one furthest along the belt.
        """
        hand = Hand.read(agent)
        parcels = Parcels.read(state)
        plate_xy = state["scanner_xy_w"]
        plate_z = xp.full_like(plate_xy[:, :1], SCANNER.top_z)
        plate_w = xp.concat([plate_xy, plate_z], axis=1)

        is_held = parcels.is_held(hand)
        is_on_plate = _is_on_plate(xp, parcels, plate_w)
        is_binned = _is_in_bin(parcels) & ~is_held
        is_finished = parcels.is_wanted & parcels.is_scanned & is_binned
        is_unfinished = parcels.is_wanted & ~is_finished
        priority = _priority(xp, parcels, is_held, is_on_plate)
        priority = xp.where(is_unfinished, priority, FINISHED)

        which = xp.argmax(priority, axis=1)
        rows = xp.arange(which.shape[0])
        parcel = parcels.one(which)
        slot_m = xp.asarray(slots_m)[which]  # (n,)
        ones = xp.ones_like(priority)
        # count by products with ones: `dot` adds in the same order for any n
        finished = dot(xp.where(is_finished, 1.0, 0.0), ones)
        wanted = dot(xp.where(parcels.is_wanted, 1.0, 0.0), ones)
        return cls(
            xp=xp,
            hand=hand,
            parcel=parcel,
            plate_w=plate_w,
            slot_w=parcel.bin_w + horizontal(parcel.bin_w) * slot_m[:, None],
            share_done=finished / xp.maximum(wanted, ones[:, 0]),
            is_idle=priority[rows, which] <= LEAST,
            is_held=is_held[rows, which],
            is_on_plate=is_on_plate[rows, which],
            back_m=back_m,
        )

    def grip(self) -> Grip:
        """Returns where the hand should take the parcel."""
        is_upright = self.xp.abs(self.parcel.x[:, 2]) > MOSTLY_COS
        is_standing = self.is_on_plate & self.parcel.is_label_up() & is_upright
        # a parcel that stands on the plate is reached for from the plate's right, as
        # seen from the robot
        aside = left_of(horizontal(self.plate_w))
        return grip_of(self.hand, self.parcel, aside, is_standing, self.back_m)

    def must_turn(self) -> Array:
        """Returns (n,) bool, whether a held parcel must be turned to be label up."""
        along_hand = dot(self.parcel.label_way(), self.hand.x)
        return self.is_held & (along_hand > MOSTLY_COS)

    def must_lift(self) -> Array:
        """Returns (n,) bool, whether a held parcel must be lifted before it moves."""
        to_plate = (self.parcel.pos_w - self.plate_w)[:, :2]
        is_away = dot(to_plate, to_plate) > AWAY_M**2
        # high enough above the belt to be turned, or to go sideways
        free_m = self.xp.where(self.must_turn(), FREE_TO_TURN_M, FREE_M)
        is_low = self.parcel.bottom_z() < BELT.top_z + free_m
        return self.is_held & is_low & is_away

    def posture(self) -> Grip:
        """Returns the grip with the hand's axes for the present work.

        An empty hand has the axes of the grip. With a parcel it points down, or aside
        where the parcel must be turned to bring its label up.
        """
        xp = self.xp
        parcel = self.parcel
        grip = self.grip()
        must_lift = self.must_lift()[:, None]

        # with a parcel: down, or aside to turn it; as it is until it is lifted
        place = xp.where(parcel.is_scanned[:, None], self.slot_w, self.hand.pos_w)
        outward = horizontal(place)  # from the robot's column
        down = -xp.broadcast_to(xp.asarray(UP), grip.x.shape)
        carry_x = xp.where(must_lift, self.hand.x, outward)
        carry_z = xp.where(must_lift, self.hand.z, down)
        turning = level_grip(grip.pos_w, left_of(outward), self.hand.lean_rad())
        is_turning = self.must_turn() & ~parcel.is_scanned & ~self.must_lift()
        carry_x = xp.where(is_turning[:, None], turning.x, carry_x)
        carry_z = xp.where(is_turning[:, None], turning.z, carry_z)

        # without: as it is while the parcel is read
        is_reading = self.is_on_plate & ~parcel.is_scanned & parcel.is_label_up()
        empty_x = xp.where(is_reading[:, None], self.hand.x, grip.x)
        empty_z = xp.where(is_reading[:, None], self.hand.z, grip.z)

        is_held = self.is_held[:, None]
        return Grip(
            grip.pos_w,
            x=xp.where(is_held, carry_x, empty_x),
            z=xp.where(is_held, carry_z, empty_z),
        )


def is_within_reach(parcels: Parcels) -> Array:
    """Returns for each parcel, bool, whether the arm reaches its place on the belt."""
    y = parcels.pos_w[..., 1]
    return (y > REACH_Y_W[0]) & (y < REACH_Y_W[1])


def _is_on_plate(xp: Any, parcels: Parcels, plate_w: Array) -> Array:
    """Returns (n, K) bool, whether each parcel stands or lies on the plate."""
    away = (parcels.pos_w - plate_w[:, None, :])[..., :2]
    height = parcels.bottom_z() - plate_w[:, 2:]
    is_near = dot(away, away) < ON_PLATE_M**2
    return is_near & (xp.abs(height) < ON_PLATE_Z_M)


def _is_in_bin(parcels: Parcels) -> Array:
    """Returns (n, K) bool, whether each parcel is in the bin that it belongs in."""
    offset = parcels.pos_w - parcels.bin_w
    away = offset[..., :2]
    return (dot(away, away) < IN_BIN_M**2) & (offset[..., 2] < BIN.height)


def _priority(xp: Any, parcels: Parcels, is_held: Array, is_on_plate: Array) -> Array:
    """Returns the priority (n, K) of each parcel to be worked on next.

    On the belt it is higher for parcels farther along, which will be gone sooner.
    """
    y = parcels.pos_w[..., 1]
    priority = xp.where(is_within_reach(parcels), WITHIN_REACH, COMING)
    priority = priority + PER_M_ALONG_BELT * xp.clip(y, -3.0, 1.0)
    priority = xp.where(y > REACH_Y_W[1], PASSED, priority)
    priority = xp.where(parcels.is_scanned, SCANNED, priority)
    priority = xp.where(is_on_plate, ON_PLATE, priority)
    return xp.where(is_held, HELD, priority)
