"""A described robot's base: a fixed stand, our own base that drives, or the file's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import mujoco
import numpy as np

from embodied.errors import EmbodiedError
from embodied.robots.described.description import Description
from embodied.robots.described.servos import joint_ranges
from embodied.robots.described.source import Source
from embodied.robots.parts.base import Base, FixedBase, OmnidirectionalBase
from embodied.robots.parts.part import Joints, Part, PartBuilder, Vector3
from embodied.robots.wheeled_base import (
    BASE_LEAD,
    BASE_SPEED,
    LIFT_STROKE_M,
    MOUNT_LOW_M,
    head,
    lift,
    lift_joints,
    wheeled_base,
)

# The height of a fixed arm's mount above the floor, for which tasks are laid out.
TASK_MOUNT_M = 0.72
# Largest angle between the axis of a base's joint and the axis of the world.
OFF_DEG = 1.0
# Angle of the yaw joint at which it is tested whether the slides turn with it.
TURN_RAD = 1.0
# the wanted axes of a base's joints x, y and yaw, and words for their motions
AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
MOTIONS = ("slides along x", "slides along y", "turns about z")


@dataclass(frozen=True)
class Carrier:
    """What carries a described robot's arms.

    Attributes:
        parts: the base, and for our own base also its lift and head.
        on: name of the part that the arms are mounted on.
        root_body: the body whose axes the control mode `ee_delta` uses.
        as_if_at: (3,) m, the value of `Arm.as_if_at`: where a fixed arm's mount would be
            in tasks, seen from this mount.
    """

    parts: tuple[Part, ...]
    on: str
    root_body: str
    as_if_at: Vector3 = (0.0, 0.0, 0.0)


def carrier_of(
    description: Description,
    source: Source,
    model: mujoco.MjModel,
    build: PartBuilder,
    prefix: str,
) -> Carrier:
    """Returns what carries the arms.

    Tasks are laid out for a fixed robot that stands on the floor at their origin, with
    its file's origin at `mount.pos_w`. `as_if_at` is the point TASK_MOUNT_M above the
    task's origin, seen from the mount, hence the minus signs. Only planners that drive
    the base use it, so it stays 0 for a fixed base.

    Args:
        description: the robot's description.
        source: the robot's prepared model file.
        model: the compiled robot.
        build: the builder that adds the stand.
        prefix: the prefix of the file's names in the robot's model.

    Raises:
        EmbodiedError: the file's joints are not those of a base that drives in every
            direction, or our base does not hold the mount at the height that is wanted.
    """
    x, y, z = description.mount.pos_w
    stand = f"{prefix}stand"
    if description.base is None:
        fixed = FixedBase(build=build, root_body=stand, mount_pos_w=(x, y, z))
        return Carrier((fixed,), "base", stand)

    # our base: the file's origin is at the mount
    if not description.base.joints:
        as_if_at = (-x, -y, TASK_MOUNT_M - z)
        return Carrier(_our_parts(description), "torso", stand, as_if_at)

    # the file's base: its yaw axis is at the mount, so the file's origin is beside it
    axis_x, axis_y = source.yaw_axis
    base = _file_base(description, source, model, build, prefix)
    as_if_at = (-axis_x - x, -axis_y - y, TASK_MOUNT_M - z)
    return Carrier((base,), "base", axes_body(prefix), as_if_at)


def axes_body(prefix: str) -> str:
    """Returns the name of the body on a file's base that has the axes of its mount."""
    return f"{prefix}base_axes"


def _our_parts(description: Description) -> tuple[Part, ...]:
    """Returns our base, its lift and head, with the lift at the described mount height."""
    height = description.mount.pos_w[2]
    highest = MOUNT_LOW_M + LIFT_STROKE_M
    if not MOUNT_LOW_M <= height <= highest:
        raise EmbodiedError(
            f"mount.pos_w has a height of {height:g} m, and the lift of our base goes "
            f"from {MOUNT_LOW_M:g} to {highest:g} m: write a height between, or name the "
            "file's own joints in base.joints"
        )
    base: Base = wheeled_base()
    base = replace(base, joints=replace(base.joints, speeds=_speeds(description)))
    column = replace(lift(), joints=lift_joints(round(height - MOUNT_LOW_M, 6)))
    return base, column, head()


def _file_base(
    description: Description,
    source: Source,
    model: mujoco.MjModel,
    build: PartBuilder,
    prefix: str,
) -> OmnidirectionalBase:
    """Returns the base that the file's joints make."""
    names = tuple(prefix + name for name in source.base)
    joints = Joints(
        names=names,
        ranges=joint_ranges(model, names),
        speeds=_speeds(description),
        home=(0.0, 0.0, 0.0),
        leads=BASE_LEAD,  # how far targets may run ahead of the measured joints
    )

    # episodes start at 0 of each joint
    for name, (low, high) in zip(source.base, joints.ranges, strict=True):
        if not low <= 0 <= high:
            raise EmbodiedError(
                f"the base's joint {name!r} goes from {low:.4g} to {high:.4g}, expected a "
                "range with 0 in it, where episodes start"
            )
    return OmnidirectionalBase(
        build=build,
        joints=joints,
        root_body=f"{prefix}stand",
        mount_pos_w=(0.0, 0.0, description.mount.pos_w[2]),
    )


def _speeds(description: Description) -> tuple[float, ...]:
    """Returns (3,) the base's described speeds, or those of our own base."""
    base = description.base
    return base.speeds if base and base.speeds else BASE_SPEED


# Joints of the file
# --------------------------------------------------------------------------------------


def yaw_axis(
    model: mujoco.MjModel, names: Sequence[str], arm_joints: Sequence[str]
) -> tuple[float, float]:
    """Returns the x and y, in m, of the yaw axis of a base in its file.

    Args:
        model: the file's compiled model.
        names: (3,) names of the base's joints x, y and yaw.
        arm_joints: names of joints that the base must carry.

    Raises:
        EmbodiedError: the joints do not slide along the file's x and y and turn about
            its z, the slides turn with the yaw, or an arm is not carried.
    """
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    ids = [model.joint(name).id for name in names]
    _check_axes(data.xaxis[ids], names)

    # the slides must lie between the world and the yaw joint: turning it must leave them
    yaw_axis_xy = np.array(data.xanchor[ids[2], :2])
    data.qpos[model.jnt_qposadr[ids[2]]] = TURN_RAD
    mujoco.mj_kinematics(model, data)
    # `strict` is False, because only the slides are checked
    for name, axis, wanted in zip(names[:2], data.xaxis[ids], AXES, strict=False):
        if axis @ wanted < np.cos(np.radians(OFF_DEG)):  # more than OFF_DEG apart
            raise EmbodiedError(
                f"the base's joint {name!r} turns with {names[2]!r}, which comes before it "
                "in the file; base.joints takes slides that carry the joint that turns"
            )

    for name in arm_joints:
        if not _is_carried(model, int(model.joint(name).bodyid[0]), ids[2]):
            raise EmbodiedError(
                f"joint {name!r} is not on the base: {names[2]!r} of base.joints does not "
                "carry it"
            )
    return float(yaw_axis_xy[0]), float(yaw_axis_xy[1])


def _check_axes(axes: np.ndarray, names: Sequence[str]) -> None:
    """Raises EmbodiedError unless axes (3, 3) are the file's x, y and z."""
    for name, axis, wanted, motion in zip(names, axes, AXES, MOTIONS, strict=True):
        off_deg = np.degrees(np.arccos(np.clip(axis @ wanted, -1.0, 1.0)))
        if off_deg > OFF_DEG:
            raise EmbodiedError(
                f"the base's joint {name!r} is {off_deg:.0f} degrees off, expected one "
                f"that {motion} of the file: base.joints are x, y and yaw, in this order"
            )


def _is_carried(model: mujoco.MjModel, body: int, joint: int) -> bool:
    """Returns whether a joint moves a body."""
    mover = int(model.jnt_bodyid[joint])
    while body > 0:
        if body == mover:
            return True
        body = int(model.body_parentid[body])
    return False
