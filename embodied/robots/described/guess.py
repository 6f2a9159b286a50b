"""Drafts a description of a robot from its model file alone.

Values that a model does not contain, such as speeds, are guessed; each guess is
reported as a doubt.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple
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
from embodied.robots.described.tool import WIDEST_RAD, ToolPoint, find_tool, finger_ends
from embodied.robots.described.urdf import URDF_SUFFIX

# The guessed speed limit of a joint if the file states none.
SPEED_RAD_S = 2.5
# A robot with its first arm joint higher than this in its file stands on the floor.
STANDING_M = 0.45
# An arm with its first joint farther than this from the file's z axis is moved there.
OFF_AXIS_M = 0.10
# The mount's usual position in tasks, (3,) m.
MOUNT_W = np.array([0.0, 0.0, 0.72])
# Positions of the hand at home, (3,) m relative to the mount, best first. The first
# that the arm reaches without overlap is taken.
HOMES_M = (
    (0.45, 0.0, 0.25),
    (0.45, 0.0, 0.15),
    (0.40, 0.0, 0.20),
    (0.35, 0.0, 0.15),
    (0.30, 0.0, 0.10),
    (0.25, 0.0, 0.05),
    (0.20, 0.0, 0.05),
)
# At most this many postures are tried at each position of the hand.
TRIES = 4
DIGITS = 4  # decimals of home and tcp in the description


@dataclass(frozen=True)
class Guess:
    """A drafted description that makes a robot, and sentences about uncertain values."""

    reading: Reading
    doubts: tuple[str, ...]


def guess_description(
    path: Path, name: str = "", gripper: Path | None = None, on: str = ""
) -> Guess:
    """Returns a drafted description of a model file.

    Args:
        path: of the MJCF or URDF file.
        name: of the robot; empty for the model's own.
        gripper: a file with a gripper, if the arm's file has none.
        on: the arm's body or site that carries that gripper; empty for the one that
            `mounting_place` finds.

    Raises:
        EmbodiedError: the file does not compile, no arm with a gripper is found, or
            every home has an overlap.
    """
    spec = read_model(str(path.resolve()), "the path that was typed")
    doubts: list[str] = []
    separate_gripper = None
    if gripper is not None:
        on = on or mounting_place(spec.compile())
        # `joints` may not be empty; `_gripper` fills in the true ones
        separate_gripper = Gripper(joints=("none",), mjcf=str(gripper.resolve()), on=on)
        doubts.append(f"gripper.on, pos and quat_wxyz: it sits on {on}, not rotated")
        hand = read_model(separate_gripper.mjcf, "the path after --gripper")
        attach_gripper(spec, hand, separate_gripper, HAND_PREFIX)
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
            place = list(moved.pos_w)
            doubts.append(f"mount.pos_w: {place} m, from where its work is in reach")
        mount = moved
    description = Description(
        name=_robot_name(name or spec.modelname or path.stem),
        mjcf=str(path.resolve()),
        joints=tuple(model.joint(j).name for j in parts.arm),
        speeds=_speeds(model, parts, path, doubts),
        home=(0.0,) * len(parts.arm),
        gripper=_gripper(model, data, parts, fingers, separate_gripper, doubts),
        tcp=_tcp(model, tool, separate_gripper),
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
    """Returns the description with the first home without overlap."""
    error = EmbodiedError("no posture was found with the hand in front, pointing down")
    for candidate in _homes(model, parts, tool, description.mount):
        home = _rounded(candidate.posture)
        tcp = description.tcp
        if candidate.is_backward:
            tcp = _rotated_half_turn(tcp)
        try:
            reading = understand(replace(description, home=home, tcp=tcp))
        except EmbodiedError as refused:
            error = refused
            # any other mistake occurs at every home, so no other is tried
            if "overlap" not in str(refused):
                break
            continue
        if candidate.hand_m != HOMES_M[0]:
            hand_m = list(candidate.hand_m)
            doubts.append(f"home: the hand starts at {hand_m} m from the mount")
        return Guess(reading, tuple(doubts))
    raise EmbodiedError(f"{description.mjcf}: no description is found: {error}")


class HomeCandidate(NamedTuple):
    """A posture that may become the home.

    Attributes:
        hand_m: (3,) the hand's position relative to the mount.
        posture: (J,) the arm's joint positions, rad.
        is_backward: whether the tcp's x axis points backwards in it.
    """

    hand_m: tuple[float, ...]
    posture: np.ndarray
    is_backward: bool


def _homes(
    model: mujoco.MjModel, parts: Parts, tool: ToolPoint, mount: Mount
) -> Iterator[HomeCandidate]:
    """Yields postures that may become the home, best first."""
    search = HomeSearch(model, parts, tool)
    for hand_m in HOMES_M:
        # the file's origin will stand at `mount.pos_w`
        in_file = MOUNT_W + hand_m - mount.pos_w
        for posture, is_backward in search.postures(in_file)[:TRIES]:
            yield HomeCandidate(hand_m, posture, is_backward)


def _rounded(values: np.ndarray) -> tuple[float, ...]:
    """Returns numbers with DIGITS decimals, as a description has them."""
    # adding 0.0 makes 0.0 of -0.0
    return tuple(round(float(value), DIGITS) + 0.0 for value in values)


def _rotated_half_turn(tcp: Tcp | None) -> Tcp | None:
    """Returns a tcp rotated by 180 degrees about its z axis.

    Experts keep the tcp's x axis forward: they would rotate the whole hand if it pointed
    backwards at home. As both fingers are alike, the axes may be exchanged instead.
    """
    if tcp is None:
        return None
    w, x, y, z = tcp.quat_wxyz
    return replace(tcp, quat_wxyz=_rounded(np.array([-z, y, -x, w])))


# Values of the description's keys
# --------------------------------------------------------------------------------------


def _robot_name(text: str) -> str:
    """Returns a valid robot name that resembles a text; "robot" if there is none."""
    name = as_name(text.strip().lower().replace(" ", "_"))
    return name if is_name(name) else "robot"


def _speeds(
    model: mujoco.MjModel, parts: Parts, path: Path, doubts: list[str]
) -> tuple[float, ...]:
    """Returns the joints' speed limits in rad/s: only a URDF file may state them."""
    known = _urdf_speeds(path) if path.suffix.lower() == URDF_SUFFIX else {}
    names = [model.joint(j).name for j in parts.arm]
    guessed = [name for name in names if name not in known]
    if guessed:
        doubts.append(f"speeds: {SPEED_RAD_S} rad/s for {', '.join(guessed)}")
    return tuple(known.get(name, SPEED_RAD_S) for name in names)


def _urdf_speeds(path: Path) -> dict[str, float]:
    """Returns joint -> speed limit in a URDF file; MuJoCo does not read it."""
    speeds = {}
    for joint in ElementTree.parse(path).getroot().iter("joint"):  # noqa: S314
        limit = joint.find("limit")
        if limit is not None and float(limit.get("velocity", 0)) > 0:
            speeds[joint.get("name", "")] = float(limit.get("velocity", 0))
    return speeds


def _mount(model: mujoco.MjModel, data: mujoco.MjData, parts: Parts) -> Mount:
    """Returns the pose of the file's origin in the world."""
    x, y, height = (float(value) for value in data.xanchor[parts.arm[0]])
    is_off_axis = np.hypot(x, y) > OFF_AXIS_M
    shift = (round(-x, 3), round(-y, 3)) if is_off_axis else (0.0, 0.0)
    if height > STANDING_M:  # the file includes a stand or a torso
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
    model: mujoco.MjModel,
    data: mujoco.MjData,
    parts: Parts,
    fingers: list[int],
    separate: Gripper | None,
    doubts: list[str],
) -> Gripper:
    """Returns the gripper's keys, `closed` and `open` only where ranges will not do.

    Args:
        model: the robot's model.
        data: the robot at rest.
        parts: the arm's.
        fingers: ids of the driven joints.
        separate: a gripper with a file of its own; None if it is in the arm's file.
        doubts: what is guessed; more may be added.
    """
    prefix = HAND_PREFIX if separate else ""
    joints = tuple(model.joint(j).name.removeprefix(prefix) for j in fingers)
    gripper = replace(separate, joints=joints) if separate else Gripper(joints=joints)

    closed, opened = finger_ends(model, data, parts, fingers)
    spans = model.jnt_range[fingers, 1] - model.jnt_range[fingers, 0]
    if np.allclose(np.abs(np.subtract(opened, closed)), spans):
        return gripper
    doubts.append(f"gripper.open: a finger turns by {WIDEST_RAD:g} rad, not farther")
    return replace(
        gripper, closed=_rounded(np.array(closed)), open=_rounded(np.array(opened))
    )


def _tcp(model: mujoco.MjModel, tool: ToolPoint, separate: Gripper | None) -> Tcp:
    """Returns the tcp's keys; `separate` is as in `_gripper`."""
    body = model.body(tool.body).name
    return Tcp(
        body=body.removeprefix(HAND_PREFIX) if separate else body,
        pos=_rounded(tool.pos),
        quat_wxyz=_rounded(tool.quat_wxyz),
    )


def _cameras(model: mujoco.MjModel, parts: Parts) -> tuple[str, ...]:
    """Returns the cameras on the robot with names that are valid in observations."""
    root = int(model.jnt_bodyid[parts.arm[0]])
    while model.body_parentid[root]:
        root = int(model.body_parentid[root])
    carried = subtree(model, root)
    cameras = [c for c in range(model.ncam) if int(model.cam_bodyid[c]) in carried]
    names = [model.camera(c).name for c in cameras]
    return tuple(name for name in names if is_name(name))
