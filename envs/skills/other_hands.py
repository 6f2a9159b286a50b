"""Home poses of hands, which are the goals of hands that an expert does not use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from embodied.arrays import array_namespace
from embodied.core import Array, Layout, Observation
from embodied.plan import Payload, Planner
from embodied.robots.mount import MountPose
from embodied.robots.parts.part import Effector
from embodied.robots.robot import Robot
from embodied.rotations import quat_from_yaw, quat_multiply, quat_rotate


class HomePoses:
    """The poses in the world that hands have at home, wherever their mounts are now."""

    def __init__(
        self, agent_layout: Layout, robot: Robot, effectors: Sequence[Effector]
    ) -> None:
        """Stores each hand's home pose, and finds its mount.

        Args:
            agent_layout: The layout of proprioception.
            robot: The robot.
            effectors: K of the robot's hands.
        """
        self._mounts = []
        self._homes = []
        for effector in effectors:
            base = robot.base_of(robot.part(effector.arm))
            self._mounts.append(MountPose(robot, agent_layout, base))
            self._homes.append(robot.tools_at_home[effector.name])

    def read(self, agent_pos: Array) -> tuple[Array, Array]:
        """Returns home positions (n, K, 3) m and rotations (n, K, 4) wxyz in the world.

        Args:
            agent_pos: (n, P) proprioception.
        """
        xp: Any = array_namespace(agent_pos)
        pos_w = []
        quat_wxyz = []
        for mount, home in zip(self._mounts, self._homes, strict=True):
            mount_pose = mount.read(agent_pos)  # (n, 4)
            mount_quat = quat_from_yaw(mount_pose[:, 3])
            num = mount_pose.shape[0]

            # the home pose relative to the mount, once per world
            home_pos = xp.asarray(home.pos, dtype=mount_pose.dtype)
            home_pos = xp.broadcast_to(home_pos, (num, 3))
            home_quat = xp.asarray(home.quat_wxyz, dtype=mount_pose.dtype)
            home_quat = xp.broadcast_to(home_quat, (num, 4))

            # the home pose in the world
            pos_w.append(mount_pose[:, :3] + quat_rotate(mount_quat, home_pos))
            quat_wxyz.append(quat_multiply(mount_quat, home_quat))
        return xp.stack(pos_w, axis=1), xp.stack(quat_wxyz, axis=1)


class OtherHandsPlanner:
    """Wraps a planner for a robot's first hand or hands, for robots with more.

    The goal of each other hand is its home pose relative to its mount, with the gripper
    open. For a robot without other hands, the wrapped planner's plans are unchanged. A
    planner that plans for no hand at all keeps every hand at home.
    """

    def __init__(self, planner: Planner, agent_layout: Layout, robot: Robot) -> None:
        """Wraps a planner.

        Args:
            planner: The planner of the first hands, as many as its `plan_shape` says.
            agent_layout: The layout of proprioception.
            robot: The robot that executes the plans.
        """
        planned = planner.plan_shape.effectors
        other_effectors = robot.effectors[planned:]
        count = planned + len(other_effectors)
        self.plan_shape = replace(planner.plan_shape, effectors=count)
        self._planner = planner
        self._others = len(other_effectors)
        self._homes = HomePoses(agent_layout, robot, other_effectors)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self._planner.reset(ids, seeds)

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns the wrapped planner's plans, with goals for all hands."""
        payload = self._planner.plan(observation, ids)
        if not self._others:
            return payload

        xp: Any = array_namespace(observation.agent_pos)
        home_pos_w, home_quat_wxyz = self._homes.read(observation.agent_pos)

        # the goals of the other hands are their home poses, at rest, with open grippers
        open_grippers = xp.ones_like(home_pos_w[..., 0])
        return replace(
            payload,
            goal_pos_w=xp.concat([payload.goal_pos_w, home_pos_w], axis=1),
            goal_quat_wxyz=xp.concat([payload.goal_quat_wxyz, home_quat_wxyz], axis=1),
            goal_vel_w=xp.concat(
                [payload.goal_vel_w, xp.zeros_like(home_pos_w)], axis=1
            ),
            gripper=xp.concat([payload.gripper, open_grippers], axis=1),
        )
