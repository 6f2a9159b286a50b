"""An omnidirectional base on mecanum wheels, with a lift and a head on a mast.

It is not a commercial product. It has these published figures:

- Franka Mobile FR3 Duo: franka_description, `robots/tmrv0_2` and
  `accessories/franka_spine_v0_1`, `franka_head_v0_2` (Apache-2.0): chassis 88.95 kg
  with its inertia, two drive units of 11.5 kg with wheels of 0.5 kg, 0.76 x 0.55 m
  between its cameras' faces, 0.35 m high; spine 0.1 m/s (stroke 0.85 m, of which 0.40 m
  here); head 1.0 kg.
- PAL Robotics' omnidirectional base: omni_base_robot, `mobile_base_controller.yaml`:
  1.0 m/s, 120 degrees/s, 1.0 m/s2; `base.urdf.xacro`, `wheel.urdf.xacro`: mecanum
  wheels of radius 76.2 mm and 0.0084 kg m2, 0.488 m apart.
- PAL Robotics TIAGo: tiago_robot, `torso.urdf.xacro`: lift with 14.0 kg that stand and
  6.9 kg that move, 2000 N.
"""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from embodied.robots.arm_visual import add_materials, add_shells
from embodied.robots.modelling import (
    Mass,
    add_capsule,
    add_joint_servo,
    add_massive_body,
    add_solid_box,
)
from embodied.robots.parts.base import OmnidirectionalBase
from embodied.robots.parts.head import Head
from embodied.robots.parts.part import Joints, Placement
from embodied.robots.parts.torso import Lift
from embodied.robots.wheeled_arm_visual import (
    BASE,
    DECOR,
    EYES_M,
    FACE_M,
    HEAD_POS,
    LIFT,
    MAST,
    MATERIALS,
    MIDDLE_X,
    WHEEL_RADIUS,
    head_axes,
    on_head,
    quat_of_axes,
)
from embodied.sim.cameras import DECOR_GROUP

MOUNT_LOW_M = 0.55  # height of the mount above the floor with the lift down
LIFT_STROKE_M = 0.40
LIFT_HOME_M = 0.17  # puts the mount at 0.72 m
LIFT_SPEED_M_S = 0.1
BASE_SPEED = (1.0, 1.0, float(np.radians(120)))  # m/s, m/s, rad/s
BASE_RANGE = ((-5.0, 5.0), (-5.0, 5.0), (-1.5 * np.pi, 1.5 * np.pi))  # m, m, rad
# Largest lead of a target over the measured joint in the delta modes.
BASE_LEAD = (0.1, 0.1, 0.2)  # m, m, rad
LIFT_LEAD_M = 0.03

BASE_MASSES: tuple[Mass, ...] = (
    (88.954, (MIDDLE_X + 0.0066, 0.0, 0.184), (3.2455, 4.1624, 5.8415)),  # chassis
    (12.0, (MIDDLE_X + 0.3, -0.2, 0.08), (0.071, 0.034, 0.089)),  # drive units
    (12.0, (MIDDLE_X - 0.3, 0.2, 0.08), (0.071, 0.034, 0.089)),
    (14.0, (-0.02, 0.0, 0.32), (0.383, 0.406, 0.077)),  # the lift's fixed part
)
# The mast's figures are estimates.
LIFT_MASSES: tuple[Mass, ...] = (
    (6.932, (-0.02, 0.0, -0.20), (0.245, 0.249, 0.090)),  # the lift's moving part
    (2.5, (*MAST, 0.25), (0.12, 0.12, 0.004)),  # mast
    (1.0, HEAD_POS, (0.01, 0.01, 0.01)),  # head
)

# Lever arm of a mecanum wheel's force about the vertical: half the distance between left
# and right wheels, plus half of that between front and rear wheels.
WHEEL_ARM_M = (0.488 + 0.447) / 2
# Inertia of rotating parts, as the mass that it adds to the motion of a joint.
WHEEL_INERTIA_KG_M2 = 0.0084  # of one wheel, as published
ROTORS_KG = 40.0  # motors, an estimate
ROLLING_KG = 4 * WHEEL_INERTIA_KG_M2 / WHEEL_RADIUS**2 + ROTORS_KG
SPINDLE_KG = 80.0  # the lift's ball screw of 5 mm pitch, an estimate

# The position servos are so stiff that motions of the arm move the base by less than a
# millimetre. 800 N, half of the robot's weight, brake it at 4 m/s2, so a sudden stop from
# full speed overshoots by 3 cm. (The controller cited above has a limit of 1 m/s2.)
DRIVE_N = 800.0
# joint -> stiffness in N/m or N m/rad, lag in s, limit in N or N m
BASE_SERVOS = {
    "base_x": (450_000.0, 0.10, DRIVE_N),
    "base_y": (450_000.0, 0.10, DRIVE_N),
    "base_yaw": (80_000.0, 0.10, DRIVE_N * WHEEL_ARM_M),
}
LIFT_SERVO = (300_000.0, 0.06, 2000.0)  # stiffness in N/m, lag in s, limit in N
# Centres and half sizes (3,) of collision boxes, in m.
BASE_BOXES = (
    # the housing, with its underside above the floor
    ((MIDDLE_X, 0.0, 0.188), (0.37, 0.26, 0.143)),
    ((-0.02, 0.0, 0.415), (0.108, 0.103, 0.085)),  # the lift's sleeve
)
LIFT_BOXES = (
    ((-0.02, 0.0, -0.24), (0.088, 0.083, 0.21)),
    ((-0.03, 0.0, -0.015), (0.145, 0.125, 0.015)),
)
MAST_RADIUS_M = 0.035
HEAD_RADIUS_M = 0.06
HEAD_FOVY_DEG = 60.0


def wheeled_base() -> OmnidirectionalBase:
    """Returns the base, with its origin on the floor below the mount."""
    joints = Joints(
        names=tuple(BASE_SERVOS),
        ranges=BASE_RANGE,
        speeds=BASE_SPEED,
        home=(0.0, 0.0, 0.0),
        leads=BASE_LEAD,
    )
    return OmnidirectionalBase(
        build=add_base, joints=joints, mount_pos_w=(0.0, 0.0, MOUNT_LOW_M)
    )


def lift() -> Lift:
    """Returns the lift with the mount on top."""
    return Lift(build=add_lift, joints=lift_joints(LIFT_HOME_M))


def lift_joints(home_m: float) -> Joints:
    """Returns the joint of a lift with a home position of `home_m`."""
    return Joints(
        names=("lift",),
        ranges=((0.0, LIFT_STROKE_M),),
        speeds=(LIFT_SPEED_M_S,),
        home=(home_m,),
        leads=(LIFT_LEAD_M,),
    )


def head() -> Head:
    """Returns the head on a mast, which the lift carries."""
    return Head(build=add_head, cameras=("head",))


def add_base(
    spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
) -> mujoco.MjsBody:
    """Adds the base with its three joints, shells, collision boxes and servos."""
    prefix = placement.prefix
    base = add_massive_body(mount, f"{prefix}base", height_m=0.0, masses=BASE_MASSES)

    # the wheels move the base along x and y, and rotate it about the vertical
    slide = mujoco.mjtJoint.mjJNT_SLIDE
    hinge = mujoco.mjtJoint.mjJNT_HINGE
    turning_kg_m2 = ROLLING_KG * WHEEL_ARM_M**2
    joints = (
        ("base_x", slide, (1, 0, 0), ROLLING_KG),
        ("base_y", slide, (0, 1, 0), ROLLING_KG),
        ("base_yaw", hinge, (0, 0, 1), turning_kg_m2),
    )
    for (name, kind, axis, armature), limits in zip(joints, BASE_RANGE, strict=True):
        base.add_joint(
            name=prefix + name, type=kind, axis=axis, range=limits, armature=armature
        )

    add_materials(spec, MATERIALS)
    add_shells(spec, {"base": BASE}, prefix=prefix)
    # only high-quality pictures show the rollers
    add_shells(spec, DECOR, DECOR_GROUP, prefix)
    for centre, half_size in BASE_BOXES:
        add_solid_box(base, centre, half_size)
    for name, (stiffness, lag_s, limit) in BASE_SERVOS.items():
        add_joint_servo(
            spec, prefix + name, stiffness=stiffness, lag_s=lag_s, limit=limit
        )
    return base


def add_lift(
    spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
) -> mujoco.MjsBody:
    """Adds the lift above the base; it carries the arms at its origin.

    Its mass includes mast and head.
    """
    prefix = placement.prefix
    body = add_sliding_body(mount, f"{prefix}lift", MOUNT_LOW_M, LIFT_MASSES)
    # the base has added the materials
    add_shells(spec, {"lift": LIFT}, prefix=prefix)
    for centre, half_size in LIFT_BOXES:
        add_solid_box(body, centre, half_size)
    add_joint_servo(spec, f"{prefix}lift", *LIFT_SERVO)
    return body


def add_sliding_body(
    mount: mujoco.MjsBody, name: str, height_m: float, masses: Sequence[Mass]
) -> mujoco.MjsBody:
    """Adds the moving body of a lift, with its joint; returns the body.

    `height_m` is the height of the body's origin above its parent with the lift down.
    """
    body = add_massive_body(mount, name, height_m, masses)
    body.add_joint(
        name=name,
        type=mujoco.mjtJoint.mjJNT_SLIDE,
        axis=(0, 0, 1),
        range=(0, LIFT_STROKE_M),
        armature=SPINDLE_KG,
    )
    return body


def add_head(
    spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
) -> mujoco.MjsBody:
    """Adds collision capsules of mast and head, and the camera, to the lift's body.

    Mast and head are part of this body's mass and shells.
    """
    add_capsule(mount, (*MAST, 0.0), (*MAST, 0.60), MAST_RADIUS_M)
    add_capsule(mount, on_head(-0.08, 0, 0), on_head(0.08, 0, 0), HEAD_RADIUS_M)
    # at the left eye, in front of the face, so that no picture shows the face
    mount.add_camera(
        name=f"{placement.prefix}head",
        pos=on_head(-EYES_M, 0.0, FACE_M + 0.006),
        quat=quat_of_axes(head_axes()),
        fovy=HEAD_FOVY_DEG,
    )
    return mount
