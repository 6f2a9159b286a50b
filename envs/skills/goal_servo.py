"""The controller of every expert: moves hands, arms and bases to the goals of plans."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from embodied.arrays import array_namespace
from embodied.core import SKILLS, Array, Layout, Observation, PolicySpec
from embodied.plan import Payload, PayloadKind
from embodied.robots.mount import MountPose
from embodied.robots.parts.arm import Arm
from embodied.robots.parts.base import Base
from embodied.robots.parts.gripper import Gripper
from embodied.robots.parts.head import Head
from embodied.robots.parts.jointed import JointedPart
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

# The velocity of an effector per position error: m/s per m.
GAIN_PER_S = 8.0
# The angular velocity of an effector per rotation error: rad/s per rad.
TURN_GAIN_PER_S = 6.0
# The velocity of a base, lift, waist or head per error: m/s per m, or rad/s per rad.
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
# The top speed of an effector in all other skills.
OTHER_SPEED_M_S = 0.3

# A function that returns the goals (N, J) rad of the joints of a robot's head.
HeadGoals = Callable[[Observation], Array]


class GoalServo:
    """A proportional controller on pose errors, in the control mode `ee_delta`.

    The velocity of a moving goal is fed forward: it is added to the effector's velocity.
    In the skill `drive_to`, base and lift go to the base's goal while the arms keep their
    posture. In every other skill the effectors go to their goals while the base stands
    still.
    """

    # the kinds of plans that the controller can follow
    takes: tuple[PayloadKind, ...] = ("goals",)
    sees_frames = False

    def __init__(
        self,
        agent_layout: Layout,
        robot: Robot,
        control_hz: int = 200,
        head_goals: HeadGoals | None = None,
    ) -> None:
        """Finds the robot's mounts, arms and grippers.

        Args:
            agent_layout: The layout of proprioception.
            robot: The robot that is controlled.
            control_hz: The number of actions per second.
            head_goals: The function that returns the angles to which heads turn; None for
                heads that keep their present angles.
        """
        self._head_goals = head_goals
        self.spec = PolicySpec(control_mode="ee_delta", control_hz=control_hz)
        self._robot = robot
        self._slices = agent_layout.slices()
        self._top_speeds = [SPEED_M_S.get(skill, OTHER_SPEED_M_S) for skill in SKILLS]
        # name of a base -> its mount's pose
        self._mounts = {
            base.name: MountPose(robot, agent_layout, base) for base in robot.bases
        }
        # name of a base that travels -> index of its goal in plans
        travelling = [base.name for base in robot.bases if base.travels]
        self._goal_of_base = {name: k for k, name in enumerate(travelling)}

        # name of an arm, or of a gripper -> index of the effector that it belongs to
        effectors = list(enumerate(robot.effectors))
        self._effector_of_arm = {effector.arm: k for k, effector in effectors}
        self._effector_of_gripper = {effector.gripper: k for k, effector in effectors}

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing: the controller keeps no state."""

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        """Returns actions (N, A) in [-1, 1] towards the goals, in the mode `ee_delta`.

        Args:
            observation: The observations of N worlds.
            payload: Their plans.
            age_s: (N,) the age of each plan, s. It is not used: the goals are taken as they
                are in the plans.
        """
        agent_pos = observation.agent_pos
        xp = array_namespace(agent_pos)
        is_driving = (payload.subtask == SKILLS.index("drive_to"))[:, None]  # (N, 1)
        drives = self._drives(payload, agent_pos)

        # the action elements of each part, in the order of the action
        elements = []
        for part in self._robot.parts:
            group = part.action_group("ee_delta")
            if group is None:
                continue  # the part takes no actions
            drive = drives[self._robot.base_of(part).name]
            if isinstance(part, Base):
                elements.append(xp.where(is_driving, drive.base_action(), 0.0))
            elif isinstance(part, Lift) and drive.travels:
                elements.append(xp.where(is_driving, drive.lift_action(part), 0.0))
            elif isinstance(part, Waist):
                # the hands reach their goals without bowing the waist
                home = xp.asarray(part.joints.home)
                elements.append(self._turning_action(part, agent_pos, home))
            elif isinstance(part, Head) and self._head_goals is not None:
                goal = self._head_goals(observation)
                elements.append(self._turning_action(part, agent_pos, goal))
            elif self._has_no_goal(part, payload):
                elements.append(self._action_without_goal(part, agent_pos))
            elif isinstance(part, Arm):
                elements += self._arm_action(
                    part, payload, agent_pos, is_driving=is_driving, drive=drive
                )
            elif isinstance(part, Gripper):
                effector = self._effector_of_gripper[part.name]
                elements.append(payload.gripper[:, effector, None])
        return xp.clip(xp.concat(elements, axis=1), -1.0, 1.0)

    def _drives(self, payload: Payload, agent_pos: Array) -> dict[str, _Drive]:
        """Returns the motion of each base's mount towards its goal, by the base's name.

        A base stays where it is if the plans have no goal for it: a fixed base, or any
        base if the planner plans for hands only.
        """
        num_goals = payload.base_goal_w.shape[1]
        drives = {}
        for base in self._robot.bases:
            mount = self._mounts[base.name]
            pose = mount.read(agent_pos)  # (N, 4)

            goal = pose
            goal_index = self._goal_of_base.get(base.name)  # None for a fixed base
            if goal_index is not None and goal_index < num_goals:
                goal = payload.base_goal_w[:, goal_index]

            # needed only if the mount's axes may differ from those of the world
            quat_wxyz = mount.quat_wxyz(agent_pos) if base.has_own_axes else None
            drives[base.name] = _Drive(
                base=base, goal=goal, mount=pose, quat_wxyz=quat_wxyz
            )
        return drives

    def _has_no_goal(self, part: Part, payload: Payload) -> bool:
        """Returns whether the plans have no goal for a part.

        Heads, and lifts on a fixed stand, never have one. An arm or a gripper has none
        if the plans are for fewer effectors than the robot has.
        """
        effector = self._effector_of_arm.get(part.name)
        if effector is None:
            effector = self._effector_of_gripper.get(part.name)
        return effector is None or effector >= payload.goal_pos_w.shape[1]

    @staticmethod
    def _action_without_goal(part: Part, agent_pos: Array) -> Array:
        """Returns the action (N, width) that opens a gripper, or holds another part still.

        The method is for parts for which the plans have no goal.
        """
        # computed from `agent_pos` to get the same kind of array, dtype and device
        if isinstance(part, Gripper):
            return 1 + 0 * agent_pos[:, :1]
        group = part.action_group("ee_delta")
        width = 0 if group is None else len(group.labels)
        return 0 * agent_pos[:, :width]

    def _turning_action(
        self, part: JointedPart, agent_pos: Array, goal_rad: Array
    ) -> Array:
        """Returns the action (N, J) that turns the J joints of a part to their goals.

        Its elements are velocities as shares of the joints' top speeds.

        Args:
            part: The part.
            agent_pos: (N, P) proprioception.
            goal_rad: (N, J) or (J,) the joints' goals.
        """
        xp = array_namespace(agent_pos)
        # the part's columns within the joint positions of proprioception
        first_joint = self._slices["joint_pos"].start
        joints = self._robot.joint_slice(part)
        columns = slice(first_joint + joints.start, first_joint + joints.stop)
        joint_pos = agent_pos[:, columns]  # (N, J) rad

        speeds = xp.asarray(part.joints.speeds)
        return DRIVE_GAIN_PER_S * (goal_rad - joint_pos) / speeds

    def _arm_action(
        self,
        arm: Arm,
        payload: Payload,
        agent_pos: Array,
        is_driving: Array,
        drive: _Drive,
    ) -> tuple[Array, Array]:
        """Returns the linear and the angular part of an arm's action, (N, 3) each.

        Both are velocities of the effector as shares of its full speeds.

        Args:
            arm: The arm.
            payload: The plans, which have a goal for the arm's effector.
            agent_pos: (N, P) proprioception.
            is_driving: (N, 1) bool, whether the base drives, so that the arm must keep
                still.
            drive: The motion of the base that carries the arm.
        """
        xp = array_namespace(agent_pos)
        effector = self._effector_of_arm[arm.name]
        name = self._robot.effectors[effector].name
        pos = agent_pos[:, self._slices[f"{name}_pos_w"]]
        rot6d = agent_pos[:, self._slices[f"{name}_rot6d"]]

        # velocities in the world's frame: towards the goal, no faster than the skill
        # allows, plus the velocity of the goal itself
        top_speed = xp.asarray(self._top_speeds)[payload.subtask][:, None]  # (N, 1) m/s
        error_m = payload.goal_pos_w[:, effector] - pos
        velocity = _limited(GAIN_PER_S * error_m, top_speed)
        velocity = velocity + payload.goal_vel_w[:, effector]
        error_rad = _rotation_error(payload.goal_quat_wxyz[:, effector], rot6d)
        angular_velocity = TURN_GAIN_PER_S * error_rad

        # as shares of the full speeds, rotated into the frame of the part that carries
        # the arm, then into the arm's own frame
        shares = [
            velocity / arm.ee_speed_m_s,
            angular_velocity / arm.ee_speed_rad_s,
        ]
        if drive.has_own_axes:
            shares = [drive.world_to_carrier(share) for share in shares]
        if drive.travels:
            shares = [xp.where(is_driving, 0.0, share) for share in shares]
        if arm.is_turned:
            carrier_to_arm = quat_conjugate(xp.asarray([arm.placement.quat_wxyz]))
            carrier_to_arm = xp.broadcast_to(carrier_to_arm, (len(velocity), 4))
            shares = [quat_rotate(carrier_to_arm, share) for share in shares]
        return shares[0], shares[1]


class _Drive:
    """The motion of one base's mount towards its goal, in N worlds."""

    def __init__(
        self, base: Base, goal: Array, mount: Array, quat_wxyz: Array | None
    ) -> None:
        """Computes the velocities of the mounts.

        Args:
            base: The base that carries the mount.
            goal: (N, 4) goal of the mount: x, y, z in m and yaw in rad.
            mount: (N, 4) present pose of the mount.
            quat_wxyz: (N, 4) rotation of the part that carries the arms; None if it is
                always aligned with the world.
        """
        xp = array_namespace(mount)
        self._xp = xp
        self._base = base
        self.travels = base.travels
        self.has_own_axes = quat_wxyz is not None
        self._world_to_carrier_wxyz = (
            None if quat_wxyz is None else quat_conjugate(quat_wxyz)
        )
        if not base.travels:
            return  # a fixed base has no velocities, and its actions are never asked for

        # the errors in the mount's own frame
        world_to_mount = quat_conjugate(quat_from_yaw(mount[:, 3]))
        error_m = quat_rotate(world_to_mount, goal[:, :3] - mount[:, :3])
        error_quat = quat_multiply(quat_from_yaw(goal[:, 3]), world_to_mount)
        error_yaw = quat_to_rotvec(error_quat)[:, 2:]
        self._velocity = DRIVE_GAIN_PER_S * error_m  # (N, 3) m/s
        self._yaw_rate = DRIVE_GAIN_PER_S * error_yaw  # (N, 1) rad/s

    def base_action(self) -> Array:
        """Returns the action (N, 3) of the base: forwards, to the left, yaw rate.

        The elements are shares of the top speeds. The vector of the first two is
        limited to the length 1, so that the clipping of actions does not change its
        direction.
        """
        xp = self._xp
        top_speeds = xp.asarray(self._base.joints.speeds)
        # forwards and to the left in the mount's frame, as shares of the top speeds
        share = self._velocity[:, :2] / top_speeds[:2]
        horizontal = _limited(share, xp.ones_like(self._yaw_rate))
        return xp.concat([horizontal, self._yaw_rate / top_speeds[2]], axis=1)

    def lift_action(self, lift: Lift) -> Array:
        """Returns the action (N, 1) of a lift: its speed as a share of the top speed."""
        return self._velocity[:, 2:] / lift.joints.speeds[0]

    def world_to_carrier(self, vector: Array) -> Array:
        """Returns world vectors (N, 3) in the frame of the part that carries the arms."""
        return quat_rotate(self._world_to_carrier_wxyz, vector)


def _limited(velocity: Array, limit: Array) -> Array:
    """Returns velocities (N, k), scaled down where they are longer than `limit` (N, 1)."""
    xp: Any = array_namespace(velocity)
    norm = xp.sqrt(xp.sum(velocity * velocity, axis=1, keepdims=True))
    return velocity * (limit / xp.maximum(norm, limit))


def _rotation_error(goal_wxyz: Array, rot6d: Array) -> Array:
    """Returns the rotation error (N, 3) from `rot6d` to the goal, in the world, rad.

    For small errors, the rotation vector is half the sum of the cross products of each
    axis with the same axis at the goal. The result does not depend on the sign of the
    goal's quaternion, since a quaternion and its negative have the same axes.
    """
    total = 0.0
    pairs = zip(_axes(rot6d), _axes(quat_to_rot6d(goal_wxyz)), strict=True)
    for axis, goal_axis in pairs:
        total = total + cross(axis, goal_axis)
    return 0.5 * total


def _axes(rot6d: Array) -> tuple[Array, Array, Array]:
    """Returns the x, y and z axes, (N, 3) each, of rotations (N, 6)."""
    x = rot6d[:, :3]
    y = rot6d[:, 3:]
    return x, y, cross(x, y)
