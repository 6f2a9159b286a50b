"""The arm of the Franka Research 3: seven joints, with the published figures.

Sources: kinematics, joint limits and inertias: franka_description, `robots/fr3/*.yaml`
(Apache-2.0; commit b299b39). The limits are those of Franka's FCI documentation,
"Limits for Franka Research 3". Rotor inertias: Franka's figures as published with
Drake's franka_description.
"""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.robots.arm_visual import ARM_SHELLS, add_shells
from embodied.robots.modelling import (
    JOINT_LEAD_RAD,
    SERVO_LAG_S,
    add_capsule,
    add_joint_servo,
    add_shoulder,
    exclude_contact,
    is_fixed_to_world,
    set_inertia,
)
from embodied.robots.parts.arm import Arm
from embodied.robots.parts.part import Joints, Placement

# Modified Denavit-Hartenberg parameters (Craig): (a_{i-1} in m, d_i in m, alpha_{i-1}
# in rad) of each joint i.
DH = np.array(
    [
        (0.0, 0.333, 0.0),
        (0.0, 0.0, -np.pi / 2),
        (0.0, 0.316, np.pi / 2),
        (0.0825, 0.0, np.pi / 2),
        (-0.0825, 0.384, -np.pi / 2),
        (0.0, 0.0, np.pi / 2),
        (0.088, 0.0, np.pi / 2),
    ]
)  # (7, 3)
JOINT_RANGES = np.array(
    [
        (-2.7437, 2.7437),
        (-1.7837, 1.7837),
        (-2.9007, 2.9007),
        (-3.0421, -0.1518),
        (-2.8065, 2.8065),
        (0.5445, 4.5169),
        (-3.0159, 3.0159),
    ]
)  # (7, 2) rad
JOINT_SPEED_LIMITS = np.array([2.62, 2.62, 2.62, 2.62, 5.26, 4.18, 5.26])  # (7,) rad/s
TORQUE_LIMITS = np.array([87.0, 87.0, 87.0, 87.0, 12.0, 12.0, 12.0])  # (7,) N m
# (7,) kg m2, at the joint
ROTOR_INERTIA = np.array([0.6057, 0.6057, 0.4625, 0.4625, 0.2055, 0.2055, 0.2055])
# (7,) rad: the tool centre point at (0.45, 0, 0.25) m from the mount, pointing down
HOME = np.array([0.0, -0.1848, 0.0, -2.4967, 0.0, 2.3119, 0.7854])
# Farthest distance of the hand's tcp from the base plate, straight up.
REACH_M = 1.28

# (7,) N m/rad. A joint's damping is its stiffness times SERVO_LAG_S. So all joints have
# the same lag, and the arm follows a moving target on the target's own path. With this
# stiffness the damping is critical or more (0.96 of critical with the arm outstretched).
STIFFNESS = np.array([18_000.0, 18_000.0, 9000.0, 7000.0, 1400.0, 1400.0, 1000.0])

# body -> mass in kg, centre of mass in m, inertia about it in kg m2
# (xx, yy, zz, xy, xz, yz), in the body's frame
INERTIAS = {
    "link0": (
        2.3966,
        (-0.0172, 0.0004, 0.0745),
        (0.0090, 0.0115, 0.0085, 0, 0.0020, 0),
    ),
    "link1": (
        2.9275,
        (0, -0.0181251, -0.0386036),
        (0.0239273, 0.0224822, 0.0063501, 1.33e-05, -0.0001140, -0.0019950),
    ),
    "link2": (
        2.9355,
        (0.0031829, -0.0743222, 0.0088146),
        (0.0419389, 0.0251451, 0.0617021, 0.0002026, 0.0040778, -0.0042252),
    ),
    "link3": (
        2.2449,
        (0.0407016, -0.0048201, -0.0289731),
        (0.0241014, 0.0197405, 0.0190445, 0.0024047, -0.0028563, -0.0021042),
    ),
    "link4": (
        2.6156,
        (-0.0459101, 0.0630493, -0.0085188),
        (0.0345300, 0.0288816, 0.0412547, 0.0132255, 0.0101514, -0.0009763),
    ),
    "link5": (
        2.3271,
        (-0.0016040, 0.0292536, -0.0972966),
        (0.0516103, 0.0478773, 0.0164236, -0.0057152, -0.0035673, 0.0106740),
    ),
    "link6": (
        1.8170,
        (0.0597131, -0.0410295, -0.0101693),
        (0.0054123, 0.0140583, 0.0160808, 0.0061935, 0.0014219, -0.0013141),
    ),
    "link7": (
        0.6271,
        (0.0045226, 0.0086262, -0.0161633),
        (0.00021092, 0.00017719, 0.00005993, -2.4333e-05, 4.5645e-05, 8.7441e-05),
    ),
}
# body -> (start, end, radius) of its collision capsules, m, in the body's frame
CAPSULES = {
    "link0": (((-0.08, 0, 0.055), (0, 0, 0.055), 0.06),),
    "link1": (((0, 0, -0.27), (0, 0, -0.05), 0.06),),
    "link2": (((0, 0, -0.07), (0, 0, 0.07), 0.06),),
    "link3": (((0, 0, -0.22), (0, 0, -0.07), 0.06),),
    "link4": (((0, 0, -0.06), (0, 0, 0.06), 0.06),),
    "link5": (
        ((0, 0, -0.31), (0, 0, -0.21), 0.06),
        ((0, 0.085, -0.19), (0, 0.085, -0.06), 0.035),
    ),
    "link6": (((0, 0, -0.085), (0, 0, 0.01), 0.05),),
    "link7": (((0, 0, -0.05), (0, 0, 0.06), 0.045),),
}
# Pairs of links with overlapping geoms. MuJoCo excludes contacts of a parent with its
# child, but link 0 is not the parent of link 1: both are children of the mount.
OVERLAPPING_LINKS = (("link0", "link1"), ("link1", "link3"))


def franka_arm(on: str = "base", placement: Placement | None = None) -> Arm:
    """Returns the arm, mounted by its base plate; it faces along its mount's x axis."""
    # each joint has the same name as its servo
    names = tuple(f"joint{i}" for i in range(1, 8))
    joints = Joints(
        names=names,
        ranges=tuple((float(low), float(high)) for low, high in JOINT_RANGES),
        speeds=tuple(JOINT_SPEED_LIMITS.tolist()),
        home=tuple(HOME.tolist()),
        leads=(JOINT_LEAD_RAD,) * len(names),
    )

    return Arm(
        on=on,
        build=add_arm,
        placement=placement or Placement(),
        joints=joints,
        reach_m=REACH_M,
    )


def add_arm(
    spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
) -> mujoco.MjsBody:
    """Adds the arm to a mount: links, shells, collision geoms and servos.

    Returns the last link, which carries the hand.
    """
    prefix = placement.prefix
    mount = add_shoulder(mount, placement)  # a body at the placement, or the mount
    last = _add_links(mount, prefix)
    for name, (mass_kg, centre, inertia) in INERTIAS.items():
        set_inertia(spec.body(prefix + name), mass_kg, centre, inertia)

    add_shells(spec, ARM_SHELLS, prefix=prefix)
    for name, capsules in CAPSULES.items():
        for start, end, radius_m in capsules:
            add_capsule(spec.body(prefix + name), start, end, radius_m)

    # MuJoCo excludes contacts between parent and child, but not if the parent is fixed
    # to the world
    if is_fixed_to_world(mount):
        exclude_contact(spec, mount.name, f"{prefix}link1")
    for first, second in OVERLAPPING_LINKS:
        exclude_contact(spec, prefix + first, prefix + second)

    _add_servos(spec, prefix)
    return last


def _add_links(mount: mujoco.MjsBody, prefix: str) -> mujoco.MjsBody:
    """Adds the base plate and, beside it on the mount, the chain of links."""
    mount.add_body(name=f"{prefix}link0")

    # Denavit-Hartenberg: from the previous link's frame, translate by `a` along x, rotate
    # by `alpha` about x, then translate by `d` along the new z
    body = mount
    figures = zip(DH, JOINT_RANGES, ROTOR_INERTIA, strict=True)
    for i, ((a, d, alpha), limits, rotor_inertia) in enumerate(figures, start=1):
        body = body.add_body(
            name=f"{prefix}link{i}",
            pos=(a, -d * np.sin(alpha), d * np.cos(alpha)),
            quat=(np.cos(alpha / 2), np.sin(alpha / 2), 0, 0),
        )
        body.add_joint(
            name=f"{prefix}joint{i}",
            axis=(0, 0, 1),
            range=limits,
            armature=rotor_inertia,
        )
    return body


def _add_servos(spec: mujoco.MjSpec, prefix: str) -> None:
    """Adds a position servo for each of the seven joints, with the joint's name."""
    figures = zip(STIFFNESS, TORQUE_LIMITS, strict=True)
    for i, (stiffness, torque) in enumerate(figures, start=1):
        add_joint_servo(
            spec,
            f"{prefix}joint{i}",
            stiffness=stiffness,
            lag_s=SERVO_LAG_S,
            limit=torque,  # N m
        )
