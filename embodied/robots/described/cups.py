"""Suction grippers of described robots: measures the lip, and adds cup and vacuum."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.errors import EmbodiedError
from embodied.robots.described.builders import add_tool, prefix_of, tcp_site
from embodied.robots.described.description import DescribedArm, Description
from embodied.robots.described.faces import FaceFinder
from embodied.robots.described.holding import subtree
from embodied.robots.described.linkage import scratch
from embodied.robots.described.source import FileArm
from embodied.robots.described.tcp_axes import MAX_Z_ERROR_DEG
from embodied.robots.geometry import solid_geoms
from embodied.robots.parts.part import Effector, Placement
from embodied.robots.parts.suction import SuctionGripper
from embodied.robots.suction import LIP_POINTS, RADIUS_M, add_cup, vacuum_force_n

# Largest distance by which geoms of the hand may stand out beyond the lip.
BEYOND_LIP_M = 0.0005


@dataclass(frozen=True)
class Cup:
    """The measurements of a suction gripper.

    Attributes:
        radius_m: the radius of the lip.
        force_n: the largest pull that the cup holds.
        ahead_m: how far the lip is beyond the hand's foremost geom; None if no geom is
            behind the lip.
    """

    radius_m: float
    force_n: float
    ahead_m: float | None


@dataclass(frozen=True)
class CupBuilder:
    """Adds tcp, lip and vacuum to a hand that the arm's file contains; a `PartBuilder`.

    Attributes:
        description: the robot's description.
        arm: the arm that carries the cup.
        names: the names of the arm's elements in the file.
        cup: the cup's measurements.
    """

    description: Description
    arm: DescribedArm
    names: FileArm
    cup: Cup

    def __call__(
        self, spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
    ) -> mujoco.MjsBody:
        prefix = prefix_of(self.description, placement)
        add_tool(
            spec, self.description, self.arm, names=self.names, placement=placement
        )
        site = spec.site(prefix + tcp_site(self.arm, self.names))
        name = f"{placement.prefix}{self.arm.prefix}gripper"
        add_cup(spec, site, name, self.cup.radius_m, self.cup.force_n)
        return mount


def measure_cup(
    model: mujoco.MjModel, arm: DescribedArm, names: FileArm, prefix: str, site: str
) -> Cup:
    """Returns the measurements of an arm's cup.

    Args:
        model: the robot, before its vacuum is added.
        arm: the description of the arm.
        names: the names of the arm's elements in the file.
        prefix: the prefix of the file's names in the model.
        site: the name of the tcp's site in the model.

    Raises:
        EmbodiedError: the tcp's z axis does not point out of the hand, or a geom of the
            hand stands out beyond the lip.
    """
    radius_m = arm.gripper.radius_m or RADIUS_M
    # a copy of the robot at home, without gravity; rays can hit all its geoms
    model = scratch(model)
    data = mujoco.MjData(model)
    for name, angle in zip(names.joints, arm.home, strict=True):
        data.qpos[model.joint(prefix + name).qposadr[0]] = angle
    mujoco.mj_forward(model, data)

    tcp = model.site(site).id
    wrist = model.joint(prefix + names.joints[-1])
    _check_way_out(data, tcp, wrist.id)

    # rays from in front of the lip, back along -z, find the hand's foremost geom
    geoms = solid_geoms(model, subtree(model, int(wrist.bodyid[0])))
    finder = FaceFinder(model, data, tcp, prefix)
    tip_m = finder.tip_m(geoms, (-radius_m, 0.0, radius_m))
    if tip_m is not None and tip_m > BEYOND_LIP_M:
        raise EmbodiedError(
            f"the hand reaches {1000 * tip_m:.1f} mm beyond the tcp, so that the lip of "
            f"its cup touches nothing: move the tcp by as much along its z, or write a "
            f"gripper.radius_m that is not {radius_m:g}"
        )
    return Cup(
        radius_m=radius_m,
        force_n=arm.gripper.force_n or vacuum_force_n(radius_m),
        ahead_m=None if tip_m is None else round(-tip_m, 4),
    )


def _check_way_out(data: mujoco.MjData, tcp: int, wrist: int) -> None:
    """Raises EmbodiedError if the tcp's z axis points back into the hand.

    Args:
        data: the state with the arm at home.
        tcp: the id of the tcp's site.
        wrist: the id of the arm's last joint.
    """
    out = data.site_xpos[tcp] - data.xanchor[wrist]
    length_m = float(np.linalg.norm(out))
    if length_m == 0:
        return  # the lip is on the wrist's joint, so no direction is out of the hand
    z_axis = data.site_xmat[tcp].reshape(3, 3)[:, 2]
    off_deg = np.degrees(np.arccos(np.clip(z_axis @ out / length_m, -1, 1)))
    # a cup may point to the side (90 degrees), but not back
    if off_deg > 90 + MAX_Z_ERROR_DEG:
        raise EmbodiedError(
            f"the tcp is turned: its z is {off_deg:.0f} degrees off the direction out of "
            "the hand; turn it by half about its x with tcp.quat_wxyz"
        )


def suction_part(
    description: Description, arm: DescribedArm, names: FileArm, cup: Cup
) -> SuctionGripper:
    """Returns an arm's suction gripper."""
    prefix = prefix_of(description)
    gripper = f"{arm.prefix}gripper"
    tool = Effector(
        name=f"{arm.prefix}tcp",
        site=prefix + tcp_site(arm, names),
        arm=f"{arm.prefix}arm",
        gripper=gripper,
    )

    return SuctionGripper(
        name=gripper,
        on=f"{arm.prefix}arm",
        build=CupBuilder(description, arm, names, cup),
        tool=tool,
        force_n=cup.force_n,
        seal=f"{gripper}_seal",  # the sensor of how many lip points touch something
        lip_points=LIP_POINTS,  # the number of spheres that form the lip
    )
