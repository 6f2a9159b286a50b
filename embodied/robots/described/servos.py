"""Motors for arms that bring a model but no drives of ours: joint servos and a
gripper's.
"""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from embodied.errors import EmbodiedError, unknown
from embodied.robots.described.description import Gripper
from embodied.sim.physics import PAD_SOLREF

LAG_S = 0.03  # by which servos follow a moving target, on the target's own path
ARMATURE_KG_M2 = 0.1  # of a motor with its gear, for joints that say none
POSTURES = 64  # in which an arm's inertia is looked at
# N per m of width: what is held feels full force 3 mm before the target
GRIPPER_STIFFNESS = 25_000.0
# a finger much lighter than damping times timestep chatters on what it holds
FINGER_ARMATURE_KG = 1.25
TOUCHING_M = 1e-3


def torque_limits(spec: mujoco.MjSpec) -> dict[str, float]:
    """Joint -> the most that its actuators can do, N m, of those joints that have a
    limit.
    """
    model = spec.compile()
    limits = {}
    for i in range(model.nu):
        joint = model.joint(int(model.actuator_trnid[i, 0])).name
        if model.actuator_trntype[i] != mujoco.mjtTrn.mjTRN_JOINT:
            continue
        gear = abs(model.actuator_gear[i, 0])
        if model.actuator_forcelimited[i]:
            limits[joint] = gear * float(np.abs(model.actuator_forcerange[i]).max())
        elif (
            model.actuator_ctrllimited[i]
            and model.actuator_biastype[i] == mujoco.mjtBias.mjBIAS_NONE
        ):
            most = np.abs(model.actuator_ctrlrange[i]).max() * abs(
                model.actuator_gainprm[i, 0]
            )
            limits[joint] = gear * float(most)
    for j in range(model.njnt):
        if model.jnt_actfrclimited[j]:
            limits[model.joint(j).name] = float(np.abs(model.jnt_actfrcrange[j]).max())
    return limits


def keep_servos(spec: mujoco.MjSpec, joints: Sequence[str]) -> None:
    """Deletes all actuators but the position servos of `joints`, which get the joints'
    names.

    Raises EmbodiedError where one of them has none.
    """
    kept = {
        a.target: a
        for a in spec.actuators
        if a.target in joints and _is_position_servo(a)
    }
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
    on_joint = actuator.trntype == mujoco.mjtTrn.mjTRN_JOINT
    return bool(
        on_joint
        and actuator.biastype == mujoco.mjtBias.mjBIAS_AFFINE
        and actuator.biasprm[1] < 0
    )


def add_servos(
    spec: mujoco.MjSpec, joints: Sequence[str], limits: Sequence[float | None]
) -> None:
    """Position servos of the joints' names that all lag by 30 ms and swing nowhere the
    arm can reach.
    """
    for name in joints:
        joint = spec.joint(name)
        joint.armature = joint.armature or ARMATURE_KG_M2
    model = spec.compile()
    for name, inertia, limit in zip(
        joints, _largest_inertia(model, joints), limits, strict=True
    ):
        # critical, with a damping of `LAG_S` times it
        stiffness = 4 * inertia / LAG_S**2
        servo = spec.add_actuator(
            name=name, target=name, trntype=mujoco.mjtTrn.mjTRN_JOINT
        )
        servo.set_to_position(kp=stiffness, kv=LAG_S * stiffness)
        servo.ctrlrange = model.joint(name).range
        if limit is not None:
            servo.forcerange = (-limit, limit)


def _largest_inertia(model: mujoco.MjModel, joints: Sequence[str]) -> np.ndarray:
    """(J,) kg m2 that each joint has to move, in the worst of some postures."""
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    qpos, dofs = (
        [int(getattr(model.joint(name), adr)[0]) for name in joints]
        for adr in ("qposadr", "dofadr")
    )
    low, high = np.array([model.joint(name).range for name in joints]).T
    largest = np.zeros(len(joints))
    matrix = np.zeros((model.nv, model.nv))
    for _ in range(POSTURES):
        data.qpos[qpos] = rng.uniform(low, high)
        mujoco.mj_forward(model, data)
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
        fingers: names of its sliding joints in the model.
        description: the gripper's force and speed.
        prefix: what the actuator's name begins with.

    Raises:
        EmbodiedError: fingers that don't slide from 0 on.
    """
    model = spec.compile()
    opens_m = [_opening(model, name) for name in fingers]

    # the width is a tendon over all fingers, which move together
    tendon = spec.add_tendon(name=f"{prefix}gripper_width")
    for name in fingers:
        joint = spec.joint(name)
        joint.armature = max(joint.armature, FINGER_ARMATURE_KG)
        damping = description.force_n * len(fingers) / description.speed_m_s
        joint.damping = [damping, 0.0, 0.0]
        tendon.wrap_joint(name, 1)
    for other, opens in zip(fingers[1:], opens_m[1:], strict=True):
        _couple(spec, fingers[0], other, opens / opens_m[0])

    servo = spec.add_actuator(
        name=f"{prefix}gripper",
        target=f"{prefix}gripper_width",
        trntype=mujoco.mjtTrn.mjTRN_TENDON,
    )
    servo.set_to_position(kp=GRIPPER_STIFFNESS)
    servo.ctrlrange = (0, sum(opens_m))
    servo.forcerange = (-description.force_n, description.force_n)


def _opening(model: mujoco.MjModel, finger: str) -> float:
    """How far a finger opens, m."""
    joint = model.joint(finger)
    low, high = joint.range
    if (
        joint.type[0] != mujoco.mjtJoint.mjJNT_SLIDE
        or abs(low) > TOUCHING_M
        or high <= 0
    ):
        raise EmbodiedError(
            f"finger {finger!r} must slide from 0, where it touches the other, to where it is open; its range is "
            f"{low:g} to {high:g}"
        )
    return float(high)


def _couple(spec: mujoco.MjSpec, first: str, other: str, ratio: float) -> None:
    """Fingers move together, unless the file sees to that."""
    pair = {first, other}
    joint = mujoco.mjtEq.mjEQ_JOINT
    if any(e.type == joint and {e.name1, e.name2} == pair for e in spec.equalities):
        return
    spec.add_equality(
        name=f"{first}-{other}",
        type=joint,
        name1=other,
        name2=first,
        data=(0, ratio, *[0] * 10),
        solref=PAD_SOLREF,
        solimp=(0.99, 0.99, 0.001, 0.5, 2),
    )


def make_pads(spec: mujoco.MjSpec, geoms: Sequence[str]) -> None:
    """Makes geoms grip as those of our own robots do."""
    for name in geoms:
        geom = spec.geom(name)
        # by which worlds find what their friction varies
        geom.name = name if "pad" in name else f"{name}_pad"
        geom.solref = PAD_SOLREF
        geom.priority = 1
        geom.condim = 3
        geom.friction = [1.2, 0.005, 0.0001]
