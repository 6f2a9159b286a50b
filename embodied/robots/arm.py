"""`arm`: a Franka Research 3 with its gripper, on a pedestal."""

from __future__ import annotations

import mujoco

from embodied.robots.arm_visual import STAND, add_materials, add_shells
from embodied.robots.franka.arm import franka_arm
from embodied.robots.franka.hand import franka_hand
from embodied.robots.modelling import add_solid_box
from embodied.robots.parts.base import FixedBase
from embodied.robots.parts.part import Placement
from embodied.robots.robot import Robot

STAND_HEIGHT_M = 0.72
# Centre and half sizes (3,) of the stand's collision box, m, relative to the arm's base
# plate.
STAND_BOX = ((-0.02, 0, -0.36), (0.085, 0.085, 0.36))


def pedestal(x_m: float = 0.0, y_m: float = 0.0) -> FixedBase:
    """Returns a stand of 0.72 m at a point of the floor."""
    return FixedBase(build=add_pedestal, mount_pos_w=(x_m, y_m, STAND_HEIGHT_M))


def add_pedestal(
    spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
) -> mujoco.MjsBody:
    """Adds the stand, with its origin at the arm's base plate.

    `FixedBase` then moves this origin to its `mount_pos_w`.
    """
    prefix = placement.prefix
    # a mass and inertia must be given, but have no effect: the stand has no joint
    stand = mount.add_body(
        name=f"{prefix}stand", mass=40, inertia=(4, 4, 1), explicitinertial=True
    )
    add_materials(spec)
    add_shells(spec, STAND, prefix=prefix)
    centre, half_size = STAND_BOX
    add_solid_box(stand, centre, half_size)
    return stand


ARM = Robot(name="arm", parts=(pedestal(), franka_arm(), franka_hand()))
