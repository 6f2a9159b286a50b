"""Which joints of a model are an arm, and which are its hand."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.errors import EmbodiedError
from embodied.robots.described.holding import subtree

# An arm has at least so many joints that turn between the mount and the hand.
LEAST_JOINTS = 4
# Parts of names: of the place where a gripper is mounted, and of a hand's joints.
MOUNT_WORDS = ("attach", "flange", "tool0", "hand", "mount")
# How far the axes of a base's joints may be from those of the file.
STRAIGHT = 1e-3
FINGER_WORDS = ("finger", "grip", "jaw", "knuckle", "claw", "thumb", "driver")


@dataclass(frozen=True)
class Parts:
    """Ids of an arm's joints, of its last link, and of the joints that this carries."""

    arm: tuple[int, ...]  # from the mount on
    hand: int  # the body that the arm's last joint moves
    hand_joints: tuple[int, ...]


def find_parts(model: mujoco.MjModel, file: str) -> Parts:
    """Returns the first arm of a model, and its hand.

    The hand begins behind the last joint of the longest chain that turns: what slides,
    branches or is called a finger is no longer the arm.

    Raises:
        EmbodiedError: there is no arm, or no gripper behind it.
    """
    arm = _arm_joints(model)
    if len(arm) < LEAST_JOINTS:
        raise EmbodiedError(
            f"{file}: no arm is found: {len(arm)} joints that turn follow each other, "
            f"expected at least {LEAST_JOINTS}"
        )
    hand = int(model.jnt_bodyid[arm[-1]])
    carried = subtree(model, hand)
    joints = [j for j in range(model.njnt) if int(model.jnt_bodyid[j]) in carried]
    joints.remove(arm[-1])  # it is on the last link itself
    if not joints:
        last = model.joint(arm[-1]).name
        raise EmbodiedError(
            f"{file}: no gripper is found behind the joint {last!r}: where it has a file "
            "of its own, name that with --gripper"
        )
    return Parts(tuple(arm), hand, tuple(joints))


def mounting_place(model: mujoco.MjModel) -> str:
    """Returns the name of the site or body at the end of an arm where a gripper sits.

    It is the first site, else the first body, on the last link or on what that link
    carries, whose name has one of MOUNT_WORDS; without one, the last link itself.

    Raises:
        EmbodiedError: there is no arm.
    """
    arm = _arm_joints(model)
    if not arm:
        raise EmbodiedError("no arm is found to mount the gripper on")
    # a parent's id is below its children's: the last link comes first
    bodies = sorted(subtree(model, int(model.jnt_bodyid[arm[-1]])))

    names = [
        model.site(s).name for s in range(model.nsite) if model.site_bodyid[s] in bodies
    ]
    names += [model.body(body).name for body in bodies[1:]]
    for name in names:
        if any(word in name for word in MOUNT_WORDS):
            return name
    return model.body(bodies[0]).name


def driven_fingers(model: mujoco.MjModel, parts: Parts) -> list[int]:
    """Returns the hand's joints that need a drive: those that actuators move.

    Without actuators they are those nearest to the arm. Joints that an equality couples
    to another one follow.
    """
    moved = set()
    for a in range(model.nu):
        target = int(model.actuator_trnid[a, 0])
        if model.actuator_trntype[a] == mujoco.mjtTrn.mjTRN_JOINT:
            moved.add(target)
        elif model.actuator_trntype[a] == mujoco.mjtTrn.mjTRN_TENDON:
            first = int(model.tendon_adr[target])
            last = first + int(model.tendon_num[target])
            moved.update(int(one) for one in model.wrap_objid[first:last])

    driven = [j for j in parts.hand_joints if j in moved]
    if not driven:
        nearest = min(_depth(model, j) for j in parts.hand_joints)
        driven = [j for j in parts.hand_joints if _depth(model, j) == nearest]

    followers = set()
    for e in range(model.neq):
        if model.eq_type[e] == mujoco.mjtEq.mjEQ_JOINT:
            pair = (int(model.eq_obj1id[e]), int(model.eq_obj2id[e]))
            # the later of the two in the file follows
            if all(j in driven for j in pair):
                followers.add(max(pair))
    return [j for j in driven if j not in followers]


def planar_joints(model: mujoco.MjModel) -> tuple[int, ...]:
    """Returns the ids of a base's joints: x, y and yaw; empty where there is none.

    They are the first three between the world and an arm: two that slide along the x
    and y of the file, and one that turns about its z.
    """
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    kinds = (mujoco.mjtJoint.mjJNT_SLIDE,) * 2 + (mujoco.mjtJoint.mjJNT_HINGE,)
    for j in range(model.njnt):
        first = tuple(_chain_to(model, int(model.jnt_bodyid[j]))[:3])
        if tuple(model.jnt_type[list(first)]) != kinds:
            continue
        if np.allclose(data.xaxis[list(first)], np.eye(3), atol=STRAIGHT):
            return first
    return ()


def _arm_joints(model: mujoco.MjModel) -> list[int]:
    """Returns the longest chain of joints that turn, up to a hand."""
    base = planar_joints(model)
    best: list[int] = []
    for j in range(model.njnt):
        chain = _chain_to(model, int(model.jnt_bodyid[j]))
        chain = [k for k in chain if _turns(model, k) and k not in base]
        if len(chain) > len(best):
            best = chain

    # cut off what comes after the first link with several branches, such as a palm
    for place, j in enumerate(best):
        if place + 1 >= LEAST_JOINTS and _branches(model, int(model.jnt_bodyid[j])) > 1:
            best = best[: place + 1]
            break
    # cut off what comes before an arm: all up to the last such link, such as a torso
    for place in reversed(range(len(best))):
        rest = len(best) - place - 1
        if (
            rest >= LEAST_JOINTS
            and _branches(model, int(model.jnt_bodyid[best[place]])) > 1
        ):
            return best[place + 1 :]
    return best


def _turns(model: mujoco.MjModel, joint: int) -> bool:
    """Returns whether a joint could be an arm's."""
    name = model.joint(joint).name.lower()
    is_hinge = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE
    return bool(is_hinge) and not any(word in name for word in FINGER_WORDS)


def _chain_to(model: mujoco.MjModel, body: int) -> list[int]:
    """Returns the joints from the world to a body."""
    chain: list[int] = []
    while body > 0:
        first = int(model.body_jntadr[body])
        chain = [*range(first, first + int(model.body_jntnum[body])), *chain]
        body = int(model.body_parentid[body])
    return chain


def _branches(model: mujoco.MjModel, body: int) -> int:
    """Returns how many bodies with joints come next behind a body."""
    count = 0
    for child in range(body + 1, model.nbody):
        if int(model.body_parentid[child]) != body:
            continue
        count += 1 if model.body_jntnum[child] else _branches(model, child)
    return count


def _depth(model: mujoco.MjModel, joint: int) -> int:
    """Returns how many bodies carry a joint's body."""
    body = int(model.jnt_bodyid[joint])
    depth = 0
    while body > 0:
        body = int(model.body_parentid[body])
        depth += 1
    return depth
