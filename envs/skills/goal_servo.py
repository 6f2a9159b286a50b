"""System 1 of every expert: drives the end effector to a plan's goal pose, as fast as the skill allows."""

from __future__ import annotations

from collections.abc import Sequence

from embodied.arrays import array_namespace
from embodied.core import SKILLS, Array, Layout, Observation, Payload, PolicySpec
from embodied.robots.robot import Robot
from embodied.rotations import cross, quat_to_rot6d

GAIN_PER_S = 8.0  # of the speed towards the goal on the distance left
TURN_GAIN_PER_S = 6.0
SPEED_M_S = {"reach": 0.55, "grasp": 0.35, "lift": 0.40, "carry": 0.55, "place": 0.30, "release": 0.1, "retreat": 0.5}


class GoalServo:
    """A proportional law on the pose error with the goal's own velocity fed forward, in `ee_delta` mode."""

    def __init__(self, agent_layout: Layout, robot: Robot, control_hz: int = 200) -> None:
        self.spec = PolicySpec(control_mode="ee_delta", control_hz=control_hz)
        slices = agent_layout.slices()
        self._pos, self._rot = slices["tcp_pos_w"], slices["tcp_rot6d"]
        self._robot = robot
        self._speed = [SPEED_M_S.get(skill, 0.3) for skill in SKILLS]

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Nothing is remembered."""

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        agent = observation.agent_pos
        xp = array_namespace(agent)
        limit = xp.asarray(self._speed)[payload.subtask][:, None]  # (N, 1) m/s
        velocity = _limited(GAIN_PER_S * (payload.goal_pos_w - agent[:, self._pos]), limit) + payload.goal_vel_w
        turn = TURN_GAIN_PER_S * _rotation_error(payload.goal_quat_wxyz, agent[:, self._rot])
        linear, angular = velocity / self._robot.ee_speed_m_s, turn / self._robot.ee_speed_rad_s
        return xp.clip(xp.concat([linear, angular, payload.gripper[:, None]], axis=1), -1.0, 1.0)


def _limited(velocity: Array, limit: Array) -> Array:
    xp = array_namespace(velocity)
    norm = xp.sqrt(xp.sum(velocity * velocity, axis=1, keepdims=True))
    return velocity * (limit / xp.maximum(norm, limit))


def _rotation_error(goal_wxyz: Array, rot6d: Array) -> Array:
    """Half the sum of the axes' cross products: the rotation vector for small errors, free of the quaternion's sign."""
    goal = quat_to_rot6d(goal_wxyz)
    total = 0.0
    for is_now, wanted in zip(_axes(rot6d), _axes(goal), strict=True):
        total = total + cross(is_now, wanted)
    return 0.5 * total


def _axes(rot6d: Array) -> tuple[Array, Array, Array]:
    first, second = rot6d[:, :3], rot6d[:, 3:]
    return first, second, cross(first, second)
