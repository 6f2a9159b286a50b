"""Fixes the joints that a description does not name, such as a torso's or a head's."""

from __future__ import annotations

from collections.abc import Iterator

import mujoco
import numpy as np

from embodied.errors import EmbodiedError
from embodied.robots.described.source import SINGLE, FileArm, Source


def fix_unnamed_joints(source: Source) -> None:
    """Deletes the joints outside arms and hands, and fixes their bodies in place.

    A joint is fixed at the position that the description gives in `held_at`, else at
    that of the file's first keyframe, else at the file's initial position, within its
    range. Joints of a hand that are coupled, such as a gripper's linkage, stay.

    Raises:
        EmbodiedError: the description names some joints of a body but not all, or it
            holds a joint outside its range.
    """
    spec = source.spec
    model = source.file_model
    data = resting_data(model)
    _hold_as_described(source, model, data)
    kept = _moving_joints(model, source.arms) | set(source.base)

    for body in list(spec.bodies)[1:]:  # the first is the world
        held = [joint for joint in body.joints if joint.name not in kept]
        if not held:
            continue
        if len(held) < len(body.joints):
            names = ", ".join(joint.name for joint in body.joints)
            raise EmbodiedError(
                f"the body {body.name!r} has the joints {names}, of which the description "
                "names only some: name all or none of them"
            )
        _fix(spec, body, model, data)
        for joint in held:
            address = int(model.joint(joint.name).qposadr[0])
            # balls and free joints have no single position to report
            if joint.type in SINGLE:
                source.held[joint.name] = float(data.qpos[address])
            spec.delete(joint)

    _delete_orphans(spec, model, kept)


def _hold_as_described(
    source: Source, model: mujoco.MjModel, data: mujoco.MjData
) -> None:
    """Sets, in `data`, the joint positions that the description gives in `held_at`.

    Raises:
        EmbodiedError: a position is outside its joint's range.
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
    """Returns the state at a model's first keyframe, if any, with all joints in range."""
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
    """Returns the ids of a body and of all bodies that it carries."""
    carried = {root}
    for body in range(root + 1, model.nbody):  # a parent comes before its children
        if int(model.body_parentid[body]) in carried:
            carried.add(body)
    return carried


def _moving_joints(model: mujoco.MjModel, arms: tuple[FileArm, ...]) -> set[str]:
    """Returns the joints that stay: arms, fingers and the linkages of the hands."""
    moving: set[str] = set()
    for arm in arms:
        moving.update(arm.joints, arm.fingers)

    # in a hand, springs, tendons and equalities move the joints of the linkages
    coupled = set(_coupled_joints(model))
    for arm in arms:
        last_link = int(model.joint(arm.joints[-1]).bodyid[0])
        hand = subtree(model, last_link)
        for j in range(model.njnt):
            if int(model.jnt_bodyid[j]) in hand and j in coupled:
                moving.add(model.joint(j).name)
    return moving


def _coupled_joints(model: mujoco.MjModel) -> Iterator[int]:
    """Yields the ids of the joints that a spring, a tendon or an equality moves."""
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
            yield from (end for end in ends if end >= 0)  # -1: there is no second joint
        elif kind in (mujoco.mjtEq.mjEQ_CONNECT, mujoco.mjtEq.mjEQ_WELD):
            # such an equality joins two bodies, or two sites; it moves all their joints
            joins_sites = model.eq_objtype[k] == mujoco.mjtObj.mjOBJ_SITE
            for end in ends:
                body = model.site_bodyid[end] if joins_sites else end
                yield from _joints_above(model, body)


def _joints_above(model: mujoco.MjModel, body: int) -> Iterator[int]:
    """Yields the joints of a body and of the bodies that carry it."""
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
    """Gives a body the pose relative to its parent that it has in `data`."""
    child = model.body(body.name).id
    parent = int(model.body_parentid[child])
    world_to_parent = np.zeros(4)
    quat = np.zeros(4)
    mujoco.mju_negQuat(world_to_parent, data.xquat[parent])
    mujoco.mju_mulQuat(quat, world_to_parent, data.xquat[child])
    pos = data.xmat[parent].reshape(3, 3).T @ (data.xpos[child] - data.xpos[parent])

    # The file may put the body in a `<frame>`, and the pose would be relative to it. A
    # new frame with the parent's pose replaces it.
    body.set_frame(body.parent.add_frame())
    body.alt.type = mujoco.mjtOrientation.mjORIENTATION_QUAT
    body.pos = pos
    body.quat = quat


def _delete_orphans(spec: mujoco.MjSpec, model: mujoco.MjModel, kept: set[str]) -> None:
    """Deletes actuators, tendons and equalities of joints that were deleted.

    Args:
        spec: the model without these joints.
        model: the model compiled before they were deleted; an element's id in it is the
            element's index in the lists of `spec`.
        kept: names of the joints that stayed.
    """
    # ids of the deleted joints, and of the tendons that run over one of them
    gone = {j for j in range(model.njnt) if model.joint(j).name not in kept}
    gone_tendons = set()
    for t in range(model.ntendon):
        first = model.tendon_adr[t]
        for k in range(first, first + model.tendon_num[t]):
            is_joint = model.wrap_type[k] == mujoco.mjtWrap.mjWRAP_JOINT
            if is_joint and int(model.wrap_objid[k]) in gone:
                gone_tendons.add(t)

    # kind of an equality -> ids of its possible ends that are gone
    gone_ends = {
        mujoco.mjtEq.mjEQ_JOINT: gone,
        mujoco.mjtEq.mjEQ_TENDON: gone_tendons,
    }
    for k, equality in enumerate(list(spec.equalities)):
        ends = {int(model.eq_obj1id[k]), int(model.eq_obj2id[k])}
        if ends & gone_ends.get(equality.type, set()):
            spec.delete(equality)

    for a, actuator in enumerate(list(spec.actuators)):
        target = int(model.actuator_trnid[a, 0])
        kind = mujoco.mjtTrn(int(model.actuator_trntype[a]))
        on_joint = kind in (
            mujoco.mjtTrn.mjTRN_JOINT,
            mujoco.mjtTrn.mjTRN_JOINTINPARENT,
        )
        on_tendon = kind == mujoco.mjtTrn.mjTRN_TENDON
        if (on_joint and target in gone) or (on_tendon and target in gone_tendons):
            spec.delete(actuator)

    for t, tendon in enumerate(list(spec.tendons)):
        if t in gone_tendons:
            spec.delete(tendon)
