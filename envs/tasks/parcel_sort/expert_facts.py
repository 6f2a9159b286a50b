"""The facts that the expert of ParcelSort decides on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.skills.parcel_grip import (
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
from embodied.envs.skills.scripted import Readings
from embodied.envs.tasks.parcel_sort.scene import BELT, BIN, SCANNER

# The range of y in which the arm takes parcels off the belt, which moves along +y.
REACH_Y_W = (-0.44, 0.42)
# A held parcel is moved sideways only when its underside is at least this high above the
# belt, so that it hits no other parcel.
FREE_M = 0.05
# The same for a parcel that will also be rotated.
FREE_TO_TURN_M = 0.09
# Within this horizontal distance of the plate's centre, a held parcel need not be that
# high, because it is being set down there.
NEAR_PLATE_M = 0.15
# A parcel is on the plate within this horizontal distance of the plate's centre.
ON_PLATE_M = 0.08
# The underside of a parcel on the plate is at most this far above or below the plate's
# surface.
ON_PLATE_Z_M = 0.012
# A parcel is in its bin within this horizontal distance of the bin's centre.
IN_BIN_M = 0.14
# Where each of the three parcels is dropped in its bin: the offset from the bin's centre,
# away from the robot.
BIN_SLOTS_M = (-0.05, 0.03, -0.01)
# A robot has stopped if none of its joints is faster than this, in rad/s or m/s.
STOPPED_RAD_S = 0.03
# Priorities of the parcels; the hand works on the parcel with the highest one.
HELD = 6.0
ON_PLATE = 5.0
SCANNED = 4.0
WITHIN_REACH = 3.0
COMING = 1.0  # upstream of the arm's reach
PASSED = 0.05  # downstream of the arm's reach
FINISHED = -10.0  # sorted, or not to be sorted
# On the belt, the priority rises by this per m downstream.
PER_M_ALONG_BELT = 0.3
# The priority rises only between these y, so that its change is small beside the steps
# between the priorities above, and their order stays.
ALONG_BELT_Y_W = (-3.0, 1.0)
# There is no work if no parcel has a higher priority than this, which is above PASSED,
# because the arm cannot take a parcel that has passed.
IDLE_PRIORITY = 0.1


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of the hand and the next parcel in n worlds."""

    xp: Any
    hand: Hand
    parcel: Parcels  # the parcel to work on
    plate_w: Array  # (n, 3) m, centre of the scanner's plate
    slot_w: Array  # (n, 3) m, the parcel's place in its bin
    share_done: Array  # (n,) share of the wanted parcels that are sorted
    # (n,) bool each
    is_idle: Array  # there is no parcel to work on
    is_held: Array  # the parcel to work on is held
    is_on_plate: Array  # the parcel to work on is on the plate
    is_stopped: Array  # no joint of the robot moves
    # how far the hand stays back from a grip, so that its palm does not hit the parcel
    back_m: float = 0.0

    @classmethod
    def read(
        cls,
        xp: Any,
        agent: Readings,
        state: Readings,
        back_m: float = 0.0,
        slots_m: tuple[float, ...] = BIN_SLOTS_M,
        beside_m: tuple[float, ...] = (0.0, 0.0, 0.0),
    ) -> ExpertFacts:
        """Returns the facts of an observation of n worlds.

        The parcel to work on is the first of these that exists: a held parcel, one on
        the plate, one that has been scanned but is not in its bin, the one farthest
        downstream within reach, the next one to come within reach.

        Args:
            xp: the array namespace.
            agent: the parts of proprioception.
            state: the parts of the privileged state.
            back_m: how far the hand stays back from a grip, to keep its palm clear.
            slots_m: for each parcel, the offset of its place in its bin from the bin's
                centre, outwards from the robot's column.
            beside_m: for each parcel, the offset of its place to the left, as seen from
                the column.
        """
        hand = Hand.read(agent)
        parcels = Parcels.read(state, BIN.floor_z)
        plate_xy = state["scanner_xy_w"]
        plate_z = xp.full_like(plate_xy[:, :1], SCANNER.top_z)
        plate_w = xp.concat([plate_xy, plate_z], axis=1)

        is_held = parcels.is_held(hand)
        is_on_plate = _is_on_plate(xp, parcels, plate_w)
        is_binned = _is_in_bin(parcels) & ~is_held
        is_finished = parcels.is_wanted & parcels.is_scanned & is_binned
        is_unfinished = parcels.is_wanted & ~is_finished
        priority = _priority(xp, parcels, is_held=is_held, is_on_plate=is_on_plate)
        priority = xp.where(is_unfinished, priority, FINISHED)

        # the parcel to work on, and its place in its bin
        chosen = xp.argmax(priority, axis=1)  # (n,) its index
        worlds = xp.arange(chosen.shape[0])
        parcel = parcels.select(chosen)
        outward = horizontal(parcel.bin_w)
        slot_m = xp.asarray(slots_m)[chosen][:, None]  # (n, 1)
        beside_m = xp.asarray(beside_m)[chosen][:, None]  # (n, 1)

        return cls(
            xp=xp,
            hand=hand,
            parcel=parcel,
            plate_w=plate_w,
            slot_w=parcel.bin_w + outward * slot_m + left_of(outward) * beside_m,
            share_done=_share_done(xp, is_finished, parcels.is_wanted),
            is_idle=priority[worlds, chosen] <= IDLE_PRIORITY,
            is_held=is_held[worlds, chosen],
            is_on_plate=is_on_plate[worlds, chosen],
            is_stopped=xp.max(xp.abs(agent["joint_vel"]), axis=1) < STOPPED_RAD_S,
            back_m=back_m,
        )

    def grip(self) -> Grip:
        """Returns the grip by which the hand should take the parcel."""
        is_upright = self.xp.abs(self.parcel.x[:, 2]) > MOSTLY_COS
        is_standing = self.is_on_plate & self.parcel.is_label_up() & is_upright
        # a parcel that stands on the plate is approached from the right, as seen from
        # the robot, so the approach points to the left
        approach = left_of(horizontal(self.plate_w))
        return grip_of(
            self.hand,
            self.parcel,
            side_approach=approach,
            is_standing=is_standing,
            back_m=self.back_m,
        )

    def must_stand_on_end(self) -> Array:
        """Returns (n,) bool, whether a held parcel has its label on one of its ends.

        Such a parcel is set down standing on its other end, which brings the label up.
        The hand's x axis points to the label from the grasp on, and stays there while hand
        and parcel rotate together. So the value stays true until the parcel is let go.
        """
        label_along_x = dot(self.parcel.label_direction(), self.hand.x)
        return self.is_held & (label_along_x > MOSTLY_COS)

    def must_lift(self) -> Array:
        """Returns (n,) bool, whether a held parcel must be lifted before it moves sideways.

        The parcel must be lifted while it is low over the belt, where it would hit
        other parcels. Near the plate the parcel is low because it is being set down, so
        it is not lifted there.
        """
        from_plate = (self.parcel.pos_w - self.plate_w)[:, :2]
        is_far_from_plate = dot(from_plate, from_plate) > NEAR_PLATE_M**2
        # a rotation needs more height than a movement sideways
        free_m = self.xp.where(self.must_stand_on_end(), FREE_TO_TURN_M, FREE_M)
        is_low = self.parcel.bottom_z() < BELT.top_z + free_m
        return self.is_held & is_low & is_far_from_plate

    def posture(self) -> Grip:
        """Returns the hand's posture: the grip's position, and the hand's desired axes.

        An empty hand should have the axes of the grip. A hand with a parcel should point
        down (its z axis), or sideways where it rotates the parcel to bring its label up.
        """
        xp = self.xp
        parcel = self.parcel
        grip = self.grip()
        must_lift = self.must_lift()[:, None]

        # A hand with a parcel keeps its axes until the parcel is lifted; then it points
        # down, or sideways to rotate the parcel. Its x axis points outwards from the
        # robot's column: over the bin if the parcel is read, else where the hand is.
        outward_of = xp.where(parcel.is_scanned[:, None], self.slot_w, self.hand.pos_w)
        outward = horizontal(outward_of)
        down = -xp.broadcast_to(xp.asarray(UP), grip.x.shape)
        carry_x = xp.where(must_lift, self.hand.x, outward)
        carry_z = xp.where(must_lift, self.hand.z, down)
        # the axes that rotate the parcel: the hand points to the left, as seen from the
        # robot's column
        sideways = level_grip(grip.pos_w, left_of(outward), self.hand.lean_rad())
        is_turning = self.must_stand_on_end() & ~parcel.is_scanned & ~self.must_lift()
        carry_x = xp.where(is_turning[:, None], sideways.x, carry_x)
        carry_z = xp.where(is_turning[:, None], sideways.z, carry_z)

        # an empty hand keeps its axes while the scanner reads the parcel, so that it does
        # not push the parcel
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
    """Returns bool per parcel, (n, K) or (n,): the arm can take it off the belt."""
    y = parcels.pos_w[..., 1]
    return (y > REACH_Y_W[0]) & (y < REACH_Y_W[1])


def _share_done(xp: Any, is_finished: Array, is_wanted: Array) -> Array:
    """Returns the share (n,) of finished parcels among the wanted ones, (n, K) bool each.

    The function counts by dot products with ones: unlike `sum`, `dot` adds in the same
    order whatever the number n of worlds is.
    """
    finished = xp.where(is_finished, 1.0, 0.0)
    wanted = xp.where(is_wanted, 1.0, 0.0)
    ones = xp.ones_like(wanted)
    # divide by at least 1, to avoid 0 / 0
    return dot(finished, ones) / xp.maximum(dot(wanted, ones), ones[:, 0])


def _is_on_plate(xp: Any, parcels: Parcels, plate_w: Array) -> Array:
    """Returns (n, K) bool, whether each parcel stands or lies on the plate."""
    offset_xy = (parcels.pos_w - plate_w[:, None, :])[..., :2]
    height = parcels.bottom_z() - plate_w[:, 2:]
    is_near = dot(offset_xy, offset_xy) < ON_PLATE_M**2
    return is_near & (xp.abs(height) < ON_PLATE_Z_M)


def _is_in_bin(parcels: Parcels) -> Array:
    """Returns (n, K) bool, whether each parcel is in its own bin."""
    offset = parcels.pos_w - parcels.bin_w
    offset_xy = offset[..., :2]
    return (dot(offset_xy, offset_xy) < IN_BIN_M**2) & (offset[..., 2] < BIN.height)


def _priority(xp: Any, parcels: Parcels, is_held: Array, is_on_plate: Array) -> Array:
    """Returns the priority (n, K) of working on each parcel next.

    On the belt, parcels farther downstream have a higher priority, because they leave the
    arm's reach sooner.

    Args:
        xp: the array namespace.
        parcels: all K parcels of n worlds.
        is_held: (n, K) bool, whether the hand holds each parcel.
        is_on_plate: (n, K) bool, whether each parcel is on the scanner's plate.
    """
    y = parcels.pos_w[..., 1]
    # later lines override earlier ones, from the lowest priority to the highest
    priority = xp.where(is_within_reach(parcels), WITHIN_REACH, COMING)
    priority = priority + PER_M_ALONG_BELT * xp.clip(y, *ALONG_BELT_Y_W)
    priority = xp.where(y > REACH_Y_W[1], PASSED, priority)
    priority = xp.where(parcels.is_scanned, SCANNED, priority)
    priority = xp.where(is_on_plate, ON_PLATE, priority)
    return xp.where(is_held, HELD, priority)
