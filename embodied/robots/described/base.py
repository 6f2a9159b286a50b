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

# The height of a fixed arm's mount above the floor: tasks are laid out for it.
TASK_MOUNT_M = 0.72
# How far the axes of a base's joints may be from the world's.
OFF_DEG = 1.0
# Where the yaw joint is put to see whether the slides turn with it.
TURN_RAD = 1.0
AXES = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
WHAT = ("slides along x", "slides along y", "turns about z")


@dataclass(frozen=True)
class Carrier:
    """What carries a described robot's arms.

    Attributes:
        parts: the base, and what stands on it.
        on: name of the part that arms are mounted on.
        root_body: the body whose axes are those of the mode `ee_delta`.
        as_if_at: see `Arm.as_if_at`.
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

    Tasks are laid out for the file's origin at `mount.pos_w` from a point on the floor
    where a fixed robot stands. `as_if_at` is the point TASK_MOUNT_M above that one, seen
    from the mount, hence the minus signs. It is for planners that drive the base, so a
    fixed base has none.

    Args:
        description: of the robot.
        source: what was read of its file.
        model: the robot's.
        build: adds a stand.
        prefix: what the file's names begin with in the robot's model.

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

    # the file's base: its yaw axis is at the mount, and the origin beside it
    axis_x, axis_y = source.yaw_axis
    base = _file_base(description, source, model, build, prefix)
    as_if_at = (-axis_x - x, -axis_y - y, TASK_MOUNT_M - z)
    return Carrier((base,), "base", axes_body(prefix), as_if_at)


def axes_body(prefix: str) -> str:
    """Returns the name of the body on a file's base that has the axes of its mount."""
    return f"{prefix}base_axes"


def _our_parts(description: Description) -> tuple[Part, ...]:
    """Returns our base with its lift and head, the lift as high as the mount is wanted."""
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
        leads=BASE_LEAD,
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
    """Returns where the yaw axis of a base stands in its file, x and y in m.

    Args:
        model: the file's.
        names: of the base's joints: x, y and yaw.
        arm_joints: names of joints that the base must carry.

    Raises:
        EmbodiedError: the joints do not slide along the file's x and y and turn about
            its z, the slides turn with the yaw, or an arm is not carried.
    """
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    ids = [model.joint(name).id for name in names]
    _check_axes(data.xaxis[ids], names)

    # the slides must lie between the world and the yaw joint
    yaw_axis_xy = np.array(data.xanchor[ids[2], :2])
    data.qpos[model.jnt_qposadr[ids[2]]] = TURN_RAD
    mujoco.mj_kinematics(model, data)
    for name, axis, wanted in zip(names[:2], data.xaxis[ids], AXES, strict=False):
        if axis @ wanted < np.cos(np.radians(OFF_DEG)):
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
    for name, axis, wanted, what in zip(names, axes, AXES, WHAT, strict=True):
        off_deg = np.degrees(np.arccos(np.clip(axis @ wanted, -1.0, 1.0)))
        if off_deg > OFF_DEG:
            raise EmbodiedError(
                f"the base's joint {name!r} is {off_deg:.0f} degrees off, expected one "
                f"that {what} of the file: base.joints are x, y and yaw, in this order"
            )


def _is_carried(model: mujoco.MjModel, body: int, joint: int) -> bool:
    """Returns whether a joint moves a body."""
    mover = int(model.jnt_bodyid[joint])
    while body > 0:
        if body == mover:
            return True
        body = int(model.body_parentid[body])
    return False
