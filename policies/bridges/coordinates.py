"""What each action element moves, read from proprioception."""

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


def coordinates_of(worlds: Worlds) -> ReadCoordinates | None:
    """Returns a reader of the coordinates whose speeds actions are, (N, P) -> (N, A).

    In `joint_delta` they are the joints of arms, in `ee_delta` the positions of their
    effectors along the mount's axes. Elements that move anything else (rotations,
    grippers, bases, lifts) are nan. It is None in `joint`, where actions are places.
    """
    mode = worlds.config.control_mode
    if mode == "joint":
        return None

    robot = worlds.robot
    readers: list[Callable[[Array], np.ndarray]] = []
    for part in robot.parts:
        group = part.action_group(mode)
        if group is None:
            continue
        width = len(group.labels)
        if not isinstance(part, Arm):
            readers.append(_Nothing(width))
        elif mode == "ee_delta":
            readers.append(_Effector(worlds, part))
        else:
            first = worlds.agent_layout.slices()["joint_pos"].start
            own = robot.joint_slice(part)
            readers.append(_Joints(slice(first + own.start, first + own.stop)))

    def read(agent_pos: Array) -> np.ndarray:
        return np.concatenate([one(agent_pos) for one in readers], axis=1)

    return read


class _Nothing:
    """Action elements without a coordinate, such as a gripper's: nan."""

    def __init__(self, width: int) -> None:
        self._width = width

    def __call__(self, agent_pos: Array) -> np.ndarray:
        return np.full((len(agent_pos), self._width), np.nan)


class _Joints:
    """The joints of an arm, (N, J) rad."""

    def __init__(self, part: slice) -> None:
        self._part = part

    def __call__(self, agent_pos: Array) -> np.ndarray:
        return np.asarray(agent_pos)[:, self._part]


class _Effector:
    """The position of an arm's effector along its mount's axes.

    It is (N, 6): x, y and z in m, and nan for the three elements that turn it.
    """

    def __init__(self, worlds: Worlds, arm: Arm) -> None:
        robot: Robot = worlds.robot
        name = robot.effector_of(arm).name
        self._part = worlds.agent_layout.slices()[f"{name}_pos_w"]
        self._arm = arm
        self._mount = None
        base = robot.base_of(arm)
        if base.has_own_axes:
            self._mount = MountPose(robot, worlds.agent_layout, base)

    def __call__(self, agent_pos: Array) -> np.ndarray:
        position = np.asarray(agent_pos)[:, self._part]
        if self._mount is not None:
            mount = self._mount.read(agent_pos)
            turn = quat_conjugate(self._mount.quat_wxyz(agent_pos))
            position = quat_rotate(turn, position - mount[:, :3])
        if self._arm.is_turned:
            carrier_to_arm = quat_conjugate(np.array([self._arm.placement.quat_wxyz]))
            turn = np.broadcast_to(carrier_to_arm, (len(position), 4))
            position = quat_rotate(turn, position)
        return np.concatenate([position, np.full_like(position, np.nan)], axis=1)
