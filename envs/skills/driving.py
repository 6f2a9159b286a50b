"""Makes a robot that travels drive to where its arm works, before the arm works."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from embodied.arrays import array_namespace
from embodied.core import SKILLS, Array, Layout, Observation
from embodied.envs.skills.other_hands import OtherHandsPlanner
from embodied.plan import Payload, Planner
from embodied.robots.mount import MountPose
from embodied.robots.parts.arm import Arm
from embodied.robots.robot import Robot
from embodied.rotations import quat_from_yaw, quat_rotate

# The pose in the world of a fixed arm's mount: x, y, z in m and yaw in rad.
STAND_POSE_W = (0.0, 0.0, 0.72, 0.0)
# The mount has arrived at its stand if its errors are below these: along x and y, in
# height and in yaw.
ARRIVED_FLOOR_M = 0.012
ARRIVED_HEIGHT_M = 0.008
ARRIVED_YAW_RAD = 0.015

# A function that returns the stand of the mount for an arm's plan: (n, 4) x, y, z in m
# and yaw in rad.
Stand = Callable[[Observation, Payload], Array]


class DrivingPlanner:
    """Wraps the planner of a fixed robot for robots that travel.

    The stand is the pose of the mount at which the arm works. Until the mount has arrived
    there, plans tell the robot to drive, with the arm held still. From then on, and for
    robots that do not travel, the wrapped planner's plans are used unchanged. The planner
    keeps no state between plans.
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
            planner: The planner for the arm, which plans as if the mount were at its stand.
            agent_layout: The layout of proprioception.
            robot: The robot that executes the plans.
            stand: The function that returns the stand of an upright arm. By default, the
                stand is the pose at which a fixed arm is mounted.
        """
        # plans have a goal for each hand, and for each base that travels
        planner = OtherHandsPlanner(planner, agent_layout, robot)
        travelling = [base for base in robot.bases if base.travels]
        self.plan_shape = replace(planner.plan_shape, bases=len(travelling))

        self._planner = planner
        self._travels = robot.travels
        # (3,) m, from the robot's mount to the base of an upright arm that would work like
        # the robot's arm; zeros for a robot whose mount carries the arm directly
        arm = robot.part(robot.effectors[0].arm)
        self._as_if_at = arm.as_if_at if isinstance(arm, Arm) else (0.0, 0.0, 0.0)
        self._stand = stand or _fixed_stand
        self._mount = MountPose(robot, agent_layout)
        # the mounts of the other robots of a team, which must not move
        self._other_mounts = [
            MountPose(robot, agent_layout, base)
            for base in travelling
            if base != robot.base
        ]

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self._planner.reset(ids, seeds)

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns the wrapped planner's plans, changed to driving until the arrival."""
        payload = self._planner.plan(observation, ids)
        # the goals of the other robots' bases are their present poses, (n, 4) each
        other_goals = [
            mount.read(observation.agent_pos) for mount in self._other_mounts
        ]
        if not self._travels:
            # the robot itself is fixed, but other robots of its team may travel
            if other_goals:
                xp: Any = array_namespace(other_goals[0])
                payload = replace(payload, base_goal_w=xp.stack(other_goals, axis=1))
            return payload

        goal = self._mount_goal(self._stand(observation, payload))
        must_drive = self._is_away(self._mount.read(observation.agent_pos), goal)
        xp = array_namespace(goal)
        return replace(
            payload,
            subtask=xp.where(must_drive, SKILLS.index("drive_to"), payload.subtask),
            base_goal_w=xp.stack([goal, *other_goals], axis=1),  # (n, B, 4)
        )

    def _mount_goal(self, stand: Array) -> Array:
        """Returns the goal (n, 4) of the robot's mount for a stand (n, 4).

        The stand is that of an upright arm. An arm that is mounted in another way, such
        as on a torso, works like an upright arm at `as_if_at` from the mount, so the
        mount's goal differs by that offset.
        """
        if self._as_if_at == (0.0, 0.0, 0.0):
            return stand
        xp = array_namespace(stand)
        mount_to_arm = xp.asarray(self._as_if_at, dtype=stand.dtype)
        mount_to_arm = xp.broadcast_to(mount_to_arm, (stand.shape[0], 3))
        pos = stand[:, :3] - quat_rotate(quat_from_yaw(stand[:, 3]), mount_to_arm)
        return xp.concat([pos, stand[:, 3:]], axis=1)

    @staticmethod
    def _is_away(mount: Array, goal: Array) -> Array:
        """Returns (n,) bool, whether mounts have not yet arrived at their goals.

        Both the mounts' poses and their goals are (n, 4): x, y, z in m and yaw in rad.
        """
        xp = array_namespace(mount)
        error = mount - goal
        # wrap the yaw error to [-pi, pi]
        yaw_error = xp.atan2(xp.sin(error[:, 3]), xp.cos(error[:, 3]))
        floor_error = xp.maximum(xp.abs(error[:, 0]), xp.abs(error[:, 1]))
        return (
            (floor_error > ARRIVED_FLOOR_M)
            | (xp.abs(error[:, 2]) > ARRIVED_HEIGHT_M)
            | (xp.abs(yaw_error) > ARRIVED_YAW_RAD)
        )


def stand_of_mount(
    xp: Any, mount_goal: Array, as_if_at: tuple[float, float, float]
) -> Array:
    """Returns the stand (n, 4) of an arm for a goal (n, 4) of the robot's mount.

    Args:
        xp: The array namespace.
        mount_goal: x, y, z in m and yaw in rad.
        as_if_at: (3,) m, from the mount to the base of an upright arm (`Arm.as_if_at`).
    """
    forwards, leftwards, upwards = as_if_at
    yaw = mount_goal[:, 3]
    x = mount_goal[:, 0] + forwards * xp.cos(yaw) - leftwards * xp.sin(yaw)
    y = mount_goal[:, 1] + forwards * xp.sin(yaw) + leftwards * xp.cos(yaw)
    return xp.stack([x, y, mount_goal[:, 2] + upwards, yaw], axis=1)


def _fixed_stand(observation: Observation, payload: Payload) -> Array:
    """Returns the stand (n, 4) of a fixed arm, for any observation and plan."""
    xp = array_namespace(observation.agent_pos)
    stand = xp.asarray(STAND_POSE_W, dtype=observation.agent_pos.dtype)
    return xp.broadcast_to(stand, (observation.agent_pos.shape[0], 4))
