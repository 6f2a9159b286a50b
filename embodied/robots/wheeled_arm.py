"""`wheeled_arm`: the arm of `arm.py` on an omnidirectional base with a lift, and a head
that looks over its shoulder.

It is no one's product. Published figures that it is built from:
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

from embodied.robots.arm import (
    FINGER_TRAVEL_M,
    HOME,
    JOINT_RANGES,
    JOINT_SPEED_LIMITS,
    add_arm,
    add_solid_box,
)
from embodied.robots.arm_visual import add_materials, dress
from embodied.robots.robot import Robot
from embodied.robots.wheeled_arm_visual import (
    DECOR,
    EYES_M,
    FACE_M,
    HEAD_POS,
    MAST,
    MATERIALS,
    MIDDLE_X,
    SHELLS,
    WHEEL_RADIUS,
    head_axes,
    on_head,
    quat_of_axes,
)
from embodied.sim.cameras import DECOR_GROUP

MOUNT_LOW_M = 0.55  # height of the mount with the lift down
LIFT_STROKE_M = 0.40
LIFT_HOME_M = 0.17  # the mount at 0.72 m
LIFT_SPEED_M_S = 0.1
BASE_SPEED = (1.0, 1.0, float(np.radians(120)))  # m/s, m/s, rad/s
BASE_RANGE = ((-5.0, 5.0), (-5.0, 5.0), (-1.5 * np.pi, 1.5 * np.pi))

# kg, centre in m, inertia about it in kg m2. Those of the mast are estimates.
Part = tuple[float, tuple[float, ...], tuple[float, ...]]
BASE_PARTS: tuple[Part, ...] = (
    (88.954, (MIDDLE_X + 0.0066, 0.0, 0.184), (3.2455, 4.1624, 5.8415)),  # chassis
    (12.0, (MIDDLE_X + 0.3, -0.2, 0.08), (0.071, 0.034, 0.089)),  # drive units
    (12.0, (MIDDLE_X - 0.3, 0.2, 0.08), (0.071, 0.034, 0.089)),
    (14.0, (-0.02, 0.0, 0.32), (0.383, 0.406, 0.077)),  # what of the lift stands
)
LIFT_PARTS: tuple[Part, ...] = (
    (6.932, (-0.02, 0.0, -0.20), (0.245, 0.249, 0.090)),  # what of the lift moves
    (2.5, (*MAST, 0.25), (0.12, 0.12, 0.004)),  # mast
    (1.0, HEAD_POS, (0.01, 0.01, 0.01)),  # head
)

# Inertia of what turns, as the joints feel it. Wheels as published; the rotors' share
# is an estimate. of a mecanum wheel's force about the vertical: half track and half
# wheelbase
WHEEL_ARM_M = (0.488 + 0.447) / 2
ROLLING_KG = 4 * 0.0084 / WHEEL_RADIUS**2 + 40.0
SPINDLE_KG = 80.0  # an estimate for a ball screw of 5 mm pitch

# Position servos: stiffness, damping (the lag times it: a moving target is followed
# that late), force limit. They are stiff enough that the arm's swings move the base by
# less than a millimetre. 800 N, half of the robot's weight, brake at 4 m/s2: a sudden
# stop from full speed ends 3 cm too far. (The controller cited keeps to 1 m/s2.)
DRIVE_N = 800.0
SERVOS = {  # joint -> stiffness in N/m or N m/rad, lag in s, limit in N or N m
    "base_x": (450_000.0, 0.10, DRIVE_N),
    "base_y": (450_000.0, 0.10, DRIVE_N),
    "base_yaw": (80_000.0, 0.10, DRIVE_N * WHEEL_ARM_M),
    "lift": (300_000.0, 0.06, 2000.0),
}
BASE_BOXES = (  # centre, half sizes in m
    # housing: its underside is above the floor
    ((MIDDLE_X, 0.0, 0.188), (0.37, 0.26, 0.143)),
    ((-0.02, 0.0, 0.415), (0.108, 0.103, 0.085)),  # the lift's sleeve
)
LIFT_BOXES = (
    ((-0.02, 0.0, -0.24), (0.088, 0.083, 0.21)),
    ((-0.03, 0.0, -0.015), (0.145, 0.125, 0.015)),
)
HEAD_FOVY_DEG = 60.0


def build_wheeled_arm() -> mujoco.MjSpec:
    """The robot alone, its base's origin on the floor below the mount's axis, over the
    world's origin.
    """
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.modelname = "wheeled_arm"
    lift = _add_bodies(spec)
    add_materials(spec, MATERIALS)
    dress(spec, SHELLS)
    dress(spec, DECOR, DECOR_GROUP)
    _add_collision(spec)
    eye = on_head(-EYES_M, 0.0, FACE_M + 0.006)
    face = quat_of_axes(head_axes())
    lift.add_camera(name="head", pos=eye, quat=face, fovy=HEAD_FOVY_DEG)
    for joint, (stiffness, lag_s, limit) in SERVOS.items():
        servo = spec.add_actuator(
            name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT
        )
        servo.set_to_position(kp=stiffness, kv=lag_s * stiffness)
        servo.ctrlrange = spec.joint(joint).range
        servo.forcerange = (-limit, limit)
    add_arm(spec, lift)
    home = (0.0, 0.0, 0.0, LIFT_HOME_M, *HOME)
    spec.add_key(
        name="home",
        qpos=(*home, FINGER_TRAVEL_M, FINGER_TRAVEL_M),
        ctrl=(*home, 2 * FINGER_TRAVEL_M),
    )
    return spec


def _add_bodies(spec: mujoco.MjSpec) -> mujoco.MjsBody:
    """Base and lift; returns the lift, whose origin is the mount."""
    slide = mujoco.mjtJoint.mjJNT_SLIDE
    hinge = mujoco.mjtJoint.mjJNT_HINGE
    base = _add_body(spec.worldbody, "base", 0.0, BASE_PARTS)
    x, y, yaw = BASE_RANGE
    base.add_joint(
        name="base_x", type=slide, axis=(1, 0, 0), range=x, armature=ROLLING_KG
    )
    base.add_joint(
        name="base_y", type=slide, axis=(0, 1, 0), range=y, armature=ROLLING_KG
    )
    base.add_joint(
        name="base_yaw",
        type=hinge,
        axis=(0, 0, 1),
        range=yaw,
        armature=ROLLING_KG * WHEEL_ARM_M**2,
    )
    lift = _add_body(base, "lift", MOUNT_LOW_M, LIFT_PARTS)
    lift.add_joint(
        name="lift",
        type=slide,
        axis=(0, 0, 1),
        range=(0, LIFT_STROKE_M),
        armature=SPINDLE_KG,
    )
    return lift


def _add_body(
    parent: mujoco.MjsBody, name: str, height_m: float, parts: Sequence[Part]
) -> mujoco.MjsBody:
    """A body above its parent, of parts whose own axes are parallel to its axes."""
    masses = np.array([part[0] for part in parts])
    centers = np.array([part[1] for part in parts])
    middle = masses @ centers / masses.sum()
    inertia = np.zeros((3, 3))
    for mass, offset, own in zip(
        masses, centers - middle, (part[2] for part in parts), strict=True
    ):
        inertia += np.diag(own) + mass * (
            offset @ offset * np.eye(3) - np.outer(offset, offset)
        )
    body = parent.add_body(
        name=name,
        pos=(0, 0, height_m),
        mass=masses.sum(),
        ipos=middle,
        explicitinertial=True,
    )
    # xx, yy, zz, xy, xz, yz
    body.fullinertia = inertia[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    body.gravcomp = 1  # the floor carries the base, a self-locking spindle the lift
    return body


def _add_collision(spec: mujoco.MjSpec) -> None:
    lift = spec.body("lift")
    for box in BASE_BOXES:
        add_solid_box(spec.body("base"), *box)
    for box in LIFT_BOXES:
        add_solid_box(lift, *box)
    mast = (*MAST, 0.0, *MAST, 0.60)
    head = (*on_head(-0.08, 0, 0), *on_head(0.08, 0, 0))
    for ends, radius in ((mast, 0.035), (head, 0.06)):
        lift.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CAPSULE,
            fromto=ends,
            size=(radius, 0, 0),
            group=3,
            mass=0,
        )


WHEELED_ARM = Robot(
    name="wheeled_arm",
    build=build_wheeled_arm,
    joints=tuple(f"joint{i}" for i in range(1, 8)),
    joint_range=tuple((float(low), float(high)) for low, high in JOINT_RANGES),
    joint_speed=tuple(JOINT_SPEED_LIMITS.tolist()),
    home=tuple(HOME.tolist()),
    mount_pos_w=(0.0, 0.0, MOUNT_LOW_M),
    root_body="base",
    cameras=("wrist", "head"),
    base_joints=("base_x", "base_y", "base_yaw"),
    base_range=BASE_RANGE,
    base_speed=BASE_SPEED,
    torso_joints=("lift",),
    torso_range=((0.0, LIFT_STROKE_M),),
    torso_speed=(LIFT_SPEED_M_S,),
    torso_home=(LIFT_HOME_M,),
)
