"""Measures the reach of arms and the width of their wrists."""

from __future__ import annotations

import mujoco
import numpy as np

from embodied.robots.parts.part import Ranges

POSTURES = 4096  # the number of random postures
# The first joint of an arm is at most this far from its mount, as the Franka arm's is. A
# mount that is farther off, such as the foot of a torso, is no measure of the arm.
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

    If the arm's first joint is farther than SHOULDER_M from the mount, the distance is
    from the point SHOULDER_M from that joint towards the mount.

    It is the largest over many postures, drawn uniformly from the joints' ranges with a
    fixed seed. So it is reproducible, and slightly less than the true reach.

    Args:
        model: a robot.
        joints: names of the arm's joints.
        mount: name of the body that carries the arm.
        site: name of the tcp's site.
        ranges: (J, 2) of the joints in rad; None for the model's.
    """
    data = mujoco.MjData(model)
    rng = np.random.default_rng(0)
    addresses = [int(model.joint(name).qposadr[0]) for name in joints]
    limits = ranges or [model.joint(name).range for name in joints]
    low, high = np.array(limits).T

    mujoco.mj_kinematics(model, data)
    shoulder_w = data.joint(joints[0]).xanchor
    start_w = np.array(data.body(mount).xpos)
    off = start_w - shoulder_w
    off_m = float(np.linalg.norm(off))
    if off_m > SHOULDER_M:
        start_w = shoulder_w + off * (SHOULDER_M / off_m)

    farthest = 0.0
    for _ in range(POSTURES):
        # positions suffice; no dynamics are needed
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

    axis = data.site(site).xmat.reshape(3, 3)[:, 2]
    farthest = 0.0
    for name in joints[-WRIST_JOINTS:]:
        tcp_to_joint = data.xanchor[model.joint(name).id] - data.site(site).xpos
        from_axis = tcp_to_joint - (tcp_to_joint @ axis) * axis
        farthest = max(farthest, float(np.linalg.norm(from_axis)))
    return farthest
