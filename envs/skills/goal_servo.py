"""The controller of every expert: drives effectors and base to a plan's goals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embodied.arrays import array_namespace
from embodied.core import (
    SKILLS,
    Array,
    Layout,
    Observation,
    Payload,
    PayloadKind,
    PolicySpec,
)
from embodied.robots.mount import MountPose
from embodied.robots.parts.arm import Arm
from embodied.robots.parts.base import Base
from embodied.robots.parts.gripper import Gripper
from embodied.robots.parts.part import Part
from embodied.robots.parts.torso import Lift, Waist
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

# Proportional gains, speed per error: of an effector's position and rotation, and of
# base and lift.
GAIN_PER_S = 8.0
TURN_GAIN_PER_S = 6.0
DRIVE_GAIN_PER_S = 3.0
# The top speed of an effector in each skill.
SPEED_M_S = {
    "reach": 0.55,
    "grasp": 0.35,
    "lift": 0.40,
    "carry": 0.55,
    "place": 0.30,
    "release": 0.1,
    "retreat": 0.5,
}
OTHER_SPEED_M_S = 0.3  # in skills that are not named above


class GoalServo:
    """A proportional controller on pose errors, in the control mode `ee_delta`.

    The goal's own velocity is fed forward. While the skill is `drive_to`, base and lift
    go to the base's goal and the arms keep their posture; in every other skill the
    effectors go to their goals and the base stands still.
    """

    takes: tuple[PayloadKind, ...] = ("goals",)

    def __init__(
        self, agent_layout: Layout, robot: Robot, control_hz: int = 200
    ) -> None:
        self.spec = PolicySpec(control_mode="ee_delta", control_hz=control_hz)
        self._robot = robot
        self._slices = agent_layout.slices()
        self._top_speeds = [SPEED_M_S.get(skill, OTHER_SPEED_M_S) for skill in SKILLS]
        # base -> its mount, and the index of its goal in plans, which those have that
        # travel
        self._mounts = {
            base.name: MountPose(robot, agent_layout, base) for base in robot.bases
        }
        travelling = [base.name for base in robot.bases if base.travels]
        self._goal_of_base = {name: k for k, name in enumerate(travelling)}

        # the index of the effector that each arm and gripper belongs to, by their names
        effectors = list(enumerate(robot.effectors))
        self._effector_of_arm = {effector.arm: k for k, effector in effectors}
        self._effector_of_gripper = {effector.gripper: k for k, effector in effectors}

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing: nothing is remembered."""

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        """Returns actions (N, A) towards the goals, however old the plans are.

        They are in [-1, 1], as the control mode `ee_delta` takes them.
        """
        agent_pos = observation.agent_pos
        xp = array_namespace(agent_pos)
        driving = (payload.subtask == SKILLS.index("drive_to"))[:, None]  # (N, 1)
        drives = self._drives(payload, agent_pos)

        # the elements of each part that takes actions, in the order of the action
        elements = []
        for part in self._robot.parts:
            group = part.action_group("ee_delta")
            if group is None:
                continue
            drive = drives[self._robot.base_of(part).name]
            if isinstance(part, Base):
                elements.append(xp.where(driving, drive.base(), 0.0))
            elif isinstance(part, Lift) and drive.travels:
                elements.append(xp.where(driving, drive.lift(part), 0.0))
            elif isinstance(part, Waist):
                elements.append(self._upright(part, agent_pos))
            elif self._has_no_goal(part, payload):
                elements.append(self._rest(part, agent_pos))
            elif isinstance(part, Arm):
                elements += self._arm(part, payload, agent_pos, driving, drive)
            elif isinstance(part, Gripper):
                effector = self._effector_of_gripper[part.name]
                elements.append(payload.gripper[:, effector, None])
        return xp.clip(xp.concat(elements, axis=1), -1.0, 1.0)

    def _drives(self, payload: Payload, agent_pos: Array) -> dict[str, _Drive]:
        """Returns base -> how its mount moves; not at all where plans have no goal."""
        drives = {}
        for base in self._robot.bases:
            mount = self._mounts[base.name]
            goal = pose = mount.read(agent_pos)
            number = self._goal_of_base.get(base.name)
            if number is not None and number < payload.base_goal_w.shape[1]:
                goal = payload.base_goal_w[:, number]
            quat_wxyz = mount.quat_wxyz(agent_pos) if base.has_own_axes else None
            drives[base.name] = _Drive(base, goal, pose, quat_wxyz)
        return drives

    def _has_no_goal(self, part: Part, payload: Payload) -> bool:
        """Returns whether the plans have no goal for a part.

        They may be for fewer effectors than the robot has. Heads, and lifts on a stand,
        never have one.
        """
        effector = self._effector_of_arm.get(part.name)
        if effector is None:
            effector = self._effector_of_gripper.get(part.name)
        return effector is None or effector >= payload.goal_pos_w.shape[1]

    @staticmethod
    def _rest(part: Part, agent_pos: Array) -> Array:
        """Returns the action of a part that keeps its place, or of an open gripper."""
        # made from `agent_pos`, so that they have its kind of array, dtype and device
        if isinstance(part, Gripper):
            return 1 + 0 * agent_pos[:, :1]
        group = part.action_group("ee_delta")
        width = 0 if group is None else len(group.labels)
        return 0 * agent_pos[:, :width]  # no velocity

    def _upright(self, waist: Waist, agent_pos: Array) -> Array:
        """Returns actions (N, J) of a waist that goes home, which is upright.

        Hands reach their goals without bowing.
        """
        xp = array_namespace(agent_pos)
        first = self._slices["joint_pos"].start
        own = self._robot.joint_slice(waist)
        angle = agent_pos[:, first + own.start : first + own.stop]
        home = xp.asarray(waist.joints.home)
        return DRIVE_GAIN_PER_S * (home - angle) / xp.asarray(waist.joints.speeds)

    def _arm(
        self,
        arm: Arm,
        payload: Payload,
        agent_pos: Array,
        driving: Array,
        drive: _Drive,
    ) -> tuple[Array, Array]:
        """Returns an effector's linear and angular velocity as actions, (N, 3) each.

        Args:
            arm: what moves the effector.
            payload: the plans, which have a goal for it.
            agent_pos: (N, P) proprioception.
            driving: (N, 1) bool, whether the base moves and the arm stays.
            drive: of the base that the arm is on.
        """
        xp = array_namespace(agent_pos)
        effector = self._effector_of_arm[arm.name]
        name = self._robot.effectors[effector].name
        pos = agent_pos[:, self._slices[f"{name}_pos_w"]]
        rot6d = agent_pos[:, self._slices[f"{name}_rot6d"]]

        # to the goal, no faster than the skill allows, plus the goal's own velocity
        top_speed = xp.asarray(self._top_speeds)[payload.subtask][:, None]  # (N, 1) m/s
        error_m = payload.goal_pos_w[:, effector] - pos
        velocity = _limited(GAIN_PER_S * error_m, top_speed)
        velocity = velocity + payload.goal_vel_w[:, effector]
        error_rad = _rotation_error(payload.goal_quat_wxyz[:, effector], rot6d)
        turn = TURN_GAIN_PER_S * error_rad

        # from the world's axes to the mount's, and on to the arm's own
        shares = [velocity / arm.ee_speed_m_s, turn / arm.ee_speed_rad_s]
        if drive.has_own_axes:
            shares = [drive.to_mount(share) for share in shares]
        if drive.travels:
            shares = [xp.where(driving, 0.0, share) for share in shares]
        if arm.is_turned:
            carrier_to_arm = quat_conjugate(xp.asarray([arm.placement.quat_wxyz]))
            carrier_to_arm = xp.broadcast_to(carrier_to_arm, (len(velocity), 4))
            shares = [quat_rotate(carrier_to_arm, share) for share in shares]
        return shares[0], shares[1]


class _Drive:
    """The motion of N mounts towards the places that their plans give."""

    def __init__(
        self, base: Base, goal: Array, mount: Array, quat_wxyz: Array | None
    ) -> None:
        """Finds how far to go.

        Args:
            base: The base that carries the mount.
            goal: (N, 4) x, y, z in m and yaw in rad, where the mount should be.
            mount: (N, 4) where it is.
            quat_wxyz: (N, 4) how what carries the arms is turned; None for the world's
                axes.
        """
        xp = array_namespace(mount)
        self._xp = xp
        self._base = base
        self.travels = base.travels
        self.has_own_axes = quat_wxyz is not None
        self._world_to_arms = None if quat_wxyz is None else quat_conjugate(quat_wxyz)
        if not base.travels:
            return

        # how far to go along the mount's own axes, and to turn
        to_mount = quat_conjugate(quat_from_yaw(mount[:, 3]))
        way = quat_rotate(to_mount, goal[:, :3] - mount[:, :3])
        turn = quat_multiply(quat_from_yaw(goal[:, 3]), to_mount)
        self._velocity = DRIVE_GAIN_PER_S * way  # (N, 3) m/s
        self._yaw_rate = DRIVE_GAIN_PER_S * quat_to_rotvec(turn)[:, 2:]  # (N, 1) rad/s

    def base(self) -> Array:
        """Returns actions (N, 3) of the base: ahead, to the left, turning left."""
        xp = self._xp
        top = xp.asarray(self._base.joints.speeds)
        # as shares of the top speeds, together no longer than 1
        share = self._velocity[:, :2] / top[:2]
        along = _limited(share, xp.ones_like(self._yaw_rate))
        return xp.concat([along, self._yaw_rate / top[2]], axis=1)

    def lift(self, lift: Lift) -> Array:
        """Returns actions (N, 1) of a lift: upward speeds, as shares of the top one."""
        return self._velocity[:, 2:] / lift.joints.speeds[0]

    def to_mount(self, vector: Array) -> Array:
        """Returns vectors (N, 3), given along the world's axes, along the mount's."""
        return quat_rotate(self._world_to_arms, vector)


def _limited(velocity: Array, limit: Array) -> Array:
    """Returns velocities (N, k), shortened where they are longer than `limit` (N, 1)."""
    xp: Any = array_namespace(velocity)
    norm = xp.sqrt(xp.sum(velocity * velocity, axis=1, keepdims=True))
    return velocity * (limit / xp.maximum(norm, limit))


def _rotation_error(goal_wxyz: Array, rot6d: Array) -> Array:
    """Returns rotation errors (N, 3) rad, from `rot6d` to the goal, about world axes.

    Half the sum of the axes' cross products is the rotation vector for small errors. A
    quaternion and its negative, which are one rotation, give the same.
    """
    total = 0.0
    axes = zip(_axes(rot6d), _axes(quat_to_rot6d(goal_wxyz)), strict=True)
    for measured, wanted in axes:
        total = total + cross(measured, wanted)
    return 0.5 * total


def _axes(rot6d: Array) -> tuple[Array, Array, Array]:
    """Returns the x, y and z axes, (N, 3) each, of rotations (N, 6)."""
    x = rot6d[:, :3]
    y = rot6d[:, 3:]
    return x, y, cross(x, y)
