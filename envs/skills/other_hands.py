"""Goals for the hands that an expert of one hand does not use: they stay at home."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from embodied.arrays import array_namespace
from embodied.core import Array, Layout, Observation, Payload, Planner
from embodied.robots.mount import MountPose
from embodied.robots.robot import Robot
from embodied.rotations import quat_from_yaw, quat_multiply, quat_rotate


class OtherHandsPlanner:
    """Wraps a planner of a robot's first hand, for robots that have more.

    The other hands' goals are where they are at home, as seen from their mounts, open.
    For a robot with one hand the plans are those of the wrapped planner.
    """

    def __init__(self, planner: Planner, agent_layout: Layout, robot: Robot) -> None:
        """Wraps a planner.

        Args:
            planner: Plans for the first effector.
            agent_layout: The layout of proprioception.
            robot: The robot that does it.
        """
        others = robot.effectors[1:]
        number = 1 + len(others)
        self.plan_shape = replace(planner.plan_shape, effectors=number)
        self._planner = planner
        self._mounts = []
        self._homes = []
        for effector in others:
            base = robot.base_of(robot.part(effector.arm))
            self._mounts.append(MountPose(robot, agent_layout, base))
            self._homes.append(robot.tools_at_home[effector.name])

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self._planner.reset(ids, seeds)

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns the wrapped planner's plans, with goals for all hands."""
        payload = self._planner.plan(observation, ids)
        if not self._homes:
            return payload

        xp: Any = array_namespace(observation.agent_pos)
        pos_w = [payload.goal_pos_w]
        quat_wxyz = [payload.goal_quat_wxyz]
        for mount, home in zip(self._mounts, self._homes, strict=True):
            place = mount.read(observation.agent_pos)  # (n, 4)
            turned = quat_from_yaw(place[:, 3])
            num = place.shape[0]
            ahead = xp.asarray(home.pos, dtype=place.dtype)
            ahead = xp.broadcast_to(ahead, (num, 3))
            pointing = xp.asarray(home.quat_wxyz, dtype=place.dtype)
            pointing = xp.broadcast_to(pointing, (num, 4))
            pos_w.append((place[:, :3] + quat_rotate(turned, ahead))[:, None])
            quat_wxyz.append(quat_multiply(turned, pointing)[:, None])

        still = xp.zeros_like(payload.goal_vel_w)
        is_open = xp.ones_like(payload.gripper)
        count = len(self._homes)
        return replace(
            payload,
            goal_pos_w=xp.concat(pos_w, axis=1),
            goal_quat_wxyz=xp.concat(quat_wxyz, axis=1),
            goal_vel_w=xp.concat([payload.goal_vel_w, *[still] * count], axis=1),
            gripper=xp.concat([payload.gripper, *[is_open] * count], axis=1),
        )
