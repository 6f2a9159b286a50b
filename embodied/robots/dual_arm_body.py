"""The upper body of `dual_arm`: a lift, a waist that tilts, and a head on a neck.

The origin of the body `waist` is on its tilt axis; the arms are mounted on this body.
Figures with a source are published ones, all others are estimates:

- Franka Mobile FR3 Duo (MuJoCo Menagerie, `mobile_fr3_duo_v0_2.xml`): where the arms
  are on their mount, which has 4.09 kg; spine 0.1 m/s; head 1.0 kg.
- Rainbow Robotics RB-Y1 (rby1-sdk, `models/rby1m/urdf/model_v1.3.urdf`): a waist of
  270 N m that tilts by up to 90 degrees, and shoulders 0.31 m above it.
- Leju Kuavo 5-W (kuavo-ros-opensource, `biped_s62.urdf`): a waist that leans back by 15
  degrees; a neck of 12 N m and 5.2 rad/s, which turns by 90 degrees to either side.
- PAL Robotics TIAGo (tiago_robot, `torso.urdf.xacro`): lift with 6.9 kg that move, and
  2000 N.
"""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.robots.arm_visual import add_shells
from embodied.robots.dual_arm_visual import (
    EYE,
    HEAD_MIDDLE,
    NECK_POS,
    SHELLS,
    TILT_POS,
)
from embodied.robots.modelling import (
    Mass,
    add_capsule,
    add_joint_servo,
    add_massive_body,
    add_solid_box,
    exclude_contact,
)
from embodied.robots.parts.head import Head
from embodied.robots.parts.part import Joints, Placement, Quaternion
from embodied.robots.parts.torso import Lift, Waist
from embodied.robots.wheeled_arm_visual import quat_of_axes
from embodied.robots.wheeled_base import LIFT_SERVO, add_sliding_body, lift_joints

WAIST_LOW_M = 0.58  # height of the waist's axis above the floor with the lift down
LIFT_HOME_M = 0.1164  # the arms then reach the same places as an upright arm on a stand
WAIST_RANGE = (float(np.radians(-15)), float(np.radians(90)))  # rad, forwards
WAIST_SPEED = 0.8  # rad/s
WAIST_LEAD_RAD = 0.05  # largest lead of a target in the delta modes
# Stiffness in N m/rad, lag in s, limit in N m. The waist is so stiff that a force of 50 N
# on a hand moves the hand by a millimetre.
WAIST_SERVO = (50_000.0, 0.06, 270.0)
WAIST_ROTOR_KG_M2 = 5.0
PAN_RANGE = (float(np.radians(-90)), float(np.radians(90)))  # rad, to the left
TILT_RANGE = (float(np.radians(-30)), float(np.radians(45)))  # rad, downwards
TILT_HOME = 0.45  # rad, towards the hands
NECK_SPEED = 5.2  # rad/s
NECK_LEAD_RAD = 0.1
NECK_SERVO = (400.0, 0.03, 12.0)  # stiffness in N m/rad, lag in s, limit in N m
NECK_ROTOR_KG_M2 = 0.05
# Pose of the left arm's base plate on the waist, m; the right one is its mirror image.
ARM_POS = (0.037, 0.050, 0.150)
ARM_QUAT_WXYZ: Quaternion = (0.8673, -0.4351, 0.0232, -0.2406)

LIFT_MASSES: tuple[Mass, ...] = ((6.932, (-0.02, 0.0, -0.24), (0.245, 0.249, 0.090)),)
WAIST_MASSES: tuple[Mass, ...] = (
    (4.09, (0.0, 0.0, 0.15), (0.020, 0.015, 0.020)),  # the arms' mount
    (9.0, (-0.03, 0.0, 0.15), (0.120, 0.090, 0.080)),  # shells, computer, battery
)
NECK_MASSES: tuple[Mass, ...] = ((0.4, (0.0, 0.0, 0.04), (0.0006, 0.0006, 0.0003)),)
HEAD_MASSES: tuple[Mass, ...] = ((1.0, HEAD_MIDDLE, (0.004, 0.004, 0.003)),)
# Centre and half sizes (3,) of the column's collision box, m.
COLUMN_BOX = ((-0.02, 0.0, -0.31), (0.088, 0.083, 0.21))
# Start, end and radius of the chest's and the head's collision capsules, m.
CHEST_CAPSULES = (
    ((-0.01, 0.0, 0.10), (-0.01, 0.0, 0.25), 0.115),
    ((-0.11, 0.0, 0.10), (-0.11, 0.0, 0.22), 0.085),  # the backpack
)
HEAD_CAPSULE = ((0.0, 0.0, 0.03), (0.0, 0.0, 0.07), 0.095)
HEAD_FOVY_DEG = 75.0


def torso_lift() -> Lift:
    """Returns the lift; the waist's axis is at its top."""
    return Lift(build=add_lift, joints=lift_joints(LIFT_HOME_M))


def waist() -> Waist:
    """Returns the waist with the chest, the carrier of head and arms."""
    joints = Joints(
        names=("waist",),
        ranges=(WAIST_RANGE,),
        speeds=(WAIST_SPEED,),
        home=(0.0,),
        leads=(WAIST_LEAD_RAD,),
    )
    return Waist(build=add_waist, joints=joints)


def turning_head() -> Head:
    """Returns the head, with the joints pan and tilt."""
    joints = Joints(
        names=("head_pan", "head_tilt"),
        ranges=(PAN_RANGE, TILT_RANGE),
        speeds=(NECK_SPEED, NECK_SPEED),
        home=(0.0, TILT_HOME),
        leads=(NECK_LEAD_RAD, NECK_LEAD_RAD),
    )
    return Head(build=add_head, on="waist", cameras=("head",), joints=joints)


def add_lift(
    spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
) -> mujoco.MjsBody:
    """Adds the column that slides out of the base's sleeve."""
    prefix = placement.prefix
    body = add_sliding_body(mount, f"{prefix}lift", WAIST_LOW_M, LIFT_MASSES)
    # the base has added the materials
    add_shells(spec, {"lift": SHELLS["lift"]}, prefix=prefix)
    add_solid_box(body, *COLUMN_BOX)
    add_joint_servo(spec, f"{prefix}lift", *LIFT_SERVO)
    return body


def add_waist(
    spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
) -> mujoco.MjsBody:
    """Adds the chest with its tilt joint; it carries arms and neck."""
    prefix = placement.prefix
    body = add_massive_body(mount, f"{prefix}waist", 0.0, WAIST_MASSES)
    body.add_joint(
        name=f"{prefix}waist",
        axis=(0, 1, 0),
        range=WAIST_RANGE,
        armature=WAIST_ROTOR_KG_M2,
    )

    # shells, collision geoms and the servo
    add_shells(spec, {"waist": SHELLS["waist"]}, prefix=prefix)
    for start, end, radius_m in CHEST_CAPSULES:
        add_capsule(body, start, end, radius_m)
    add_joint_servo(spec, f"{prefix}waist", *WAIST_SERVO)
    return body


def add_head(
    spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
) -> mujoco.MjsBody:
    """Adds a neck that pans, and on it a head that tilts, with its camera."""
    prefix = placement.prefix
    neck = add_massive_body(mount, f"{prefix}neck", 0.0, NECK_MASSES)
    neck.pos = list(NECK_POS)
    neck.add_joint(
        name=f"{prefix}head_pan",
        axis=(0, 0, 1),
        range=PAN_RANGE,
        armature=NECK_ROTOR_KG_M2,
    )
    head = add_massive_body(neck, f"{prefix}head", 0.0, HEAD_MASSES)
    head.pos = list(TILT_POS)
    head.add_joint(
        name=f"{prefix}head_tilt",
        axis=(0, 1, 0),
        range=TILT_RANGE,
        armature=NECK_ROTOR_KG_M2,
    )

    names = ("neck", "head")
    add_shells(spec, {name: SHELLS[name] for name in names}, prefix=prefix)
    add_capsule(head, *HEAD_CAPSULE)
    # the chin passes over the collar, which is a part of the chest
    exclude_contact(spec, mount.name, head.name)
    for joint in ("head_pan", "head_tilt"):
        add_joint_servo(spec, prefix + joint, *NECK_SERVO)

    # The camera looks along the head's x axis. A camera looks along its own -z axis, with
    # x to the right of the picture.
    axes = np.array([(0.0, 0.0, -1.0), (-1.0, 0.0, 0.0), (0.0, 1.0, 0.0)])
    head.add_camera(
        name=f"{prefix}head", pos=EYE, quat=quat_of_axes(axes), fovy=HEAD_FOVY_DEG
    )
    return head
