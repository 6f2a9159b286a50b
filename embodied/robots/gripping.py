"""Elements of parallel grippers: pads, coupled fingers and a drive of the width."""

from __future__ import annotations

from collections.abc import Mapping

import mujoco

from embodied.sim.physics import PAD_SOLREF

# N per m of width. The drive reaches full force at 3 mm from its target, so a closing
# gripper holds even a wall of 4 mm with full force.
GRIPPER_STIFFNESS_N_M = 25_000.0
# Fingers much lighter than damping times timestep would chatter on a held object.
FINGER_ARMATURE_KG = 1.25
# Sliding, torsional and rolling friction of a pad.
PAD_FRICTION = (1.2, 0.005, 0.0001)
# MuJoCo's `solimp` of the equality between the fingers: 99% of the ideal force at any
# error, so the follower stays with its leader.
COUPLING_SOLIMP = (0.99, 0.99, 0.001, 0.5, 2)


def make_pad(geom: mujoco.MjsGeom) -> None:
    """Gives a geom a pad's contact properties: stiff and rough."""
    geom.solref = PAD_SOLREF
    # the geom with the higher priority determines a contact's properties
    geom.priority = 1
    geom.condim = 3
    geom.friction = list(PAD_FRICTION)


def couple_fingers(
    spec: mujoco.MjSpec,
    name: str,
    follower: str,
    leader: str,
    ratio: float = 1.0,
    offset: float = 0.0,
) -> None:
    """Couples one finger to another by a joint equality.

    Args:
        spec: the model.
        name: name of the equality.
        follower: name of the joint that follows.
        leader: name of the joint that it follows.
        ratio: the follower's motion divided by the leader's.
        offset: position of the follower when the leader is at 0.
    """
    spec.add_equality(
        name=name,
        type=mujoco.mjtEq.mjEQ_JOINT,
        name1=follower,
        name2=leader,
        # Coefficients of a polynomial in the leader's position; the first five matter.
        # The list is as long as MuJoCo's `data`.
        data=(offset, ratio, *[0] * 10),
        solref=PAD_SOLREF,
        solimp=COUPLING_SOLIMP,
    )


def add_width_drive(
    spec: mujoco.MjSpec,
    name: str,
    levers: Mapping[str, float],
    width_m: float,
    force_n: float,
    length_m: float = 0.0,
) -> None:
    """Adds an actuator with a gripper's width in m as its target.

    Args:
        spec: the model.
        name: name of the actuator.
        levers: finger joint -> growth of the width per m or rad of its position.
        width_m: width of the open gripper.
        force_n: the largest grip force.
        length_m: the sum of lever * position over all fingers when the width is 0.
    """
    # a fixed tendon: its length is the sum of lever * position over all fingers
    tendon = spec.add_tendon(name=f"{name}_width")
    for finger, lever in levers.items():
        tendon.wrap_joint(finger, lever)

    servo = spec.add_actuator(
        name=name, target=f"{name}_width", trntype=mujoco.mjtTrn.mjTRN_TENDON
    )
    servo.set_to_position(kp=GRIPPER_STIFFNESS_N_M)
    # this constant force makes the servo hold length_m for a target of 0
    servo.biasprm[0] = GRIPPER_STIFFNESS_N_M * length_m
    servo.ctrlrange = (0, width_m)
    servo.forcerange = (-force_n, force_n)
