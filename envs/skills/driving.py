"""What a robot that drives does before its arm's work: go where that work is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from embodied.arrays import array_namespace
from embodied.core import SKILLS, Array, Layout, Observation, Payload, Planner
from embodied.robots.robot import Robot
from embodied.rotations import quat_from_yaw

# x, y, z in m and yaw in rad of the mount, as a fixed arm has it
STAND = (0.0, 0.0, 0.72, 0.0)
ARRIVED = (0.012, 0.008, 0.015)  # m over the floor, m of height, rad
# (n, 4) where the mount belongs for what the arm's planner wants
Stand = Callable[[Observation, Payload], Array]


class MountPose:
    """Where the arm's mount is, from proprioception."""

    def __init__(self, agent_layout: Layout, robot: Robot) -> None:
        self._first = agent_layout.slices()["joint_pos"].start
        self._robot = robot

    def read(self, agent_pos: Array) -> Array:
        """(n, 4) x, y, z in m and yaw in rad, in the world."""
        xp = array_namespace(agent_pos)
        first = self._first
        robot = self._robot
        if not robot.drives:
            fixed = xp.asarray([*robot.mount_pos_w, 0.0], dtype=agent_pos.dtype)
            return xp.broadcast_to(fixed, (agent_pos.shape[0], 4))
        x, y, yaw = (agent_pos[:, first + k] for k in range(3))
        lift = sum(agent_pos[:, first + 3 + k] for k in range(len(robot.torso_joints)))
        return xp.stack(
            [x, y, robot.mount_pos_w[2] + lift + xp.zeros_like(x), yaw], axis=1
        )


class Driving:
    """A planner for both kinds of robot: one that drives goes to its stand first, the
    arm as it is; then, like one that stands there, it does what the arm's planner says.
    Remembers nothing.
    """

    def __init__(
        self,
        planner: Planner,
        agent_layout: Layout,
        robot: Robot,
        stand: Stand | None = None,
    ) -> None:
        self.latent_size = planner.latent_size
        self._planner = planner
        self._robot = robot
        self._stand = stand or _at_the_origin
        self._mount = MountPose(agent_layout, robot)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self._planner.reset(ids, seeds)

    def plan(self, observation: Observation, ids: Array) -> Payload:
        payload = self._planner.plan(observation, ids)
        if not self._robot.drives:
            return payload
        stand = self._stand(observation, payload)
        away = self._away(self._mount.read(observation.agent_pos), stand)
        return _instead(payload, away, stand)

    @staticmethod
    def _away(mount: Array, stand: Array) -> Array:
        """(n,) bool, whether the mount is not yet where it belongs."""
        xp = array_namespace(mount)
        error = mount - stand
        turn = xp.atan2(xp.sin(error[:, 3]), xp.cos(error[:, 3]))
        over_floor = xp.maximum(xp.abs(error[:, 0]), xp.abs(error[:, 1]))
        return (
            (over_floor > ARRIVED[0])
            | (xp.abs(error[:, 2]) > ARRIVED[1])
            | (xp.abs(turn) > ARRIVED[2])
        )


def _at_the_origin(observation: Observation, payload: Payload) -> Array:
    xp = array_namespace(observation.agent_pos)
    return xp.broadcast_to(
        xp.asarray(STAND, dtype=observation.agent_pos.dtype),
        (observation.agent_pos.shape[0], 4),
    )


def _instead(payload: Payload, away: Array, stand: Array) -> Payload:
    """`payload` with the skill `drive_to` and its goal in the rows that are away (n,)."""
    xp: Any = array_namespace(stand)
    rows = away[:, None]
    return replace(
        payload,
        subtask=xp.where(away, SKILLS.index("drive_to"), payload.subtask),
        goal_pos_w=xp.where(rows, stand[:, :3], payload.goal_pos_w),
        goal_quat_wxyz=xp.where(
            rows, quat_from_yaw(stand[:, 3]), payload.goal_quat_wxyz
        ),
        goal_vel_w=xp.where(rows, 0.0, payload.goal_vel_w),
    )
