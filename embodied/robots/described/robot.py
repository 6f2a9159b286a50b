"""Robots of a user's own: an MJCF file and a description of it become a `Robot`.

The file's arm is taken as it is and put on a mount. The file's floor and lights, its
actuators, sensors and keyframes are left out. The robot's name goes before all names,
so that none collides with a name of a scene.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import mujoco
import numpy as np

from embodied.errors import EmbodiedError, unknown
from embodied.names import as_name
from embodied.robots.described.description import Description, read_description
from embodied.robots.described.servos import (
    add_gripper_drive,
    add_servos,
    keep_servos,
    make_pads,
    torque_limits,
)
from embodied.robots.modelling import JOINT_LEAD_RAD
from embodied.robots.parts.arm import Arm
from embodied.robots.parts.base import FixedBase
from embodied.robots.parts.gripper import Gripper
from embodied.robots.parts.part import Effector, Joints, Placement, Ranges
from embodied.robots.reach import farthest_reach_m
from embodied.robots.robot import Robot

# How far parts of the arm may sink into each other at home.
OVERLAP_M = 1e-3
COLUMN_RGBA = (0.13, 0.20, 0.27, 1.0)
COLUMN_HALF_WIDTH_M = 0.075
FOOT_RGBA = (0.10, 0.15, 0.20, 1.0)
FOOT_HALF_WIDTH_M = 0.17
FOOT_HALF_HEIGHT_M = 0.015


def load_robot(path: str | Path) -> Robot:
    """Returns the robot that a description file describes.

    Raises:
        EmbodiedError: something in the description is wrong, e.g. a key or name does
            not exist, a joint has no range, or parts of the arm overlap at home. The
            text says what was expected.
    """
    try:
        return described_robot(read_description(Path(path)))
    except EmbodiedError as error:
        raise EmbodiedError(f"{path}: {error}") from error


def described_robot(description: Description) -> Robot:
    """Returns the robot of a description.

    Raises:
        EmbodiedError: as `load_robot` does.
    """
    stand = StandBuilder(description)
    arm = ArmBuilder(description)
    gripper = GripperBuilder(description)

    # built once for what only the compiled model tells: the joints' ranges and the
    # reach
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    mount = stand(spec, spec.worldbody, Placement())
    gripper(spec, arm(spec, mount, Placement()), Placement())
    model = spec.compile()

    prefix = _prefix(description)
    x, y, z = description.mount.pos_w
    base = FixedBase(build=stand, root_body=f"{prefix}stand", mount_pos_w=(x, y, z))
    robot = Robot(
        description.name,
        (
            base,
            _arm_part(description, arm, model),
            _gripper_part(description, gripper, model),
        ),
    )
    _check_home(robot)
    return robot


def _arm_part(
    description: Description, build: ArmBuilder, model: mujoco.MjModel
) -> Arm:
    """Returns the arm; `model` is the whole robot's, which knows ranges and reach."""
    # people see the file's names as labels; the model has them with a prefix
    prefix = _prefix(description)
    names = tuple(prefix + name for name in description.joints)
    joints = Joints(
        names=names,
        labels=tuple(as_name(name) for name in description.joints),
        ranges=_ranges(model, names, prefix),
        speeds=description.speeds,
        home=description.home,
        leads=(JOINT_LEAD_RAD,) * len(names),
    )

    site = prefix + (description.tcp.site or "tcp")
    return Arm(
        build=build,
        joints=joints,
        reach_m=farthest_reach_m(model, names, f"{prefix}stand", site),
        cameras=tuple(prefix + name for name in description.cameras),
        root_body=f"{prefix}stand",
        ee_speed_m_s=description.ee_speed_m_s,
        ee_speed_rad_s=description.ee_speed_rad_s,
    )


def _gripper_part(
    description: Description, build: GripperBuilder, model: mujoco.MjModel
) -> Gripper:
    """Returns the gripper; `model` is the whole robot's, which knows the ranges."""
    # the tool point is a site of the file, or one that the builder adds
    prefix = _prefix(description)
    fingers = tuple(prefix + name for name in description.gripper.joints)
    tool = Effector(
        name="tcp",
        site=prefix + (description.tcp.site or "tcp"),
        arm="arm",
        gripper="gripper",
    )

    return Gripper(
        build=build,
        fingers=fingers,
        open_m=tuple(high for _, high in _ranges(model, fingers, prefix)),
        tool=tool,
    )


def _prefix(description: Description, placement: Placement | None = None) -> str:
    """Returns what names of the file begin with in the model.

    The placement's own prefix goes first: it tells the robots of a team apart.
    """
    outer = placement.prefix if placement else ""
    return f"{outer}{description.name}_"


@dataclass(frozen=True)
class StandBuilder:
    """Adds the stand, and the column below it where one is wanted; a `PartBuilder`."""

    description: Description

    def __call__(
        self, spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
    ) -> mujoco.MjsBody:
        prefix = _prefix(self.description, placement)
        stand = mount.add_body(name=f"{prefix}stand", gravcomp=1)
        if self.description.mount.stand:
            _draw_column(stand, self.description.mount.pos_w[2])
        return stand


@dataclass(frozen=True)
class ArmBuilder:
    """Adds the file's bodies, with servos on the arm's joints; a `PartBuilder`."""

    description: Description

    def __call__(
        self, spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
    ) -> mujoco.MjsBody:
        description = self.description
        prefix = _prefix(description, placement)
        keeps_servos = description.servos == "file"

        # Only the bodies of the file, and the servos that are to be kept. Torque limits
        # are read first, while there still are actuators that state them.
        source = _read_mjcf(description.mjcf)
        limits = torque_limits(source)
        keep_servos(source, description.joints if keeps_servos else ())
        for element in (*source.sensors, *source.keys):
            source.delete(element)

        _attach(source, mount, description, prefix)
        _check_names(spec, description, prefix)
        _let_neighbours_touch(spec)
        if not keeps_servos:
            names = [prefix + name for name in description.joints]
            add_servos(spec, names, [limits.get(name) for name in description.joints])
        return mount


@dataclass(frozen=True)
class GripperBuilder:
    """Adds tool point, pads and drive to the hand, which the arm's file brought.

    It is a `PartBuilder`.
    """

    description: Description

    def __call__(
        self, spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
    ) -> mujoco.MjsBody:
        description = self.description
        prefix = _prefix(description, placement)
        fingers = [prefix + name for name in description.gripper.joints]
        pads = [prefix + name for name in description.gripper.pads]

        _add_tool(spec, description, placement)
        make_pads(spec, pads)
        add_gripper_drive(spec, fingers, description.gripper, placement.prefix)
        return mount


def _read_mjcf(path: str) -> mujoco.MjSpec:
    """Returns the model of a file; raises EmbodiedError where it does not compile."""
    try:
        spec = mujoco.MjSpec.from_file(path)
        spec.compile()
    except ValueError as error:
        message = " ".join(str(error).split())
        raise EmbodiedError(
            f"the MJCF file {path} does not compile: {message}"
        ) from error
    return spec


def _attach(
    source: mujoco.MjSpec, mount: mujoco.MjsBody, description: Description, prefix: str
) -> None:
    """Puts the file's arm on the mount, held up against gravity by itself."""
    # the arm is one of the bodies that stand in the file's world
    tops = {body.name: body for body in source.worldbody.bodies}
    name = description.mount.body or next(iter(tops), "")
    if name not in tops:
        raise unknown("body to mount (mount.body)", name, tops)
    for joint in source.joints:
        if joint.type == mujoco.mjtJoint.mjJNT_FREE:
            raise EmbodiedError(
                f"joint {joint.name!r} is free: an arm stands on its mount; "
                "remove the joint from the MJCF file"
            )
    for body in source.bodies:
        body.gravcomp = 1

    half_yaw = np.deg2rad(description.mount.yaw_deg) / 2
    frame = mount.add_frame(quat=[np.cos(half_yaw), 0, 0, np.sin(half_yaw)])
    frame.attach_body(tops[name], prefix, "")


def _draw_column(stand: mujoco.MjsBody, height_m: float) -> None:
    """Adds a column that carries the stand's origin, `height_m` above the floor."""
    # the column, from the mount down to the floor
    half_height = height_m / 2
    half_width = COLUMN_HALF_WIDTH_M
    stand.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(0, 0, -half_height),
        size=(half_width, half_width, half_height),
        rgba=COLUMN_RGBA,
        mass=0,
    )

    # its foot
    stand.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(0, 0, FOOT_HALF_HEIGHT_M - height_m),
        size=(FOOT_HALF_WIDTH_M, FOOT_HALF_WIDTH_M, FOOT_HALF_HEIGHT_M),
        rgba=FOOT_RGBA,
        mass=0,
    )


def _let_neighbours_touch(spec: mujoco.MjSpec) -> None:
    """Excludes contacts between what is fixed to the world and the first links on it.

    MuJoCo lets a link collide with what is fixed to the world, even with the body that
    carries it.
    """
    # `body_weldid` is the body that one is rigidly part of: 0 is the world
    model = spec.compile()
    welded = model.body_weldid
    names = [model.body(i).name for i in range(model.nbody)]
    bodies = range(1, model.nbody)
    fixed = [i for i in bodies if welded[i] == 0]
    first = [i for i in bodies if welded[i] and welded[model.body_parentid[i]] == 0]
    for a in fixed:
        for b in first:
            spec.add_exclude(
                name=f"{names[a]}-{names[b]}", bodyname1=names[a], bodyname2=names[b]
            )


def _check_names(spec: mujoco.MjSpec, description: Description, prefix: str) -> None:
    """Raises EmbodiedError for the first name that the file does not have.

    The file's bodies are attached already, their names prefixed.
    """
    tcp = description.tcp
    wanted: tuple[tuple[str, Sequence[str], Sequence[mujoco.MjsElement]], ...] = (
        ("joint (joints)", description.joints, spec.joints),
        ("joint (gripper.joints)", description.gripper.joints, spec.joints),
        ("geom (gripper.pads)", description.gripper.pads, spec.geoms),
        ("camera (cameras)", description.cameras, spec.cameras),
        ("site (tcp.site)", [tcp.site] if tcp.site else [], spec.sites),
        ("body (tcp.body)", [tcp.body] if tcp.body else [], spec.bodies),
    )

    for kind, names, elements in wanted:
        # the names as the file has them
        available = [
            element.name.removeprefix(prefix)
            for element in elements
            if element.name.startswith(prefix)
        ]
        for name in names:
            if name not in available:
                raise unknown(kind, name, available)


def _add_tool(
    spec: mujoco.MjSpec, description: Description, placement: Placement
) -> None:
    """Adds the tool centre point, and the sensor of its orientation."""
    tcp = description.tcp
    prefix = _prefix(description, placement)
    if tcp.body:
        spec.body(prefix + tcp.body).add_site(
            name=f"{prefix}tcp", pos=tcp.pos, quat=tcp.quat_wxyz, group=4
        )

    # every effector has a sensor of its orientation, named after it
    spec.add_sensor(
        name=f"{placement.prefix}tcp_quat_w",
        type=mujoco.mjtSensor.mjSENS_FRAMEQUAT,
        objtype=mujoco.mjtObj.mjOBJ_SITE,
        objname=prefix + (tcp.site or "tcp"),
    )


def _ranges(model: mujoco.MjModel, joints: tuple[str, ...], prefix: str) -> Ranges:
    """Returns ranges (J, 2) of joints, rad or m; raises EmbodiedError where one lacks.

    The joints' names begin with the prefix, which the file's do not have.
    """
    ranges = []
    for name in joints:
        joint = model.joint(name)
        if not model.jnt_limited[joint.id]:
            raise EmbodiedError(
                f"joint {name.removeprefix(prefix)!r} has no range in the MJCF file: "
                "give it one"
            )
        low, high = joint.range
        ranges.append((float(low), float(high)))
    return tuple(ranges)


def _check_home(robot: Robot) -> None:
    """Raises EmbodiedError for a home out of range, or where parts overlap."""
    joints = robot.arms[0].joints
    for name, angle, (low, high) in zip(
        joints.names, joints.home, joints.ranges, strict=True
    ):
        if not low <= angle <= high:
            raise EmbodiedError(
                f"home of {name} is {angle:g}, outside its range {low:.4g} to {high:.4g}"
            )

    # contacts at home, as the simulation would find them
    model = robot.build().compile()
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    for contact in data.contact[: data.ncon]:
        if contact.dist < -OVERLAP_M:
            one, other = (
                model.body(model.geom_bodyid[geom]).name for geom in contact.geom
            )
            raise EmbodiedError(
                f"at home {one} and {other} overlap by {-1000 * contact.dist:.1f} mm: "
                "exclude them in the MJCF file"
            )
