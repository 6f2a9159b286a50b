"""Where a robot that nobody described stands: its mount, its lift and its home."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import mujoco
import numpy as np

from embodied.robots.described.chain import (
    AXIS_TOLERANCE,
    Parts,
    joints_to,
    planar_joints,
)
from embodied.robots.described.description import DescribedArm, Mount
from embodied.robots.described.home import HomeSearch
from embodied.robots.described.mounting import best_mount
from embodied.robots.described.standing import Standing, StandingSearch, homes_at
from embodied.robots.described.tool import ToolPoint

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
# The usual height of an arm's first joint above the floor: of a Panda on our column.
SHOULDER_W_M = 1.05
# At most this many postures are tried at each position of the hand.
TRIES = 4
# y of an arm's hand at home, in m, relative to the middle of the arms.
HOME_Y_M = {"": 0.0, "left": 0.2, "right": -0.2}


@dataclass(frozen=True)
class FoundArm:
    """An arm in a model.

    Attributes:
        side: "left" or "right"; empty for a single arm.
        parts: the joints of the arm and of its hand.
        tool: the tcp.
        described: the arm's keys, with all joints at 0 as its home until one is found.
    """

    side: str
    parts: Parts
    tool: ToolPoint
    described: DescribedArm


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


def lift_at(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    shoulders: Sequence[int],
    doubts: list[str],
) -> dict[str, float]:
    """Moves a lift so that the arms' first joints come near SHOULDER_W_M.

    Tasks are laid out for arms that begin there. A lift is a joint with a range that
    slides vertically and carries all arms. An arm on our column needs none.

    Args:
        model: the robot's.
        data: the robot at rest; its lift is moved.
        shoulders: the first joint of each arm.
        doubts: what is guessed; the position is added.

    Returns:
        The lift's name -> its position, m; empty if there is none.
    """
    height_m = float(data.xanchor[list(shoulders), 2].mean())
    chains = [joints_to(model, int(model.jnt_bodyid[j])) for j in shoulders]
    shared = set.intersection(*(set(one) for one in chains))
    lifts = [
        j
        for j in sorted(shared - set(planar_joints(model)))
        if model.jnt_type[j] == mujoco.mjtJoint.mjJNT_SLIDE
        and model.jnt_limited[j]
        and abs(data.xaxis[j, 2]) > 1 - AXIS_TOLERANCE
    ]
    if not lifts or height_m <= STANDING_M:
        return {}

    lift = lifts[-1]
    address = int(model.jnt_qposadr[lift])
    missing_m = (SHOULDER_W_M - height_m) * np.sign(data.xaxis[lift, 2])
    wanted_m = round(float(data.qpos[address] + missing_m), 3)
    data.qpos[address] = np.clip(wanted_m, *model.jnt_range[lift])
    mujoco.mj_kinematics(model, data)
    name = model.joint(lift).name
    doubts.append(f"held_at: the lift {name} at {data.qpos[address]:g} m")
    return {name: float(data.qpos[address])}


def find_place(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    arms: Sequence[FoundArm],
    doubts: list[str],
    on_mount: Callable[[], object],
) -> tuple[Mount, Standing | None]:
    """Returns the mount; for a single arm also the best standing, its mount and home.

    Several arms keep the usual mount, because the searches are for one arm only. The
    standing is None if no home is found at any mount.
    """
    usual = _usual_mount(data, arms)
    if len(arms) > 1:
        return usual, None
    arm = arms[0]
    home_w = MOUNT_W + HOMES_M[0]
    mount = usual
    # First move the mount only back and up, by inverse kinematics alone. Then search from
    # there, also turned and aside, and count overlaps on the way, too.
    if usual.stand:  # on a column, which can have any height
        reach = HomeSearch(model, arm.parts, arm.tool, rest=data.qpos)
        mount = best_mount(reach, usual, home_w)

    search = StandingSearch(model, data, arm.parts, arm.tool, home_w, on_mount)
    standing = search.best(mount)
    reaches_all = standing is not None and search.reaches_all(standing)
    if standing is not None:
        mount = standing.mount
        if not reaches_all:
            doubts.append("mount: none is found from where all of its work is in reach")
    if mount != usual:
        turned = f" turned by {mount.yaw_deg:g} degrees," if mount.yaw_deg else ""
        reason = "from where its work" if reaches_all else "from where most of its work"
        doubts.append(
            f"mount.pos_w: {list(mount.pos_w)} m,{turned} {reason} is in reach"
        )
    return mount, standing


def _usual_mount(data: mujoco.MjData, arms: Sequence[FoundArm]) -> Mount:
    """Returns the pose of the file's origin in the world, for the middle of its arms."""
    first_joints = [arm.parts.arm[0] for arm in arms]
    x, y, height = (float(value) for value in data.xanchor[first_joints].mean(axis=0))
    is_off_axis = np.hypot(x, y) > OFF_AXIS_M
    shift = (round(-x, 3), round(-y, 3)) if is_off_axis else (0.0, 0.0)
    if height > STANDING_M:  # the file includes a stand or a torso
        return Mount(pos_w=(*shift, 0.0), stand=False)
    return Mount(pos_w=(*shift, float(MOUNT_W[2])))


def homes(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    arms: Sequence[FoundArm],
    mount: Mount,
    standing: Standing | None,
) -> Iterator[tuple[HomeCandidate, ...]]:
    """Yields postures that may become the home, one for each arm, best first.

    That of a standing comes before others.
    """
    if standing is not None:
        yield (HomeCandidate(HOMES_M[0], standing.home, standing.is_backward),)
    searches = [HomeSearch(model, arm.parts, arm.tool, rest=data.qpos) for arm in arms]
    for hand_m in HOMES_M:
        found = []
        for arm, search in zip(arms, searches, strict=True):
            aside = np.array([0.0, HOME_Y_M[arm.side], 0.0])
            home_w = MOUNT_W + hand_m + aside
            postures = homes_at(search, mount, home_w)[:TRIES]
            found.append([HomeCandidate(hand_m, *posture) for posture in postures])
        # the arm with the fewest postures limits how many are tried
        yield from zip(*found, strict=False)
