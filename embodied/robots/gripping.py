"""What makes parallel grippers hold: pads, coupled fingers, and a width drive."""

from __future__ import annotations

from collections.abc import Mapping

import mujoco

from embodied.sim.physics import PAD_SOLREF

# N per m of width. The drive presses with full force from 3 mm before its target on, so
# that even a wall of 4 mm is held with full force.
GRIPPER_STIFFNESS_N_M = 25_000.0
# Fingers that are much lighter than damping times timestep chatter on what they hold.
FINGER_ARMATURE_KG = 1.25
# Sliding, torsional and rolling friction of a pad.
PAD_FRICTION = (1.2, 0.005, 0.0001)
# Of MuJoCo's equality: 99% of the ideal force at any error, so that fingers keep pace.
COUPLING_SOLIMP = (0.99, 0.99, 0.001, 0.5, 2)


def make_pad(geom: mujoco.MjsGeom) -> None:
    """Makes a geom grip: stiff and rough, whatever it touches."""
    geom.solref = PAD_SOLREF
    # with the higher priority, its figures alone hold in a contact with another geom
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
    """Makes one finger move as another does.

    Args:
        spec: the model.
        name: name of the equality that does it.
        follower: name of a joint.
        leader: name of the joint that it follows.
        ratio: how far the follower moves, over how far the leader does.
        offset: position of the follower where the leader is at 0.
    """
    spec.add_equality(
        name=name,
        type=mujoco.mjtEq.mjEQ_JOINT,
        name1=follower,
        name2=leader,
        # coefficients of a polynomial in the leader's position; MuJoCo wants 11 numbers
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
    """Adds an actuator whose target is the width of a gripper in m.

    Args:
        spec: the model.
        name: name of the actuator.
        levers: joint -> what of the width its position makes, in m per m or rad.
        width_m: width of the open gripper.
        force_n: the largest force that it grips with.
        length_m: the sum of positions times levers where the width is 0.
    """
    # the width is a tendon whose length is the sum of all fingers' shares
    tendon = spec.add_tendon(name=f"{name}_width")
    for finger, lever in levers.items():
        tendon.wrap_joint(finger, lever)

    servo = spec.add_actuator(
        name=name, target=f"{name}_width", trntype=mujoco.mjtTrn.mjTRN_TENDON
    )
    servo.set_to_position(kp=GRIPPER_STIFFNESS_N_M)
    servo.biasprm[0] = GRIPPER_STIFFNESS_N_M * length_m
    servo.ctrlrange = (0, width_m)
    servo.forcerange = (-force_n, force_n)
