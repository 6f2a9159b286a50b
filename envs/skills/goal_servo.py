"""System 1 of every expert: drives the end effector to a plan's goal pose, as fast as
the skill allows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embodied.arrays import array_namespace
from embodied.core import SKILLS, Array, Layout, Observation, Payload, PolicySpec
from embodied.envs.skills.driving import MountPose
from embodied.robots.robot import Robot
from embodied.rotations import (
    cross,
    quat_conjugate,
    quat_from_yaw,
    quat_multiply,
    quat_rotate,
    quat_to_rot6d,
    quat_to_rotvec,
)

GAIN_PER_S = 8.0  # of the speed towards the goal on the distance left
TURN_GAIN_PER_S = 6.0
DRIVE_GAIN_PER_S = 3.0  # of base and lift
SPEED_M_S = {
    "reach": 0.55,
    "grasp": 0.35,
    "lift": 0.40,
    "carry": 0.55,
    "place": 0.30,
    "release": 0.1,
    "retreat": 0.5,
}


class GoalServo:
    """A proportional law on the pose error with the goal's own velocity fed forward, in
    `ee_delta` mode.

    The goal of `drive_to` is the mount's, and moves base and lift while the arm keeps
    its posture; those of all other skills are the tool centre point's, and the base
    stands still.
    """

    def __init__(
        self, agent_layout: Layout, robot: Robot, control_hz: int = 200
    ) -> None:
        self.spec = PolicySpec(control_mode="ee_delta", control_hz=control_hz)
        slices = agent_layout.slices()
        self._pos = slices["tcp_pos_w"]
        self._rot = slices["tcp_rot6d"]
        self._robot = robot
        self._mount = MountPose(agent_layout, robot)
        self._speed = [SPEED_M_S.get(skill, 0.3) for skill in SKILLS]

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Nothing is remembered."""

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        agent = observation.agent_pos
        robot = self._robot
        xp = array_namespace(agent)
        limit = xp.asarray(self._speed)[payload.subtask][:, None]  # (N, 1) m/s
        velocity = (
            _limited(GAIN_PER_S * (payload.goal_pos_w - agent[:, self._pos]), limit)
            + payload.goal_vel_w
        )
        turn = TURN_GAIN_PER_S * _rotation_error(
            payload.goal_quat_wxyz, agent[:, self._rot]
        )
        arm = xp.concat(
            [velocity / robot.ee_speed_m_s, turn / robot.ee_speed_rad_s], axis=1
        )
        parts = self._on_wheels(xp, arm, agent, payload) if robot.drives else [arm]
        return xp.clip(xp.concat([*parts, payload.gripper[:, None]], axis=1), -1.0, 1.0)

    def _on_wheels(
        self, xp: Any, arm: Array, agent: Array, payload: Payload
    ) -> list[Array]:
        """Base and lift (N, 4) and arm (N, 6), along the axes of the mount."""
        mount = self._mount.read(agent)
        driving = (payload.subtask == SKILLS.index("drive_to"))[:, None]
        back = quat_conjugate(quat_from_yaw(mount[:, 3]))
        # (N, 3) m/s
        way = DRIVE_GAIN_PER_S * quat_rotate(back, payload.goal_pos_w - mount[:, :3])
        # (N, 1) rad/s
        turn = (
            DRIVE_GAIN_PER_S
            * quat_to_rotvec(quat_multiply(payload.goal_quat_wxyz, back))[:, 2:]
        )
        top = xp.asarray([*self._robot.base_speed, *self._robot.torso_speed])
        along = _limited(way[:, :2] / top[:2], xp.ones_like(turn))
        body = xp.concat([along, turn / top[2], way[:, 2:] / top[3]], axis=1)
        arm = xp.concat(
            [quat_rotate(back, arm[:, :3]), quat_rotate(back, arm[:, 3:])], axis=1
        )
        return [xp.where(driving, body, 0.0), xp.where(driving, 0.0, arm)]


def _limited(velocity: Array, limit: Array) -> Array:
    xp = array_namespace(velocity)
    norm = xp.sqrt(xp.sum(velocity * velocity, axis=1, keepdims=True))
    return velocity * (limit / xp.maximum(norm, limit))


def _rotation_error(goal_wxyz: Array, rot6d: Array) -> Array:
    """Half the sum of the axes' cross products: the rotation vector for small errors,
    free of the quaternion's sign.
    """
    goal = quat_to_rot6d(goal_wxyz)
    total = 0.0
    for is_now, wanted in zip(_axes(rot6d), _axes(goal), strict=True):
        total = total + cross(is_now, wanted)
    return 0.5 * total


def _axes(rot6d: Array) -> tuple[Array, Array, Array]:
    first = rot6d[:, :3]
    second = rot6d[:, 3:]
    return first, second, cross(first, second)
