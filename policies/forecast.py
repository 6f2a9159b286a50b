"""Predicting the motion of a robot under `ee_delta` actions, without simulation."""

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
    """Integrates commanded velocities over time, as if the robot followed them exactly.

    It changes the poses of effectors, torsos, heads and bases in the proprioception. Joints
    of arms, speeds and gripper widths stay as they are, since they do not follow from these
    velocities alone. A moving base does not carry the effectors along, since plans move
    either the base or the arms.

    Args:
        robot: the robot whose motion is predicted.
        agent_layout: the layout of the robot's proprioception.
    """

    def __init__(self, robot: Robot, agent_layout: Layout) -> None:
        self._robot = robot
        self._slices = agent_layout.slices()
        # name of a base -> its mount
        self._mounts = {
            base.name: MountPose(robot, agent_layout, base) for base in robot.bases
        }

    def after(self, agent_pos: np.ndarray, action: Array, time_s: float) -> np.ndarray:
        """Predicts the proprioception after an action was applied for some time.

        Args:
            agent_pos: (n, P) the proprioception now.
            action: (n, A) in the mode `ee_delta`.
            time_s: the time for which the action is applied.

        Returns:
            The predicted proprioception (n, P), a new array.
        """
        predicted = agent_pos.copy()
        next_element = 0
        for part in self._robot.parts:
            # an action holds the elements of the parts in order; some parts have none
            group = part.action_group("ee_delta")
            if group is None:
                continue
            first_element = next_element
            next_element += len(group.labels)
            part_action = np.asarray(action)[:, first_element:next_element]

            # An action of 1 is full speed. So action times time is the time at full speed
            # that moves the part as far.
            full_speed_s = part_action * time_s
            if isinstance(part, Arm):
                self._move_effector(predicted, agent_pos, part, full_speed_s)
            elif isinstance(part, Base | JointedPart):
                self._move_joints(predicted, agent_pos, part, full_speed_s)

        return predicted

    def _move_effector(
        self,
        after: np.ndarray,
        before: np.ndarray,
        arm: Arm,
        full_speed_s: np.ndarray,
    ) -> None:
        """Moves the effector of an arm.

        Args:
            after: (n, P) proprioception, which is changed in place.
            before: (n, P) proprioception before the motion.
            arm: the arm of the effector.
            full_speed_s: (n, 6) the motion as the time in s at full speed: three numbers
                along the arm's axes, then three about these axes.
        """
        move_m = full_speed_s[:, :3] * arm.ee_speed_m_s
        rotvec_rad = full_speed_s[:, 3:] * arm.ee_speed_rad_s

        # rotate from the arm's axes to its mount's axes, then to the world's axes
        if arm.is_turned:
            arm_to_mount = np.broadcast_to(
                arm.placement.quat_wxyz, (len(full_speed_s), 4)
            )
            move_m = quat_rotate(arm_to_mount, move_m)
            rotvec_rad = quat_rotate(arm_to_mount, rotvec_rad)
        base = self._robot.base_of(arm)
        if base.has_own_axes:
            mount_to_world = self._mounts[base.name].quat_wxyz(before)
            move_m = quat_rotate(mount_to_world, move_m)
            rotvec_rad = quat_rotate(mount_to_world, rotvec_rad)

        # add the movement to the effector's position, and the rotation to its orientation
        name = self._robot.effector_of(arm).name
        rot6d = self._slices[f"{name}_rot6d"]
        old_quat = quat_from_rot6d(before[:, rot6d])
        new_quat = quat_multiply(quat_from_rotvec(rotvec_rad), old_quat)
        after[:, self._slices[f"{name}_pos_w"]] += move_m
        after[:, rot6d] = quat_to_rot6d(new_quat)

    def _move_joints(
        self,
        after: np.ndarray,
        before: np.ndarray,
        part: Base | JointedPart,
        full_speed_s: np.ndarray,
    ) -> None:
        """Moves the joints of a base, torso or head.

        Args:
            after: (n, P) proprioception, which is changed in place.
            before: (n, P) proprioception before the motion.
            part: the part that has the joints.
            full_speed_s: (n, J) the motion of each joint, as the time in s that it takes
                at full speed; negative for backwards.
        """
        # the part's columns in the proprioception
        first_joint = self._slices["joint_pos"].start
        joints = self._robot.joint_slice(part)
        columns = slice(first_joint + joints.start, first_joint + joints.stop)
        move = full_speed_s * np.array(part.joints.speeds)  # (n, J) m and rad

        # A base is commanded along its own axes, but its joints x and y are along the
        # world's axes. Its third joint, the yaw, is the same in both.
        if isinstance(part, Base):
            base_to_world = quat_from_yaw(self._mounts[part.name].read(before)[:, 3])
            translation = move * np.array([1.0, 1.0, 0.0])
            yaw = move * np.array([0.0, 0.0, 1.0])
            move = quat_rotate(base_to_world, translation) + yaw
        after[:, columns] += move
