"""What the expert of ToteTransfer goes by: where to grip the named tote, and how things
stand with it.
"""

from __future__ import annotations

from typing import Any

from embodied.core import Array
from embodied.envs.props.tote import ToteSize

GRASP_DEPTH_M = 0.022  # pads' middle below the rim
# horizontal error to go down, and to close
NEAR_M = 0.020
ON_M = 0.014
PLACE_TOLERANCE_M = 0.010
CARRY_Z_W = 1.03  # of the TCP, so that a held tote clears the upper row


def grip_point(xp: Any, tote_pos: Array, rot6d: Array) -> tuple[Array, Array]:
    """Point (n, 3) on the wall that will face the robot in the rack, and the tote's yaw
    (n,).
    """
    size = ToteSize()
    across = rot6d[:, 3:]
    up = xp.asarray([0.0, 0.0, 1.0]) * (size.height - GRASP_DEPTH_M)
    return tote_pos - across * (size.width / 2) + up, xp.atan2(rot6d[:, 1], rot6d[:, 0])


def read_facts(
    xp: Any, agent: dict[str, Array], state: dict[str, Array], grip: Array
) -> dict[str, Array]:
    """What the planner decides on, (n,) bool each."""
    tcp = agent["tcp_pos_w"]
    width = agent["gripper_width"][:, 0]
    error = tcp - grip
    # along the wall there is more room
    across = xp.sqrt(error[:, 1] ** 2 + (0.4 * error[:, 0]) ** 2)
    offset = state["tote_pos_w"] - state["slot_pos_w"]
    inside = (xp.abs(offset[:, 0]) < 0.06) & (xp.abs(offset[:, 1]) < 0.03)
    return {
        "held": (width > 0.002)
        & (width < 0.012)
        & (across < 0.025)
        & (xp.abs(error[:, 2]) < 0.03),
        "near": across < NEAR_M,
        "on": (across < ON_M) & (xp.abs(error[:, 2]) < 0.012),
        "standing": inside & (xp.abs(offset[:, 2]) < 0.012),
        "above": xp.sqrt(xp.sum((offset[:, :2]) ** 2, axis=1)) < PLACE_TOLERANCE_M,
        "lowering": inside & (offset[:, 2] < 0.09),
        "low": tcp[:, 2] < CARRY_Z_W - 0.03,
    }
