"""Actions to actuator targets, for a batch of worlds: the control modes."""

from __future__ import annotations

from embodied.arrays import columns
from embodied.core import Array
from embodied.robots.end_effector import EndEffector, clip
from embodied.robots.robot import Robot
from embodied.sim.engine import Engine

JOINT_LEAD_RAD = 0.1  # how far a joint target may run ahead of the measured joint
BASE_LEAD = (0.1, 0.1, 0.2)  # m, m, rad
TORSO_LEAD_M = 0.03
YAW = 2  # of the base's joints


class RobotControl:
    """Turns actions (N, A) in [-1, 1] into joint and gripper targets, and writes them
    to the actuators.

    `joint`: absolute joint target, reached no faster than the joint's speed limit.
    `joint_delta`: the target moves by action * speed limit * dt and stays within a lead
    of the measured joint (0.1 rad for the arm). `ee_delta`: the arm follows a virtual
    end-effector target, see `EndEffector`. In both delta modes a base takes speeds
    along its own axes. The gripper's element is always a width.
    """

    def __init__(
        self, robot: Robot, engine: Engine, mode: str, control_hz: int
    ) -> None:
        self.mode = mode
        self.interface = robot.interface(mode)
        self.joint_interface = robot.interface("joint")
        self._engine = engine
        self._robot = robot
        xp = engine.xp
        model = engine.model
        self._resolve = {
            "joint": self._joint,
            "joint_delta": self._joint_delta,
            "ee_delta": self._ee_delta,
        }[mode]
        self._qpos_ids = columns(
            [model.joint(name).qposadr[0] for name in robot.all_joints]
        )
        self._ctrl_ids = columns(
            [model.actuator(n).id for n in (*robot.all_joints, robot.gripper_actuator)]
        )
        dt_s = 1 / control_hz
        speed = (*robot.base_speed, *robot.torso_speed, *robot.joint_speed)
        self._step_limit = xp.asarray(speed) * dt_s  # (J,) rad or m a control step
        lead = (
            *BASE_LEAD[: len(robot.base_joints)],
            *[TORSO_LEAD_M] * len(robot.torso_joints),
        )
        self._lead = xp.asarray([*lead, *[JOINT_LEAD_RAD] * len(robot.joints)])  # (J,)
        self._low = xp.asarray(self.joint_interface.low)
        self._high = xp.asarray(self.joint_interface.high)
        self._middle = (self._high + self._low)[:-1] / 2  # (J,) of the joints' ranges
        self._half = (self._high - self._low)[:-1] / 2
        # (N, J + 1) rad, m
        self._target = xp.zeros((engine.num_worlds, len(robot.all_joints) + 1))
        # of J, those of base and torso
        self._body = len(robot.all_joints) - len(robot.joints)
        self._end_effector = EndEffector(robot, engine, dt_s)

    @property
    def joint_target(self) -> Array:
        """(N, J + 1) the resolved targets: joints in rad or m, gripper width in m."""
        return self._target

    def joints(self) -> Array:
        """(N, J) measured joint positions: base, torso, arm; rad or m."""
        return self._engine.view("qpos")[:, self._qpos_ids]

    def reset(self, which: Array) -> None:
        """Targets of the worlds `which` (N,) bool to where their joints are; the
        gripper's to open.
        """
        xp = self._engine.xp
        rows = which[:, None]
        joints = self.joints()
        opened = xp.full_like(joints[:, :1], self._robot.gripper_width_m)
        self._target[...] = xp.where(
            rows, xp.concat([joints, opened], axis=1), self._target
        )
        self._end_effector.reset(which)
        self._engine.view("ctrl")[:, self._ctrl_ids] = self._target

    def apply(self, action: Array) -> None:
        """Resolves actions (N, A) and writes the actuators' targets. Actions must be
        finite and in [-1, 1].
        """
        xp = self._engine.xp
        joints = self._resolve(action[:, :-1])
        width = (action[:, -1:] + 1) / 2 * self._robot.gripper_width_m
        self._target[...] = clip(
            xp, xp.concat([joints, width], axis=1), self._low, self._high
        )
        self._engine.view("ctrl")[:, self._ctrl_ids] = self._target

    def _joint(self, action: Array) -> Array:
        return self._approach(
            self._target[:, :-1], self._middle + self._half * action, self._step_limit
        )

    def _joint_delta(self, action: Array) -> Array:
        measured = self.joints()
        return self._lead_on(action, measured, len(self._lead))

    def _ee_delta(self, action: Array) -> Array:
        measured = self.joints()
        body = self._body
        wanted = self._end_effector.follow(action[:, body:], measured[:, body:])
        arm = self._approach(self._target[:, body:-1], wanted, self._step_limit[body:])
        if not body:
            return arm
        return self._engine.xp.concat(
            [self._lead_on(action[:, :body], measured, body), arm], axis=1
        )

    def _approach(self, previous: Array, wanted: Array, limit: Array) -> Array:
        return previous + clip(self._engine.xp, wanted - previous, -limit, limit)

    def _lead_on(self, action: Array, measured: Array, count: int) -> Array:
        """Targets (N, count) of the first joints, moved at the speeds of `action` and
        kept near the measured ones.
        """
        moves = action * self._step_limit[:count]
        measured = measured[:, :count]
        lead = self._lead[:count]
        if self._robot.drives:
            moves = self._along_world(moves, measured[:, YAW])
        return clip(
            self._engine.xp,
            self._target[:, :count] + moves,
            measured - lead,
            measured + lead,
        )

    def _along_world(self, moves: Array, yaw: Array) -> Array:
        """The base's moves (N, count), along its own axes, along those of the world, as
        its joints are.
        """
        xp = self._engine.xp
        cos = xp.cos(yaw)
        sin = xp.sin(yaw)
        forward = moves[:, 0]
        left = moves[:, 1]
        turned = xp.stack(
            [cos * forward - sin * left, sin * forward + cos * left], axis=1
        )
        return xp.concat([turned, moves[:, 2:]], axis=1)
