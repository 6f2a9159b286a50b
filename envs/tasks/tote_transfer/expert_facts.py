"""The facts that the expert of ToteTransfer decides on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.core import Array
from embodied.envs.props.tote import ToteSize
from embodied.envs.skills.scripted import Readings

# How far below the rim the middle of the pads grips a wall.
GRASP_DEPTH_M = 0.022
# The TCP's height for carrying, at which a held tote clears the rack's upper row, and
# how much lower still counts as lifted.
CARRY_Z_W = 1.03
BELOW_CARRY_M = 0.03
# The y of a grip that the arm can follow on the belt.
REACH_Y_W = (-0.50, 0.56)
# Errors along the wall count less: there is more room for the fingers.
ALONG_WALL_WEIGHT = 0.4
# The largest horizontal error of the hand from the grip: to go down, to close, to hold.
NEAR_M = 0.020
ON_M = 0.014
HELD_M = 0.025
# The largest vertical error: to close, to hold.
ON_Z_M = 0.012
HELD_Z_M = 0.03
# The width of a gripper that holds a wall.
HELD_WIDTH_M = (0.002, 0.012)
# The largest offset of the tote from its slot: to be inside it, to stand in it, to go
# on being lowered, and to be above it.
INSIDE_X_M = 0.06
INSIDE_Y_M = 0.03
STANDING_Z_M = 0.012
LOWERING_Z_M = 0.09
ABOVE_M = 0.010


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand and tote in n worlds."""

    tcp: Array  # (n, 3) m
    tote: Array  # (n, 3) m, middle of its underside
    slot: Array  # (n, 3) m, middle of its floor
    grip: Array  # (n, 3) m, on the wall that will face the robot in the rack
    yaw: Array  # (n,) rad, of the tote
    # about the hand, (n,) bool each
    is_holding: Array  # the tote, by its wall
    is_near_grip: Array  # so near that it may go down
    is_on_grip: Array  # so near that the fingers may close
    is_low: Array  # too low to carry
    # about the tote, (n,) bool each
    is_reachable: Array  # on the belt
    is_standing: Array  # in its slot
    is_above_slot: Array
    is_being_lowered: Array  # into its slot, and not too high to have begun

    @classmethod
    def read(
        cls,
        xp: Any,
        agent: Readings,
        state: Readings,
        depth_m: float = GRASP_DEPTH_M,
    ) -> ExpertFacts:
        """Returns the facts of an observation, for grips `depth_m` below the rim."""
        tcp = agent["tcp_pos_w"]
        tote = state["tote_pos_w"]
        slot = state["slot_pos_w"]
        grip = grip_point(xp, tote, state["tote_rot6d"], depth_m)

        width = agent["gripper_width"][:, 0]
        is_closed = (width > HELD_WIDTH_M[0]) & (width < HELD_WIDTH_M[1])
        error = tcp - grip
        # horizontal error; the wall runs roughly along the world's x
        aside = xp.sqrt(error[:, 1] ** 2 + (ALONG_WALL_WEIGHT * error[:, 0]) ** 2)
        height = xp.abs(error[:, 2])

        offset = tote - slot
        is_inside_x = xp.abs(offset[:, 0]) < INSIDE_X_M
        is_inside = is_inside_x & (xp.abs(offset[:, 1]) < INSIDE_Y_M)
        distance = xp.sqrt(xp.sum((offset[:, :2]) ** 2, axis=1))

        return cls(
            tcp=tcp,
            tote=tote,
            slot=slot,
            grip=grip,
            yaw=tote_yaw(xp, state["tote_rot6d"]),
            is_holding=is_closed & (aside < HELD_M) & (height < HELD_Z_M),
            is_near_grip=aside < NEAR_M,
            is_on_grip=(aside < ON_M) & (height < ON_Z_M),
            is_low=tcp[:, 2] < CARRY_Z_W - BELOW_CARRY_M,
            is_reachable=(grip[:, 1] > REACH_Y_W[0]) & (grip[:, 1] < REACH_Y_W[1]),
            is_standing=is_inside & (xp.abs(offset[:, 2]) < STANDING_Z_M),
            is_above_slot=distance < ABOVE_M,
            is_being_lowered=is_inside & (offset[:, 2] < LOWERING_Z_M),
        )


def grip_point(
    xp: Any, tote: Array, rot6d: Array, depth_m: float = GRASP_DEPTH_M
) -> Array:
    """Returns the grip (n, 3) m, on the wall that will face the robot in the rack.

    That is the tote's wall towards its own -y.
    """
    size = ToteSize()
    across = rot6d[:, 3:]  # the tote's y axis in the world
    up = xp.asarray([0.0, 0.0, 1.0]) * (size.height - depth_m)
    return tote - across * (size.width / 2) + up


def tote_yaw(xp: Any, rot6d: Array) -> Array:
    """Returns the yaw (n,) of the tote's x axis, rad."""
    return xp.atan2(rot6d[:, 1], rot6d[:, 0])
