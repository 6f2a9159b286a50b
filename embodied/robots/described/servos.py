"""Servos for the joints of a user's arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import mujoco
import numpy as np

from embodied.errors import unknown
from embodied.robots.modelling import SERVO_LAG_S
from embodied.robots.parts.part import Ranges

# The inertia of a motor with its gear, for joints whose armature the file leaves out.
ARMATURE_KG_M2 = 0.1
# The largest inertia is searched among this many random postures.
POSTURES = 64
# A joint without limits gets this range in each direction.
FULL_TURN_RAD = 2 * np.pi


class Servo(NamedTuple):
    """A position servo of a joint.

    Attributes:
        joint: the joint's name in the file.
        stiffness: torque or force per position error, N m / rad or N / m.
        range: the joint's range, rad or m.
        limit: the servo's largest torque in N m, or force in N; None for no limit.
    """

    joint: str
    stiffness: float
    range: tuple[float, float]
    limit: float | None


def force_limits(model: mujoco.MjModel) -> dict[str, float]:
    """Returns the largest torque in N m, or force in N, of each joint that has a limit."""
    limits = {}
    for i in range(model.nu):
        limit = _actuator_limit(model, i)
        if limit is not None:
            for joint, lever in _moved_joints(model, i):
                limits[joint] = lever * limit

    # a joint's own limit has priority over those of its actuators
    for j in range(model.njnt):
        if model.jnt_actfrclimited[j]:
            force_range = model.jnt_actfrcrange[j]
            limits[model.joint(j).name] = float(np.abs(force_range).max())
    return {joint: limit for joint, limit in limits.items() if limit > 0}


def _moved_joints(model: mujoco.MjModel, actuator: int) -> list[tuple[str, float]]:
    """Returns the joints that an actuator moves, each with its lever.

    A joint's torque is the lever times the actuator's force.
    """
    target = int(model.actuator_trnid[actuator, 0])
    kind = mujoco.mjtTrn(int(model.actuator_trntype[actuator]))
    if kind in (mujoco.mjtTrn.mjTRN_JOINT, mujoco.mjtTrn.mjTRN_JOINTINPARENT):
        return [(model.joint(target).name, 1.0)]
    if kind != mujoco.mjtTrn.mjTRN_TENDON:
        return []

    # a fixed tendon: its length is a sum of joints' positions
    moved = []
    first = int(model.tendon_adr[target])
    for k in range(first, first + int(model.tendon_num[target])):
        if model.wrap_type[k] == mujoco.mjtWrap.mjWRAP_JOINT:
            name = model.joint(int(model.wrap_objid[k])).name
            moved.append((name, float(abs(model.wrap_prm[k]))))
    return moved


def _actuator_limit(model: mujoco.MjModel, actuator: int) -> float | None:
    """Returns the largest torque or force of an actuator; None without a limit."""
    gear = abs(model.actuator_gear[actuator, 0])
    if model.actuator_forcelimited[actuator]:
        return gear * float(np.abs(model.actuator_forcerange[actuator]).max())

    # a motor has no bias: its torque is proportional to its limited control
    is_motor = model.actuator_biastype[actuator] == mujoco.mjtBias.mjBIAS_NONE
    if model.actuator_ctrllimited[actuator] and is_motor:
        gain = abs(model.actuator_gainprm[actuator, 0])
        return gear * float(np.abs(model.actuator_ctrlrange[actuator]).max() * gain)
    return None


def keep_servos(spec: mujoco.MjSpec, joints: Sequence[str]) -> None:
    """Deletes all actuators except the position servos of `joints`.

    The kept servos get the names of their joints. Their targets become joint positions
    in rad, even if their gain and gear scaled the target before.

    Raises:
        EmbodiedError: one of the joints has no position servo.
    """
    kept = {}
    for actuator in list(spec.actuators):
        target = actuator.target
        if target in joints and target not in kept and _is_position_servo(actuator):
            kept[target] = actuator
        else:
            spec.delete(actuator)
    for joint in joints:
        if joint not in kept:
            raise unknown('position servo (servos = "file") of joint', joint, kept)

    for joint, actuator in kept.items():
        actuator.name = joint
        # The force is biasprm[0] + gain * target + biasprm[1] * gear * position. With
        # this gain and biasprm[0] = 0 it vanishes where the position equals the target.
        actuator.gainprm[0] = -actuator.biasprm[1] * actuator.gear[0]
        actuator.biasprm[0] = 0


def _is_position_servo(actuator: mujoco.MjsActuator) -> bool:
    """Returns whether an actuator drives a joint with a force falling with its position."""
    on_joint = actuator.trntype == mujoco.mjtTrn.mjTRN_JOINT
    is_affine = actuator.biastype == mujoco.mjtBias.mjBIAS_AFFINE
    return bool(on_joint and is_affine and actuator.biasprm[1] < 0)


def joint_ranges(model: mujoco.MjModel, joints: Sequence[str]) -> Ranges:
    """Returns ranges (J, 2) of joints, rad; one turn each way for unlimited ones."""
    ranges = []
    for name in joints:
        joint = model.joint(name)
        if model.jnt_limited[joint.id]:
            low, high = joint.range
            ranges.append((float(low), float(high)))
        else:
            ranges.append((-FULL_TURN_RAD, FULL_TURN_RAD))
    return tuple(ranges)


def remove_passive_forces(spec: mujoco.MjSpec, joints: Sequence[str]) -> None:
    """Removes damping, friction and springs of joints, as a real drive compensates them.

    A joint without armature gets ARMATURE_KG_M2, the inertia of a motor with its gear.
    """
    for name in joints:
        joint = spec.joint(name)
        joint.armature = joint.armature or ARMATURE_KG_M2
        joint.damping = [0.0, 0.0, 0.0]
        joint.stiffness = [0.0, 0.0, 0.0]
        joint.frictionloss = 0


def measure_servos(
    model: mujoco.MjModel,
    prefix: str,
    joints: Sequence[str],
    limits: Mapping[str, float],
) -> tuple[Servo, ...]:
    """Returns critically damped servos for J joints, none of which oscillates.

    Args:
        model: the robot's model, after `remove_passive_forces`.
        prefix: the prefix of the file's names in the model.
        joints: (J,) names of the joints in the file.
        limits: the largest torque, in N m, of each joint of the file that has a limit.
    """
    if not joints:
        return ()
    names = [prefix + name for name in joints]
    ranges = joint_ranges(model, names)
    inertias = _largest_inertia(model, names, ranges)

    # Critical damping is 2 sqrt(stiffness * inertia), and the lag behind a moving target
    # is damping / stiffness. Both together give stiffness = 4 inertia / lag^2.
    servos = []
    for name, inertia, joint_range in zip(joints, inertias, ranges, strict=True):
        stiffness = float(4 * inertia / SERVO_LAG_S**2)
        servos.append(Servo(name, stiffness, joint_range, limits.get(name)))
    return tuple(servos)


def add_servos(spec: mujoco.MjSpec, prefix: str, servos: Sequence[Servo]) -> None:
    """Adds position servos that follow their targets with a lag of SERVO_LAG_S.

    Args:
        spec: the model.
        prefix: the prefix of the file's names in the model.
        servos: the servos to add; each gets the name of its joint.
    """
    for servo in servos:
        name = prefix + servo.joint
        actuator = spec.add_actuator(
            name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT
        )
        actuator.set_to_position(kp=servo.stiffness, kv=SERVO_LAG_S * servo.stiffness)
        actuator.ctrlrange = servo.range
        if servo.limit is not None:
            actuator.forcerange = (-servo.limit, servo.limit)


def _largest_inertia(
    model: mujoco.MjModel, joints: Sequence[str], ranges: Ranges
) -> np.ndarray:
    """Returns (J,) the largest inertia at each joint among random postures, kg m2."""
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    addresses = [int(model.joint(name).qposadr[0]) for name in joints]
    dofs = [int(model.joint(name).dofadr[0]) for name in joints]
    low, high = np.array(ranges).T

    largest = np.zeros(len(joints))
    matrix = np.zeros((model.nv, model.nv))
    for _ in range(POSTURES):
        data.qpos[addresses] = rng.uniform(low, high)
        mujoco.mj_forward(model, data)
        # `mj_fullM` expands MuJoCo's sparse inertia matrix; a joint's inertia is on its
        # diagonal
        mujoco.mj_fullM(model, data, matrix)
        largest = np.maximum(largest, np.diag(matrix)[dofs])
    return largest
