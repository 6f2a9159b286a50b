"""What the expert of ToteTransfer decides on: where to grip the named tote, and how
things stand with it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.core import Array
from embodied.envs.props.tote import ToteSize
from embodied.envs.skills.scripted import Readings

GRASP_DEPTH_M = 0.022  # of the pads' middle below the rim
CARRY_Z_W = 1.03  # of the TCP, so that a held tote clears the upper row
BELOW_CARRY_M = 0.03
REACH_Y_W = (-0.50, 0.56)  # of the grip, where the arm can follow
# along the wall there is more room for the fingers
ALONG_WALL_WEIGHT = 0.4
# horizontal errors of the hand from the grip: to go down, to close, and while it holds
NEAR_M = 0.020
ON_M = 0.014
HELD_M = 0.025
# the same, up and down
ON_Z_M = 0.012
HELD_Z_M = 0.03
HELD_WIDTH_M = (0.002, 0.012)  # of a gripper around a wall
# of the tote from its slot
INSIDE_X_M = 0.06
INSIDE_Y_M = 0.03
STANDING_Z_M = 0.012
LOWERING_Z_M = 0.09
ABOVE_M = 0.010


@dataclass(frozen=True)
class ExpertFacts:
    """How things stand in n worlds."""

    tcp: Array  # (n, 3) m
    tote: Array  # (n, 3) m, middle of its underside
    slot: Array  # (n, 3) m, middle of its floor
    grip: Array  # (n, 3) m, on the wall that will face the robot in the rack
    yaw: Array  # (n,) rad, of the tote
    # (n,) bool each: of the hand,
    is_holding: Array
    is_near_grip: Array
    is_on_grip: Array
    is_low: Array
    # of the tote,
    is_reachable: Array
    is_standing: Array  # in its slot
    is_above_slot: Array
    is_being_lowered: Array  # or might be

    @classmethod
    def read(cls, xp: Any, agent: Readings, state: Readings) -> ExpertFacts:
        """Returns how things stand according to an observation."""
        tcp = agent["tcp_pos_w"]
        tote = state["tote_pos_w"]
        slot = state["slot_pos_w"]
        grip = grip_point(xp, tote, state["tote_rot6d"])

        width = agent["gripper_width"][:, 0]
        is_closed = (width > HELD_WIDTH_M[0]) & (width < HELD_WIDTH_M[1])
        error = tcp - grip
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


def grip_point(xp: Any, tote: Array, rot6d: Array) -> Array:
    """(n, 3) the point on the wall that will face the robot in the rack."""
    size = ToteSize()
    across = rot6d[:, 3:]
    up = xp.asarray([0.0, 0.0, 1.0]) * (size.height - GRASP_DEPTH_M)
    return tote - across * (size.width / 2) + up


def tote_yaw(xp: Any, rot6d: Array) -> Array:
    """(n,) rad."""
    return xp.atan2(rot6d[:, 1], rot6d[:, 0])
