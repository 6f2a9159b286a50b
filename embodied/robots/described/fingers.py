"""The drive of a user's gripper: one actuator whose target is the opening width."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np

from embodied.robots.described.drawing import SITE_GROUP
from embodied.robots.described.hand import Hand
from embodied.robots.gripping import (
    FINGER_ARMATURE_KG,
    add_width_drive,
    couple_fingers,
    make_pad,
)

# The grip force if neither the description nor the file states one.
FORCE_N = 70.0
PAD_SITE_RADIUS_M = 0.002


def levers(hand: Hand) -> np.ndarray:
    """Returns (F,) the growth of the width per rad or m of each finger joint.

    All F fingers together open the hand from `gap_m` to `width_m`; each contributes an
    equal share of the width. A lever is negative if the finger's position falls as it opens.
    """
    strokes = np.array(hand.open) - np.array(hand.closed)  # (F,) rad or m
    return (hand.width_m - hand.gap_m) / len(strokes) / strokes


def file_force_n(hand: Hand, limits: Mapping[str, float]) -> float | None:
    """Returns the grip force that the file's actuators can make; None if unlimited.

    Args:
        hand: the gripper's measurements.
        limits: name of a joint in the file -> its largest torque or force.
    """
    forces = []
    for name, lever in zip(hand.fingers, levers(hand), strict=True):
        if name in limits:
            forces.append(limits[name] / abs(float(lever)))
    return min(forces) if forces else None


def add_gripper_drive(
    spec: mujoco.MjSpec,
    fingers: Sequence[str],
    hand: Hand,
    force_n: float,
    speed_m_s: float,
    name: str,
) -> None:
    """Adds an actuator whose target is the width between the pads in m.

    Args:
        spec: the model.
        fingers: (F,) names of the driven joints in the model.
        hand: the gripper's measurements.
        force_n: grip force at each pad.
        speed_m_s: speed of the width at full force.
        name: the actuator's name.
    """
    # The width gets the armature that our own grippers have (half of FINGER_ARMATURE_KG:
    # two equal fingers), and a damping that limits its speed at full force. Both are
    # shared equally among the fingers. An inertia or damping of the width, times the
    # square of the width's change per rad or m, is that of a finger's joint.
    share = 1 / len(fingers)
    strokes = np.array(hand.open) - np.array(hand.closed)  # (F,) rad or m
    for finger, stroke in zip(fingers, strokes, strict=True):
        width_per_unit = (hand.width_m - hand.gap_m) / abs(float(stroke))
        joint = spec.joint(finger)
        armature = FINGER_ARMATURE_KG / 2 * share * width_per_unit**2
        joint.armature = max(joint.armature, armature)
        joint.damping = [force_n * share * width_per_unit**2 / speed_m_s, 0.0, 0.0]
        joint.frictionloss = 0

    _couple(spec, fingers, hand)
    finger_levers = dict(zip(fingers, levers(hand).tolist(), strict=True))
    # The actuator's length is the sum of lever * position. The offset makes it `gap_m`
    # when the fingers are closed.
    closed_m = float(levers(hand) @ np.array(hand.closed))
    add_width_drive(
        spec,
        name,
        finger_levers,
        width_m=hand.width_m,
        force_n=force_n,
        length_m=closed_m - hand.gap_m,
    )


def _couple(spec: mujoco.MjSpec, fingers: Sequence[str], hand: Hand) -> None:
    """Makes the other fingers follow the first, so that all open and close together.

    Fingers that the file couples directly to the first one are left as they are.
    """
    # MuJoCo's joint equalities count positions from `qpos0`
    strokes = np.array(hand.open) - np.array(hand.closed)  # (F,) rad or m
    closed_from_qpos0 = np.array(hand.closed) - hand.qpos0
    for k in range(1, len(fingers)):
        if _are_coupled(spec, fingers[0], fingers[k]):
            continue
        ratio = float(strokes[k] / strokes[0])
        offset = float(closed_from_qpos0[k] - ratio * closed_from_qpos0[0])
        name = f"{fingers[0]}-{fingers[k]}"
        couple_fingers(
            spec, name, fingers[k], leader=fingers[0], ratio=ratio, offset=offset
        )


def _are_coupled(spec: mujoco.MjSpec, first: str, second: str) -> bool:
    """Returns whether a joint equality of the file couples two fingers."""
    for equality in spec.equalities:
        is_joint = equality.type == mujoco.mjtEq.mjEQ_JOINT
        if is_joint and {equality.name1, equality.name2} == {first, second}:
            return True
    return False


def add_pad_sites(
    spec: mujoco.MjSpec, hand: Hand, prefix: str, names: Sequence[str]
) -> None:
    """Adds sites on the inner faces of both pads.

    Args:
        spec: the model.
        hand: the gripper's measurements.
        prefix: the prefix of the file's names in the model.
        names: the names of the two new sites, at +y and at -y of the tcp.
    """
    for name, face in zip(names, hand.faces, strict=True):
        spec.body(prefix + face.body).add_site(
            name=name,
            pos=face.pos,
            size=[PAD_SITE_RADIUS_M] * 3,
            group=SITE_GROUP,
            material="",  # the file's default may name one
        )


def make_pads(spec: mujoco.MjSpec, geoms: Sequence[str]) -> None:
    """Gives geoms the contact properties that our own robots' pads have."""
    for name in geoms:
        geom = spec.geom(name)
        # variation of the variable `pad_friction` finds pads by "pad" in their names
        geom.name = name if "pad" in name else f"{name}_pad"
        make_pad(geom)
        # the buttons and furniture of scenes have contype 0, and let such pads through
        geom.contype = geom.contype or 1
