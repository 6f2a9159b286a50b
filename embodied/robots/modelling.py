"""Helper functions for builders of robots."""

from __future__ import annotations

from collections.abc import Sequence

import mujoco
import numpy as np

from embodied.robots.parts.part import Placement

COLLISION_GROUP = 3
# The lag of an arm's joint servos behind a moving target.
SERVO_LAG_S = 0.03
# In the delta modes a joint target is ahead of the measured joint by at most this.
JOINT_LEAD_RAD = 0.1
Point = Sequence[float]
# One of the masses of a body: kg, centre in m, inertia about it in kg m2 (xx, yy, zz).
Mass = tuple[float, tuple[float, ...], tuple[float, ...]]


def add_shoulder(mount: mujoco.MjsBody, placement: Placement) -> mujoco.MjsBody:
    """Returns the body that carries an arm: a new one at the placement.

    It is the mount itself if the placement is the identity.
    """
    if placement.pos == (0.0, 0.0, 0.0) and placement.quat_wxyz == (1.0, 0.0, 0.0, 0.0):
        return mount
    return mount.add_body(
        name=f"{placement.prefix}shoulder",
        pos=placement.pos,
        quat=placement.quat_wxyz,
    )


def add_frame_at_site(spec: mujoco.MjSpec, site: mujoco.MjsSite) -> mujoco.MjsFrame:
    """Returns a new frame of the site's body, with the pose of the site.

    Args:
        spec: the model, which must compile, since the compiler computes the pose of a
            site that is given by other angles than a quaternion, or within a frame.
        site: a site with a name.
    """
    carrier = site.parent
    if site.alt.type == mujoco.mjtOrientation.mjORIENTATION_QUAT and not site.frame:
        return carrier.add_frame(pos=site.pos, quat=site.quat)
    compiled = spec.copy().compile().site(site.name)
    return carrier.add_frame(pos=compiled.pos, quat=compiled.quat)


def set_inertia(
    body: mujoco.MjsBody, mass_kg: float, centre: Point, inertia: Point
) -> None:
    """Gives a body its published mass and inertia, and gravity compensation.

    The controller of a real arm compensates for gravity, too.

    Args:
        body: a body of a robot.
        mass_kg: the mass of the body.
        centre: (3,) m, the centre of mass in the body's frame.
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
    """Adds a body that combines several masses.

    Args:
        parent: the body that carries the new body.
        name: name of the body.
        height_m: height of the body's origin above the parent's.
        masses: the masses, in the body's frame, with inertias about axes through each
            mass's centre, parallel to the frame's axes.
    """
    mass = np.array([kg for kg, _, _ in masses])
    centres = np.array([centre for _, centre, _ in masses])
    common_centre = mass @ centres / mass.sum()

    # the sum of all inertias about the common centre, by the parallel axis theorem
    inertia = np.zeros((3, 3))
    for (kg, _, diagonal), offset in zip(masses, centres - common_centre, strict=True):
        # the inertia that the offset adds for each kg of the mass
        per_kg = offset @ offset * np.eye(3) - np.outer(offset, offset)
        inertia += np.diag(diagonal) + kg * per_kg

    body = parent.add_body(
        name=name,
        pos=(0, 0, height_m),
        mass=mass.sum(),
        ipos=common_centre,
        explicitinertial=True,
    )
    # MuJoCo's order: xx, yy, zz, xy, xz, yz
    body.fullinertia = inertia[[0, 1, 2, 0, 0, 1], [0, 1, 2, 1, 2, 2]]
    # Weight is compensated: the floor carries a base, a self-locking spindle carries a
    # lift, and the controllers of real joints compensate for gravity.
    body.gravcomp = 1
    return body


def add_solid_box(body: mujoco.MjsBody, pos: Point, half_size: Point) -> None:
    """Adds a massless, invisible box that collides; lengths in m."""
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
    """Adds a massless, invisible capsule that collides; points in m."""
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
    """Adds a position servo, named like its joint, with a given lag.

    Args:
        spec: the model, with the joint.
        joint: name of the joint.
        stiffness: stiffness in N m/rad, or N/m for a slide.
        lag_s: the servo's lag behind a moving target, which is damping divided by
            stiffness.
        limit: the servo's largest torque in N m, or force in N.
    """
    servo = spec.add_actuator(
        name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT
    )
    servo.set_to_position(kp=stiffness, kv=lag_s * stiffness)
    servo.ctrlrange = spec.joint(joint).range
    servo.forcerange = (-limit, limit)


def exclude_contact(spec: mujoco.MjSpec, first: str, second: str) -> None:
    """Excludes contacts between two bodies, so that they pass through each other."""
    spec.add_exclude(name=f"{first}_{second}", bodyname1=first, bodyname2=second)


def is_fixed_to_world(body: mujoco.MjsBody) -> bool:
    """Returns whether no joint lies between a body and the world."""
    while body.name != "world":
        if body.joints:
            return False
        body = body.parent
    return True
