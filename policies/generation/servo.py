"""Turns targets of hand and mount into actions of the control mode `ee_delta`."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied.arrays import dot
from embodied.core import Observation
from embodied.envs.worlds import Worlds
from embodied.robots.mount import MountPose
from embodied.robots.parts.arm import Arm
from embodied.robots.parts.base import Base
from embodied.robots.parts.gripper import Gripper
from embodied.robots.parts.torso import Lift
from embodied.rotations import cross, quat_conjugate, quat_from_yaw, quat_rotate

# A correcting velocity is an error times a gain: of the hand's position, of its rotation,
# and of the mount. The mount's gain is the lowest, because the mount carries the arm along.
GAIN_PER_S = 8.0
TURN_GAIN_PER_S = 6.0
MOUNT_GAIN_PER_S = 3.0
# The largest correcting velocities of the hand, so that a large error causes no jerk.
MAX_CORRECTION_M_S = 0.3
MAX_CORRECTION_RAD_S = 1.5


@dataclass(frozen=True)
class HandTargets:
    """The current targets of the hands and mounts of n worlds.

    Attributes:
        velocity: (n, 3) m/s, the velocity of the hand in the world, before corrections.
        turning: (n, 3) rad/s, the angular velocity of the hand, before corrections.
        error_m: (n, 3) the vector from the hand to its target.
        error_rad: (n, 3) the rotation vector from the hand's rotation to its target.
        grip: (n,) the command of the gripper, from -1 (closed) to 1 (open).
        mount: (n, 4) x, y, z in m and yaw in rad of the mount.
        mount_velocity: (n, 4) the change of `mount` per s.
        hand_pos_w: (n, 3) m, the current position of the hand.
    """

    velocity: np.ndarray
    turning: np.ndarray
    error_m: np.ndarray
    error_rad: np.ndarray
    grip: np.ndarray
    mount: np.ndarray
    mount_velocity: np.ndarray
    hand_pos_w: np.ndarray


class HandServo:
    """Turns targets of the robot's hand and mount into actions.

    The hand is the robot's first effector, the mount the part that carries its arm.
    """

    def __init__(self, worlds: Worlds) -> None:
        """Finds the mount in the proprioception of the worlds' robot."""
        self._robot = worlds.robot
        self._mount = MountPose(worlds.robot, worlds.agent_layout)
        self._interface = worlds.interface

    def rest(self, observation: Observation) -> np.ndarray:
        """Returns actions (N, A) of robots that stand still with open grippers."""
        actions = np.zeros((len(observation.tick), len(self._interface.labels)))
        actions[:, list(self._interface.gripper_elements)] = 1.0
        return actions

    def act(self, agent_pos: np.ndarray, targets: HandTargets) -> np.ndarray:
        """Returns the actions that move hands and mounts towards their targets.

        Args:
            agent_pos: (n, P) the proprioception of n worlds.
            targets: the targets in these worlds.

        Returns:
            (n, A) in [-1, 1]; each element is a share of the full speed of a part.
        """
        mount = np.asarray(self._mount.read(agent_pos))  # (n, 4) x, y, z, yaw
        world_to_mount = quat_conjugate(quat_from_yaw(mount[:, 3]))
        mount_velocity = np.zeros_like(mount)
        if self._robot.travels:
            mount_velocity = _mount_velocity(mount, targets)

        # the velocity (n, 3) m/s and the angular velocity (n, 3) rad/s of the hand in the
        # world, with corrections of its errors
        correction = _limited(GAIN_PER_S * targets.error_m, MAX_CORRECTION_M_S)
        velocity_w = targets.velocity + correction
        correction = _limited(TURN_GAIN_PER_S * targets.error_rad, MAX_CORRECTION_RAD_S)

        # relative to the mount: without the velocity v + w x r that a moving mount gives
        # the hand, where w is the mount's angular velocity and r goes from mount to hand
        up = np.array([0.0, 0.0, 1.0])
        mount_turning = mount_velocity[:, 3:] * up  # (n, 3) rad/s
        mount_to_hand = targets.hand_pos_w - mount[:, :3]
        carried_along = cross(mount_turning, mount_to_hand)
        relative_velocity = velocity_w - mount_velocity[:, :3] - carried_along
        velocity = quat_rotate(world_to_mount, relative_velocity)
        relative_turning = targets.turning + correction - mount_turning
        turning = quat_rotate(world_to_mount, relative_turning)

        # the action elements of each part that has some, in the order of the robot's parts
        elements = []
        for part in self._robot.parts:
            if isinstance(part, Base) and part.travels:
                # forwards and to the left along the base's axes, then the yaw
                in_base = quat_rotate(world_to_mount, mount_velocity[:, :3])
                base_velocity = np.column_stack([in_base[:, :2], mount_velocity[:, 3:]])
                elements.append(base_velocity / np.asarray(part.joints.speeds))
            elif isinstance(part, Lift):
                elements.append(mount_velocity[:, 2:3] / part.joints.speeds[0])
            elif isinstance(part, Arm):
                elements += self._arm_elements(part, velocity, turning)
            elif isinstance(part, Gripper):
                elements.append(targets.grip[:, None])
        return np.clip(np.concatenate(elements, axis=1), -1.0, 1.0)

    @staticmethod
    def _arm_elements(
        arm: Arm, velocity: np.ndarray, turning: np.ndarray
    ) -> list[np.ndarray]:
        """Returns the action elements of an arm: shares of its full speeds.

        Args:
            arm: the arm.
            velocity: (n, 3) m/s, the hand's velocity along the axes of the mount.
            turning: (n, 3) rad/s, the hand's angular velocity about these axes.

        Returns:
            Two arrays (n, 3), along and about the axes of the arm.
        """
        if arm.is_turned:
            arm_to_mount = np.tile(arm.placement.quat_wxyz, (len(velocity), 1))
            velocity = quat_rotate(quat_conjugate(arm_to_mount), velocity)
            turning = quat_rotate(quat_conjugate(arm_to_mount), turning)
        return [velocity / arm.ee_speed_m_s, turning / arm.ee_speed_rad_s]


def _mount_velocity(mount: np.ndarray, targets: HandTargets) -> np.ndarray:
    """Returns the velocities (n, 4) of the mounts in the world: x, y, z and yaw, per s.

    They are the target velocities, plus a correction of the mounts' errors.

    Args:
        mount: (n, 4) x, y, z in m and yaw in rad of the mounts.
        targets: the targets of n worlds.
    """
    error = targets.mount - mount
    # wrap the yaw error to [-pi, pi]
    error[:, 3] = np.arctan2(np.sin(error[:, 3]), np.cos(error[:, 3]))
    return targets.mount_velocity + MOUNT_GAIN_PER_S * error


def _limited(vector: np.ndarray, limit: float) -> np.ndarray:
    """Returns vectors (n, 3), shortened where they are longer than a limit."""
    norm = np.sqrt(dot(vector, vector))[:, None]
    return vector * (limit / np.maximum(norm, limit))
