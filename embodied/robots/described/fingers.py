"""The drive of a user's gripper: its target is the width, whatever its fingers do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import mujoco
import numpy as np

from embodied.robots.described.hand import Hand
from embodied.robots.gripping import (
    FINGER_ARMATURE_KG,
    add_width_drive,
    couple_fingers,
    make_pad,
)

# Grip force where neither the description nor the file tells.
FORCE_N = 70.0
PAD_RADIUS_M = 0.002  # of the sites on the pads


def levers(hand: Hand) -> np.ndarray:
    """Returns (F,) by how much the width grows per rad or m of each finger.

    The fingers have equal shares: together they open it from `gap_m` to `width_m`.
    """
    moves = np.array(hand.open) - np.array(hand.closed)
    return (hand.width_m - hand.gap_m) / len(moves) / moves


def file_force_n(hand: Hand, limits: Mapping[str, float]) -> float | None:
    """Returns the grip force that the file's actuators can make; None if unlimited.

    Args:
        hand: its fingers have the file's names.
        limits: joint -> largest torque or force.
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
        hand: the gripper's facts.
        force_n: grip force at each pad.
        speed_m_s: how fast the width changes at full force.
        name: of the actuator.
    """
    # As all fingers move together, the width changes by `metres` per rad or m of each.
    # With its square, the width has the armature that it has in our own hands, and a
    # damping that limits its speed at full force.
    share = 1 / len(fingers)
    moves = np.array(hand.open) - np.array(hand.closed)
    for finger, move in zip(fingers, moves, strict=True):
        metres = (hand.width_m - hand.gap_m) / abs(float(move))
        joint = spec.joint(finger)
        armature = FINGER_ARMATURE_KG / 2 * share * metres**2
        joint.armature = max(joint.armature, armature)
        joint.damping = [force_n * share * metres**2 / speed_m_s, 0.0, 0.0]
        joint.frictionloss = 0

    _couple(spec, fingers, hand)
    shares = dict(zip(fingers, levers(hand).tolist(), strict=True))
    # when closed, the width is `gap_m`: it would be 0 so far before
    closed_m = float(levers(hand) @ np.array(hand.closed))
    add_width_drive(spec, name, shares, hand.width_m, force_n, closed_m - hand.gap_m)


def _couple(spec: mujoco.MjSpec, fingers: Sequence[str], hand: Hand) -> None:
    """Lets the others follow the first finger, so that all are fully open together."""
    # joint equalities count from `qpos0`, where the file draws the joints
    model = spec.compile()
    drawn = [float(model.qpos0[model.joint(name).qposadr[0]]) for name in fingers]
    moves = np.array(hand.open) - np.array(hand.closed)
    from_drawn = np.array(hand.closed) - drawn
    for k in range(1, len(fingers)):
        if _are_coupled(spec, fingers[0], fingers[k]):
            continue
        ratio = float(moves[k] / moves[0])
        offset = float(from_drawn[k] - ratio * from_drawn[0])
        name = f"{fingers[0]}-{fingers[k]}"
        couple_fingers(spec, name, fingers[k], fingers[0], ratio, offset)


def _are_coupled(spec: mujoco.MjSpec, first: str, second: str) -> bool:
    """Returns whether the file itself makes two fingers move together."""
    for equality in spec.equalities:
        is_joint = equality.type == mujoco.mjtEq.mjEQ_JOINT
        if is_joint and {equality.name1, equality.name2} == {first, second}:
            return True
    return False


def add_pad_sites(
    spec: mujoco.MjSpec, hand: Hand, prefix: str, names: Sequence[str]
) -> None:
    """Adds sites on the inner faces of both pads; bodies' names begin with `prefix`."""
    for name, face in zip(names, hand.faces, strict=True):
        spec.body(prefix + face.body).add_site(
            name=name, pos=face.pos, size=[PAD_RADIUS_M] * 3, group=4, material=""
        )


def make_pads(spec: mujoco.MjSpec, geoms: Sequence[str]) -> None:
    """Makes geoms grip as those of our own robots do."""
    for name in geoms:
        geom = spec.geom(name)
        # variation of the pads' friction finds them by this name
        geom.name = name if "pad" in name else f"{name}_pad"
        make_pad(geom)
