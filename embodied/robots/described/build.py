"""Robots of one's own: an MJCF file and a description of it become a `Robot`.

The file's arm is taken as it stands there, on a mount; the file's floor and lights, its
actuators, sensors and keyframes are left out. All names get the robot's before them, so
that none meets a name of a scene.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

import mujoco
import numpy as np

from embodied.errors import EmbodiedError, unknown
from embodied.robots.description import Description, read_description
from embodied.robots.drives import (
    add_gripper_drive,
    add_servos,
    keep_servos,
    make_pads,
    torque_limits,
)
from embodied.robots.robot import Ranges, Robot

OVERLAP_M = 1e-3  # that parts of the arm may sink into each other at home
COLUMN_RGBA = (0.13, 0.20, 0.27, 1.0)
FOOT_RGBA = (0.10, 0.15, 0.20, 1.0)


def load_robot(path: str | Path) -> Robot:
    """The robot that a description says.

    Raises EmbodiedError, naming what is wrong and what there is: a key or name that
    does not exist, a number too many, a joint without a range, a home where parts of
    the arm overlap.
    """
    try:
        return describe(read_description(Path(path)))
    except EmbodiedError as error:
        raise EmbodiedError(f"{path}: {error}") from error


def describe(said: Description) -> Robot:
    """The robot of a description. Raises EmbodiedError as `load_robot` does."""
    prefix = f"{said.name}_"
    joints, fingers = (
        tuple(prefix + name for name in names)
        for names in (said.joints, said.gripper.joints)
    )
    model = build(said).compile()
    joint_range = _ranges(model, joints, prefix)
    robot = Robot(
        name=said.name,
        build=partial(build, said),
        joints=joints,
        joint_range=joint_range,
        joint_speed=said.speeds,
        home=said.home,
        mount_pos_w=(said.mount.pos_w[0], said.mount.pos_w[1], said.mount.pos_w[2]),
        root_body=f"{prefix}stand",
        mount_body=f"{prefix}stand",
        gripper_joints=fingers,
        gripper_width_m=sum(high for _, high in _ranges(model, fingers, prefix)),
        tcp_site=prefix + (said.tcp.site or "tcp"),
        cameras=tuple(prefix + name for name in said.cameras),
        ee_speed_m_s=said.ee_speed_m_s,
        ee_speed_rad_s=said.ee_speed_rad_s,
    )
    _check_home(robot, model)
    return robot


def build(said: Description) -> mujoco.MjSpec:
    """The robot alone, the middle of its mount at the origin, driven as all robots are."""
    prefix = f"{said.name}_"
    theirs = _read(said.mjcf)
    limits = torque_limits(theirs)
    keep_servos(theirs, said.joints if said.servos == "file" else ())
    for element in (*theirs.sensors, *theirs.keys):
        theirs.delete(element)
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.modelname = said.name
    _put_on_stand(spec, theirs, said)
    _check_names(spec, said, prefix)
    _take_tool(spec, said, prefix)
    make_pads(spec, [prefix + name for name in said.gripper.pads])
    if said.servos == "ours":
        add_servos(
            spec,
            [prefix + name for name in said.joints],
            [limits.get(name) for name in said.joints],
        )
    add_gripper_drive(
        spec, [prefix + name for name in said.gripper.joints], said.gripper
    )
    _add_home(spec, said, prefix)
    return spec


def _read(path: str) -> mujoco.MjSpec:
    try:
        spec = mujoco.MjSpec.from_file(path)
        spec.compile()
    except ValueError as error:
        raise EmbodiedError(
            f"the MJCF file {path} does not compile: {' '.join(str(error).split())}"
        ) from error
    return spec


def _put_on_stand(
    spec: mujoco.MjSpec, theirs: mujoco.MjSpec, said: Description
) -> None:
    """The file's arm on a body `stand`, held up against gravity by itself."""
    tops = {body.name: body for body in theirs.worldbody.bodies}
    mount = said.mount.body or next(iter(tops), "")
    if mount not in tops:
        raise unknown("body to mount (mount.body)", mount, tops)
    prefix = f"{said.name}_"
    half_yaw = np.deg2rad(said.mount.yaw_deg) / 2
    stand = spec.worldbody.add_body(name=f"{prefix}stand")
    frame = stand.add_frame(quat=[np.cos(half_yaw), 0, 0, np.sin(half_yaw)])
    frame.attach_body(tops[mount], prefix, "")
    for joint in spec.joints:
        if joint.type == mujoco.mjtJoint.mjJNT_FREE:
            raise EmbodiedError(
                f"joint {joint.name.removeprefix(prefix)!r} is free: an arm stands on its mount"
            )
    for body in spec.bodies:
        body.gravcomp = 1
    if said.mount.stand:
        _draw_column(stand, said.mount.pos_w[2])
    _part_neighbours(spec)


def _draw_column(stand: mujoco.MjsBody, height_m: float) -> None:
    box = mujoco.mjtGeom.mjGEOM_BOX
    half = height_m / 2
    stand.add_geom(
        type=box, pos=(0, 0, -half), size=(0.075, 0.075, half), rgba=COLUMN_RGBA, mass=0
    )
    stand.add_geom(
        type=box,
        pos=(0, 0, 0.015 - height_m),
        size=(0.17, 0.17, 0.015),
        rgba=FOOT_RGBA,
        mass=0,
    )


def _part_neighbours(spec: mujoco.MjSpec) -> None:
    """MuJoCo lets a link collide with what is fixed to the world, even with the body
    that carries it.
    """
    model = spec.compile()
    fixed = [i for i in range(1, model.nbody) if model.body_weldid[i] == 0]
    first = [
        i
        for i in range(1, model.nbody)
        if model.body_weldid[i] and model.body_weldid[model.body_parentid[i]] == 0
    ]
    names = [model.body(i).name for i in range(model.nbody)]
    for a in fixed:
        for b in first:
            spec.add_exclude(
                name=f"{names[a]}-{names[b]}", bodyname1=names[a], bodyname2=names[b]
            )


def _check_names(spec: mujoco.MjSpec, said: Description, prefix: str) -> None:
    """Raises EmbodiedError for the first name that the file does not have."""
    kinds = (
        ("joint (joints)", said.joints, spec.joints),
        ("joint (gripper.joints)", said.gripper.joints, spec.joints),
        ("geom (gripper.pads)", said.gripper.pads, spec.geoms),
        ("camera (cameras)", said.cameras, spec.cameras),
        ("site (tcp.site)", filter(None, [said.tcp.site]), spec.sites),
        ("body (tcp.body)", filter(None, [said.tcp.body]), spec.bodies),
    )
    for kind, names, elements in kinds:
        available = [
            e.name.removeprefix(prefix) for e in elements if e.name.startswith(prefix)
        ]
        for name in names:
            if name not in available:
                raise unknown(kind, name, available)


def _take_tool(spec: mujoco.MjSpec, said: Description, prefix: str) -> None:
    """The tool centre point, and where the hand is told to be."""
    tcp = said.tcp
    if tcp.body:
        spec.body(prefix + tcp.body).add_site(
            name=f"{prefix}tcp", pos=tcp.pos, quat=tcp.quat_wxyz, group=4
        )
    sensor = spec.add_sensor(name="tcp_quat_w", type=mujoco.mjtSensor.mjSENS_FRAMEQUAT)
    sensor.objtype = mujoco.mjtObj.mjOBJ_SITE
    sensor.objname = prefix + (tcp.site or "tcp")


def _add_home(spec: mujoco.MjSpec, said: Description, prefix: str) -> None:
    model = spec.compile()
    qpos = model.qpos0.copy()
    ctrl = np.zeros(model.nu)
    for name, angle in zip(said.joints, said.home, strict=True):
        qpos[model.joint(prefix + name).qposadr[0]] = ctrl[
            model.actuator(prefix + name).id
        ] = angle
    for name in said.gripper.joints:
        joint = model.joint(prefix + name)
        qpos[joint.qposadr[0]] = joint.range[1]
        ctrl[model.actuator("gripper").id] += joint.range[1]
    spec.add_key(name="home", qpos=qpos, ctrl=ctrl)


def _ranges(model: mujoco.MjModel, joints: tuple[str, ...], prefix: str) -> Ranges:
    for name in joints:
        if not model.jnt_limited[model.joint(name).id]:
            raise EmbodiedError(
                f"joint {name.removeprefix(prefix)!r} has no range in the MJCF file"
            )
    return tuple(
        (float(low), float(high))
        for low, high in (model.joint(name).range for name in joints)
    )


def _check_home(robot: Robot, model: mujoco.MjModel) -> None:
    for name, angle, (low, high) in zip(
        robot.joints, robot.home, robot.joint_range, strict=True
    ):
        if not low <= angle <= high:
            raise EmbodiedError(
                f"home of {name} is {angle:g}, outside of its range {low:.4g} to {high:.4g}"
            )
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    for contact in data.contact[: data.ncon]:
        if contact.dist < -OVERLAP_M:
            one, other = (
                model.body(model.geom_bodyid[geom]).name for geom in contact.geom
            )
            overlap_mm = -1000 * contact.dist
            raise EmbodiedError(
                f"at home {one} and {other} overlap by {overlap_mm:.1f} mm: exclude them in the MJCF file"
            )
