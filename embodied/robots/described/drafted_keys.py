"""Values of the keys of a drafted description, read from a model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import mujoco
import numpy as np

from embodied.names import as_name, is_name
from embodied.robots.described.chain import Parts, planar_joints
from embodied.robots.described.description import DrivenBase, Tcp
from embodied.robots.described.gripper_keys import Gripper
from embodied.robots.described.holding import subtree
from embodied.robots.described.tool import WIDEST_RAD, ToolPoint, finger_ends
from embodied.robots.described.urdf import URDF_SUFFIX, speed_limits

# The guessed speed limit of a joint if the file states none.
SPEED_RAD_S = 2.5
DIGITS = 4  # decimals of home and tcp in the description


def rounded(values: np.ndarray) -> tuple[float, ...]:
    """Returns numbers with DIGITS decimals, as a description has them."""
    # adding 0.0 makes 0.0 of -0.0
    return tuple(round(float(value), DIGITS) + 0.0 for value in values)


def rotated_half_turn(tcp: Tcp) -> Tcp:
    """Returns a tcp rotated by 180 degrees about its z axis.

    Experts keep the tcp's x axis forward: they would rotate the whole hand if it pointed
    backwards at home. As both fingers are alike, the axes may be exchanged instead.
    """
    # the product with (0, 0, 0, 1), a half turn about z
    w, x, y, z = tcp.quat_wxyz
    return replace(tcp, quat_wxyz=rounded(np.array([-z, y, -x, w])))


def robot_name(text: str) -> str:
    """Returns a valid robot name that resembles a text; "robot" if there is none."""
    name = as_name(text.strip().lower().replace(" ", "_"))
    return name if is_name(name) else "robot"


def joint_speeds(
    model: mujoco.MjModel, parts: Parts, path: Path, doubts: list[str]
) -> tuple[float, ...]:
    """Returns the speed limits (J,) of an arm's joints in rad/s.

    Only a URDF file can state them. A sentence about guessed ones is added to `doubts`.
    """
    known = speed_limits(path) if path.suffix.lower() == URDF_SUFFIX else {}
    names = [model.joint(j).name for j in parts.arm]
    guessed = [name for name in names if name not in known]
    if guessed:
        doubts.append(f"speeds: {SPEED_RAD_S} rad/s for {', '.join(guessed)}")
    return tuple(known.get(name, SPEED_RAD_S) for name in names)


def base_keys(model: mujoco.MjModel, doubts: list[str]) -> DrivenBase | None:
    """Returns a driving base with the file's x, y and yaw joints; None without them.

    A sentence about the guess is added to `doubts`.
    """
    names = tuple(model.joint(j).name for j in planar_joints(model))
    if not names:
        return None
    doubts.append("base.joints: x, y and yaw of a base that drives")
    return DrivenBase(joints=names)


def gripper_keys(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    parts: Parts,
    fingers: list[int],
    separate: Gripper | None,
    prefix: str,
    doubts: list[str],
) -> Gripper:
    """Returns the gripper's keys; `closed` and `open` only if they are not range ends.

    Args:
        model: the robot's model.
        data: the robot at rest.
        parts: the ids of the joints of the arm and of its hand.
        fingers: ids of the driven joints.
        separate: keys of a gripper with its own file; None if the arm's file has it.
        prefix: the prefix of that file's names in the model; empty without such a file.
        doubts: sentences about guesses; this function may add one.
    """
    joints = tuple(model.joint(j).name.removeprefix(prefix) for j in fingers)
    gripper = replace(separate, joints=joints) if separate else Gripper(joints=joints)

    # without the keys, fingers move over their whole ranges
    closed, opened = finger_ends(model, data, parts, fingers)
    widths = model.jnt_range[fingers, 1] - model.jnt_range[fingers, 0]
    if np.allclose(np.abs(np.subtract(opened, closed)), widths):
        return gripper
    doubts.append(f"gripper.open: a finger turns by {WIDEST_RAD:g} rad, not farther")
    return replace(
        gripper, closed=rounded(np.array(closed)), open=rounded(np.array(opened))
    )


def tcp_keys(model: mujoco.MjModel, tool: ToolPoint, prefix: str) -> Tcp:
    """Returns the tcp's keys, without the prefix of a separate gripper's names."""
    return Tcp(
        body=model.body(tool.body).name.removeprefix(prefix),
        pos=rounded(tool.pos),
        quat_wxyz=rounded(tool.quat_wxyz),
    )


def camera_names(model: mujoco.MjModel, arms: Sequence[Parts]) -> tuple[str, ...]:
    """Returns the cameras on the robot with names that are valid in observations."""
    # all bodies of the trees that carry an arm
    carried = set()
    for parts in arms:
        root = int(model.jnt_bodyid[parts.arm[0]])
        while model.body_parentid[root]:
            root = int(model.body_parentid[root])
        carried |= subtree(model, root)
    cameras = [c for c in range(model.ncam) if int(model.cam_bodyid[c]) in carried]
    names = [model.camera(c).name for c in cameras]
    return tuple(name for name in names if is_name(name))
