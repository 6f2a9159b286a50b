"""Where actions of the mode `ee_delta` bring a robot, without simulating it."""

from __future__ import annotations

import numpy as np

from embodied.core import Array, Layout
from embodied.robots.mount import MountPose
from embodied.robots.parts.arm import Arm
from embodied.robots.parts.base import Base
from embodied.robots.parts.jointed import JointedPart
from embodied.robots.robot import Robot
from embodied.rotations import (
    quat_from_rot6d,
    quat_from_rotvec,
    quat_from_yaw,
    quat_multiply,
    quat_rotate,
    quat_to_rot6d,
)


class Forecast:
    """Moves the poses in proprioception as actions command, exactly and at once.

    Effectors, torsos, heads and bases move; joints of arms, speeds and widths stay as
    they are. An effector does not ride on a base: plans move either the base or the
    arms.
    """

    def __init__(self, robot: Robot, agent_layout: Layout) -> None:
        self._robot = robot
        self._slices = agent_layout.slices()
        # base -> its mount
        self._mounts = {
            base.name: MountPose(robot, agent_layout, base) for base in robot.bases
        }

    def after(self, agent_pos: np.ndarray, action: Array, time_s: float) -> np.ndarray:
        """Returns the proprioception (n, P) after a time in which actions (n, A) hold."""
        after = agent_pos.copy()
        first = 0
        for part in self._robot.parts:
            # actions are shared out among parts in their order; heads take none
            group = part.action_group("ee_delta")
            if group is None:
                continue
            shares = np.asarray(action)[:, first : first + len(group.labels)]
            first += len(group.labels)

            if isinstance(part, Arm):
                self._move_effector(after, agent_pos, part, shares * time_s)
            elif isinstance(part, Base | JointedPart):
                self._move_joints(after, agent_pos, part, shares * time_s)

        return after

    def _move_effector(
        self, after: np.ndarray, before: np.ndarray, arm: Arm, full_s: np.ndarray
    ) -> None:
        """Moves an arm's effector in `after`.

        Args:
            after: (n, P) proprioception, which is changed.
            before: (n, P) proprioception.
            arm: whose effector it is.
            full_s: (n, 6) for how many seconds of full speed it moves along, and turns
                about, each axis of the arm.
        """
        move_m = full_s[:, :3] * arm.ee_speed_m_s
        turn_rad = full_s[:, 3:] * arm.ee_speed_rad_s

        # from the arm's axes to those of the mount, and on to those of the world
        if arm.is_turned:
            placed = np.broadcast_to(arm.placement.quat_wxyz, (len(full_s), 4))
            move_m = quat_rotate(placed, move_m)
            turn_rad = quat_rotate(placed, turn_rad)
        base = self._robot.base_of(arm)
        if base.has_own_axes:
            mount = self._mounts[base.name].quat_wxyz(before)
            move_m = quat_rotate(mount, move_m)
            turn_rad = quat_rotate(mount, turn_rad)

        name = self._robot.effector_of(arm).name
        rotation = self._slices[f"{name}_rot6d"]
        turned = quat_multiply(
            quat_from_rotvec(turn_rad), quat_from_rot6d(before[:, rotation])
        )
        after[:, self._slices[f"{name}_pos_w"]] += move_m
        after[:, rotation] = quat_to_rot6d(turned)

    def _move_joints(
        self,
        after: np.ndarray,
        before: np.ndarray,
        part: Base | JointedPart,
        full_s: np.ndarray,
    ) -> None:
        """Moves the joints of a base, torso or head in `after`, both (n, P) proprioception.

        `full_s` (n, J) says for how many seconds of full speed each joint moves.
        """
        first = self._slices["joint_pos"].start
        own = self._robot.joint_slice(part)
        move = full_s * np.array(part.joints.speeds)  # (n, J) m and rad

        # a base is driven along its own axes, but its x and y are those of the world
        if isinstance(part, Base):
            yaw = quat_from_yaw(self._mounts[part.name].read(before)[:, 3])
            on_floor = move * np.array([1.0, 1.0, 0.0])
            turning = move * np.array([0.0, 0.0, 1.0])
            move = quat_rotate(yaw, on_floor) + turning
        after[:, first + own.start : first + own.stop] += move
