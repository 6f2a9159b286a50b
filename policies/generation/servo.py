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

# The velocity that corrects an error is the error times this gain.
GAIN_PER_S = 8.0
TURN_GAIN_PER_S = 6.0
MOUNT_GAIN_PER_S = 3.0
# The correcting velocity is at most this fast.
CATCH_UP_M_S = 0.3
CATCH_UP_RAD_S = 1.5


@dataclass(frozen=True)
class HandTargets:
    """The current targets of the hands and mounts of n worlds.

    Attributes:
        velocity: (n, 3) m/s, the velocity of the hand.
        turning: (n, 3) rad/s, the angular velocity of the hand.
        error_m: (n, 3) the vector from the hand to its target.
        error_rad: (n, 3) the rotation vector from the hand's rotation to its target.
        grip: (n,) the command of the gripper in [-1, 1].
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
    """Turns targets of the first effector and the mount into actions."""

    def __init__(self, worlds: Worlds) -> None:
        self._robot = worlds.robot
        self._mount = MountPose(worlds.robot, worlds.agent_layout)
        self._interface = worlds.interface

    def rest(self, observation: Observation) -> np.ndarray:
        """Returns actions (N, A) of robots that stand still with open grippers."""
        actions = np.zeros((len(observation.tick), len(self._interface.labels)))
        actions[:, list(self._interface.gripper_elements)] = 1.0
        return actions

    def act(self, agent_pos: np.ndarray, targets: HandTargets) -> np.ndarray:
        """Returns the actions (n, A) that move hands and mounts towards their targets."""
        mount = np.asarray(self._mount.read(agent_pos))
        to_mount = quat_conjugate(quat_from_yaw(mount[:, 3]))
        drive = np.zeros_like(mount)
        if self._robot.travels:
            drive = _drive(mount, targets)

        # the hand's velocity relative to the mount: subtract the velocity that the moving
        # mount gives the hand, v + w x r
        velocity = targets.velocity + _limited(
            GAIN_PER_S * targets.error_m, CATCH_UP_M_S
        )
        correction = _limited(TURN_GAIN_PER_S * targets.error_rad, CATCH_UP_RAD_S)
        mount_turning = drive[:, 3:] * np.array([0.0, 0.0, 1.0])  # (n, 3) rad/s
        mount_to_hand = targets.hand_pos_w - mount[:, :3]
        relative = velocity - drive[:, :3] - cross(mount_turning, mount_to_hand)
        velocity = quat_rotate(to_mount, relative)
        turning = quat_rotate(to_mount, targets.turning + correction - mount_turning)

        elements = []
        for part in self._robot.parts:
            if isinstance(part, Base) and part.travels:
                along = quat_rotate(to_mount, drive[:, :3])[:, :2]
                speeds = np.asarray(part.joints.speeds)
                elements.append(np.column_stack([along, drive[:, 3:]]) / speeds)
            elif isinstance(part, Lift):
                elements.append(drive[:, 2:3] / part.joints.speeds[0])
            elif isinstance(part, Arm):
                elements += self._arm(part, velocity, turning)
            elif isinstance(part, Gripper):
                elements.append(targets.grip[:, None])
        return np.clip(np.concatenate(elements, axis=1), -1.0, 1.0)

    @staticmethod
    def _arm(arm: Arm, velocity: np.ndarray, turning: np.ndarray) -> list[np.ndarray]:
        """Returns the velocities as shares of an arm's full speeds, along its axes."""
        if arm.is_turned:
            placed = np.tile(arm.placement.quat_wxyz, (len(velocity), 1))
            velocity = quat_rotate(quat_conjugate(placed), velocity)
            turning = quat_rotate(quat_conjugate(placed), turning)
        return [velocity / arm.ee_speed_m_s, turning / arm.ee_speed_rad_s]


def _drive(mount: np.ndarray, targets: HandTargets) -> np.ndarray:
    """Returns the velocities of the mounts, (n, 4) m/s and rad/s in the world.

    They are those of the targets, plus a correction of the mounts' errors.
    """
    error = targets.mount - mount
    # wrap the yaw error to [-pi, pi]
    error[:, 3] = np.arctan2(np.sin(error[:, 3]), np.cos(error[:, 3]))
    return targets.mount_velocity + MOUNT_GAIN_PER_S * error


def _limited(vector: np.ndarray, limit: float) -> np.ndarray:
    """Returns vectors (n, 3), shortened where they are longer than a limit."""
    norm = np.sqrt(dot(vector, vector))[:, None]
    return vector * (limit / np.maximum(norm, limit))
