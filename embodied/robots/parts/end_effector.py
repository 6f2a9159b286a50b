"""The mode `ee_delta`: a virtual tcp target, and joints that follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from embodied.arrays import columns, dot, one_row
from embodied.core import Array
from embodied.robots.parts.laws import PositionLaw
from embodied.robots.parts.part import Effector
from embodied.rotations import (
    cross,
    quat_conjugate,
    quat_from_rotvec,
    quat_multiply,
    quat_rotate,
    quat_to_rotvec,
)
from embodied.sim.engine import Engine

if TYPE_CHECKING:
    from embodied.robots.parts.arm import Arm

# The virtual target is ahead of the measured tcp by at most this.
EE_LEAD_M = 0.03
EE_LEAD_RAD = 0.2
# Damping of the least squares, in units of the Jacobian. It keeps the joints slow near
# singular postures. An error of 1 m weighs as much as one of 1 rad.
DAMPING = 0.05
# The share of their distance from home by which redundant joints move in a control step.
POSTURE_GAIN = 0.02


class EndEffectorLaw:
    """Moves the tcps of N worlds at commanded velocities.

    Each tcp has a virtual target, which moves along the axes of the arm's mount and
    together with a driving base or lift. It stays within EE_LEAD_M and EE_LEAD_RAD of
    the measured tcp. The joints follow it by damped least squares (Nakamura & Hanafusa
    1986), within their speed limits. Redundant joints slowly return home.
    """

    def __init__(
        self, arm: Arm, effector: Effector, engine: Engine, dt_s: float
    ) -> None:
        """Finds the arm's joints and its tcp in the model; `dt_s` is the control period."""
        model = engine.model
        xp = engine.xp
        self._engine = engine
        self._approach = PositionLaw(arm.joints, engine, dt_s)

        # columns and ids in the model
        names = arm.joints.names
        self._qpos_columns = columns([model.joint(name).qposadr[0] for name in names])
        self._joint_ids = columns([model.joint(name).id for name in names])
        self._site = model.site(effector.site).id
        # MuJoCo's state has no quaternions of sites; a sensor measures the tcp's
        self._quat_sensor = int(model.sensor(f"{effector.name}_quat_w").adr[0])
        self._mount = model.body(arm.root_body).id
        # the target is kept in the mount's frame, unless this has the world's axes and does
        # not move: then the world's frame saves the conversion
        self._in_mount_frame = not _has_world_axes(model, self._mount)

        # (1, 6) m and rad, the target's motion in a control step at full speed
        self._full_step = one_row(xp, arm.ee_speeds) * dt_s
        self._home = one_row(xp, arm.joints.home)  # (1, J)
        self._damping = DAMPING**2 * xp.eye(6)

        # pose of the virtual target
        self._pos = xp.zeros((engine.num_worlds, 3))
        self._quat_wxyz = xp.zeros((engine.num_worlds, 4))

    def reset(self, which: Array) -> None:
        """Sets the targets in worlds `which` (N,) bool to the measured tcps."""
        xp = self._engine.xp
        is_reset = which[:, None]
        pos, quat_wxyz = self._measured()
        self._pos[...] = xp.where(is_reset, pos, self._pos)
        self._quat_wxyz[...] = xp.where(is_reset, quat_wxyz, self._quat_wxyz)

    def memory(self) -> dict[str, Array]:
        return {"pos": self._pos, "quat_wxyz": self._quat_wxyz}

    def initial(self) -> Array:
        return self._approach.initial()

    def targets(self, action: Array, previous: Array) -> Array:
        """Returns joint targets (N, J) for actions (N, 6): shares of full velocities."""
        lead = self._move_target(action)
        joints = self._engine.view("qpos")[:, self._qpos_columns]
        wanted = joints + self._least_squares(lead, joints)
        return self._approach.approach(wanted, previous)

    def _move_target(self, action: Array) -> Array:
        """Moves the virtual target by actions (N, 6).

        Returns its lead over the measured tcp, (N, 6) m and rad along the world's axes.
        """
        xp = self._engine.xp
        step = action * self._full_step
        pos, quat_wxyz = self._measured()

        # the target moves, but its lead over the measured tcp is limited
        lead_m = _limit_norm(xp, self._pos + step[:, :3] - pos, EE_LEAD_M)
        wanted = quat_multiply(quat_from_rotvec(step[:, 3:]), self._quat_wxyz)
        rotvec = quat_to_rotvec(quat_multiply(wanted, quat_conjugate(quat_wxyz)))
        lead_rad = _limit_norm(xp, rotvec, EE_LEAD_RAD)

        # in place, because a captured CUDA graph uses the same memory again
        self._pos[...] = pos + lead_m
        self._quat_wxyz[...] = quat_multiply(quat_from_rotvec(lead_rad), quat_wxyz)

        if self._in_mount_frame:
            mount_to_world = self._engine.view("xquat")[:, self._mount]
            lead_m = quat_rotate(mount_to_world, lead_m)
            lead_rad = quat_rotate(mount_to_world, lead_rad)
        return xp.concat([lead_m, lead_rad], axis=1)

    def _measured(self) -> tuple[Array, Array]:
        """Returns position (N, 3) and orientation (N, 4) of the measured tcps.

        They are in the mount's frame if `_in_mount_frame`, else in the world's.
        """
        view = self._engine.view
        sensors = slice(self._quat_sensor, self._quat_sensor + 4)
        pos = self._tcp_pos_w()
        quat_wxyz = view("sensordata")[:, sensors]
        if not self._in_mount_frame:
            return pos, quat_wxyz

        world_to_mount = quat_conjugate(view("xquat")[:, self._mount])
        pos = quat_rotate(world_to_mount, pos - view("xpos")[:, self._mount])
        return pos, quat_multiply(world_to_mount, quat_wxyz)

    def _least_squares(self, error: Array, joints: Array) -> Array:
        """Returns the joint change (N, J) that moves the tcp by `error` (N, 6).

        The error is along the world's axes. Redundant joints move towards home, without
        moving the tcp.
        """
        xp = self._engine.xp
        jacobian = self._jacobian()  # (N, 6, J)
        transposed = xp.permute_dims(jacobian, (0, 2, 1))
        gram = jacobian @ transposed + self._damping  # (N, 6, 6)

        # All joints take a small step home. The least squares then correct the error at
        # the tcp, including the part that this step causes. So only those motions of the
        # step remain that do not move the tcp.
        home_step = POSTURE_GAIN * (self._home - joints)
        remaining = error - dot(jacobian, home_step[:, None, :])  # (N, 6)
        solved = xp.linalg.solve(gram, remaining[:, :, None])
        return home_step + (transposed @ solved)[:, :, 0]

    def _jacobian(self) -> Array:
        """Returns the tcps' Jacobian (N, 6, J), from the joints' axes and anchors."""
        xp = self._engine.xp
        axis = self._engine.view("xaxis")[:, self._joint_ids]  # (N, J, 3)
        anchor = self._engine.view("xanchor")[:, self._joint_ids]
        linear = cross(axis, self._tcp_pos_w()[:, None, :] - anchor)
        return xp.permute_dims(xp.concat([linear, axis], axis=2), (0, 2, 1))

    def _tcp_pos_w(self) -> Array:
        return self._engine.view("site_xpos")[:, self._site]


def _has_world_axes(model: mujoco.MjModel, body: int) -> bool:
    """Returns whether a body is fixed to the world, with parallel axes."""
    if model.body_weldid[body] != 0:
        return False
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return bool(np.allclose(data.xmat[body].reshape(3, 3), np.eye(3), atol=1e-12))


def _limit_norm(xp: Any, vector: Array, limit: float) -> Array:
    """Returns vectors (N, 3), shortened to a norm of at most `limit`."""
    norm = xp.sqrt(dot(vector, vector))[..., None]
    return vector * (limit / xp.maximum(norm, xp.full_like(norm, limit)))
