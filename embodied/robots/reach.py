"""Measures the reach of arms and the width of their wrists."""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.robots.parts.part import Ranges

POSTURES = 4096  # the number of random postures
# Reach counts from the mount, but from at most this distance behind the arm's first joint.
# The Franka arm's joint is as near to its mount; the distance from a farther mount, such
# as the foot of a torso, would not measure the arm.
SHOULDER_M = 0.35
WRIST_JOINTS = 3  # the number of an arm's last joints that form its wrist


def farthest_reach_m(
    model: mujoco.MjModel,
    joints: tuple[str, ...],
    mount: str,
    site: str,
    ranges: Ranges | None = None,
) -> float:
    """Returns the farthest distance of a tcp from its arm's mount.

    If the arm's first joint is farther than SHOULDER_M from the mount, the distance counts
    from the point between them that is SHOULDER_M from the joint.

    The distance is the largest over many postures, drawn uniformly from the joints' ranges
    with a fixed seed. So it is reproducible, and slightly less than the true reach.

    Args:
        model: a robot.
        joints: names of the arm's joints.
        mount: name of the body that carries the arm.
        site: name of the tcp's site.
        ranges: (J, 2) ranges of the joints in rad; None for the model's ranges.
    """
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    addresses = [int(model.joint(name).qposadr[0]) for name in joints]
    limits = ranges or [model.joint(name).range for name in joints]
    low, high = np.array(limits).T

    # the point from which the reach counts, with all joints at their reference positions
    mujoco.mj_kinematics(model, data)
    shoulder_w = data.joint(joints[0]).xanchor
    start_w = np.array(data.body(mount).xpos)
    shoulder_to_mount = start_w - shoulder_w
    distance_m = float(np.linalg.norm(shoulder_to_mount))
    if distance_m > SHOULDER_M:
        start_w = shoulder_w + shoulder_to_mount * (SHOULDER_M / distance_m)

    farthest = 0.0
    for _ in range(POSTURES):
        # the tcp's position needs only the joints' positions, not the dynamics
        data.qpos[addresses] = rng.uniform(low, high)
        mujoco.mj_kinematics(model, data)
        distance = np.linalg.norm(data.site(site).xpos - start_w)
        farthest = max(farthest, float(distance))
    return farthest


def wrist_m(
    model: mujoco.MjModel, joints: tuple[str, ...], home: tuple[float, ...], site: str
) -> float:
    """Returns the largest distance of an arm's last joints from its hand's axis, m.

    Args:
        model: a robot.
        joints: names of the arm's J joints.
        home: (J,) rad, the posture for the measurement.
        site: name of the tcp's site; its z axis is the hand's axis.
    """
    data = mujoco.MjData(model)
    for name, angle in zip(joints, home, strict=True):
        data.qpos[model.joint(name).qposadr[0]] = angle
    mujoco.mj_kinematics(model, data)

    # the distance of each joint's anchor from the tcp's z axis
    axis = data.site(site).xmat.reshape(3, 3)[:, 2]
    farthest = 0.0
    for name in joints[-WRIST_JOINTS:]:
        tcp_to_joint = data.xanchor[model.joint(name).id] - data.site(site).xpos
        from_axis = tcp_to_joint - (tcp_to_joint @ axis) * axis
        farthest = max(farthest, float(np.linalg.norm(from_axis)))
    return farthest
