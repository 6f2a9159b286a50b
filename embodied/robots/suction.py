"""What makes a cup hold by vacuum, and a suction gripper for robots of parts.

MuJoCo's adhesion pulls a body onto whatever its shapes touch, with a force that all
their contacts share. A lip of small spheres makes that a cup: it holds a pull up to its
force, and a sideways one up to its friction. A lip that touches in part pulls as
strongly as a whole one: air that leaks is not modelled.
"""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.robots.franka.hand import FLANGE_M
from embodied.robots.gripping import PAD_FRICTION
from embodied.robots.parts.part import Placement
from embodied.robots.parts.suction import SuctionGripper

# Below the air's pressure, in Pa: what ejectors reach on cardboard and other surfaces
# that let some air through.
VACUUM_PA = 60_000.0
LIP_POINTS = 8
LIP_POINT_M = 0.002  # radius of each
# From this distance on the vacuum draws things in.
DRAW_M = 0.0005
# The lip gives: four steps long, where a finger's pad is two.
LIP_SOLREF = (4 / PHYSICS_HZ, 1.0)
# Of the suction gripper: where its lip is, from the flange, and the lip's radius.
LENGTH_M = 0.12
RADIUS_M = 0.015
MASS_KG = 0.25
METAL_RGBA = (0.72, 0.75, 0.78, 1.0)
RUBBER_RGBA = (0.10, 0.35, 0.55, 1.0)
# Its cylinders: where each begins, how long it is and its radius, in m, from the flange
# out; the last three are the folds of the cup.
SHAPES = (
    (0.0, 0.016, 0.032, METAL_RGBA),
    (0.016, 0.088, 0.008, METAL_RGBA),
    (0.102, 0.007, 0.013, RUBBER_RGBA),
    (0.107, 0.006, 0.009, RUBBER_RGBA),
    (0.112, 0.007, 0.016, RUBBER_RGBA),
)


def vacuum_force_n(radius_m: float) -> float:
    """Returns the pull that a lip holds, in N: pressure times area."""
    return float(VACUUM_PA * np.pi * radius_m**2)


def add_cup(
    spec: mujoco.MjSpec,
    site: mujoco.MjsSite,
    name: str,
    radius_m: float,
    force_n: float,
) -> None:
    """Adds a lip around a site, its vacuum, and the sensor of what it touches.

    Args:
        spec: the model.
        site: the middle of the lip; its z points out of the cup.
        name: of the actuator, whose target is the share of the vacuum that is let off.
            The lip is `<name>_lip`, the sensor `<name>_seal`.
        radius_m: of the lip.
        force_n: up to which pull it holds.
    """
    carrier = site.parent
    frame = carrier.add_frame(pos=site.pos, quat=site.quat)
    frame.alt.type = site.alt.type
    lip = carrier.add_body(name=f"{name}_lip", gravcomp=1)
    lip.set_frame(frame)
    for k in range(LIP_POINTS):
        angle = 2 * np.pi * k / LIP_POINTS
        x = radius_m * np.cos(angle)
        y = radius_m * np.sin(angle)
        point = lip.add_geom(
            # variation of the pads' friction finds them by this name
            name=f"{name}_pad{k}",
            type=mujoco.mjtGeom.mjGEOM_SPHERE,
            pos=(x, y, -LIP_POINT_M),
            size=(LIP_POINT_M, 0, 0),
            rgba=RUBBER_RGBA,
            group=2,
            material="",  # the file's default may name one
            mass=0,
        )
        _make_lip(point)

    drive = spec.add_actuator(
        name=name, target=lip.name, trntype=mujoco.mjtTrn.mjTRN_BODY
    )
    # the force where nothing is let off, less what is
    drive.biastype = mujoco.mjtBias.mjBIAS_AFFINE
    drive.biasprm[0] = force_n
    drive.gainprm[0] = -force_n
    drive.ctrlrange = (0, 1)

    seal = spec.add_sensor(name=f"{name}_seal", type=mujoco.mjtSensor.mjSENS_CONTACT)
    seal.objtype = mujoco.mjtObj.mjOBJ_XBODY
    seal.objname = lip.name
    # how many contacts there are, reduced in no way, in one number
    seal.intprm = [1 << int(mujoco.mjtConDataField.mjCONDATA_FOUND), 0, 1]


def _make_lip(geom: mujoco.MjsGeom) -> None:
    """Makes a geom touch as rubber does, whatever it touches."""
    geom.contype = 1
    geom.conaffinity = 1
    geom.solref = LIP_SOLREF
    geom.gap = DRAW_M
    # with the higher priority, its figures alone hold in a contact with another geom
    geom.priority = 1
    geom.condim = 3
    geom.friction = list(PAD_FRICTION)


def suction_gripper(on: str = "arm") -> SuctionGripper:
    """Returns a cup of 30 mm on a stem, mounted on the flange of an arm.

    It holds 42 N, by `vacuum_force_n`.
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
    """Adds flange, stem, cup, tool point and vacuum; returns the body that has them."""
    prefix = placement.prefix
    body = mount.add_body(name=f"{prefix}suction", pos=(0, 0, FLANGE_M), gravcomp=1)
    for z_m, length_m, radius_m, rgba in SHAPES:
        is_solid = rgba == METAL_RGBA
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_CYLINDER,
            pos=(0, 0, z_m + length_m / 2),
            size=(radius_m, length_m / 2, 0),
            rgba=rgba,
            # of the cup it is the lip that touches
            contype=is_solid,
            conaffinity=is_solid,
            mass=MASS_KG / len(SHAPES),
        )
    site = body.add_site(
        name=f"{prefix}tcp", pos=(0, 0, LENGTH_M), size=[0.004] * 3, group=4
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
        f"{prefix}gripper",
        RADIUS_M,
        vacuum_force_n(RADIUS_M),
    )
    return body
