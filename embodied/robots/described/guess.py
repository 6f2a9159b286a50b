"""A description of a model that nobody has described yet, made by looking at it.

What cannot be seen in a model, such as speeds, is guessed, and said to be.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from xml.etree import ElementTree

import mujoco
import numpy as np

from embodied.errors import EmbodiedError
from embodied.names import as_name, is_name
from embodied.robots.described.chain import (
    Parts,
    driven_fingers,
    find_parts,
    mounting_place,
    planar_joints,
)
from embodied.robots.described.description import (
    Description,
    DrivenBase,
    Gripper,
    Mount,
    Tcp,
)
from embodied.robots.described.holding import resting_data, subtree
from embodied.robots.described.home import HomeSearch
from embodied.robots.described.mounting import best_mount
from embodied.robots.described.robot import Reading, understand
from embodied.robots.described.source import HAND_PREFIX, attach_gripper, read_model
from embodied.robots.described.tool import ToolPoint, find_tool
from embodied.robots.described.urdf import URDF_SUFFIX

# The speed limit of a joint for which the file states none.
SPEED_RAD_S = 2.5
# A robot whose first arm joint is this high in its file stands on the floor.
STANDING_M = 0.45
# An arm whose first joint is farther than this from the file's z axis is moved there.
ASIDE_M = 0.10
# (3,) m: where tasks have the mount, and where the hand may start, counted from there;
# the first start that the arm reaches without overlap is taken.
MOUNT_W = np.array([0.0, 0.0, 0.72])
HOMES_M = (
    (0.45, 0.0, 0.25),
    (0.45, 0.0, 0.15),
    (0.40, 0.0, 0.20),
    (0.35, 0.0, 0.15),
    (0.30, 0.0, 0.10),
    (0.25, 0.0, 0.05),
    (0.20, 0.0, 0.05),
)
# How many homes are tried at each place, until one has no overlap.
TRIES = 4
DIGITS = 4  # decimals of home and tool point in the description


@dataclass(frozen=True)
class Guess:
    """A description that was understood, and what in it is not certain, in words."""

    reading: Reading
    doubts: tuple[str, ...]


def guess_description(
    path: Path, name: str = "", gripper: Path | None = None, on: str = ""
) -> Guess:
    """Returns a description of a model file.

    Args:
        path: of the MJCF or URDF file.
        name: of the robot; empty for the model's own.
        gripper: a file with a gripper, where the arm's has none.
        on: the arm's body that it sits on; empty for the arm's last.

    Raises:
        EmbodiedError: the file does not compile, no arm with a gripper is found, or no
            home without overlap.
    """
    spec = read_model(str(path.resolve()), "the path that was typed")
    doubts: list[str] = []
    own = None
    if gripper is not None:
        on = on or mounting_place(spec.compile())
        # `joints` may not be empty; `_gripper` fills in the true ones
        own = Gripper(joints=("none",), mjcf=str(gripper.resolve()), on=on)
        doubts.append(f"gripper.on, pos and quat_wxyz: it sits on {on}, not turned")
        hand = read_model(own.mjcf, "the path after --gripper")
        attach_gripper(spec, hand, own, HAND_PREFIX)
    model = spec.compile()
    data = resting_data(model)

    parts = find_parts(model, str(path))
    fingers = driven_fingers(model, parts)
    tool = find_tool(model, data, parts, fingers)
    mount = _mount(model, data, parts)
    if mount.stand:
        search = HomeSearch(model, parts, tool)
        moved = best_mount(search, mount, MOUNT_W + HOMES_M[0])
        if moved != mount:
            doubts.append("mount.pos_w: from there the hand reaches most of its work")
        mount = moved
    description = Description(
        name=_robot_name(name or spec.modelname or path.stem),
        mjcf=str(path.resolve()),
        joints=tuple(model.joint(j).name for j in parts.arm),
        speeds=_speeds(model, parts, path, doubts),
        home=(0.0,) * len(parts.arm),
        gripper=_gripper(model, fingers, tool, own),
        tcp=_tcp(model, tool, own),
        mount=mount,
        base=_base(model, doubts),
        cameras=_cameras(model, parts),
    )
    doubts.append("tcp: between the finger tips, 20 mm behind their ends")
    return _at_home(description, model, parts, tool, doubts)


def _at_home(
    description: Description,
    model: mujoco.MjModel,
    parts: Parts,
    tool: ToolPoint,
    doubts: list[str],
) -> Guess:
    """Returns the description with the first home at which nothing overlaps."""
    error = EmbodiedError("no posture was found with the hand in front, pointing down")
    for place, home, is_turned in _homes(model, parts, tool, description.mount):
        rounded = _rounded(home)
        tcp = _turned(description.tcp) if is_turned else description.tcp
        try:
            reading = understand(replace(description, home=rounded, tcp=tcp))
        except EmbodiedError as refused:
            error = refused
            # any other mistake would be there at every home
            if "overlap" not in str(refused):
                break
            continue
        if place != HOMES_M[0]:
            doubts.append(f"home: the hand starts at {list(place)} m from the mount")
        return Guess(reading, tuple(doubts))
    raise EmbodiedError(f"{description.mjcf}: no description is found: {error}")


def _homes(
    model: mujoco.MjModel, parts: Parts, tool: ToolPoint, mount: Mount
) -> Iterator[tuple[tuple[float, ...], np.ndarray, bool]]:
    """Yields places of the hand and postures (J,) that bring it there, good ones first.

    With each goes whether the tool point's x looks backwards there.
    """
    search = HomeSearch(model, parts, tool)
    for place in HOMES_M:
        # the file's origin will stand at `mount.pos_w`
        in_file = MOUNT_W + place - mount.pos_w
        for home, is_turned in search.postures(in_file)[:TRIES]:
            yield place, home, is_turned


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    """Returns numbers as a description has them; adding 0 makes 0.0 of -0.0."""
    return tuple(round(float(value), DIGITS) + 0.0 for value in values)


def _turned(tcp: Tcp | None) -> Tcp | None:
    """Returns a tool point turned by half about its z.

    The fingers are alike, but experts keep its x ahead: one that looks backwards at home
    would have them turn the whole hand round first.
    """
    if tcp is None:
        return None
    w, x, y, z = tcp.quat_wxyz
    return replace(tcp, quat_wxyz=_rounded(np.array([-z, y, -x, w])))


# Keys
# --------------------------------------------------------------------------------------


def _robot_name(text: str) -> str:
    """Returns a name by the rule that is as near to a text as can be."""
    name = as_name(text.strip().lower().replace(" ", "_"))
    return name if is_name(name) else "robot"


def _speeds(
    model: mujoco.MjModel, parts: Parts, path: Path, doubts: list[str]
) -> tuple[float, ...]:
    """Returns the joints' speed limits in rad/s, which only URDF knows."""
    known = _urdf_speeds(path) if path.suffix.lower() == URDF_SUFFIX else {}
    names = [model.joint(j).name for j in parts.arm]
    guessed = [name for name in names if name not in known]
    if guessed:
        doubts.append(f"speeds: {SPEED_RAD_S} rad/s for {', '.join(guessed)}")
    return tuple(known.get(name, SPEED_RAD_S) for name in names)


def _urdf_speeds(path: Path) -> dict[str, float]:
    """Returns joint -> its speed limit in a URDF file, which MuJoCo does not keep."""
    speeds = {}
    for joint in ElementTree.parse(path).getroot().iter("joint"):  # noqa: S314
        limit = joint.find("limit")
        if limit is not None and float(limit.get("velocity", 0)) > 0:
            speeds[joint.get("name", "")] = float(limit.get("velocity", 0))
    return speeds


def _mount(model: mujoco.MjModel, data: mujoco.MjData, parts: Parts) -> Mount:
    """Returns where the file's origin should stand."""
    x, y, height = (float(value) for value in data.xanchor[parts.arm[0]])
    is_aside = np.hypot(x, y) > ASIDE_M
    shift = (round(-x, 3), round(-y, 3)) if is_aside else (0.0, 0.0)
    if height > STANDING_M:  # the file has what it stands on
        return Mount(pos_w=(*shift, 0.0), stand=False)
    return Mount(pos_w=(*shift, float(MOUNT_W[2])))


def _base(model: mujoco.MjModel, doubts: list[str]) -> DrivenBase | None:
    """Returns the base that the file's own joints make, if any."""
    names = tuple(model.joint(j).name for j in planar_joints(model))
    if not names:
        return None
    doubts.append("base.joints: x, y and yaw of a base that drives")
    return DrivenBase(joints=names)


def _gripper(
    model: mujoco.MjModel, fingers: list[int], tool: ToolPoint, own: Gripper | None
) -> Gripper:
    """Returns the gripper's keys; its postures are left to the fingers' ranges."""
    before = HAND_PREFIX if own else ""
    joints = tuple(model.joint(j).name.removeprefix(before) for j in fingers)
    if own:
        return replace(own, joints=joints)
    return Gripper(joints=joints)


def _tcp(model: mujoco.MjModel, tool: ToolPoint, own: Gripper | None) -> Tcp:
    """Returns the tool point's keys."""
    body = model.body(tool.body).name
    return Tcp(
        body=body.removeprefix(HAND_PREFIX) if own else body,
        pos=_rounded(tool.pos),
        quat_wxyz=_rounded(tool.quat_wxyz),
    )


def _cameras(model: mujoco.MjModel, parts: Parts) -> tuple[str, ...]:
    """Returns the cameras on the robot whose names observations can have."""
    top = int(model.jnt_bodyid[parts.arm[0]])
    while model.body_parentid[top]:
        top = int(model.body_parentid[top])
    carried = subtree(model, top)
    cameras = [c for c in range(model.ncam) if int(model.cam_bodyid[c]) in carried]
    names = [model.camera(c).name for c in cameras]
    return tuple(name for name in names if is_name(name))
