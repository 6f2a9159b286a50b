"""Reads a user's model and prepares it to be mounted.

The user's files stay unchanged. The model's elements keep the names of the file; those
of a gripper with a file of its own get the prefix `hand_`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import mujoco

from embodied.errors import EmbodiedError, unknown
from embodied.robots.described.description import (
    DescribedArm,
    Description,
    Tcp,
)
from embodied.robots.described.drawing import hide_sites_and_collision_geoms
from embodied.robots.described.gripper_keys import Gripper
from embodied.robots.described.settings import share_settings
from embodied.robots.described.urdf import URDF_SUFFIX, find_meshes
from embodied.robots.modelling import add_frame_at_site
from embodied.sim.mujoco_warnings import without_attach_conflicts

HAND_PREFIX = "hand_"
# Joints with one degree of freedom; balls and free joints have more.
SINGLE = (mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE)
# Kinds of the joints of a base that drives in every direction: x, y and yaw.
PLANAR = (
    mujoco.mjtJoint.mjJNT_SLIDE,
    mujoco.mjtJoint.mjJNT_SLIDE,
    mujoco.mjtJoint.mjJNT_HINGE,
)
JOINT_KINDS = {0: "free", 1: "a ball", 2: "sliding", 3: "a hinge"}  # by mjtJoint


@dataclass(frozen=True)
class FileArm:
    """The names of an arm's elements in the model, with its gripper attached.

    Attributes:
        joints: the arm's joints.
        fingers: the gripper's driven joints.
        pads: geoms that grip.
        tcp_site: the site of the tcp; empty if a body and a pose describe the tcp.
        tcp_body: the body that carries the tcp; empty if the tcp is a site.
    """

    joints: tuple[str, ...]
    fingers: tuple[str, ...]
    pads: tuple[str, ...]
    tcp_site: str
    tcp_body: str


@dataclass
class Source:
    """A user's model, and what is left out of it on the way to a robot.

    Attributes:
        spec: the model.
        bare: the prepared model without visual meshes, which compiles much faster.
        file_model: the model as it was read, with grippers attached, compiled.
        arms: the names of each arm's elements.
        held_at: the positions at which the description wants joints held, joint -> rad
            or m.
        held: the positions at which joints were fixed, joint -> rad or m.
            `fix_unnamed_joints` enters all hinges and slides outside arms and hands.
        left_out: elements of the file that the robot lacks, e.g. "2 sensors".
        base: the joints x, y and yaw of a base that drives; empty without one.
        yaw_axis: x and y of that base's yaw axis in the file, m.
        driven: joints that get our servos: the base's and, unless the file's servos are
            kept, the arms'.
        limits: the largest torque in N m, or force in N, of each joint of the file that
            has a limit.
    """

    spec: mujoco.MjSpec
    bare: mujoco.MjSpec
    file_model: mujoco.MjModel
    arms: tuple[FileArm, ...]
    held_at: dict[str, float] = field(default_factory=dict)
    held: dict[str, float] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    base: tuple[str, ...] = ()
    yaw_axis: tuple[float, float] = (0.0, 0.0)
    driven: tuple[str, ...] = ()
    limits: dict[str, float] = field(default_factory=dict)


def read_source(description: Description) -> Source:
    """Returns the model of a description, with grippers attached and names checked.

    Actuators, sensors and keyframes are still in it; `prepared_source` removes them.

    Raises:
        EmbodiedError: a file cannot be read or does not compile, or it lacks an element
            that the description names.
    """
    spec = read_model(description.mjcf, "the key mjcf")
    arms = tuple(_file_arm(spec, arm) for arm in description.arms)
    _check_names(spec, description, arms)
    grippers = [arm.gripper.mjcf for arm in description.arms if arm.gripper.mjcf]
    held_at = dict(zip(description.held, description.held_at, strict=True))
    base = description.base.joints if description.base else ()
    model = compile_together(spec, grippers)
    # `prepared_source` sets `bare`, the second, to a model without visual meshes
    return Source(spec, spec, model, arms, held_at, base=base)


def read_model(path: str, named_by: str) -> mujoco.MjSpec:
    """Returns the model of an MJCF or URDF file, with all bodies, joints and geoms named.

    Args:
        path: the path of the file.
        named_by: the input that named the file, for the message if it does not exist,
            e.g. "the key mjcf".

    Raises:
        EmbodiedError: the file cannot be read, or it does not compile.
    """
    if not Path(path).is_file():
        raise EmbodiedError(f"there is no model file {path}: correct {named_by}")
    try:
        with without_attach_conflicts():
            spec = mujoco.MjSpec.from_file(path)
            if Path(path).suffix.lower() == URDF_SUFFIX:
                find_meshes(spec, Path(path))
            spec.compile()
    except (ValueError, OSError) as error:  # in XML, in the model, in files it names
        message = " ".join(str(error).split())
        raise EmbodiedError(f"the file {path} does not compile: {message}") from error
    _name_all(spec)
    # a mocap body is moved from outside the physics; the robot stands on its mount instead
    for body in spec.bodies:
        body.mocap = False
    return spec


def drop_unused_elements(source: Source) -> None:
    """Deletes sensors, keyframes, lights, skies and contact pairs; hides collision geoms.

    It appends the counts of all deleted kinds except skies to `source.left_out`.
    """
    spec = source.spec
    kinds = (
        ("sensors", spec.sensors),
        ("keyframes", spec.keys),
        ("lights", spec.lights),
        ("contact pairs", spec.pairs),
    )
    for kind, elements in kinds:
        if len(elements):
            source.left_out.append(f"{len(elements)} {kind}")
        for element in list(elements):
            spec.delete(element)

    # the scene that the robot is put into has a sky already
    for texture in list(spec.textures):
        if texture.type == mujoco.mjtTexture.mjTEXTURE_SKYBOX:
            spec.delete(texture)
    hide_sites_and_collision_geoms(spec)


def bodies_with_arms(spec: mujoco.MjSpec, source: Source) -> list[mujoco.MjsBody]:
    """Returns the top-level bodies that carry an arm or gripper, in the file's order."""
    carrying = set()
    for arm in source.arms:
        for name in (*arm.joints, *arm.fingers):
            body = spec.joint(name).parent
            while body.parent.name != "world":
                body = body.parent
            carrying.add(body.name)
    return [body for body in spec.worldbody.bodies if body.name in carrying]


# Names
# --------------------------------------------------------------------------------------


def _name_all(spec: mujoco.MjSpec) -> None:
    """Names bodies, joints and geoms without a name by their index, e.g. "geom7"."""
    for kind, elements in (
        ("body", spec.bodies),
        ("joint", spec.joints),
        ("geom", spec.geoms),
    ):
        # the file may already use such a name
        taken = {element.name for element in elements}

        for k, element in enumerate(elements):
            if element.name:
                continue

            name = f"{kind}{k}"
            while name in taken:
                name += "_"
            element.name = name
            taken.add(name)


def _file_arm(spec: mujoco.MjSpec, arm: DescribedArm) -> FileArm:
    """Returns the names of an arm's elements; attaches its gripper's own file, if any."""
    gripper = arm.gripper
    tcp = arm.tcp
    prefix = ""  # the prefix that names of the gripper's own file get

    if gripper.mjcf:
        prefix = arm.prefix + HAND_PREFIX
        hand = read_model(gripper.mjcf, "the key gripper.mjcf")
        sites = [site.name for site in hand.sites if site.name]
        bodies = [body.name for body in hand.bodies]
        attach_gripper(spec, hand, gripper, prefix)
        tcp = _prefixed_tcp(arm.tcp, sites, bodies, prefix)

    return FileArm(
        joints=arm.joints,
        fingers=tuple(prefix + name for name in gripper.joints),
        pads=tuple(prefix + name for name in gripper.pads),
        tcp_site=tcp.site,
        tcp_body=tcp.body,
    )


def attach_gripper(
    spec: mujoco.MjSpec, hand: mujoco.MjSpec, gripper: Gripper, prefix: str
) -> None:
    """Attaches a gripper's file to the arm's body or site that the description names.

    Args:
        spec: the arm's model.
        hand: the gripper's model.
        gripper: the described keys of the gripper.
        prefix: the prefix that the names of the gripper's elements get.

    Raises:
        EmbodiedError: the arm has no such body or site.
    """
    carriers = {body.name: body for body in spec.bodies}
    sites = {site.name: site for site in spec.sites if site.name}
    if gripper.on in carriers:
        carrier = carriers[gripper.on].add_frame()
    elif gripper.on in sites:
        carrier = add_frame_at_site(spec, sites[gripper.on])
    else:
        raise unknown("body or site (gripper.on)", gripper.on, [*carriers, *sites])

    # the gripper's frame is inside the carrier's, so its pose is relative to the carrier
    frame = carrier.parent.add_frame(pos=gripper.pos, quat=gripper.quat_wxyz)
    frame.set_frame(carrier)
    share_settings(hand, spec)
    for body in list(hand.worldbody.bodies):
        frame.attach_body(body, prefix, "")


def compile_together(spec: mujoco.MjSpec, grippers: Sequence[str]) -> mujoco.MjModel:
    """Returns the compiled model of an arm with grippers attached.

    Args:
        spec: the model.
        grippers: paths of the attached grippers' files, for the message.

    Raises:
        EmbodiedError: the files do not compile together.
    """
    try:
        with without_attach_conflicts():
            return spec.compile()
    except ValueError as error:
        files = " and ".join(dict.fromkeys(grippers)) or "none"
        message = " ".join(str(error).split())
        raise EmbodiedError(
            f"the gripper's file {files} does not go with the arm's: {message}"
        ) from error


def _prefixed_tcp(
    tcp: Tcp, sites: Collection[str], bodies: Collection[str], prefix: str
) -> Tcp:
    """Returns the tcp with the names that its site and body have in the arm's model.

    Args:
        tcp: the described tcp.
        sites, bodies: names in the gripper's own file; any other name is the arm's.
        prefix: the prefix that the gripper's names get when it is attached.
    """
    site = prefix + tcp.site if tcp.site in sites else tcp.site
    body = prefix + tcp.body if tcp.body in bodies else tcp.body
    return Tcp(site, body, tcp.pos, tcp.quat_wxyz)


def _check_names(
    spec: mujoco.MjSpec, description: Description, arms: tuple[FileArm, ...]
) -> None:
    """Raises EmbodiedError for the first described name that the file lacks.

    Joints must also be of the kind that their key takes.
    """
    joints = {joint.name: joint for joint in spec.joints}
    geoms = [geom.name for geom in spec.geoms if geom.name]
    cameras = [camera.name for camera in spec.cameras if camera.name]
    sites = [site.name for site in spec.sites if site.name]
    bodies = [body.name for body in spec.bodies if body.name != "world"]

    # rows of (what is named and its key, described names, names in the file); an empty
    # name was not given
    rows: list[tuple[str, tuple[str, ...], Collection[str]]] = []
    for arm in arms:
        rows += [
            ("joint (joints)", arm.joints, joints),
            ("joint (gripper.joints)", arm.fingers, joints),
            ("geom (gripper.pads)", arm.pads, geoms),
            ("site (tcp.site)", (arm.tcp_site,), sites),
            ("body (tcp.body)", (arm.tcp_body,), bodies),
        ]
    base = description.base.joints if description.base else ()
    top_level = [body.name for body in spec.worldbody.bodies]
    rows += [
        ("camera (cameras)", description.cameras, cameras),
        ("joint (held)", description.held, joints),
        ("joint (base.joints)", base, joints),
        ("body to mount (mount.body)", (description.mount.body,), top_level),
        *(("body (exclude)", pair, bodies) for pair in description.exclude),
    ]

    for label, names, available in rows:
        for name in names:
            if name and name not in available:
                raise unknown(label, name, available)
    for name in description.held:
        _check_kind("held", joints[name], SINGLE)
    for name, kind in zip(base, PLANAR, strict=False):
        _check_kind("base.joints", joints[name], (kind,))
    for arm in arms:
        for name in arm.joints:
            _check_kind("joints", joints[name], (mujoco.mjtJoint.mjJNT_HINGE,))
        for name in arm.fingers:
            _check_kind("gripper.joints", joints[name], SINGLE)


def _check_kind(
    key: str, joint: mujoco.MjsJoint, kinds: tuple[mujoco.mjtJoint, ...]
) -> None:
    """Raises EmbodiedError for a joint of another kind than `key` takes."""
    if joint.type not in kinds:
        wanted = " or ".join(JOINT_KINDS[int(kind)] for kind in kinds)
        raise EmbodiedError(
            f"joint {joint.name!r} is {JOINT_KINDS[int(joint.type)]}, and {key} takes "
            f"only {wanted}: leave it out, and it is held where the file has it"
        )
