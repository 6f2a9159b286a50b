"""Drafts a description of a robot from its model file alone.

Values that a model does not contain, such as speeds, are guessed; each guess is
reported as a doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import mujoco
import numpy as np

from embodied.errors import EmbodiedError
from embodied.robots.described.chain import (
    Parts,
    driven_fingers,
    find_arms,
    find_parts,
    has_hand,
    mounting_place,
)
from embodied.robots.described.description import (
    DescribedArm,
    Description,
    Mount,
)
from embodied.robots.described.drafted_keys import (
    base_keys,
    camera_names,
    gripper_keys,
    joint_speeds,
    robot_name,
    rotated_half_turn,
    rounded,
    tcp_keys,
)
from embodied.robots.described.gripper_keys import Gripper
from embodied.robots.described.holding import resting_data
from embodied.robots.described.home import HomeSearch
from embodied.robots.described.mounting import best_mount
from embodied.robots.described.robot import Reading, understand
from embodied.robots.described.source import (
    HAND_PREFIX,
    attach_gripper,
    compile_together,
    read_model,
)
from embodied.robots.described.standing import Standing, StandingSearch, homes_at
from embodied.robots.described.tool import ToolPoint, cup_tool, find_tool

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
# y of an arm's hand at home, in m, relative to the middle of the arms.
HOME_Y_M = {"": 0.0, "left": 0.2, "right": -0.2}

GUESSED_TCP = "tcp: between the finger tips, 20 mm behind their ends"
GUESSED_CUP = "gripper: a lip with a radius of 15 mm (radius_m), 0.6 bar (force_n)"


@dataclass(frozen=True)
class Guess:
    """A robot read from a drafted description, and sentences about guessed values."""

    reading: Reading
    doubts: tuple[str, ...]


@dataclass(frozen=True)
class _FoundArm:
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


def guess_description(
    path: Path,
    name: str = "",
    grippers: Sequence[Path] = (),
    on: Sequence[str] = (),
    most_arms: int = 2,
    cup: str = "",
    on_mount: Callable[[], object] = lambda: None,
) -> Guess:
    """Returns a drafted description of a model file.

    Args:
        path: the MJCF or URDF file.
        name: the robot's name; empty for the model's own.
        grippers: gripper files, if the arm's file has no gripper: one for all, or one each.
        on: the body or site of each arm that carries it; empty: `mounting_place` finds it.
        most_arms: how many arms to describe at most, 1 or 2.
        cup: the site at the middle of a suction cup's lip; empty for fingers.
        on_mount: called after each mount that is tried for a single arm, for progress.

    Raises:
        EmbodiedError: the file does not compile, has no arm with a gripper or no such
            cup, there are not as many grippers or places as arms, or every home overlaps.
    """
    spec = read_model(str(path.resolve()), "the path that was typed")
    doubts = [GUESSED_CUP if cup else GUESSED_TCP]
    bare = spec.compile()
    most = 1 if cup and not grippers else most_arms  # the cup's site is on one arm
    sides = _sides(bare, find_arms(bare, str(path)), bool(grippers), most)
    separate = _attach_grippers(spec, bare, sides, grippers, on, bool(cup), doubts)
    model = compile_together(spec, [gripper.mjcf for gripper in separate.values()])
    data = resting_data(model)

    arms = []
    for side, joints in sides.items():
        prefix = _hand_prefix(side) if separate else ""
        parts = find_parts(model, joints, str(path), is_cup=bool(cup))
        tool, gripper = _hand_keys(
            model, data, parts, separate.get(side), prefix, cup, doubts
        )
        described = DescribedArm(
            joints=tuple(joints),
            speeds=joint_speeds(model, parts, path, doubts),
            home=(0.0,) * len(joints),
            gripper=gripper,
            tcp=tcp_keys(model, tool, prefix),
            name=side,
        )
        arms.append(_FoundArm(side, parts, tool, described))

    mount, standing = _choose_mount(model, data, arms, doubts, on_mount)
    description = Description(
        name=robot_name(name or spec.modelname or path.stem),
        mjcf=str(path.resolve()),
        mount=mount,
        base=base_keys(model, doubts),
        cameras=camera_names(model, [arm.parts for arm in arms]),
        **_arm_keys([arm.described for arm in arms]),
    )
    return _with_home(description, model, arms, standing, doubts)


def _hand_keys(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    parts: Parts,
    separate: Gripper | None,
    prefix: str,
    cup: str,
    doubts: list[str],
) -> tuple[ToolPoint, Gripper]:
    """Returns the tcp of a hand and its gripper's keys.

    Args:
        model, data: the robot at rest.
        parts: the joints of the arm and of its hand.
        separate: keys of a gripper with its own file; None if the arm's file has it.
        prefix: the prefix of that file's names in the model; empty without such a file.
        cup: the site of a cup's lip, without the prefix; empty for fingers.
        doubts: sentences about guesses; this function may add more.
    """
    if cup:
        tool = cup_tool(model, parts, prefix + cup)
        return tool, separate or Gripper(kind="suction")
    fingers = driven_fingers(model, parts)
    tool = find_tool(model, data, parts, fingers)
    return tool, gripper_keys(model, data, parts, fingers, separate, prefix, doubts)


def _sides(
    model: mujoco.MjModel, arms: list[list[str]], has_grippers: bool, most: int
) -> dict[str, list[str]]:
    """Returns side -> the joints of the arm there, the left one first.

    A second arm without a hand is left out, unless grippers will be attached. A single
    arm has no side.
    """
    chosen = [arms[0]]
    chosen += [arm for arm in arms[1:most] if has_grippers or has_hand(model, arm)]
    if len(chosen) == 1:
        return {"": chosen[0]}

    data = resting_data(model)
    # the left arm is the one with the larger y
    y_m = [float(data.xanchor[model.joint(arm[0]).id][1]) for arm in chosen]
    left, right = (0, 1) if y_m[0] > y_m[1] else (1, 0)
    return {"left": chosen[left], "right": chosen[right]}


def _hand_prefix(side: str) -> str:
    """Returns the prefix in the model of the names of an arm's separate gripper."""
    return f"{side}_{HAND_PREFIX}" if side else HAND_PREFIX


def _attach_grippers(
    spec: mujoco.MjSpec,
    bare: mujoco.MjModel,
    sides: Mapping[str, list[str]],
    files: Sequence[Path],
    on: Sequence[str],
    is_cup: bool,
    doubts: list[str],
) -> dict[str, Gripper]:
    """Attaches grippers with files of their own; returns side -> the gripper's keys.

    Args:
        spec: the model.
        bare: the same, compiled.
        sides: side -> the arm's joints.
        files: paths of the grippers' files, one for all arms or one for each; see
            `guess_description`.
        on: names of the bodies or sites that carry the grippers; empty to choose them.
        is_cup: whether the grippers are suction cups.
        doubts: sentences about guesses; the grippers' places are added.

    Raises:
        EmbodiedError: there are not as many files or places as arms.
    """
    if not files:
        return {}
    if len(files) == 1:
        files = list(files) * len(sides)
    places = list(on) or [mounting_place(bare, arm[-1]) for arm in sides.values()]
    for flag, given in (("--gripper", files), ("--on", places)):
        if len(given) != len(sides):
            what = "one arm" if len(sides) == 1 else "the arms left and right"
            raise EmbodiedError(
                f"{flag} names {len(given)}, and the model has {what}: name one for "
                "each; --arms 1 describes one arm"
            )

    separate = {}
    for side, file, place in zip(sides, files, places, strict=True):
        gripper = Gripper(
            # fingers may not be empty; `gripper_keys` fills in the true ones
            joints=() if is_cup else ("none",),
            kind="suction" if is_cup else "fingers",
            mjcf=str(file.resolve()),
            on=place,
        )
        hand = read_model(gripper.mjcf, "the path after --gripper")
        attach_gripper(spec, hand, gripper, _hand_prefix(side))
        doubts.append(f"gripper.on, pos and quat_wxyz: it sits on {place}, not rotated")
        separate[side] = gripper
    return separate


def _arm_keys(arms: Sequence[DescribedArm]) -> dict[str, Any]:
    """Returns a description's keys of a single arm, or of several."""
    if len(arms) > 1:
        return {"arm": tuple(arms)}
    keys = ("joints", "speeds", "home", "gripper", "tcp")
    return {key: getattr(arms[0], key) for key in keys}


def _with_home(
    description: Description,
    model: mujoco.MjModel,
    arms: Sequence[_FoundArm],
    standing: Standing | None,
    doubts: list[str],
) -> Guess:
    """Returns the description with the first home without overlap.

    If there is a standing, its home is tried before those of `_homes`.
    """
    error = EmbodiedError("no posture was found with the hand in front, pointing down")
    homes = _homes(model, arms, description.mount)
    if standing is not None:
        first = HomeCandidate(HOMES_M[0], standing.home, standing.is_backward)
        homes = chain([(first,)], homes)
    for candidates in homes:
        described = []
        for arm, candidate in zip(arms, candidates, strict=True):
            tcp = arm.described.tcp
            if candidate.is_backward:
                tcp = rotated_half_turn(tcp)
            home = rounded(candidate.posture)
            described.append(replace(arm.described, home=home, tcp=tcp))
        try:
            reading = understand(replace(description, **_arm_keys(described)))
        except EmbodiedError as refused:
            error = refused
            # an error that is not an overlap occurs at every home, so stop here
            if "overlap" not in str(refused):
                break
            continue
        if candidates[0].hand_m != HOMES_M[0]:
            hand_m = list(candidates[0].hand_m)
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
    model: mujoco.MjModel, arms: Sequence[_FoundArm], mount: Mount
) -> Iterator[tuple[HomeCandidate, ...]]:
    """Yields postures that may become the home, one for each arm, best first."""
    searches = [HomeSearch(model, arm.parts, arm.tool) for arm in arms]
    for hand_m in HOMES_M:
        candidates = []
        for arm, search in zip(arms, searches, strict=True):
            aside = np.array([0.0, HOME_Y_M[arm.side], 0.0])
            home_w = MOUNT_W + hand_m + aside
            postures = homes_at(search, mount, home_w)[:TRIES]
            candidates.append([HomeCandidate(hand_m, *posture) for posture in postures])
        # the arm with the fewest postures limits how many are tried
        yield from zip(*candidates, strict=False)


def _choose_mount(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    arms: Sequence[_FoundArm],
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
        reach = HomeSearch(model, arm.parts, arm.tool)
        mount = best_mount(reach, usual, home_w)

    search = StandingSearch(model, arm.parts, arm.tool, home_w, on_mount)
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


def _usual_mount(data: mujoco.MjData, arms: Sequence[_FoundArm]) -> Mount:
    """Returns the pose of the file's origin in the world, for the middle of its arms."""
    first_joints = [arm.parts.arm[0] for arm in arms]
    x, y, height = (float(value) for value in data.xanchor[first_joints].mean(axis=0))
    is_off_axis = np.hypot(x, y) > OFF_AXIS_M
    shift = (round(-x, 3), round(-y, 3)) if is_off_axis else (0.0, 0.0)
    if height > STANDING_M:  # the file includes a stand or a torso
        return Mount(pos_w=(*shift, 0.0), stand=False)
    return Mount(pos_w=(*shift, float(MOUNT_W[2])))
