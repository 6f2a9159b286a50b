"""Lets a robot that travels drive to where its arm's work is, before that work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from embodied.arrays import array_namespace
from embodied.core import SKILLS, Array, Layout, Observation, Payload, Planner
from embodied.envs.skills.other_hands import OtherHandsPlanner
from embodied.robots.mount import MountPose
from embodied.robots.parts.arm import Arm
from embodied.robots.robot import Robot
from embodied.rotations import quat_from_yaw, quat_rotate

# The pose of a fixed arm's mount: x, y, z in m and yaw in rad.
STAND_POSE_W = (0.0, 0.0, 0.72, 0.0)
# How near the mount must be to its stand before the arm begins.
ARRIVED_FLOOR_M = 0.012
ARRIVED_HEIGHT_M = 0.008
ARRIVED_YAW_RAD = 0.015

# A function that returns where the mount should stand for the arm's plan: (n, 4) x, y,
# z in m and yaw in rad.
Stand = Callable[[Observation, Payload], Array]


class DrivingPlanner:
    """Wraps the planner of a fixed robot for robots that travel.

    As long as the mount is away from its stand, the plan is to drive there with the arm
    held still. At the stand the plans are those of the wrapped planner, as they always
    are for a robot that does not travel. Nothing is remembered from plan to plan.
    """

    def __init__(
        self,
        planner: Planner,
        agent_layout: Layout,
        robot: Robot,
        stand: Stand | None = None,
    ) -> None:
        """Wraps a planner.

        Args:
            planner: plans what the arm does, as if the mount were at its stand.
            agent_layout: The layout of proprioception.
            robot: The robot that does it.
            stand: Returns where the first arm should stand, as if it were upright; by
                default where a fixed arm is mounted.
        """
        # a robot with several hands plans for all of them, and one that travels for its
        # base, too
        planner = OtherHandsPlanner(planner, agent_layout, robot)
        travelling = [base for base in robot.bases if base.travels]
        self.plan_shape = replace(planner.plan_shape, bases=len(travelling))

        self._planner = planner
        self._travels = robot.travels
        arm = robot.part(robot.effectors[0].arm)
        self._as_if_at = arm.as_if_at if isinstance(arm, Arm) else (0.0, 0.0, 0.0)
        self._stand = stand or _at_the_origin
        self._mount = MountPose(robot, agent_layout)
        # of a team's other robots, which stay where they are
        self._others = [
            MountPose(robot, agent_layout, base)
            for base in travelling
            if base != robot.base
        ]

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self._planner.reset(ids, seeds)

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns the wrapped planner's plans; to drive first where it is needed."""
        payload = self._planner.plan(observation, ids)
        others = [mount.read(observation.agent_pos) for mount in self._others]
        if not self._travels:
            if others:
                xp: Any = array_namespace(others[0])
                payload = replace(payload, base_goal_w=xp.stack(others, axis=1))
            return payload

        stand = self._for_the_mount(self._stand(observation, payload))
        away = self._away(self._mount.read(observation.agent_pos), stand)
        xp = array_namespace(stand)
        return replace(
            payload,
            subtask=xp.where(away, SKILLS.index("drive_to"), payload.subtask),
            base_goal_w=xp.stack([stand, *others], axis=1),  # (n, B, 4)
        )

    def _for_the_mount(self, stand: Array) -> Array:
        """Returns where the robot's mount should be (n, 4), for an arm's stand (n, 4).

        The arm works as an upright one does at its stand, which may be beside the mount.
        """
        if self._as_if_at == (0.0, 0.0, 0.0):
            return stand
        xp = array_namespace(stand)
        beside = xp.asarray(self._as_if_at, dtype=stand.dtype)
        beside = xp.broadcast_to(beside, (stand.shape[0], 3))
        pos = stand[:, :3] - quat_rotate(quat_from_yaw(stand[:, 3]), beside)
        return xp.concat([pos, stand[:, 3:]], axis=1)

    @staticmethod
    def _away(mount: Array, stand: Array) -> Array:
        """Returns (n,) bool, whether the mount is not yet at its stand."""
        xp = array_namespace(mount)
        error = mount - stand
        # whole turns make no difference
        yaw_error = xp.atan2(xp.sin(error[:, 3]), xp.cos(error[:, 3]))
        floor_error = xp.maximum(xp.abs(error[:, 0]), xp.abs(error[:, 1]))
        return (
            (floor_error > ARRIVED_FLOOR_M)
            | (xp.abs(error[:, 2]) > ARRIVED_HEIGHT_M)
            | (xp.abs(yaw_error) > ARRIVED_YAW_RAD)
        )


def _at_the_origin(observation: Observation, payload: Payload) -> Array:
    """Returns the stand (n, 4) where a fixed arm is mounted, whatever the plan."""
    xp = array_namespace(observation.agent_pos)
    stand = xp.asarray(STAND_POSE_W, dtype=observation.agent_pos.dtype)
    return xp.broadcast_to(stand, (observation.agent_pos.shape[0], 4))
