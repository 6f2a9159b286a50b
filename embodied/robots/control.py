"""Actions to actuator targets, for a batch of worlds: the control modes."""

from __future__ import annotations

from typing import Any

from embodied.arrays import columns, dot
from embodied.core import Array
from embodied.robots.robot import Robot
from embodied.rotations import cross, quat_conjugate, quat_from_rotvec, quat_multiply, quat_to_rotvec
from embodied.sim.engine import Engine

JOINT_LEAD_RAD = 0.1  # how far a joint target may run ahead of the measured joint
EE_LEAD_M = 0.03  # the same for a virtual end-effector target
EE_LEAD_RAD = 0.2
DAMPING = 0.05  # of the least squares, in the units of the Jacobian (m and rad mixed, 1 m ~ 1 rad)
POSTURE_GAIN = 0.02  # share of the way home that redundant joints go in a control step


class ArmControl:
    """Turns actions (N, A) in [-1, 1] into joint and gripper targets, and writes them to the actuators.

    `joint`: absolute joint target, reached no faster than the joint's speed limit. `joint_delta`: the target moves
    by action * speed limit * dt and stays within 0.1 rad of the measured joint. `ee_delta`: the same for a virtual
    end-effector target in the world frame, within 3 cm, followed by damped least squares (Nakamura & Hanafusa 1986)
    with the redundant joint drawn home. The gripper's element is always a width.
    """

    def __init__(self, robot: Robot, engine: Engine, mode: str, control_hz: int) -> None:
        self.mode, self.interface, self.joint_interface = mode, robot.interface(mode), robot.interface("joint")
        self._engine, self._robot, xp = engine, robot, engine.xp
        self._resolve = {"joint": self._joint, "joint_delta": self._joint_delta, "ee_delta": self._ee_delta}[mode]
        model = engine.model
        self._joint_ids = columns([model.joint(name).id for name in robot.joints])
        self._qpos_ids = columns([model.joint(name).qposadr[0] for name in robot.joints])
        self._ctrl_ids = columns([model.actuator(n).id for n in (*robot.joints, robot.gripper_actuator)])
        self._site = model.site(robot.tcp_site).id
        self._quat_sensor = int(model.sensor("tcp_quat_w").adr[0])
        self._dt_s = 1 / control_hz
        self._step_limit = xp.asarray(robot.joint_speed) * self._dt_s  # (J,) rad a control step
        self._low, self._high = xp.asarray(self.joint_interface.low), xp.asarray(self.joint_interface.high)
        self._middle = (self._high + self._low)[:-1] / 2  # (J,) of the joints' ranges
        self._half = (self._high - self._low)[:-1] / 2
        self._home = xp.asarray(robot.home)
        self._target = xp.zeros((engine.num_worlds, len(robot.joints) + 1))  # (N, J + 1) rad, m
        self._ee_pos_w = xp.zeros((engine.num_worlds, 3))
        self._ee_quat_wxyz = xp.zeros((engine.num_worlds, 4))
        self._damping = DAMPING**2 * xp.eye(6)
        self._gains = self._physical_gains(xp)

    @property
    def joint_target(self) -> Array:
        """(N, J + 1) the resolved targets: joints in rad, gripper width in m."""
        return self._target

    def joints(self) -> Array:
        """(N, J) measured joint angles in rad."""
        return self._engine.view("qpos")[:, self._qpos_ids]

    def reset(self, ids: Array) -> None:
        """Targets of worlds `ids` to where their joints are; the gripper's to open."""
        joints = self.joints()
        self._target[ids, :-1] = joints[ids]
        self._target[ids, -1] = self._robot.gripper_width_m
        self._ee_pos_w[ids], self._ee_quat_wxyz[ids] = self._tcp_pos_w()[ids], self._tcp_quat_wxyz()[ids]
        self._engine.view("ctrl")[:, self._ctrl_ids] = self._target

    def apply(self, action: Array) -> None:
        """Resolves actions (N, A) and writes the actuators' targets. Actions must be finite and in [-1, 1]."""
        xp = self._engine.xp
        joints = self._resolve(action[:, :-1])
        width = (action[:, -1:] + 1) / 2 * self._robot.gripper_width_m
        self._target = _clip(xp, xp.concat([joints, width], axis=1), self._low, self._high)
        self._engine.view("ctrl")[:, self._ctrl_ids] = self._target

    def _physical_gains(self, xp: Any) -> Array:
        gains = xp.asarray(self.interface.high - self.interface.low) / 2 * self._dt_s
        return gains[:-1]

    def _joint(self, action: Array) -> Array:
        xp = self._engine.xp
        previous = self._target[:, :-1]
        return previous + _clip(xp, self._middle + self._half * action - previous, -self._step_limit, self._step_limit)

    def _joint_delta(self, action: Array) -> Array:
        xp = self._engine.xp
        measured = self.joints()
        wanted = self._target[:, :-1] + action * self._gains
        return _clip(xp, wanted, measured - JOINT_LEAD_RAD, measured + JOINT_LEAD_RAD)

    def _ee_delta(self, action: Array) -> Array:
        xp, step = self._engine.xp, action * self._gains  # (N, 6)
        pos_w, quat = self._tcp_pos_w(), self._tcp_quat_wxyz()
        lead_m = _limit_norm(xp, self._ee_pos_w + step[:, :3] - pos_w, EE_LEAD_M)
        wanted = quat_multiply(quat_from_rotvec(step[:, 3:]), self._ee_quat_wxyz)
        lead_rad = _limit_norm(xp, quat_to_rotvec(quat_multiply(wanted, quat_conjugate(quat))), EE_LEAD_RAD)
        self._ee_pos_w = pos_w + lead_m
        self._ee_quat_wxyz = quat_multiply(quat_from_rotvec(lead_rad), quat)
        measured = self.joints()
        change = self._least_squares(xp.concat([lead_m, lead_rad], axis=1), measured)
        wanted_joints = measured + change
        previous = self._target[:, :-1]
        return previous + _clip(xp, wanted_joints - previous, -self._step_limit, self._step_limit)

    def _least_squares(self, error: Array, joints: Array) -> Array:
        """Joint change (N, J) that moves the TCP by `error` (N, 6), the null space going home."""
        xp = self._engine.xp
        jacobian = self._jacobian()  # (N, 6, J)
        transposed = xp.permute_dims(jacobian, (0, 2, 1))
        gram = jacobian @ transposed + self._damping
        posture = POSTURE_GAIN * (self._home - joints)
        rest = error - dot(jacobian, posture[:, None, :])
        solved = xp.linalg.solve(gram, rest[:, :, None])
        return posture + (transposed @ solved)[:, :, 0]

    def _jacobian(self) -> Array:
        """(N, 6, J) of the TCP, from the joints' axes and anchors that the engine holds current."""
        xp = self._engine.xp
        axis = self._engine.view("xaxis")[:, self._joint_ids]  # (N, J, 3)
        anchor = self._engine.view("xanchor")[:, self._joint_ids]
        linear = cross(axis, self._tcp_pos_w()[:, None, :] - anchor)
        return xp.permute_dims(xp.concat([linear, axis], axis=2), (0, 2, 1))

    def _tcp_pos_w(self) -> Array:
        return self._engine.view("site_xpos")[:, self._site]

    def _tcp_quat_wxyz(self) -> Array:
        return self._engine.view("sensordata")[:, self._quat_sensor : self._quat_sensor + 4]


def _clip(xp: Any, value: Array, low: Array, high: Array) -> Array:
    """`xp.clip`, which costs numpy four times as much for small arrays."""
    return xp.minimum(xp.maximum(value, low), high)


def _limit_norm(xp: Any, vector: Array, limit: float) -> Array:
    norm = xp.sqrt(dot(vector, vector))[..., None]
    return vector * (limit / xp.maximum(norm, xp.full_like(norm, limit)))
