"""What a description does not name is held: torsos, heads, second arms."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np

from embodied.errors import EmbodiedError
from embodied.robots.described.source import SINGLE, FileArm, Source


def hold_the_rest(source: Source) -> None:
    """Deletes the joints that no arm or hand has, and fixes their bodies in place.

    That is where the description holds them, else at the file's first keyframe, else
    where the file draws them, but within their range. What is coupled to a finger
    stays, as a gripper's linkage does.

    Raises:
        EmbodiedError: a body has joints that are named, and joints that are not, or a
            joint is to be held out of its range.
    """
    spec = source.spec
    model = spec.compile()
    data = resting_data(model)
    _hold_as_described(source, model, data)
    kept = _moving_joints(model, source.arms) | set(source.base)

    for body in list(spec.bodies)[1:]:
        idle = [joint for joint in body.joints if joint.name not in kept]
        if not idle:
            continue
        if len(idle) < len(body.joints):
            names = ", ".join(joint.name for joint in body.joints)
            raise EmbodiedError(
                f"the body {body.name!r} has the joints {names}, of which the description "
                "names only some: name all or none of them"
            )
        _fix(spec, body, model, data)
        for joint in idle:
            address = int(model.joint(joint.name).qposadr[0])
            if joint.type in SINGLE:
                source.held[joint.name] = float(data.qpos[address])
            spec.delete(joint)

    _delete_orphans(spec, model, kept)


def _hold_as_described(
    source: Source, model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    """Sets the joints that the description holds elsewhere than the file has them.

    Raises:
        EmbodiedError: such a place is out of a joint's range.
    """
    for name, value in source.held_at.items():
        joint = model.joint(name)
        low, high = joint.range
        if model.jnt_limited[joint.id] and not low <= value <= high:
            raise EmbodiedError(
                f"held_at of {name!r} is {value:g}, outside its range {low:.4g} to "
                f"{high:.4g}"
            )
        data.qpos[joint.qposadr[0]] = value
    mujoco.mj_kinematics(model, data)


def resting_data(model: mujoco.MjModel) -> mujoco.MjData:
    """Returns a model at rest: at its first keyframe, but within all ranges."""
    data = mujoco.MjData(model)
    if model.nkey:
        mujoco.mj_resetDataKeyframe(model, data, 0)
    for j in range(model.njnt):
        if model.jnt_limited[j] and mujoco.mjtJoint(int(model.jnt_type[j])) in SINGLE:
            address = model.jnt_qposadr[j]
            data.qpos[address] = np.clip(data.qpos[address], *model.jnt_range[j])
    mujoco.mj_kinematics(model, data)
    return data


def subtree(model: mujoco.MjModel, root: int) -> set[int]:
    """Returns the ids of a body and of all that it carries."""
    carried = {root}
    for body in range(root + 1, model.nbody):  # a parent comes before its children
        if int(model.body_parentid[body]) in carried:
            carried.add(body)
    return carried


def _moving_joints(model: mujoco.MjModel, arms: tuple[FileArm, ...]) -> set[str]:
    """Returns the joints that stay: those named, and the linkages of the hands."""
    kept: set[str] = set()
    for arm in arms:
        kept.update(arm.joints, arm.fingers)

    coupled = set(_coupled_joints(model))
    for arm in arms:
        last = int(model.joint(arm.joints[-1]).bodyid[0])
        hand = subtree(model, last)
        for j in range(model.njnt):
            if int(model.jnt_bodyid[j]) in hand and j in coupled:
                kept.add(model.joint(j).name)
    return kept


def _coupled_joints(model: mujoco.MjModel) -> Iterator[int]:
    """Yields the joints that a spring, a tendon or an equality moves."""
    for j in range(model.njnt):
        if np.any(model.jnt_stiffness[j]):
            yield j
    for k in range(model.nwrap):
        if model.wrap_type[k] == mujoco.mjtWrap.mjWRAP_JOINT:
            yield int(model.wrap_objid[k])

    for k in range(model.neq):
        ends = (int(model.eq_obj1id[k]), int(model.eq_obj2id[k]))
        kind = mujoco.mjtEq(int(model.eq_type[k]))
        if kind == mujoco.mjtEq.mjEQ_JOINT:
            yield from (end for end in ends if end >= 0)
        elif kind in (mujoco.mjtEq.mjEQ_CONNECT, mujoco.mjtEq.mjEQ_WELD):
            is_site = model.eq_objtype[k] == mujoco.mjtObj.mjOBJ_SITE
            for end in ends:
                yield from _joints_above(
                    model, model.site_bodyid[end] if is_site else end
                )


def _joints_above(model: mujoco.MjModel, body: int) -> Iterator[int]:
    """Yields the joints of a body and of those that carry it."""
    while body > 0:
        first = int(model.body_jntadr[body])
        yield from range(first, first + int(model.body_jntnum[body]))
        body = int(model.body_parentid[body])


def _fix(
    spec: mujoco.MjSpec,
    body: mujoco.MjsBody,
    model: mujoco.MjModel,
    data: mujoco.MjData,
) -> None:
    """Places a body, relative to the one that carries it, where it is in `data`."""
    child = model.body(body.name).id
    parent = int(model.body_parentid[child])
    to_parent = np.zeros(4)
    quat = np.zeros(4)
    mujoco.mju_negQuat(to_parent, data.xquat[parent])
    mujoco.mju_mulQuat(quat, to_parent, data.xquat[child])
    pos = data.xmat[parent].reshape(3, 3).T @ (data.xpos[child] - data.xpos[parent])

    # in a frame of its own: its pose is relative to its frame, not to its parent
    body.set_frame(body.parent.add_frame())
    body.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
    body.pos = pos
    body.quat = quat


def _delete_orphans(spec: mujoco.MjSpec, model: mujoco.MjModel, kept: set[str]) -> None:
    """Deletes actuators, tendons and equalities of joints that were deleted.

    `model` was compiled before; its ids are the places in the lists of `spec`.
    """
    gone = {j for j in range(model.njnt) if model.joint(j).name not in kept}
    tendons = set()
    for t in range(model.ntendon):
        first = model.tendon_adr[t]
        for k in range(first, first + model.tendon_num[t]):
            is_joint = model.wrap_type[k] == mujoco.mjtWrap.mjWRAP_JOINT
            if is_joint and int(model.wrap_objid[k]) in gone:
                tendons.add(t)

    lost = {mujoco.mjtEq.mjEQ_JOINT: gone, mujoco.mjtEq.mjEQ_TENDON: tendons}
    for k, equality in enumerate(list(spec.equalities)):
        ends = {int(model.eq_obj1id[k]), int(model.eq_obj2id[k])}
        if ends & lost.get(equality.type, set()):
            spec.delete(equality)
    for a, actuator in enumerate(list(spec.actuators)):
        target = int(model.actuator_trnid[a, 0])
        kind = mujoco.mjtTrn(int(model.actuator_trntype[a]))
        on_joint = kind in (
            mujoco.mjtTrn.mjTRN_JOINT,
            mujoco.mjtTrn.mjTRN_JOINTINPARENT,
        )
        on_tendon = kind == mujoco.mjtTrn.mjTRN_TENDON
        if (on_joint and target in gone) or (on_tendon and target in tendons):
            spec.delete(actuator)
    for t, tendon in enumerate(list(spec.tendons)):
        if t in tendons:
            spec.delete(tendon)
