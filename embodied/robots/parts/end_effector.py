"""A virtual end-effector target, and the joint angles that follow it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import mujoco
import numpy as np

from embodied.arrays import columns, dot
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

# How far the virtual target may run ahead of the measured tool centre point.
EE_LEAD_M = 0.03
EE_LEAD_RAD = 0.2
# Damping of the least squares, in the units of the Jacobian, where 1 m counts as 1 rad.
DAMPING = 0.05
# Share of the way home that redundant joints move in a control step.
POSTURE_GAIN = 0.02


class EndEffectorLaw:
    """Moves the tool centre points of N worlds at commanded velocities.

    A virtual target moves along the axes of the arm's mount, rides on a base or lift
    that moves, and stays within 3 cm and 0.2 rad of the measured point. The arm follows
    it by damped least squares (Nakamura & Hanafusa 1986), within the joints' speed
    limits; a redundant joint is drawn home.
    """

    def __init__(
        self, arm: Arm, effector: Effector, engine: Engine, dt_s: float
    ) -> None:
        model = engine.model
        xp = engine.xp
        self._engine = engine
        self._approach = PositionLaw(arm.joints, engine, dt_s)

        # where things are in the model
        names = arm.joints.names
        self._qpos_columns = columns([model.joint(name).qposadr[0] for name in names])
        self._joint_ids = columns([model.joint(name).id for name in names])
        self._site = model.site(effector.site).id
        # MuJoCo keeps no quaternions of sites: a sensor measures the tool point's
        self._quat_sensor = int(model.sensor(f"{effector.name}_quat_w").adr[0])
        self._mount = model.body(arm.root_body).id
        self._in_mount_frame = not _has_the_worlds_axes(model, self._mount)

        # figures of the law; the first, (6,) in m and rad, is how far the target moves
        # in a control step at full speed
        self._full_step = xp.asarray(list(arm.ee_speeds)) * dt_s
        self._home = xp.asarray(arm.joints.home)  # (J,)
        self._damping = DAMPING**2 * xp.eye(6)

        # the target, in the mount's frame where that moves or is turned
        self._pos = xp.zeros((engine.num_worlds, 3))
        self._quat_wxyz = xp.zeros((engine.num_worlds, 4))

    def reset(self, which: Array) -> None:
        """Sets the targets in worlds `which` (N,) bool to the measured tool points."""
        xp = self._engine.xp
        rows = which[:, None]
        pos, quat_wxyz = self._measured()
        self._pos[...] = xp.where(rows, pos, self._pos)
        self._quat_wxyz[...] = xp.where(rows, quat_wxyz, self._quat_wxyz)

    def memory(self) -> dict[str, Array]:
        return {"pos": self._pos, "quat_wxyz": self._quat_wxyz}

    def initial(self) -> Array:
        return self._approach.initial()

    def targets(self, action: Array, previous: Array) -> Array:
        """Returns joint targets (N, J) for actions (N, 6): shares of full velocities."""
        return self._approach.approach(self._follow(action), previous)

    def _follow(self, action: Array) -> Array:
        """Moves the target by an action (N, 6); returns joints (N, J) towards it, rad."""
        xp = self._engine.xp
        joints = self._engine.view("qpos")[:, self._qpos_columns]
        step = action * self._full_step
        pos, quat_wxyz = self._measured()

        # the target moves, but stays near the measured tool point
        lead_m = _limit_norm(xp, self._pos + step[:, :3] - pos, EE_LEAD_M)
        wanted = quat_multiply(quat_from_rotvec(step[:, 3:]), self._quat_wxyz)
        turn = quat_to_rotvec(quat_multiply(wanted, quat_conjugate(quat_wxyz)))
        lead_rad = _limit_norm(xp, turn, EE_LEAD_RAD)

        # in place: a captured CUDA graph goes on with the same memory
        self._pos[...] = pos + lead_m
        self._quat_wxyz[...] = quat_multiply(quat_from_rotvec(lead_rad), quat_wxyz)

        # the joints are to make up the lead, in the world's axes
        if self._in_mount_frame:
            mount = self._engine.view("xquat")[:, self._mount]
            lead_m = quat_rotate(mount, lead_m)
            lead_rad = quat_rotate(mount, lead_rad)
        error = xp.concat([lead_m, lead_rad], axis=1)
        return joints + self._least_squares(error, joints)

    def _measured(self) -> tuple[Array, Array]:
        """Returns position (N, 3) and orientation (N, 4) of the tool centre points.

        They are in the mount's frame where that moves or is turned, else in the
        world's.
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
        """Returns the joint change (N, J) that moves the tool by `error` (N, 6).

        The error is in the world's axes. What freedom is left moves the joints home.
        """
        xp = self._engine.xp
        jacobian = self._jacobian()  # (N, 6, J)
        transposed = xp.permute_dims(jacobian, (0, 2, 1))
        gram = jacobian @ transposed + self._damping

        # A small step home comes first. The least squares then make up the error, and
        # undo what that step moves the tool by, so that it stays where joints are free.
        posture = POSTURE_GAIN * (self._home - joints)
        rest = error - dot(jacobian, posture[:, None, :])
        solved = xp.linalg.solve(gram, rest[:, :, None])
        return posture + (transposed @ solved)[:, :, 0]

    def _jacobian(self) -> Array:
        """Returns (N, 6, J) of the tool, from the joints' current axes and anchors."""
        xp = self._engine.xp
        axis = self._engine.view("xaxis")[:, self._joint_ids]  # (N, J, 3)
        anchor = self._engine.view("xanchor")[:, self._joint_ids]
        linear = cross(axis, self._tcp_pos_w()[:, None, :] - anchor)
        return xp.permute_dims(xp.concat([linear, axis], axis=2), (0, 2, 1))

    def _tcp_pos_w(self) -> Array:
        return self._engine.view("site_xpos")[:, self._site]


def _has_the_worlds_axes(model: mujoco.MjModel, body: int) -> bool:
    """Returns whether a body is fixed to the world, and not turned against it."""
    if model.body_weldid[body] != 0:
        return False
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return bool(np.allclose(data.xmat[body].reshape(3, 3), np.eye(3), atol=1e-12))


def _limit_norm(xp: Any, vector: Array, limit: float) -> Array:
    """Returns vectors (N, 3), shortened to `limit` where they are longer."""
    norm = xp.sqrt(dot(vector, vector))[..., None]
    return vector * (limit / xp.maximum(norm, xp.full_like(norm, limit)))
