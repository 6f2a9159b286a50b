"""A virtual end-effector target, and the joint angles that follow it."""

from __future__ import annotations

from typing import Any

from embodied.arrays import columns, dot
from embodied.core import Array
from embodied.robots.robot import Robot
from embodied.rotations import (
    cross,
    quat_conjugate,
    quat_from_rotvec,
    quat_multiply,
    quat_rotate,
    quat_to_rotvec,
)
from embodied.sim.engine import Engine

# how far the virtual target may run ahead of the measured tool centre point
EE_LEAD_M = 0.03
EE_LEAD_RAD = 0.2
# of the least squares, in the units of the Jacobian (m and rad mixed, 1 m ~ 1 rad)
DAMPING = 0.05
POSTURE_GAIN = 0.02  # share of the way home that redundant joints go in a control step


class EndEffector:
    """The target of N worlds' tool centre points: it moves at the commanded velocities
    along the axes of the arm's mount, rides on a base or lift that moves, and stays
    within 3 cm and 0.2 rad of the measured point.

    The arm follows by damped least squares (Nakamura & Hanafusa 1986), its redundant
    joint drawn home.
    """

    def __init__(self, robot: Robot, engine: Engine, dt_s: float) -> None:
        self._engine = engine
        self._rides = robot.drives
        model = engine.model
        xp = engine.xp
        self._joint_ids = columns([model.joint(name).id for name in robot.joints])
        self._site = model.site(robot.tcp_site).id
        self._mount = model.body(robot.mount_body).id
        self._quat_sensor = int(model.sensor("tcp_quat_w").adr[0])
        # (6,) m, rad
        self._gains = (
            xp.asarray([*[robot.ee_speed_m_s] * 3, *[robot.ee_speed_rad_s] * 3]) * dt_s
        )
        self._home = xp.asarray(robot.home)
        self._damping = DAMPING**2 * xp.eye(6)
        # of the target, in the mount's frame
        self._pos = xp.zeros((engine.num_worlds, 3))
        self._quat_wxyz = xp.zeros((engine.num_worlds, 4))

    def reset(self, which: Array) -> None:
        """The targets of the worlds `which` (N,) bool to where their tool centre points
        are.
        """
        xp = self._engine.xp
        rows = which[:, None]
        (pos, quat) = self._measured()
        self._pos[...] = xp.where(rows, pos, self._pos)
        self._quat_wxyz[...] = xp.where(rows, quat, self._quat_wxyz)

    def follow(self, action: Array, joints: Array) -> Array:
        """Joint angles (N, J) that bring the arm, now at `joints` (N, J), to the target
        moved by `action` (N, 6).
        """
        xp = self._engine.xp
        step = action * self._gains
        pos, quat = self._measured()
        lead_m = _limit_norm(xp, self._pos + step[:, :3] - pos, EE_LEAD_M)
        wanted = quat_multiply(quat_from_rotvec(step[:, 3:]), self._quat_wxyz)
        lead_rad = _limit_norm(
            xp, quat_to_rotvec(quat_multiply(wanted, quat_conjugate(quat))), EE_LEAD_RAD
        )
        # in place: a captured graph goes on with the same memory
        self._pos[...] = pos + lead_m
        self._quat_wxyz[...] = quat_multiply(quat_from_rotvec(lead_rad), quat)
        if self._rides:
            mount = self._engine.view("xquat")[:, self._mount]
            lead_m = quat_rotate(mount, lead_m)
            lead_rad = quat_rotate(mount, lead_rad)
        return joints + self._least_squares(
            xp.concat([lead_m, lead_rad], axis=1), joints
        )

    def _measured(self) -> tuple[Array, Array]:
        """Position (N, 3) and orientation (N, 4) of the tool centre points, in the
        mount's frame where that moves.
        """
        view = self._engine.view
        pos = self._tcp_pos_w()
        quat = view("sensordata")[:, self._quat_sensor : self._quat_sensor + 4]
        if not self._rides:  # its axes are the world's
            return pos, quat
        back = quat_conjugate(view("xquat")[:, self._mount])
        return quat_rotate(back, pos - view("xpos")[:, self._mount]), quat_multiply(
            back, quat
        )

    def _least_squares(self, error: Array, joints: Array) -> Array:
        """Joint change (N, J) that moves the TCP by `error` (N, 6) in world axes, the
        null space going home.
        """
        xp = self._engine.xp
        jacobian = self._jacobian()  # (N, 6, J)
        transposed = xp.permute_dims(jacobian, (0, 2, 1))
        gram = jacobian @ transposed + self._damping
        posture = POSTURE_GAIN * (self._home - joints)
        rest = error - dot(jacobian, posture[:, None, :])
        solved = xp.linalg.solve(gram, rest[:, :, None])
        return posture + (transposed @ solved)[:, :, 0]

    def _jacobian(self) -> Array:
        """(N, 6, J) of the TCP, from the joints' axes and anchors that the engine holds
        current.
        """
        xp = self._engine.xp
        axis = self._engine.view("xaxis")[:, self._joint_ids]  # (N, J, 3)
        anchor = self._engine.view("xanchor")[:, self._joint_ids]
        linear = cross(axis, self._tcp_pos_w()[:, None, :] - anchor)
        return xp.permute_dims(xp.concat([linear, axis], axis=2), (0, 2, 1))

    def _tcp_pos_w(self) -> Array:
        return self._engine.view("site_xpos")[:, self._site]


def clip(xp: Any, value: Array, low: Array, high: Array) -> Array:
    """`xp.clip`, which costs numpy four times as much for small arrays."""
    return xp.minimum(xp.maximum(value, low), high)


def _limit_norm(xp: Any, vector: Array, limit: float) -> Array:
    norm = xp.sqrt(dot(vector, vector))[..., None]
    return vector * (limit / xp.maximum(norm, xp.full_like(norm, limit)))
