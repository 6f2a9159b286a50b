"""Servos for arms and grippers that a user's MJCF file describes."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from embodied.errors import EmbodiedError, unknown
from embodied.robots.described.description import Gripper
from embodied.robots.gripping import (
    FINGER_ARMATURE_KG,
    add_width_drive,
    couple_fingers,
    make_pad,
)
from embodied.robots.modelling import SERVO_LAG_S

# Of a motor with its gear, for joints whose file names none.
ARMATURE_KG_M2 = 0.1
# How many postures the largest inertia is taken from.
POSTURES = 64
# How far from 0 the position of a closed finger may be.
TOUCHING_M = 1e-3


def torque_limits(spec: mujoco.MjSpec) -> dict[str, float]:
    """Returns joint -> its largest torque in N m, for joints that have a limit."""
    model = spec.compile()
    limits = {}
    for i in range(model.nu):
        if model.actuator_trntype[i] != mujoco.mjtTrn.mjTRN_JOINT:
            continue
        limit = _actuator_limit(model, i)
        if limit is not None:
            joint = model.joint(int(model.actuator_trnid[i, 0])).name
            limits[joint] = limit

    # a limit of the joint itself goes before those of its actuators
    for j in range(model.njnt):
        if model.jnt_actfrclimited[j]:
            force_range = model.jnt_actfrcrange[j]
            limits[model.joint(j).name] = float(np.abs(force_range).max())
    return limits


def _actuator_limit(model: mujoco.MjModel, actuator: int) -> float | None:
    """Returns an actuator's largest torque at the joint, N m; None without a limit."""
    gear = abs(model.actuator_gear[actuator, 0])
    if model.actuator_forcelimited[actuator]:
        return gear * float(np.abs(model.actuator_forcerange[actuator]).max())

    # a plain motor's torque is proportional to its control
    is_motor = model.actuator_biastype[actuator] == mujoco.mjtBias.mjBIAS_NONE
    if model.actuator_ctrllimited[actuator] and is_motor:
        gain = abs(model.actuator_gainprm[actuator, 0])
        return gear * float(np.abs(model.actuator_ctrlrange[actuator]).max() * gain)
    return None


def keep_servos(spec: mujoco.MjSpec, joints: Sequence[str]) -> None:
    """Deletes all actuators but the position servos of `joints`.

    Those that are kept get the names of their joints.

    Raises:
        EmbodiedError: one of the joints has no position servo.
    """
    kept = {}
    for actuator in spec.actuators:
        if actuator.target in joints and _is_position_servo(actuator):
            kept[actuator.target] = actuator
    for joint in joints:
        if joint not in kept:
            raise unknown('position servo (servos = "file") of joint', joint, kept)

    names = [actuator.name for actuator in kept.values()]
    for actuator in spec.actuators:
        if actuator.name not in names:
            spec.delete(actuator)
    for joint, actuator in kept.items():
        actuator.name = joint


def _is_position_servo(actuator: mujoco.MjsActuator) -> bool:
    """Returns whether an actuator's force falls in proportion to a joint's position."""
    on_joint = actuator.trntype == mujoco.mjtTrn.mjTRN_JOINT
    is_affine = actuator.biastype == mujoco.mjtBias.mjBIAS_AFFINE
    return bool(on_joint and is_affine and actuator.biasprm[1] < 0)


def add_servos(
    spec: mujoco.MjSpec, joints: Sequence[str], limits: Sequence[float | None]
) -> None:
    """Adds position servos, named like their joints.

    They all follow 30 ms late, and none oscillates in any posture.

    Args:
        spec: the model.
        joints: names of J joints.
        limits: (J,) largest torque of each in N m; None for no limit.
    """
    for name in joints:
        joint = spec.joint(name)
        joint.armature = joint.armature or ARMATURE_KG_M2

    model = spec.compile()
    inertias = _largest_inertia(model, joints)
    for name, inertia, limit in zip(joints, inertias, limits, strict=True):
        # Critical damping is 2 sqrt(stiffness * inertia). It shall be the lag times the
        # stiffness, which gives the stiffness.
        stiffness = 4 * inertia / SERVO_LAG_S**2
        servo = spec.add_actuator(
            name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT
        )
        servo.set_to_position(kp=stiffness, kv=SERVO_LAG_S * stiffness)
        servo.ctrlrange = model.joint(name).range
        if limit is not None:
            servo.forcerange = (-limit, limit)


def _largest_inertia(model: mujoco.MjModel, joints: Sequence[str]) -> np.ndarray:
    """Returns (J,) the largest inertia at each joint over many postures, in kg m2."""
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    addresses = [int(model.joint(name).qposadr[0]) for name in joints]
    dofs = [int(model.joint(name).dofadr[0]) for name in joints]
    low, high = np.array([model.joint(name).range for name in joints]).T

    largest = np.zeros(len(joints))
    matrix = np.zeros((model.nv, model.nv))
    for _ in range(POSTURES):
        data.qpos[addresses] = rng.uniform(low, high)
        mujoco.mj_forward(model, data)
        # the diagonal of the inertia matrix, which `mj_fullM` makes of MuJoCo's sparse one
        mujoco.mj_fullM(model, data, matrix)
        largest = np.maximum(largest, np.diag(matrix)[dofs])
    return largest


def add_gripper_drive(
    spec: mujoco.MjSpec,
    fingers: Sequence[str],
    description: Gripper,
    prefix: str = "",
) -> None:
    """Adds an actuator `gripper` whose target is the width in m.

    Args:
        spec: the model.
        fingers: names of the gripper's sliding joints in the model.
        description: the gripper's force and speed.
        prefix: what the actuator's name begins with.

    Raises:
        EmbodiedError: a finger does not slide from 0 on.
    """
    model = spec.compile()
    opens_m = [_opening(model, name) for name in fingers]

    # The damping is what limits the speed at full force: each finger makes its share of
    # the width's speed.
    for name in fingers:
        joint = spec.joint(name)
        joint.armature = max(joint.armature, FINGER_ARMATURE_KG)
        damping = description.force_n * len(fingers) / description.speed_m_s
        joint.damping = [damping, 0.0, 0.0]

    # the others follow the first, so that all are fully open together
    for other, opens in zip(fingers[1:], opens_m[1:], strict=True):
        if not _are_coupled(spec, fingers[0], other):
            name = f"{fingers[0]}-{other}"
            couple_fingers(spec, name, other, fingers[0], opens / opens_m[0])
    add_width_drive(
        spec, f"{prefix}gripper", fingers, sum(opens_m), description.force_n
    )


def _opening(model: mujoco.MjModel, finger: str) -> float:
    """Returns how far a finger opens, in m."""
    joint = model.joint(finger)
    low, high = joint.range
    slides = joint.type[0] == mujoco.mjtJoint.mjJNT_SLIDE
    if slides and abs(low) <= TOUCHING_M and high > 0:
        return float(high)
    raise EmbodiedError(
        f"finger {finger!r} must slide from 0, where it touches the other, to where it "
        f"is open; its range is {low:g} to {high:g}"
    )


def _are_coupled(spec: mujoco.MjSpec, first: str, second: str) -> bool:
    """Returns whether the file itself makes two fingers move together."""
    for equality in spec.equalities:
        is_joint = equality.type == mujoco.mjtEq.mjEQ_JOINT
        if is_joint and {equality.name1, equality.name2} == {first, second}:
            return True
    return False


def make_pads(spec: mujoco.MjSpec, geoms: Sequence[str]) -> None:
    """Makes geoms grip as those of our own robots do."""
    for name in geoms:
        geom = spec.geom(name)
        # variation of the pads' friction finds them by this name
        geom.name = name if "pad" in name else f"{name}_pad"
        make_pad(geom)
