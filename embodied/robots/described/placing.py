"""Where a robot that nobody described stands: its mount, its lift and its home."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
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
from embodied.robots.described.standing import (
    MOST_MOUNTS,
    Standing,
    StandingSearch,
    homes_at,
)
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


class Place(NamedTuple):
    """Where a robot stands.

    Attributes:
        mount: the mount.
        standing: what the first arm reaches from there, and its home; None if no home is
            found at any mount.
        arms: the arms, first the one that works.
        reaches_all: whether its hand reaches all its work.
        hand_y_m: y of its hand at home, relative to the usual mount.
    """

    mount: Mount
    standing: Standing | None
    arms: tuple[FoundArm, ...]
    reaches_all: bool
    hand_y_m: float = 0.0

    @property
    def score(self) -> tuple[int, float]:
        """A rank: the number of places that are reached, then the margin of the joints."""
        return (-1, 0.0) if self.standing is None else self.standing.score


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
    on_mount: Callable[[int], object],
) -> Place:
    """Returns where the robot stands so that one of its arms reaches its work.

    Experts of one hand work with the first arm. Of several arms, that is the one that
    reaches more.

    Args:
        model: the robot's.
        data: the robot at rest.
        arms: its arms.
        doubts: what is guessed; sentences about the mount are added.
        on_mount: called after each mount that is tried, with the number that are tried at
            most.
    """
    # two arms are tried at the mount between them first
    most = MOST_MOUNTS if len(arms) == 1 else (MOST_MOUNTS + 1) * len(arms)
    count_mount = partial(on_mount, most)
    usual = _usual_mount(data, arms)
    places = _usual_places(model, data, arms, usual, count_mount)
    if not places:
        places = [_searched_place(model, data, arm, count_mount) for arm in arms]

    # the arm that works comes first
    place = max(places, key=lambda one: one.score)
    others = [arm for arm in arms if arm is not place.arms[0]]
    place = place._replace(arms=(place.arms[0], *others))
    if place.standing is not None and not place.reaches_all:
        doubts.append("mount: none is found from where all of its work is in reach")
    mount = place.mount
    if mount != usual:
        turned = f" turned by {mount.yaw_deg:g} degrees," if mount.yaw_deg else ""
        work = "its work" if place.reaches_all else "most of its work"
        if others:
            work += f" (of the {place.arms[0].side} hand)"
        doubts.append(
            f"mount.pos_w: {list(mount.pos_w)} m,{turned} from where {work} is in reach"
        )
    return place


def _usual_places(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    arms: Sequence[FoundArm],
    usual: Mount,
    on_mount: Callable[[], object],
) -> list[Place]:
    """Returns the usual mount of two arms if one of them reaches all its work there.

    The arms are then on both sides of the middle. Empty for a single arm.
    """
    if len(arms) == 1:
        return []
    for arm in arms:
        hand_y_m = HOME_Y_M[arm.side]
        home_w = MOUNT_W + HOMES_M[0] + [0.0, hand_y_m, 0.0]
        search = StandingSearch(model, data, arm.parts, arm.tool, home_w, on_mount)
        standing = search.at(usual)
        if standing is not None and search.reaches_all(standing):
            return [Place(usual, standing, (arm,), True, hand_y_m)]
    return []


def _searched_place(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    arm: FoundArm,
    on_mount: Callable[[], object],
) -> Place:
    """Returns the best place of one arm, as if it were the only one."""
    usual = _usual_mount(data, [arm])
    home_w = MOUNT_W + HOMES_M[0]
    mount = usual
    # First move the mount only back and up, by inverse kinematics alone. Then search from
    # there, also turned and aside, and count overlaps on the way, too.
    if usual.stand:  # on a column, which can have any height
        reach = HomeSearch(model, arm.parts, arm.tool, rest=data.qpos)
        mount = best_mount(reach, usual, home_w)

    search = StandingSearch(model, data, arm.parts, arm.tool, home_w, on_mount)
    standing = search.best(mount)
    if standing is None:
        return Place(mount, None, (arm,), reaches_all=False)
    reaches_all = search.reaches_all(standing)
    return Place(standing.mount, standing, (arm,), reaches_all)


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
    model: mujoco.MjModel, data: mujoco.MjData, place: Place
) -> Iterator[tuple[HomeCandidate, ...]]:
    """Yields postures that may become the home, one for each arm, best first.

    That of a standing comes before others.
    """
    arms = place.arms
    mount = place.mount
    searches = [HomeSearch(model, arm.parts, arm.tool, rest=data.qpos) for arm in arms]
    if place.standing is not None:
        first = HomeCandidate(
            HOMES_M[0], place.standing.home, place.standing.is_backward
        )
        if len(arms) == 1:
            yield (first,)
        else:  # a robot has two arms at most here
            for other in _homes_beside(model, data, arms[1], searches[1], place):
                yield (first, other)

    # other places of the hands
    for hand_m in HOMES_M:
        found = []
        for arm, search in zip(arms, searches, strict=True):
            aside = np.array([0.0, HOME_Y_M[arm.side], 0.0])
            home_w = MOUNT_W + hand_m + aside
            postures = homes_at(search, mount, home_w)[:TRIES]
            found.append([HomeCandidate(hand_m, *posture) for posture in postures])
        # the arm with the fewest postures limits how many are tried
        yield from zip(*found, strict=False)


def _homes_beside(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    arm: FoundArm,
    search: HomeSearch,
    place: Place,
) -> Iterator[HomeCandidate]:
    """Yields homes of the arm beside the one that works, best first.

    The hands are as far apart as HOME_Y_M says, else this one is in front of its shoulder.
    Last comes the posture in which the file has the arm.
    """
    mount = place.mount
    apart_m = HOME_Y_M[arm.side] - HOME_Y_M[place.arms[0].side]
    x, y, _ = data.xanchor[arm.parts.arm[0]]
    yaw = np.deg2rad(mount.yaw_deg)
    shoulder_y_w = mount.pos_w[1] + np.sin(yaw) * x + np.cos(yaw) * y
    beside_m = (place.hand_y_m + apart_m, float(shoulder_y_w))
    for y_m, (x_m, _, z_m) in product(beside_m, HOMES_M):
        hand_m = (x_m, y_m, z_m)
        for posture in homes_at(search, mount, MOUNT_W + hand_m)[:TRIES]:
            yield HomeCandidate(hand_m, *posture)

    rest = data.qpos[model.jnt_qposadr[list(arm.parts.arm)]].copy()
    yield HomeCandidate(HOMES_M[-1], rest, is_backward=False)
