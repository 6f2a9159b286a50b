"""Other hands than the house's own, as experts see them: with its tips and its width.

Experts know the hand of our own robots: fingertips 20 mm beyond the tool centre point,
and a gripper that opens to 80 mm. For another hand they plan with a point 20 mm behind
its fingertips, and with widths in m. The tip of a cup is its lip.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from embodied.arrays import array_namespace
from embodied.core import Array, Payload
from embodied.robots.parts.gripper import TIP_M, Gripper
from embodied.robots.robot import Robot
from embodied.rotations import cross, quat_to_rot6d

OWN_WIDTH_M = 0.08


class HandView:
    """Turns readings and plans of one hand into those of the house's own, and back."""

    def __init__(self, gripper: Gripper) -> None:
        # how far ahead of the hand's own tool point is the one that experts see
        self._ahead_m = gripper.tip_m - TIP_M
        self._width_m = gripper.width_m

    @classmethod
    def of(cls, robot: Robot) -> HandView | None:
        """Returns the view of a robot's first hand; None for a hand of the house."""
        gripper = robot.gripper_of(robot.effectors[0])
        if gripper.tip_m == TIP_M and gripper.width_m == OWN_WIDTH_M:
            return None
        return cls(gripper)

    def seen(self, tcp_w: Array, rot6d: Array) -> Array:
        """Returns where experts see tool points (n, 3), whose hands have axes (n, 6)."""
        return tcp_w + self._ahead_m * cross(rot6d[:, :3], rot6d[:, 3:])

    def done(self, payload: Payload) -> Payload:
        """Returns plans of an expert's first effector as plans for the hand itself."""
        xp: Any = array_namespace(payload.goal_pos_w)
        rot6d = quat_to_rot6d(payload.goal_quat_wxyz[:, 0])
        out = cross(rot6d[:, :3], rot6d[:, 3:])  # the hand's z axis, out of its fingers
        goal = payload.goal_pos_w[:, 0] - self._ahead_m * out

        gripper = payload.gripper
        if self._width_m:  # a cup has none
            # a command is a share of the width, from -1, closed, to 1
            width_m = (gripper + 1) / 2 * OWN_WIDTH_M
            gripper = xp.clip(2 * width_m / self._width_m - 1, -1.0, 1.0)
        return replace(payload, goal_pos_w=goal[:, None], gripper=gripper)
