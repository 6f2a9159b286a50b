"""Suction grippers of described robots: where the lip is, and what adds it."""

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

# How far shapes of the hand may stand beyond the lip.
BEYOND_LIP_M = 0.0005


@dataclass(frozen=True)
class Cup:
    """A suction gripper's facts.

    Attributes:
        radius_m: of the lip.
        force_n: up to which pull it holds.
        ahead_m: how far the lip is beyond the hand's shapes; None where there is none
            behind it.
    """

    radius_m: float
    force_n: float
    ahead_m: float | None


@dataclass(frozen=True)
class CupBuilder:
    """Adds tool point, lip and vacuum to a hand, which the arm's file brought.

    It is a `PartBuilder`.
    """

    description: Description
    arm: DescribedArm
    names: FileArm
    cup: Cup

    def __call__(
        self, spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
    ) -> mujoco.MjsBody:
        prefix = prefix_of(self.description, placement)
        add_tool(spec, self.description, self.arm, self.names, placement)
        site = spec.site(prefix + tcp_site(self.arm, self.names))
        name = f"{placement.prefix}{self.arm.prefix}gripper"
        add_cup(spec, site, name, self.cup.radius_m, self.cup.force_n)
        return mount


def measure_cup(
    model: mujoco.MjModel, arm: DescribedArm, names: FileArm, prefix: str, site: str
) -> Cup:
    """Returns the facts of an arm's cup.

    Args:
        model: the robot, without vacuum; its names begin with `prefix`.
        arm: as described.
        names: what its things are called in the file.
        prefix: what the file's names begin with in the model.
        site: the tool point's name in the model.

    Raises:
        EmbodiedError: the tool point's z does not point out of the hand, or something
            of the hand stands beyond the lip.
    """
    radius_m = arm.gripper.radius_m or RADIUS_M
    model = scratch(model)
    data = mujoco.MjData(model)
    for name, angle in zip(names.joints, arm.home, strict=True):
        data.qpos[model.joint(prefix + name).qposadr[0]] = angle
    mujoco.mj_forward(model, data)

    tcp = model.site(site).id
    wrist = model.joint(prefix + names.joints[-1])
    _check_way_out(data, tcp, wrist.id)

    # rays from beyond, over the lip, find the hand's foremost shape
    shapes = solid_geoms(model, subtree(model, int(wrist.bodyid[0])))
    finder = FaceFinder(model, data, tcp, prefix)
    tip_m = finder.tip_m(shapes, (-radius_m, 0.0, radius_m))
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
    """Raises EmbodiedError where the tool point's z points into the hand."""
    out = data.site_xpos[tcp] - data.xanchor[wrist]
    length_m = float(np.linalg.norm(out))
    if length_m == 0:
        return  # the lip is on the wrist's joint itself
    z_axis = data.site_xmat[tcp].reshape(3, 3)[:, 2]
    off_deg = np.degrees(np.arccos(np.clip(z_axis @ out / length_m, -1, 1)))
    # a cup may sit across the wrist's way, but not look back
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
        seal=f"{gripper}_seal",
        lip_points=LIP_POINTS,
    )
