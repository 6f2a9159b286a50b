"""Finds the arm and the hand among the joints of a model that nobody described."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.errors import EmbodiedError
from embodied.robots.described.holding import subtree

# An arm has at least this many hinges between the mount and the hand.
LEAST_JOINTS = 4
# Words in the name of a site or body that is a place to mount a gripper.
MOUNT_WORDS = ("attach", "flange", "tool0", "hand", "mount")
# The unit axes of a base's joints may differ from the world's by this per component.
AXIS_TOLERANCE = 1e-3
# A joint whose name contains one of these belongs to a hand.
FINGER_WORDS = ("finger", "grip", "jaw", "knuckle", "claw", "thumb", "driver")


@dataclass(frozen=True)
class Parts:
    """An arm and its hand, as ids in a model.

    Attributes:
        arm: the arm's joints, from the mount to the hand.
        hand: the body that the arm's last joint moves.
        hand_joints: the joints on that body and on the bodies it carries, without the
            arm's last joint.
    """

    arm: tuple[int, ...]
    hand: int
    hand_joints: tuple[int, ...]


def find_arms(model: mujoco.MjModel, file: str) -> list[list[str]]:
    """Returns the names of the joints of a model's arm, or of two arms that are alike.

    The arm is the longest chain of hinges. It ends before the first joint that slides or
    is named like a finger, and at the first link with several branches. A second arm has
    as many joints as the first, and shares none with it.

    Raises:
        EmbodiedError: there is no arm.
    """
    first = _arm_joints(model, set(range(model.nbody)))
    if len(first) < LEAST_JOINTS:
        raise EmbodiedError(
            f"{file}: no arm is found: the longest chain of hinges has {len(first)} "
            f"joints, expected at least {LEAST_JOINTS}"
        )
    # a second arm is looked for among the bodies that are not part of the first
    bodies = subtree(model, int(model.jnt_bodyid[first[0]]))
    second = _arm_joints(model, set(range(model.nbody)) - bodies)
    is_alike = len(second) == len(first) and not set(second) & set(first)
    arms = [first, second] if is_alike else [first]
    return [[model.joint(j).name for j in arm] for arm in arms]


def has_hand(model: mujoco.MjModel, joints: Sequence[str]) -> bool:
    """Returns whether an arm, given by its joints, carries joints of a hand."""
    return bool(_hand_joints(model, model.joint(joints[-1]).id))


def find_parts(
    model: mujoco.MjModel, joints: Sequence[str], file: str, is_cup: bool = False
) -> Parts:
    """Returns the ids of an arm, given by its joints' names, and of its hand.

    All joints that the arm's last link carries belong to the hand; a cup has none.

    Raises:
        EmbodiedError: the last link carries no joints, and `is_cup` is false.
    """
    arm = tuple(int(model.joint(name).id) for name in joints)
    hand_joints = _hand_joints(model, arm[-1])
    if not hand_joints and not is_cup:
        raise EmbodiedError(
            f"{file}: no gripper is found behind the joint {joints[-1]!r}: if it has a "
            "file of its own, name that with --gripper; if it is a suction cup, name the "
            "site at the middle of its lip with --cup"
        )
    return Parts(arm, int(model.jnt_bodyid[arm[-1]]), hand_joints)


def _hand_joints(model: mujoco.MjModel, last: int) -> tuple[int, ...]:
    """Returns the ids of the joints that an arm carries behind its joint `last`."""
    carried = subtree(model, int(model.jnt_bodyid[last]))
    joints = [j for j in range(model.njnt) if int(model.jnt_bodyid[j]) in carried]
    joints.remove(last)  # MuJoCo lists it under the link that it moves
    return tuple(joints)


def mounting_place(model: mujoco.MjModel, last_joint: str) -> str:
    """Returns the name of the site or body at the end of an arm that takes a gripper.

    Candidates are the sites, then the bodies, on the arm's last link and on the bodies
    that it carries. The first whose name contains one of MOUNT_WORDS is taken; without
    one, it is the last link itself.
    """
    # a parent's id is below its children's, so the last link comes first
    bodies = sorted(subtree(model, int(model.joint(last_joint).bodyid[0])))

    names = [
        model.site(s).name for s in range(model.nsite) if model.site_bodyid[s] in bodies
    ]
    names += [model.body(body).name for body in bodies[1:]]
    for name in names:
        if any(word in name for word in MOUNT_WORDS):
            return name
    return model.body(bodies[0]).name


def driven_fingers(model: mujoco.MjModel, parts: Parts) -> list[int]:
    """Returns the hand's joints that need a drive.

    They are the joints that the file's actuators move, directly or by a tendon. Without
    actuators they are the joints nearest to the arm. If an equality couples two of them,
    only one needs a drive.
    """
    actuated = set()
    for a in range(model.nu):
        target = int(model.actuator_trnid[a, 0])
        if model.actuator_trntype[a] == mujoco.mjtTrn.mjTRN_JOINT:
            actuated.add(target)
        elif model.actuator_trntype[a] == mujoco.mjtTrn.mjTRN_TENDON:
            # MuJoCo lists the joints of a fixed tendon as its wraps
            first_wrap = int(model.tendon_adr[target])
            end_wrap = first_wrap + int(model.tendon_num[target])
            actuated.update(
                int(joint) for joint in model.wrap_objid[first_wrap:end_wrap]
            )

    driven = [j for j in parts.hand_joints if j in actuated]
    if not driven:
        nearest = min(_depth(model, j) for j in parts.hand_joints)
        driven = [j for j in parts.hand_joints if _depth(model, j) == nearest]

    followers = set()
    for e in range(model.neq):
        if model.eq_type[e] == mujoco.mjtEq.mjEQ_JOINT:
            pair = (int(model.eq_obj1id[e]), int(model.eq_obj2id[e]))
            # the joint with the larger id, which is later in the file, follows
            if all(j in driven for j in pair):
                followers.add(max(pair))
    return [j for j in driven if j not in followers]


def planar_joints(model: mujoco.MjModel) -> tuple[int, ...]:
    """Returns the ids of a driving base's joints x, y and yaw; empty without such a base.

    They are the first three joints from the world towards an arm: two that slide along
    the x and y axes of the file's world, and one that turns about its z axis.
    """
    # the joints' axes in the world, with all joints at their reference positions
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    kinds = (mujoco.mjtJoint.mjJNT_SLIDE,) * 2 + (mujoco.mjtJoint.mjJNT_HINGE,)
    for j in range(model.njnt):
        first = tuple(joints_to(model, int(model.jnt_bodyid[j]))[:3])
        if tuple(model.jnt_type[list(first)]) != kinds:
            continue
        if np.allclose(data.xaxis[list(first)], np.eye(3), atol=AXIS_TOLERANCE):
            return first
    return ()


def _arm_joints(model: mujoco.MjModel, bodies: set[int]) -> list[int]:
    """Returns the ids of the longest chain of arm hinges, without hand and torso.

    The chain, before the hand is cut off, ends on one of `bodies`.
    """
    base = planar_joints(model)
    longest: list[int] = []
    for j in range(model.njnt):
        if int(model.jnt_bodyid[j]) not in bodies:
            continue
        joints = joints_to(model, int(model.jnt_bodyid[j]))
        hinges = [k for k in joints if _is_arm_hinge(model, k) and k not in base]
        if len(hinges) > len(longest):
            longest = hinges
    # the number of moving branches on the link behind each joint
    branches = [_branches(model, int(model.jnt_bodyid[j])) for j in longest]

    # Cut off the hand: the first link with several branches, such as a palm, is the arm's
    # last, if enough joints remain for an arm.
    for k in range(LEAST_JOINTS - 1, len(longest)):
        if branches[k] > 1:
            longest = longest[: k + 1]
            break

    # Cut off the torso: the arm begins after the last link with several branches, such
    # as a chest, if enough joints remain for an arm.
    for k in reversed(range(len(longest) - LEAST_JOINTS)):
        if branches[k] > 1:
            return longest[k + 1 :]
    return longest


def _is_arm_hinge(model: mujoco.MjModel, joint: int) -> bool:
    """Returns whether a joint is a hinge that is not named like a finger's."""
    name = model.joint(joint).name.lower()
    is_hinge = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE
    return bool(is_hinge) and not any(word in name for word in FINGER_WORDS)


def joints_to(model: mujoco.MjModel, body: int) -> list[int]:
    """Returns the ids of the joints between the world and a body, nearest the world first."""
    chain: list[int] = []
    while body > 0:
        first = int(model.body_jntadr[body])
        chain = [*range(first, first + int(model.body_jntnum[body])), *chain]
        body = int(model.body_parentid[body])
    return chain


def _branches(model: mujoco.MjModel, body: int) -> int:
    """Returns the number of moving branches that a body carries.

    A child body without a joint is rigidly part of it, so its own branches count.
    """
    count = 0
    for child in range(body + 1, model.nbody):
        if int(model.body_parentid[child]) != body:
            continue
        count += 1 if model.body_jntnum[child] else _branches(model, child)
    return count


def _depth(model: mujoco.MjModel, joint: int) -> int:
    """Returns the number of bodies from the world to a joint's body."""
    body = int(model.jnt_bodyid[joint])
    depth = 0
    while body > 0:
        body = int(model.body_parentid[body])
        depth += 1
    return depth
