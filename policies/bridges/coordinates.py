"""Reads the coordinates that actions move, such as joint positions, from proprioception."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from embodied.core import Array
from embodied.policies.bridges.bridge import ReadCoordinates
from embodied.robots.mount import MountPose
from embodied.robots.parts.arm import Arm
from embodied.robots.robot import Robot
from embodied.rotations import quat_conjugate, quat_rotate

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds


def coordinate_reader(worlds: Worlds) -> ReadCoordinates | None:
    """Returns a reader of the coordinates whose velocities the actions command.

    In `joint_delta` they are the joint positions of arms, in `ee_delta` the positions of
    effectors along the axes of the arm. Action elements that move something else
    (rotations, grippers, bases, lifts) get NaN. In `joint`, whose actions are positions,
    there is no reader: None.

    Args:
        worlds: the worlds in which the actions are executed.

    Returns:
        A function from proprioception (N, P) to coordinates (N, A), or None.
    """
    mode = worlds.config.control_mode
    if mode == "joint":
        return None

    robot = worlds.robot
    # one reader per part that has action elements, in the order of the elements
    readers: list[Callable[[Array], np.ndarray]] = []
    for part in robot.parts:
        group = part.action_group(mode)
        if group is None:
            continue
        width = len(group.labels)
        if not isinstance(part, Arm):
            readers.append(_NoCoordinates(width))
        elif mode == "ee_delta":
            readers.append(_Effector(worlds, part))
        else:
            first_joint = worlds.agent_layout.slices()["joint_pos"].start
            joints = robot.joint_slice(part)
            columns = slice(first_joint + joints.start, first_joint + joints.stop)
            readers.append(_Joints(columns))

    def read(agent_pos: Array) -> np.ndarray:
        return np.concatenate([reader(agent_pos) for reader in readers], axis=1)

    return read


class _NoCoordinates:
    """Gives NaN for action elements without a coordinate, such as a gripper's."""

    def __init__(self, width: int) -> None:
        self._width = width

    def __call__(self, agent_pos: Array) -> np.ndarray:
        return np.full((len(agent_pos), self._width), np.nan)


class _Joints:
    """Reads the joint positions of an arm, (N, J) rad."""

    def __init__(self, columns: slice) -> None:
        self._columns = columns

    def __call__(self, agent_pos: Array) -> np.ndarray:
        return np.asarray(agent_pos)[:, self._columns]


class _Effector:
    """Reads the position of an arm's effector along the axes of the arm.

    The result is (N, 6): x, y and z in m, and NaN for the three elements that rotate the
    effector.
    """

    def __init__(self, worlds: Worlds, arm: Arm) -> None:
        """Finds the effector's position in proprioception, and the arm's mount."""
        robot: Robot = worlds.robot
        name = robot.effector_of(arm).name
        self._columns = worlds.agent_layout.slices()[f"{name}_pos_w"]
        self._arm = arm
        self._mount = None
        base = robot.base_of(arm)
        if base.has_own_axes:
            self._mount = MountPose(robot, worlds.agent_layout, base)

    def __call__(self, agent_pos: Array) -> np.ndarray:
        """Returns the position and three NaN, (N, 6), from proprioception (N, P).

        The NaN are for the action elements that rotate the effector.
        """
        # from the world's axes to the mount's axes, if the mount can move, then to the arm's
        position = np.asarray(agent_pos)[:, self._columns]
        if self._mount is not None:
            mount_pos_w = self._mount.read(agent_pos)[:, :3]
            world_to_mount = quat_conjugate(self._mount.quat_wxyz(agent_pos))
            position = quat_rotate(world_to_mount, position - mount_pos_w)
        if self._arm.is_turned:
            mount_to_arm = quat_conjugate(np.array([self._arm.placement.quat_wxyz]))
            mount_to_arm = np.broadcast_to(mount_to_arm, (len(position), 4))
            position = quat_rotate(mount_to_arm, position)
        return np.concatenate([position, np.full_like(position, np.nan)], axis=1)
