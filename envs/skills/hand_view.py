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
from embodied.core import Array
from embodied.plan import Payload
from embodied.robots.parts.gripper import TIP_M, Gripper
from embodied.robots.parts.part import Effector
from embodied.robots.robot import Robot
from embodied.rotations import cross, quat_to_rot6d

REFERENCE_WIDTH_M = 0.08  # between the open fingers of the reference hand


class HandView:
    """Converts the TCP of a hand to the virtual TCP of experts, and their plans back."""

    def __init__(self, gripper: Gripper) -> None:
        # from the hand's own TCP to the virtual one, along the hand's z axis
        self._offset_m = gripper.tip_m - TIP_M
        self._width_m = gripper.width_m

    @classmethod
    def of(cls, robot: Robot, effector: Effector | None = None) -> HandView | None:
        """Returns the conversion for a robot's hand, or None if it is not needed.

        A hand with the dimensions of the reference hand needs no conversion.

        Args:
            robot: The robot.
            effector: The effector of the hand; None for the robot's first hand.
        """
        gripper = robot.gripper_of(effector or robot.effectors[0])
        if gripper.tip_m == TIP_M and gripper.width_m == REFERENCE_WIDTH_M:
            return None
        return cls(gripper)

    def virtual_tcp(self, tcp_w: Array, rot6d: Array) -> Array:
        """Returns the virtual TCPs (n, 3) m of hands.

        Args:
            tcp_w: (n, 3) m, the hands' own TCPs.
            rot6d: (n, 6), the hands' x and y axes in the world.
        """
        # along the hand's z axis, the cross product of its x and y axes
        return tcp_w + self._offset_m * cross(rot6d[:, :3], rot6d[:, 3:])

    def plan_for_hand(self, payload: Payload) -> Payload:
        """Returns an expert's plans, converted to goals of the hand's own TCP.

        The plans must be for the first effector only.
        """
        quat_wxyz = payload.goal_quat_wxyz[:, 0]
        pos_w = self.own_goal(payload.goal_pos_w[:, 0], quat_wxyz)
        gripper = self.own_command(payload.gripper)
        return replace(payload, goal_pos_w=pos_w[:, None], gripper=gripper)

    def own_goal(self, pos_w: Array, quat_wxyz: Array) -> Array:
        """Returns goals (n, 3) m of the hand's own TCP.

        Args:
            pos_w: (n, 3) m, goals of the virtual TCP.
            quat_wxyz: (n, 4) rotations of the hand at its goals.
        """
        rot6d = quat_to_rot6d(quat_wxyz)
        z_axis = cross(rot6d[:, :3], rot6d[:, 3:])
        return pos_w - self._offset_m * z_axis

    def own_command(self, gripper: Array) -> Array:
        """Returns gripper commands, of any shape, converted to those of the hand itself.

        Args:
            gripper: An expert's commands for the reference hand, from -1 to 1.
        """
        if not self._width_m:  # a suction cup, which has no width to convert
            return gripper
        xp: Any = array_namespace(gripper)
        # gripper commands go from -1 for closed to 1 for the full width of the hand
        width_m = (gripper + 1) / 2 * REFERENCE_WIDTH_M
        return xp.clip(2 * width_m / self._width_m - 1, -1.0, 1.0)
