"""Drafts a description of a robot from its model file alone.

Values that a model does not contain, such as speeds, are guessed; each guess is
reported as a doubt.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import mujoco

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
from embodied.robots.described.placing import (
    HOMES_M,
    FoundArm,
    HomeCandidate,
    find_place,
    homes,
    lift_at,
)
from embodied.robots.described.robot import HomeOverlapError, Reading, understand
from embodied.robots.described.source import (
    HAND_PREFIX,
    attach_gripper,
    compile_together,
    read_model,
)
from embodied.robots.described.tool import ToolPoint, cup_tool, find_tool
from embodied.sim.mujoco_warnings import without_attach_conflicts

GUESSED_TCP = "tcp: between the finger tips, 20 mm behind their ends"
GUESSED_CUP = "gripper: a lip with a radius of 15 mm (radius_m), 0.6 bar (force_n)"


@dataclass(frozen=True)
class Guess:
    """A robot read from a drafted description, and sentences about guessed values."""

    reading: Reading
    doubts: tuple[str, ...]


class DraftError(EmbodiedError):
    """A description was drafted, but no robot can be made of it yet.

    Attributes:
        draft: the description, with the last home that was tried.
        doubts: sentences about uncertain values.
    """

    def __init__(self, message: str, draft: Description, doubts: Sequence[str]) -> None:
        super().__init__(message)
        self.draft = draft
        self.doubts = tuple(doubts)


def guess_description(
    path: Path,
    name: str = "",
    grippers: Sequence[Path] = (),
    on: Sequence[str] = (),
    most_arms: int = 2,
    cup: str = "",
    on_mount: Callable[[int], object] = lambda most: None,
) -> Guess:
    """Returns a drafted description of a model file.

    Args:
        path: the MJCF or URDF file.
        name: the robot's name; empty for the model's own.
        grippers: gripper files, if the arm's file has no gripper: one for all, or one each.
        on: the body or site of each arm that carries it; empty: `mounting_place` finds it.
        most_arms: how many arms to describe at most, 1 or 2.
        cup: the site at the middle of a suction cup's lip; empty for fingers.
        on_mount: called after each mount that is tried, with the number that are tried at
            most, for progress.

    Raises:
        EmbodiedError: the file does not compile, has no arm with a gripper or no such
            cup, or there are not as many grippers or places as arms.
        DraftError: no home is found, every home overlaps, or the hand was not
            understood.
    """
    spec = read_model(str(path.resolve()), "the path that was typed")
    doubts = [GUESSED_CUP if cup else GUESSED_TCP]
    with without_attach_conflicts():
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
        speeds = joint_speeds(model, parts, path, doubts)
        tcp = tcp_keys(model, tool, prefix)
        home = (0.0,) * len(joints)  # it is found later
        described = DescribedArm(tuple(joints), speeds, home, gripper, tcp, side)
        arms.append(FoundArm(side, parts, tool, described))

    description = Description(
        name=robot_name(name or spec.modelname or path.stem),
        mjcf=str(path.resolve()),
        base=base_keys(model, doubts),
        cameras=camera_names(model, [arm.parts for arm in arms]),
        **_arm_keys([arm.described for arm in arms]),
    )
    return _placed(description, model, data, arms, doubts, on_mount)


def _placed(
    description: Description,
    model: mujoco.MjModel,
    data: mujoco.MjData,
    arms: Sequence[FoundArm],
    doubts: list[str],
    on_mount: Callable[[int], object],
) -> Guess:
    """Returns the description with a lift's position, a mount and a home.

    Arguments and errors are as in `guess_description`.
    """
    held = lift_at(model, data, [arm.parts.arm[0] for arm in arms], doubts)
    place = find_place(model, data, arms, doubts, on_mount)
    described = replace(
        description,
        mount=place.mount,
        held=tuple(held),
        held_at=tuple(held.values()),
    )
    return _with_home(described, place.arms, homes(model, data, place), doubts)


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
    model: mujoco.MjModel, arms: list[list[str]], has_grippers: bool, most_arms: int
) -> dict[str, list[str]]:
    """Returns side -> the joints of the arm there, the left one first.

    A second arm without a hand is left out, unless grippers will be attached. A single
    arm has no side.

    Args:
        model: the file's model.
        arms: the joints of each arm that was found, the longest arm first.
        has_grippers: whether grippers will be attached.
        most_arms: how many arms the robot may have, 1 or 2.
    """
    chosen = [arms[0]]
    chosen += [arm for arm in arms[1:most_arms] if has_grippers or has_hand(model, arm)]
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
    arms: Sequence[FoundArm],
    candidates: Iterable[tuple[HomeCandidate, ...]],
    doubts: list[str],
) -> Guess:
    """Returns the description with the first home without overlap.

    Raises:
        DraftError: there is none.
    """
    error = EmbodiedError(
        "no home is found with the hand in front, pointing down: write home, or another "
        "mount.pos_w"
    )
    draft = description
    for postures in candidates:
        described = []
        for arm, candidate in zip(arms, postures, strict=True):
            tcp = arm.described.tcp
            if candidate.is_backward:
                tcp = rotated_half_turn(tcp)
            home = rounded(candidate.posture)
            described.append(replace(arm.described, home=home, tcp=tcp))
        draft = replace(description, **_arm_keys(described))
        try:
            reading = understand(draft)
        except HomeOverlapError as refused:
            error = refused
            continue
        # any other error occurs at every home, so stop here
        except EmbodiedError as refused:
            error = refused
            break
        if postures[0].hand_m != HOMES_M[0]:
            hand_m = list(postures[0].hand_m)
            doubts.append(f"home: the hand starts at {hand_m} m from the mount")
        return Guess(reading, tuple(doubts))
    raise DraftError(f"{description.mjcf}: {error}", draft, doubts)
