"""Lets experts, which are written for the reference hand, plan for other hands.

The reference hand is that of the built-in robots: its fingertips are 20 mm beyond its
tool centre point (TCP), and its gripper opens to 80 mm. For another hand, experts plan
with a virtual TCP 20 mm behind that hand's fingertips, and with gripper widths in m. The
tip of a suction cup is its lip.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from embodied.arrays import array_namespace
from embodied.core import Array, Payload
from embodied.robots.parts.gripper import TIP_M, Gripper
from embodied.robots.robot import Robot
from embodied.rotations import cross, quat_to_rot6d

REFERENCE_WIDTH_M = 0.08


class HandView:
    """Converts the TCP of a hand to the virtual TCP of experts, and their plans back."""

    def __init__(self, gripper: Gripper) -> None:
        # from the hand's own TCP to the virtual one, along the hand's z axis
        self._offset_m = gripper.tip_m - TIP_M
        self._width_m = gripper.width_m

    @classmethod
    def of(cls, robot: Robot) -> HandView | None:
        """Returns the view of a robot's first hand.

        None says that the hand has the measures of the reference hand, so that nothing
        needs converting.
        """
        gripper = robot.gripper_of(robot.effectors[0])
        if gripper.tip_m == TIP_M and gripper.width_m == REFERENCE_WIDTH_M:
            return None
        return cls(gripper)

    def virtual_tcp(self, tcp_w: Array, rot6d: Array) -> Array:
        """Returns the virtual TCPs (n, 3) m of hands.

        Args:
            tcp_w: (n, 3) m, the hands' own TCPs.
            rot6d: (n, 6), their x and y axes.
        """
        return tcp_w + self._offset_m * cross(rot6d[:, :3], rot6d[:, 3:])

    def plan_for_hand(self, payload: Payload) -> Payload:
        """Returns an expert's plans, converted to goals of the hand's own TCP.

        Only the first effector has a goal in them.
        """
        xp: Any = array_namespace(payload.goal_pos_w)
        rot6d = quat_to_rot6d(payload.goal_quat_wxyz[:, 0])
        z_axis = cross(rot6d[:, :3], rot6d[:, 3:])
        goal = payload.goal_pos_w[:, 0] - self._offset_m * z_axis

        gripper = payload.gripper
        if self._width_m:  # a suction cup has no width
            # gripper commands go from -1 for closed to 1 for the full width of the hand
            width_m = (gripper + 1) / 2 * REFERENCE_WIDTH_M
            gripper = xp.clip(2 * width_m / self._width_m - 1, -1.0, 1.0)
        return replace(payload, goal_pos_w=goal[:, None], gripper=gripper)
