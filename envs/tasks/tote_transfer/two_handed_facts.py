"""The facts that the two-handed expert of ToteTransfer decides on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from embodied.core import Array
from embodied.envs.props.tote import WALL_M, ToteSize
from embodied.envs.skills.scripted import Readings
from embodied.envs.skills.two_hand_carry import HeldObject, grip_w, in_object
from embodied.envs.tasks.tote_transfer.expert_facts import (
    ABOVE_M,
    ALONG_WALL_WEIGHT,
    BELOW_CARRY_M,
    HELD_M,
    HELD_WIDTH_M,
    HELD_Z_M,
    INSIDE_X_M,
    INSIDE_Y_M,
    LOWERING_Z_M,
    NEAR_M,
    ON_M,
    ON_Z_M,
    STANDING_Z_M,
    tote_yaw,
)
from embodied.rotations import quat_from_rot6d

# The TCP height of hands that carry, at which a held tote clears the rack's upper row and
# the totes on the belt. It is lower than for one hand, because two hands must reach farther
# to the upper row.
CARRY_Z_W = 0.97
# A tote may be lowered into its slot if its yaw error is below this.
STRAIGHT_RAD = 0.02


@dataclass(frozen=True)
class TwoHandedFacts:
    """What the expert knows of two hands and a tote in n worlds.

    Facts about "both" hands are true only if they are true of each hand, so that one hand
    waits for the other.
    """

    hands: Sequence[Array]  # (n, 3) m each, the TCPs
    # (n, 3) m each, the grip of each hand: in the middle of the wall at its side
    grips: Sequence[Array]
    held: HeldObject  # the tote, as an object between two hands
    tote: Array  # (n, 3) m, centre of its underside
    slot: Array  # (n, 3) m, centre of the floor of the slot that the tote belongs in
    yaw: Array  # (n,) rad, of the tote
    # about the hands, (n,) bool each
    is_holding: Array  # both hands hold the tote
    is_any_holding: Array  # at least one hand holds the tote
    are_near: Array  # both hands are so near their grips that they may go down
    are_on_grips: Array  # both are so near their grips that the fingers may close
    is_low: Array  # the hands are too low to carry a tote
    # about the tote, (n,) bool each
    is_standing: Array  # the tote stands in its slot
    is_above_slot: Array  # the tote is so exactly above its slot that it may be lowered
    is_being_lowered: (
        Array  # the tote is inside its slot, at most a little above the floor
    )

    @classmethod
    def read(
        cls,
        xp: Any,
        hands: Sequence[Readings],
        state: Readings,
        sides: Sequence[float],
        depth_m: float,
        rack_yaw: float,
    ) -> TwoHandedFacts:
        """Returns the facts of an observation.

        Args:
            xp: the array namespace.
            hands: proprioception of both hands.
            state: the privileged state.
            sides: the side of the tote that each hand holds: 1 for the wall at +y, -1 for
                the wall at -y.
            depth_m: how far below the rim the hands grip a wall.
            rack_yaw: the yaw of totes in the rack, rad.
        """
        tote = state["tote_pos_w"]
        slot = state["slot_pos_w"]
        held = HeldObject(
            pos_w=tote,
            quat_wxyz=quat_from_rot6d(state["tote_rot6d"]),
            # from the tote's middle to the middles of its side walls
            half_width_m=state["tote_size"][:, 1] / 2 - WALL_M / 2,
        )
        # the grips' height above the tote's underside; all totes have the same height
        height_m = ToteSize().height - depth_m

        # each hand's grip, and its errors to this grip
        grips = []
        errors = []
        for hand, side in zip(hands, sides, strict=True):
            grip = grip_w(xp, held, side, height_m)
            grips.append(grip)
            errors.append(_HandErrors.read(xp, held, hand, grip))
        first, second = errors
        yaw = tote_yaw(xp, state["tote_rot6d"])
        in_slot = _SlotErrors.read(xp, tote - slot, yaw - rack_yaw)
        # the mean height of both hands
        hand_z = (hands[0]["tcp_pos_w"][:, 2] + hands[1]["tcp_pos_w"][:, 2]) / 2

        return cls(
            hands=[hand["tcp_pos_w"] for hand in hands],
            grips=grips,
            held=held,
            tote=tote,
            slot=slot,
            yaw=yaw,
            is_holding=first.is_holding & second.is_holding,
            is_any_holding=first.is_holding | second.is_holding,
            are_near=first.is_near & second.is_near,
            are_on_grips=first.is_on_grip & second.is_on_grip,
            is_low=hand_z < CARRY_Z_W - BELOW_CARRY_M,
            is_standing=in_slot.is_standing,
            is_above_slot=in_slot.is_above,
            is_being_lowered=in_slot.is_being_lowered,
        )


@dataclass(frozen=True)
class _HandErrors:
    """What one hand's error from its grip allows, (n,) bool each."""

    is_holding: Array  # the hand holds the tote
    is_near: Array  # the hand may go down to its grip
    is_on_grip: Array  # the fingers may close

    @classmethod
    def read(
        cls, xp: Any, held: HeldObject, hand: Readings, grip: Array
    ) -> _HandErrors:
        """Returns the facts of a hand.

        Errors along the wall that the hand holds count less, because the wall is long.

        Args:
            xp: the array namespace.
            held: the tote.
            hand: proprioception of the hand.
            grip: (n, 3) m, the hand's grip.
        """
        width = hand["gripper_width"][:, 0]
        is_closed = (width > HELD_WIDTH_M[0]) & (width < HELD_WIDTH_M[1])

        # in the tote's frame, whose x axis runs along the wall
        error = in_object(held, hand["tcp_pos_w"]) - in_object(held, grip)
        error_xy = xp.sqrt(error[:, 1] ** 2 + (ALONG_WALL_WEIGHT * error[:, 0]) ** 2)
        error_z = xp.abs(error[:, 2])
        return cls(
            is_holding=is_closed & (error_xy < HELD_M) & (error_z < HELD_Z_M),
            is_near=error_xy < NEAR_M,
            is_on_grip=(error_xy < ON_M) & (error_z < ON_Z_M),
        )


@dataclass(frozen=True)
class _SlotErrors:
    """What the tote's error from its slot says, (n,) bool each."""

    is_standing: Array  # the tote stands in its slot
    is_above: Array  # the tote is above its slot and may be lowered
    is_being_lowered: Array  # the tote is inside its slot, a little above the floor

    @classmethod
    def read(cls, xp: Any, offset: Array, yaw_error: Array) -> _SlotErrors:
        """Returns the facts of a tote.

        Args:
            xp: the array namespace.
            offset: (n, 3) m, from the slot to the tote.
            yaw_error: (n,) rad, the tote's yaw minus that of totes in the rack.
        """
        # in the rack, the tote's y axis, along which there is less room, is along the
        # world's x axis
        is_inside = xp.abs(offset[:, 0]) < INSIDE_Y_M
        is_inside = is_inside & (xp.abs(offset[:, 1]) < INSIDE_X_M)
        distance_xy = xp.sqrt(xp.sum(offset[:, :2] ** 2, axis=1))
        # the sine of a small angle is about the angle; the cosine excludes errors near pi
        is_straight = xp.abs(xp.sin(yaw_error)) < STRAIGHT_RAD
        is_straight = is_straight & (xp.cos(yaw_error) > 0)
        return cls(
            is_standing=is_inside & (xp.abs(offset[:, 2]) < STANDING_Z_M),
            is_above=(distance_xy < ABOVE_M) & is_straight,
            is_being_lowered=is_inside & (offset[:, 2] < LOWERING_Z_M),
        )
