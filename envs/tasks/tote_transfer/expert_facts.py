"""The facts that the expert of ToteTransfer decides on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.core import Array
from embodied.envs.props.tote import ToteSize
from embodied.envs.skills.scripted import Readings

# How far below a wall's rim the middles of the fingers' pads are when they grip the wall.
GRASP_DEPTH_M = 0.022
# The TCP height for carrying, at which a held tote clears the rack's upper row.
CARRY_Z_W = 1.03
# A hand at most this far below CARRY_Z_W counts as lifted.
BELOW_CARRY_M = 0.03
# The range of y in which the arm can follow a grip on the belt.
REACH_Y_W = (-0.50, 0.56)
# The weight of the hand's errors along the wall. They matter less than errors across the
# wall, because the wall is long.
ALONG_WALL_WEIGHT = 0.4
# The hand goes down to the grip when its horizontal error is below this.
NEAR_M = 0.020
# The fingers close when the horizontal and vertical errors of the hand are below these.
ON_M = 0.014
ON_Z_M = 0.012
# A closed gripper holds the wall if the errors of the hand are below these.
HELD_M = 0.025
HELD_Z_M = 0.03
# The least and largest width of a gripper that holds a wall.
HELD_WIDTH_M = (0.002, 0.012)
# Seen from above, a tote is inside its slot if its offsets along x and y from the slot's
# middle are below these.
INSIDE_X_M = 0.06
INSIDE_Y_M = 0.03
# A tote inside its slot stands there if its height differs from that of the slot's floor
# by less than this.
STANDING_Z_M = 0.012
# A held tote inside its slot is being lowered if it is at most this high above the floor.
LOWERING_Z_M = 0.09
# A tote is above its slot, and may be lowered, within this horizontal distance.
ABOVE_M = 0.010


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand and tote in n worlds."""

    tcp: Array  # (n, 3) m
    tote: Array  # (n, 3) m, centre of its underside
    slot: Array  # (n, 3) m, centre of the floor of the slot that the tote belongs in
    grip: Array  # (n, 3) m, on the tote's wall that will face the robot in the rack
    yaw: Array  # (n,) rad, of the tote
    # about the hand, (n,) bool each
    is_holding: Array  # the hand holds the tote by its wall
    is_near_grip: Array  # the hand is so near the grip that it may go down
    is_on_grip: Array  # the hand is so near the grip that the fingers may close
    is_low: Array  # the hand is too low to carry a tote
    # about the tote, (n,) bool each
    is_reachable: Array  # the tote is where the arm can follow it along the belt
    is_standing: Array  # the tote stands in its slot
    is_above_slot: Array  # the tote is so exactly above its slot that it may be lowered
    is_being_lowered: Array  # it is inside its slot, at most a little above the floor

    @classmethod
    def read(
        cls,
        xp: Any,
        agent: Readings,
        state: Readings,
        depth_m: float = GRASP_DEPTH_M,
    ) -> ExpertFacts:
        """Returns the facts of an observation, for grips `depth_m` below the rim.

        Args:
            xp: The array namespace.
            agent: Proprioception.
            state: The privileged state.
            depth_m: How far below the rim the pads grip a wall.
        """
        tcp = agent["tcp_pos_w"]
        tote = state["tote_pos_w"]
        slot = state["slot_pos_w"]
        grip = grip_point(xp, tote, state["tote_rot6d"], depth_m)

        width = agent["gripper_width"][:, 0]
        is_closed = (width > HELD_WIDTH_M[0]) & (width < HELD_WIDTH_M[1])
        # the hand's error to the grip; the wall runs roughly along the world's x
        error = tcp - grip
        error_xy = xp.sqrt(error[:, 1] ** 2 + (ALONG_WALL_WEIGHT * error[:, 0]) ** 2)
        error_z = xp.abs(error[:, 2])

        # the tote's offset from its slot
        offset = tote - slot
        is_inside_x = xp.abs(offset[:, 0]) < INSIDE_X_M
        is_inside = is_inside_x & (xp.abs(offset[:, 1]) < INSIDE_Y_M)
        distance_xy = xp.sqrt(xp.sum((offset[:, :2]) ** 2, axis=1))

        return cls(
            tcp=tcp,
            tote=tote,
            slot=slot,
            grip=grip,
            yaw=tote_yaw(xp, state["tote_rot6d"]),
            is_holding=is_closed & (error_xy < HELD_M) & (error_z < HELD_Z_M),
            is_near_grip=error_xy < NEAR_M,
            is_on_grip=(error_xy < ON_M) & (error_z < ON_Z_M),
            is_low=tcp[:, 2] < CARRY_Z_W - BELOW_CARRY_M,
            is_reachable=(grip[:, 1] > REACH_Y_W[0]) & (grip[:, 1] < REACH_Y_W[1]),
            is_standing=is_inside & (xp.abs(offset[:, 2]) < STANDING_Z_M),
            is_above_slot=distance_xy < ABOVE_M,
            is_being_lowered=is_inside & (offset[:, 2] < LOWERING_Z_M),
        )


def grip_point(
    xp: Any, tote_pos_w: Array, rot6d: Array, depth_m: float = GRASP_DEPTH_M
) -> Array:
    """Returns the grip (n, 3) m: on the wall that will face the robot in the rack.

    This wall is on the -y side of the tote's own frame.

    Args:
        xp: The array namespace.
        tote_pos_w: (n, 3) m, centres of the totes' undersides.
        rot6d: (n, 6), the totes' x and y axes.
        depth_m: How far below the rim the pads grip the wall.
    """
    size = ToteSize()  # width and height are the same for all totes
    y_axis = rot6d[:, 3:]  # of the tote, in the world
    to_grip_height = xp.asarray([0.0, 0.0, 1.0]) * (size.height - depth_m)
    return tote_pos_w - y_axis * (size.width / 2) + to_grip_height


def tote_yaw(xp: Any, rot6d: Array) -> Array:
    """Returns the yaw (n,) of the tote's x axis, rad."""
    return xp.atan2(rot6d[:, 1], rot6d[:, 0])
