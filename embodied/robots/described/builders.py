"""Builders of a described robot's parts: stand, arms and grippers.

The robot's name goes before all names of its files, so they never collide with the
names of a scene.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.robots.described.base import axes_body
from embodied.robots.described.description import DescribedArm, Description
from embodied.robots.described.drawing import SITE_GROUP
from embodied.robots.described.fingers import (
    FORCE_N,
    add_gripper_drive,
    add_pad_sites,
    file_force_n,
    make_pads,
)
from embodied.robots.described.hand import Hand
from embodied.robots.described.preparing import prepared_source
from embodied.robots.described.servos import Servo, add_servos, remove_passive_forces
from embodied.robots.described.settings import share_settings
from embodied.robots.described.source import FileArm, Source, bodies_with_arms
from embodied.robots.parts.base import YAW
from embodied.robots.parts.part import Placement

COLUMN_RGBA = (0.13, 0.20, 0.27, 1.0)
COLUMN_HALF_WIDTH_M = 0.075
FOOT_RGBA = (0.10, 0.15, 0.20, 1.0)
FOOT_HALF_WIDTH_M = 0.17
FOOT_HALF_HEIGHT_M = 0.015


def prefix_of(description: Description, placement: Placement | None = None) -> str:
    """Returns the prefix that names of the file get in the model.

    It begins with the placement's own prefix, which differs among a team's robots.
    """
    outer = placement.prefix if placement else ""
    return f"{outer}{description.name}_"


def tcp_site(arm: DescribedArm, names: FileArm) -> str:
    """Returns the name of the tcp's site: the file's own, or `tcp` for an added one."""
    return names.tcp_site or f"{arm.prefix}tcp"


@dataclass(frozen=True)
class StandBuilder:
    """Adds the stand, and a column below it if described; a `PartBuilder`."""

    description: Description

    def __call__(
        self, spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
    ) -> mujoco.MjsBody:
        prefix = prefix_of(self.description, placement)
        stand = mount.add_body(name=f"{prefix}stand", gravcomp=1)
        height = self.description.mount.pos_w[2]
        if self.description.base is not None:
            # a driving base is on the floor, not at the mount
            stand.pos = (0, 0, height)
        elif self.description.mount.stand:
            _draw_column(stand, height)
        return stand


@dataclass(frozen=True)
class ArmsBuilder:
    """Adds the file's bodies with all arms, and servos; a `PartBuilder`.

    Attributes:
        description: the robot's description.
        servos: the servos to add to those that are kept from the file.
        is_bare: whether to leave out visual meshes, for models that are not drawn.
    """

    description: Description
    servos: tuple[Servo, ...] = ()
    is_bare: bool = False

    def __call__(
        self, spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
    ) -> mujoco.MjsBody:
        source = prepared_source(self.description)
        base = self.description.base
        if base is not None and not base.joints:  # our base carries the stand
            prefix = prefix_of(self.description, placement)
            mount = mount.add_body(name=f"{prefix}stand", gravcomp=1)
        self.attach(source, spec, mount, placement)
        return mount

    def attach(
        self,
        source: Source,
        spec: mujoco.MjSpec,
        mount: mujoco.MjsBody,
        placement: Placement,
    ) -> None:
        """Adds a copy of a prepared model to the mount, and servos."""
        prefix = prefix_of(self.description, placement)
        self._mount(source, spec, mount, prefix)
        _let_neighbours_touch(spec)
        remove_passive_forces(spec, [prefix + name for name in source.driven])
        add_servos(spec, prefix, self.servos)

    def _mount(
        self,
        source: Source,
        spec: mujoco.MjSpec,
        mount: mujoco.MjsBody,
        prefix: str,
    ) -> None:
        """Attaches the bodies of the file that belong to arms to the mount."""
        # A base of the file that drives (`base.joints`) has its yaw axis at the mount; it
        # excludes a yaw of the mount. Without such a base, x and y are 0.
        half_yaw = np.deg2rad(self.description.mount.yaw_deg) / 2
        x, y = source.yaw_axis
        frame = mount.add_frame(
            pos=[-x, -y, 0], quat=[np.cos(half_yaw), 0, 0, np.sin(half_yaw)]
        )
        # attach bodies of a copy, because attaching takes them out of their model; a bare
        # model has no visual meshes
        arms = (source.bare if self.is_bare else source.spec).copy()
        share_settings(arms, spec)
        wanted = self.description.mount.body
        for body in bodies_with_arms(arms, source):
            if wanted in ("", body.name):
                frame.attach_body(body, prefix, "")
        if source.base:
            # the base's pose is read from this body
            _add_axes(spec, prefix, prefix + source.base[YAW])


@dataclass(frozen=True)
class CarriedArmBuilder:
    """Adds nothing, as `ArmsBuilder` added all arms; a `PartBuilder`."""

    def __call__(
        self, spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
    ) -> mujoco.MjsBody:
        return mount


@dataclass(frozen=True)
class GripperBuilder:
    """Adds tcp, pads and drive to a hand that `ArmsBuilder` added; a `PartBuilder`.

    Attributes:
        description: the robot's description.
        arm: the arm that carries the hand.
        names: names of the arm's elements in the file.
        hand: the hand's measurements.
        force_n: the grip force.
    """

    description: Description
    arm: DescribedArm
    names: FileArm
    hand: Hand
    force_n: float

    def __call__(
        self, spec: mujoco.MjSpec, mount: mujoco.MjsBody, placement: Placement
    ) -> mujoco.MjsBody:
        prefix = prefix_of(self.description, placement)
        fingers = [prefix + name for name in self.names.fingers]
        # the prefix of this gripper's own elements, such as its actuator
        outer = f"{placement.prefix}{self.arm.prefix}"

        add_tool(
            spec, self.description, self.arm, names=self.names, placement=placement
        )
        make_pads(spec, [prefix + name for name in self.hand.pads])
        for first, second in self.hand.touching:
            spec.add_exclude(bodyname1=prefix + first, bodyname2=prefix + second)
        add_pad_sites(spec, self.hand, prefix, pad_sites(prefix, self.arm))
        add_gripper_drive(
            spec,
            fingers,
            self.hand,
            force_n=self.force_n,
            speed_m_s=self.arm.gripper.speed_m_s,
            name=f"{outer}gripper",
        )
        return mount


def pad_sites(prefix: str, arm: DescribedArm) -> tuple[str, str]:
    """Returns the names of the sites on an arm's pads."""
    return f"{prefix}{arm.prefix}face_left", f"{prefix}{arm.prefix}face_right"


def grip_force_n(arm: DescribedArm, hand: Hand, limits: dict[str, float]) -> float:
    """Returns the described grip force, else the file's, else FORCE_N."""
    if arm.gripper.force_n is not None:
        return arm.gripper.force_n
    return file_force_n(hand, limits) or FORCE_N


def add_tool(
    spec: mujoco.MjSpec,
    description: Description,
    arm: DescribedArm,
    names: FileArm,
    placement: Placement,
) -> None:
    """Adds the tcp's site, unless the file has it, and a sensor of its orientation."""
    prefix = prefix_of(description, placement)
    site = prefix + tcp_site(arm, names)
    if names.tcp_body:
        spec.body(prefix + names.tcp_body).add_site(
            name=site,
            pos=arm.tcp.pos,
            quat=arm.tcp.quat_wxyz,
            group=SITE_GROUP,
            material="",  # the file's default material could make the site visible
        )

    # every effector needs a sensor of its orientation with this name
    spec.add_sensor(
        name=f"{placement.prefix}{arm.prefix}tcp_quat_w",
        type=mujoco.mjtSensor.mjSENS_FRAMEQUAT,
        objtype=mujoco.mjtObj.mjOBJ_SITE,
        objname=site,
    )


def _draw_column(stand: mujoco.MjsBody, height_m: float) -> None:
    """Draws a column from the floor to the stand's origin, which is at `height_m`."""
    # the column
    half_height = height_m / 2
    half_width = COLUMN_HALF_WIDTH_M
    stand.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(0, 0, -half_height),
        size=(half_width, half_width, half_height),
        rgba=COLUMN_RGBA,
        mass=0,
    )

    # its foot
    stand.add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(0, 0, FOOT_HALF_HEIGHT_M - height_m),
        size=(FOOT_HALF_WIDTH_M, FOOT_HALF_WIDTH_M, FOOT_HALF_HEIGHT_M),
        rgba=FOOT_RGBA,
        mass=0,
    )


def _add_axes(spec: mujoco.MjSpec, prefix: str, yaw_joint: str) -> None:
    """Adds a body with the world's axes to a file's base, at the link of its yaw joint.

    The link itself may be rotated in its file.
    """
    carrier = spec.joint(yaw_joint).parent
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    # the inverse of the link's orientation cancels it; gravcomp=1: no weight
    inverse_quat = np.zeros(4)
    mujoco.mju_negQuat(inverse_quat, data.xquat[model.body(carrier.name).id])
    carrier.add_body(name=axes_body(prefix), quat=inverse_quat, gravcomp=1)


def _let_neighbours_touch(spec: mujoco.MjSpec) -> None:
    """Excludes contacts between fixed bodies and the first moving links on them.

    MuJoCo excludes contacts between parent and child, but not if the parent is fixed to
    the world.
    """
    fixed: list[str] = []
    first_links: list[str] = []
    _sort_bodies(spec.worldbody, fixed, first_links)
    excluded = {frozenset((pair.bodyname1, pair.bodyname2)) for pair in spec.excludes}
    for name in fixed:
        for link in first_links:
            if frozenset((name, link)) not in excluded:
                spec.add_exclude(bodyname1=name, bodyname2=link)


def _sort_bodies(
    carrier: mujoco.MjsBody, fixed: list[str], first_links: list[str]
) -> None:
    """Sorts the bodies on a fixed body: appends their names to the two lists.

    Args:
        carrier: the fixed body, such as the world.
        fixed: gets the names of all fixed bodies on it.
        first_links: gets the names of the moving bodies directly on fixed ones.
    """
    for body in carrier.bodies:
        if body.joints:
            first_links.append(body.name)
        else:
            fixed.append(body.name)
            _sort_bodies(body, fixed, first_links)
