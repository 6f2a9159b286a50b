"""Makes a `Robot` of a user's model file and its description.

The file's arms are put on a mount. Its floor and lights are left out, and so are its
actuators, sensors and keyframes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import mujoco
import numpy as np

from embodied.errors import EmbodiedError, unknown
from embodied.names import as_name
from embodied.robots.described.base import Carrier, carrier_of
from embodied.robots.described.builders import (
    ArmsBuilder,
    CarriedArmBuilder,
    GripperBuilder,
    StandBuilder,
    add_tool,
    grip_force_n,
    pad_sites,
    prefix_of,
    tcp_site,
)
from embodied.robots.described.content import content_hash
from embodied.robots.described.cups import Cup, measure_cup, suction_part
from embodied.robots.described.description import (
    DescribedArm,
    Description,
    read_description,
)
from embodied.robots.described.hand import Hand, measure_hand
from embodied.robots.described.preparing import prepared_source
from embodied.robots.described.servos import joint_ranges, measure_servos
from embodied.robots.described.source import FileArm, Source
from embodied.robots.modelling import JOINT_LEAD_RAD
from embodied.robots.parts.arm import Arm
from embodied.robots.parts.gripper import Gripper
from embodied.robots.parts.part import Effector, Joints, Part, PartBuilder, Placement
from embodied.robots.reach import farthest_reach_m, wrist_m
from embodied.robots.robot import Robot

# Parts of the robot may penetrate each other by at most this at home.
OVERLAP_M = 1e-3


@dataclass(frozen=True)
class Reading:
    """A robot, with the description and the files that it was made of.

    Attributes:
        description: the description as it was read.
        source: the prepared model, with lists of held joints and left-out elements.
        hands: the measurements of each arm's hand, or of its cup.
        robot: the robot.
        bare: the robot without visual meshes, which compiles much faster.
    """

    description: Description
    source: Source
    hands: tuple[Hand | Cup, ...]
    robot: Robot
    bare: Robot


class HomeOverlapError(EmbodiedError):
    """Parts of the robot overlap at home; another home may do."""


def load_robot(path: str | Path) -> Robot:
    """Returns the robot that a description file describes.

    Raises:
        EmbodiedError: the description is wrong, e.g. a key or name does not exist, the
            tcp's axes do not match the hand, or parts of the arm overlap at home. The
            text says what was expected.
    """
    return read_robot(path).robot


def read_robot(path: str | Path) -> Reading:
    """Returns the robot of a description file, with all that it was made of.

    Raises:
        EmbodiedError: as `load_robot` does.
    """
    try:
        return understand(read_description(Path(path)))
    except EmbodiedError as error:
        raise EmbodiedError(f"{path}: {error}") from error


def understand(description: Description) -> Reading:
    """Returns the robot of a description, with all that it was made of.

    Raises:
        HomeOverlapError: parts of the robot overlap at home.
        EmbodiedError: any other fault, as `load_robot` raises it.
    """
    stand = StandBuilder(description)
    source = prepared_source(description)

    # built once to measure ranges, reach, hands and servos on the compiled model
    spec = mujoco.MjSpec()
    spec.compiler.degree = False  # angles in rad
    mount = stand(spec, spec.worldbody, Placement())
    ArmsBuilder(description, is_bare=True).attach(source, spec, mount, Placement())
    for arm, names in zip(description.arms, source.arms, strict=True):
        add_tool(spec, description, arm, names=names, placement=Placement())
    model = _compiled(spec)
    _check_cameras(description, model)

    prefix = prefix_of(description)
    # measure the servos at the robot's true place, because rounding depends on it
    mount.pos = list(description.mount.pos_w)
    servos = measure_servos(_compiled(spec), prefix, source.driven, source.limits)

    # the parts of the robot: what carries the arms, then each arm and its hand
    arms = ArmsBuilder(description, servos)
    carrier = carrier_of(description, source, model, build=stand, prefix=prefix)
    parts: list[Part] = [*carrier.parts]
    hands: list[Hand | Cup] = []
    for k, (arm, names) in enumerate(zip(description.arms, source.arms, strict=True)):
        # the first arm's builder adds the bodies of all arms
        build: PartBuilder = arms if k == 0 else CarriedArmBuilder()
        part = _arm_part(description, arm, names, build, model, carrier)
        _check_home_range(part.joints)
        site = prefix + tcp_site(arm, names)
        if arm.gripper.kind == "suction":
            cup = measure_cup(model, arm, names, prefix, site)
            hands.append(cup)
            parts += [part, suction_part(description, arm, names, cup)]
            continue

        hand = measure_hand(model, arm, names, prefix, site)
        force_n = grip_force_n(arm, hand, source.limits)
        drive = GripperBuilder(description, arm, names, hand, force_n)
        hands.append(hand)
        parts += [part, _gripper_part(description, arm, names, drive)]

    robot = Robot(description.name, tuple(parts), content_hash(description))
    # the same robot without visual meshes
    bare_arms = replace(arms, is_bare=True)
    bare = replace(
        robot,
        parts=tuple(
            replace(part, build=bare_arms) if part.build is arms else part
            for part in parts
        ),
    )
    _check_home(bare)
    return Reading(description, source, tuple(hands), robot, bare)


def _compiled(spec: mujoco.MjSpec) -> mujoco.MjModel:
    """Returns a compiled model of the robot.

    Raises:
        EmbodiedError: the file compiles, but its arms do not on their mount.
    """
    try:
        return spec.compile()
    except ValueError as error:
        message = " ".join(str(error).split())
        raise EmbodiedError(f"the arms do not compile on a mount: {message}") from error


def _check_cameras(description: Description, model: mujoco.MjModel) -> None:
    """Raises EmbodiedError for a described camera that the robot does not carry."""
    prefix = prefix_of(description)
    carried = [model.camera(c).name.removeprefix(prefix) for c in range(model.ncam)]
    for name in description.cameras:
        if name not in carried:
            raise unknown("camera on the robot (cameras)", name, filter(None, carried))


def _arm_part(
    description: Description,
    arm: DescribedArm,
    names: FileArm,
    build: PartBuilder,
    model: mujoco.MjModel,
    carrier: Carrier,
) -> Arm:
    """Returns an arm; its ranges and reach are measured on the whole robot's `model`."""
    # users see the file's names as labels; the model's names have a prefix
    prefix = prefix_of(description)
    joint_names = tuple(prefix + name for name in names.joints)
    ranges = joint_ranges(model, joint_names)
    joints = Joints(
        names=joint_names,
        labels=tuple(as_name(name) for name in names.joints),
        ranges=ranges,
        speeds=arm.speeds,
        home=arm.home,
        # how far targets may run ahead of the measured joints
        leads=(JOINT_LEAD_RAD,) * len(joint_names),
    )

    site = prefix + tcp_site(arm, names)
    # cameras belong to parts, so the first arm lists all cameras of the robot
    is_first = arm == description.arms[0]
    cameras = tuple(prefix + name for name in description.cameras)
    return Arm(
        name=f"{arm.prefix}arm",
        on=carrier.on,
        build=build,
        joints=joints,
        reach_m=farthest_reach_m(model, joint_names, f"{prefix}stand", site, ranges),
        wrist_m=round(wrist_m(model, joint_names, arm.home, site), 4),
        cameras=cameras if is_first else (),
        root_body=carrier.root_body,
        as_if_at=carrier.as_if_at,
        ee_speed_m_s=description.ee_speed_m_s,
        ee_speed_rad_s=description.ee_speed_rad_s,
    )


def _gripper_part(
    description: Description,
    arm: DescribedArm,
    names: FileArm,
    build: GripperBuilder,
) -> Gripper:
    """Returns an arm's gripper."""
    # the tcp is a site of the file, or one that the builder adds
    prefix = prefix_of(description)
    hand = build.hand
    gripper = f"{arm.prefix}gripper"
    tool = Effector(
        name=f"{arm.prefix}tcp",
        site=prefix + tcp_site(arm, names),
        arm=f"{arm.prefix}arm",
        gripper=gripper,
    )

    return Gripper(
        name=gripper,
        on=f"{arm.prefix}arm",
        build=build,
        fingers=tuple(prefix + name for name in hand.moving),
        open_at=hand.open_all,
        width_m=hand.width_m,
        pads=pad_sites(prefix, arm),
        tool=tool,
        tip_m=hand.tip_m,
        palm_m=hand.palm_m,
    )


def _check_home_range(joints: Joints) -> None:
    """Raises EmbodiedError for a home position outside its joint's range."""
    for name, angle, (low, high) in zip(
        joints.names, joints.home, joints.ranges, strict=True
    ):
        if not low <= angle <= high:
            raise EmbodiedError(
                f"home of {name} is {angle:g}, outside its range {low:.4g} to {high:.4g}"
            )


def _check_home(robot: Robot) -> None:
    """Raises HomeOverlapError for a home where parts of the robot overlap.

    Raises EmbodiedError if the robot cannot be simulated there.
    """
    # contacts at home, as the simulation finds them
    model = _compiled(robot.build())
    data = mujoco.MjData(model)
    mujoco.mj_resetDataKeyframe(model, data, 0)
    mujoco.mj_forward(model, data)
    if not np.isfinite(data.qacc).all():
        raise EmbodiedError(
            "the model's accelerations at home are no numbers: correct its masses and "
            "inertias"
        )

    for contact in data.contact[: data.ncon]:
        if contact.dist < -OVERLAP_M:
            first, second = contact.geom
            first_body = model.body(model.geom_bodyid[first]).name
            second_body = model.body(model.geom_bodyid[second]).name
            home = {
                label: round(angle, 4)
                for arm in robot.arms
                for label, angle in zip(arm.joints.labels, arm.joints.home, strict=True)
            }
            joints = ", ".join(f"{label} {angle:g}" for label, angle in home.items())
            raise HomeOverlapError(
                f"at home {first_body} and {second_body} overlap by {-1000 * contact.dist:.1f} mm: "
                f"choose another home than {joints}, or name the two bodies in exclude"
            )
