"""Adds goals for the hands that an expert does not use: they stay at home."""

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
    """Wraps a planner for a robot's first hand or hands, for robots with more.

    The goal of each other hand is its home pose relative to its mount, with the gripper
    open. For a robot without other hands, the wrapped planner's plans are unchanged.
    """

    def __init__(self, planner: Planner, agent_layout: Layout, robot: Robot) -> None:
        """Wraps a planner.

        Args:
            planner: Plans for the first effectors, as many as its `plan_shape` says.
            agent_layout: The layout of proprioception.
            robot: The robot that executes the plans.
        """
        planned = planner.plan_shape.effectors
        other_effectors = robot.effectors[planned:]
        count = planned + len(other_effectors)
        self.plan_shape = replace(planner.plan_shape, effectors=count)
        self._planner = planner
        # for each other effector: its mount, and its home pose relative to the mount
        self._mounts = []
        self._homes = []
        for effector in other_effectors:
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
            mount_pose = mount.read(observation.agent_pos)  # (n, 4)
            mount_quat = quat_from_yaw(mount_pose[:, 3])
            num = mount_pose.shape[0]

            # the home pose relative to the mount, once per world
            home_pos = xp.asarray(home.pos, dtype=mount_pose.dtype)
            home_pos = xp.broadcast_to(home_pos, (num, 3))
            home_quat = xp.asarray(home.quat_wxyz, dtype=mount_pose.dtype)
            home_quat = xp.broadcast_to(home_quat, (num, 4))

            # the same in the world, with an axis for the effector
            pos = mount_pose[:, :3] + quat_rotate(mount_quat, home_pos)
            pos_w.append(pos[:, None])
            quat_wxyz.append(quat_multiply(mount_quat, home_quat)[:, None])

        # the other hands have goals at rest and open grippers
        count = len(self._homes)
        vel_w = [payload.goal_vel_w] + [
            xp.zeros_like(payload.goal_vel_w[:, :1])
        ] * count
        gripper = [payload.gripper] + [xp.ones_like(payload.gripper[:, :1])] * count
        return replace(
            payload,
            goal_pos_w=xp.concat(pos_w, axis=1),
            goal_quat_wxyz=xp.concat(quat_wxyz, axis=1),
            goal_vel_w=xp.concat(vel_w, axis=1),
            gripper=xp.concat(gripper, axis=1),
        )
