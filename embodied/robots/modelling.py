"""Small steps that builders of robots share."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from embodied.robots.parts.part import Placement

COLLISION_GROUP = 3
# How late joint servos follow a moving target, on the target's own path.
SERVO_LAG_S = 0.03
# How far a joint target may run ahead of the measured joint in the delta modes.
JOINT_LEAD_RAD = 0.1
Point = Sequence[float]
# Masses that make up a body: kg, centre in m, inertia about it in kg m2 (xx, yy, zz).
Mass = tuple[float, tuple[float, ...], tuple[float, ...]]


def add_shoulder(mount: mujoco.MjsBody, placement: Placement) -> mujoco.MjsBody:
    """Returns the body to build on: a new one at the placement, or the mount itself.

    The mount will do where the placement neither shifts nor turns.
    """
    if placement.pos == (0.0, 0.0, 0.0) and placement.quat_wxyz == (1.0, 0.0, 0.0, 0.0):
        return mount
    return mount.add_body(
        name=f"{placement.prefix}shoulder",
        pos=placement.pos,
        quat=placement.quat_wxyz,
    )


def set_inertia(
    body: mujoco.MjsBody, mass_kg: float, centre: Point, inertia: Point
) -> None:
    """Gives a body its published mass, and gravity compensation.

    A real arm's own controller compensates for gravity, too.

    Args:
        body: a body of a robot.
        mass_kg: its mass.
        centre: (3,) m, its centre of mass.
        inertia: (6,) kg m2 about that centre: xx, yy, zz, xy, xz, yz.
    """
    body.mass = mass_kg
    body.ipos = centre
    body.fullinertia = inertia
    body.explicitinertial = True
    body.gravcomp = 1


def add_massive_body(
    parent: mujoco.MjsBody, name: str, height_m: float, masses: Sequence[Mass]
) -> mujoco.MjsBody:
    """Adds a body above its parent that is the sum of masses with axes like its own."""
    mass = np.array([kg for kg, _, _ in masses])
    centres = np.array([centre for _, centre, _ in masses])
    middle = mass @ centres / mass.sum()

    # the sum of their inertias about the common centre, by the parallel axis theorem
    inertia = np.zeros((3, 3))
    for (kg, _, own), offset in zip(masses, centres - middle, strict=True):
        shifted = offset @ offset * np.eye(3) - np.outer(offset, offset)
        inertia += np.diag(own) + kg * shifted

    body = parent.add_body(
        name=name,
        pos=(0, 0, height_m),
        mass=mass.sum(),
        ipos=middle,
        explicitinertial=True,
    )
    # xx, yy, zz, xy, xz, yz
    body.fullinertia = inertia[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    # the floor carries a base, a self-locking spindle carries a lift, and the servos of
    # real joints know what they carry
    body.gravcomp = 1
    return body


def add_solid_box(body: mujoco.MjsBody, pos: Point, half_size: Point) -> None:
    """Adds a massless box that collides and is not shown; lengths in m."""
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=pos,
        size=half_size,
        group=COLLISION_GROUP,
        mass=0,
    )


def add_capsule(
    body: mujoco.MjsBody, start: Point, end: Point, radius_m: float
) -> None:
    """Adds a massless capsule that collides and is not shown; points in m."""
    body.add_geom(
        type=mujoco.mjtGeom.mjGEOM_CAPSULE,
        fromto=(*start, *end),
        size=(radius_m, 0, 0),
        group=COLLISION_GROUP,
        mass=0,
    )


def add_joint_servo(
    spec: mujoco.MjSpec, joint: str, stiffness: float, lag_s: float, limit: float
) -> None:
    """Adds a position servo, named like its joint, that follows targets `lag_s` late.

    Args:
        spec: the model, with the joint.
        joint: name of the joint.
        stiffness: in N m/rad, or N/m for a slide.
        lag_s: damping over stiffness.
        limit: the servo's largest torque in N m, or force in N.
    """
    servo = spec.add_actuator(
        name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT
    )
    servo.set_to_position(kp=stiffness, kv=lag_s * stiffness)
    servo.ctrlrange = spec.joint(joint).range
    servo.forcerange = (-limit, limit)


def exclude_contact(spec: mujoco.MjSpec, first: str, second: str) -> None:
    """Lets two bodies pass through each other."""
    spec.add_exclude(name=f"{first}_{second}", bodyname1=first, bodyname2=second)


def is_fixed_to_world(body: mujoco.MjsBody) -> bool:
    """Returns whether no joint lies between a body and the world."""
    while body.name != "world":
        if body.joints:
            return False
        body = body.parent
    return True
