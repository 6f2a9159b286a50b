"""Cups that hold objects by vacuum, and a suction gripper to mount on an arm.

MuJoCo's adhesion pulls a body onto whatever its geoms touch, with a force that all their
contacts share. Here the body is a lip of small spheres. It resists a pull away from it up
to the adhesion's force, and a pull sideways up to its friction. A lip that touches only
in part holds as strongly as one that touches all around: leaking air is not modelled.
"""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.robots.franka.hand import FLANGE_M
from embodied.robots.gripping import PAD_FRICTION
from embodied.robots.modelling import add_frame_at_site
from embodied.robots.parts.part import Placement
from embodied.robots.parts.suction import SuctionGripper

# How far the pressure in the cup is below that of the air. Vacuum ejectors reach this on
# cardboard and other surfaces that let some air through.
VACUUM_PA = 60_000.0
LIP_POINTS = 8  # the number of spheres that form the lip
LIP_POINT_M = 0.002  # the radius of a sphere
# The vacuum attracts things that are at most this far from the lip.
ATTRACTION_M = 0.0005
# MuJoCo's `solref` of contacts with the lip: time constant in s, damping ratio. The time
# constant is four physics steps. That of fingers' pads is two, because they are harder
# than the rubber of a lip.
LIP_SOLREF = (4 / PHYSICS_HZ, 1.0)
# The distance of the suction gripper's lip from the flange.
LENGTH_M = 0.12
# The radius of the suction gripper's lip.
RADIUS_M = 0.015
MASS_KG = 0.25
METAL_RGBA = (0.72, 0.75, 0.78, 1.0)
RUBBER_RGBA = (0.10, 0.35, 0.55, 1.0)
# The cylinders of the suction gripper, from the flange outwards: start and length along
# the gripper's axis and radius, in m, and colour. The last three are the cup's folds.
SHAPES = (
    (0.0, 0.016, 0.032, METAL_RGBA),
    (0.016, 0.088, 0.008, METAL_RGBA),
    (0.102, 0.007, 0.013, RUBBER_RGBA),
    (0.107, 0.006, 0.009, RUBBER_RGBA),
    (0.112, 0.007, 0.016, RUBBER_RGBA),
)


def vacuum_force_n(radius_m: float) -> float:
    """Returns the largest pull that a lip resists, in N: pressure times area."""
    return float(VACUUM_PA * np.pi * radius_m**2)


def add_cup(
    spec: mujoco.MjSpec,
    site: mujoco.MjsSite,
    name: str,
    radius_m: float,
    force_n: float,
) -> None:
    """Adds a lip around a site, an actuator of its vacuum, and a sensor of its contacts.

    Args:
        spec: the model.
        site: the middle of the lip; its z axis points out of the cup.
        name: name of the actuator. Its target is the share of the vacuum that is
            released. The lip's body is called `<name>_lip`, the sensor `<name>_seal`.
        radius_m: radius of the lip.
        force_n: the largest pull that the lip resists.
    """
    # a body in the pose of the site carries the spheres of the lip
    carrier = site.parent
    frame = add_frame_at_site(spec, site)
    lip = carrier.add_body(name=f"{name}_lip", gravcomp=1)
    lip.set_frame(frame)
    for k in range(LIP_POINTS):
        angle = 2 * np.pi * k / LIP_POINTS
        x = radius_m * np.cos(angle)
        y = radius_m * np.sin(angle)
        point = lip.add_geom(
            # `CommonFactors` varies the friction of geoms with "pad" in their names
            name=f"{name}_pad{k}",
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            pos=(x, y, -LIP_POINT_M),
            size=(LIP_POINT_M, 0, 0),
            rgba=RUBBER_RGBA,
            group=2,  # drawn in pictures
            # no material, even if the defaults of a robot's MJCF file name one
            material="",
            mass=0,
        )
        _make_lip(point)

    # The vacuum's force is the full force minus the share that the target releases. So the
    # target 0 holds, and 1 lets go.
    vacuum = spec.add_actuator(
        name=name, target=lip.name, trntype=mujoco.mjtTrn.mjTRN_BODY
    )
    vacuum.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    vacuum.biasprm[0] = force_n
    vacuum.gainprm[0] = -force_n
    vacuum.ctrlrange = (0, 1)

    seal = spec.add_sensor(name=f"{name}_seal", type=mujoco.mjtSensor.mjSENS_CONTACT)
    seal.objtype = mujoco.mjtObj.mjOBJ_XBODY
    seal.objname = lip.name
    # MuJoCo's settings of a contact sensor: it measures the number of contacts, without
    # combining them (0), and has one value
    seal.intprm = [1 << int(mujoco.mjtConDataField.mjCONDATA_FOUND), 0, 1]


def _make_lip(geom: mujoco.MjsGeom) -> None:
    """Gives a geom the contact properties of rubber, whatever it touches."""
    geom.contype = 1
    geom.conaffinity = 1
    geom.solref = LIP_SOLREF
    geom.gap = ATTRACTION_M
    # the geom with the higher priority determines a contact's properties
    geom.priority = 1
    geom.condim = 3
    geom.friction = list(PAD_FRICTION)


def suction_gripper(on: str = "arm") -> SuctionGripper:
    """Returns a cup of 30 mm diameter on a stem, mounted on the flange of an arm.

    It resists a pull of 42 N, see `vacuum_force_n`.
    """
    return SuctionGripper(
        on=on,
        build=add_suction_gripper,
        force_n=vacuum_force_n(RADIUS_M),
        seal="gripper_seal",
        lip_points=LIP_POINTS,
    )


def add_suction_gripper(
    spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
) -> mujoco.MjsBody:
    """Adds a body with flange, stem, cup, tool centre point and vacuum; returns it."""
    prefix = placement.prefix
    body = mount.add_body(name=f"{prefix}suction", pos=(0, 0, FLANGE_M), gravcomp=1)
    for z_m, length_m, radius_m, rgba in SHAPES:
        is_solid = rgba == METAL_RGBA
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            pos=(0, 0, z_m + length_m / 2),
            size=(radius_m, length_m / 2, 0),
            rgba=rgba,
            # the folds of the cup do not collide: only its lip does
            contype=is_solid,
            conaffinity=is_solid,
            mass=MASS_KG / len(SHAPES),
        )
    site = body.add_site(
        name=f"{prefix}tcp",
        pos=(0, 0, LENGTH_M),
        size=[0.004] * 3,
        group=4,  # not drawn in pictures
    )
    spec.add_sensor(
        name=f"{prefix}tcp_quat_w",
        type=mujoco.mjtSensor.mjSENS_FRAMEQUAT,
        objtype=mujoco.mjtObj.mjOBJ_SITE,
        objname=site.name,
    )
    add_cup(
        spec,
        site,
        name=f"{prefix}gripper",
        radius_m=RADIUS_M,
        force_n=vacuum_force_n(RADIUS_M),
    )
    return body
