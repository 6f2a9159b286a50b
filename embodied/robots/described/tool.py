"""Finds the tool centre point (tcp) of a hand from the motion of its fingers."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.errors import EmbodiedError, unknown
from embodied.robots.described.chain import Parts
from embodied.robots.described.holding import subtree
from embodied.robots.described.linkage import hand_geoms, scratch, settled
from embodied.robots.geometry import main_axis, points_of, solid_geoms
from embodied.robots.parts.gripper import TIP_M

# Geoms that move by less than this between closed and open do not belong to fingers. It
# is also the least distance at which a point is on one side of the hand's middle.
MOVED_M = 5e-4
# A finger that can turn farther than FAR_RAD, as a jaw can, is opened by WIDEST_RAD only:
# at more, it no longer faces what it grips.
FAR_RAD = 1.2
WIDEST_RAD = 0.7
# The wrist's axis counts as the direction out of the hand if it is within 45 degrees of
# the direction from the wrist to the fingers.
ALONG_COS = 0.7


@dataclass(frozen=True)
class ToolPoint:
    """A tcp: z out of the hand, y along the opening of the fingers."""

    body: int  # id of the body to which the tcp is fixed
    pos: np.ndarray  # (3,) m, in the body's frame
    quat_wxyz: np.ndarray  # (4,) in the body's frame


def find_tool(
    model: mujoco.MjModel, data: mujoco.MjData, parts: Parts, fingers: list[int]
) -> ToolPoint:
    """Returns the tcp: between the fingertips, TIP_M behind their ends.

    Args:
        model: the robot's model.
        data: the robot at rest.
        parts: the ids of the joints of the arm and of its hand.
        fingers: (F,) ids of the driven joints.

    Raises:
        EmbodiedError: a finger has no range, or no geom moves with the fingers.
    """
    # the states with the hand closed, and open
    still = scratch(model)
    ends = []
    for positions in finger_ends(still, data, parts, fingers):
        start = mujoco.MjData(still)
        start.qpos[:] = data.qpos
        names = [model.joint(j).name for j in fingers]
        passive = [j for j in parts.hand_joints if j not in fingers]
        ends.append(settled(still, start, names, positions, passive))

    # points of all geoms that move between closed and open
    bodies = subtree(model, parts.hand)
    closed = []
    opened = []
    names = [model.joint(j).name for j in fingers]
    for geom in hand_geoms(model, bodies, names):
        before = points_of(model, ends[0], geom)
        after = points_of(model, ends[1], geom)
        if np.abs(after - before).max() > MOVED_M:
            closed.append(before)
            opened.append(after)
    if not closed:
        raise EmbodiedError(
            "no geom of the hand moves with its fingers: add geoms to the fingers' bodies"
        )
    return _tool(
        model,
        ends[0],
        parts,
        fingers=fingers,
        closed=np.concatenate(closed),
        opened=np.concatenate(opened),
    )


def cup_tool(model: mujoco.MjModel, parts: Parts, site: str) -> ToolPoint:
    """Returns the tcp of a suction cup: the site at the middle of its lip, z out.

    Raises:
        EmbodiedError: the arm carries no such site.
    """
    hand = subtree(model, parts.hand)
    # name -> id, for the sites on the bodies behind the arm's last joint
    carried = {
        model.site(s).name: s
        for s in range(model.nsite)
        if int(model.site_bodyid[s]) in hand
    }
    if site not in carried:
        raise unknown("site behind the arm's last joint (--cup)", site, carried)
    lip = carried[site]
    return ToolPoint(
        body=int(model.site_bodyid[lip]),
        pos=model.site_pos[lip].copy(),
        quat_wxyz=model.site_quat[lip].copy(),
    )


def _tool(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    parts: Parts,
    fingers: list[int],
    closed: np.ndarray,
    opened: np.ndarray,
) -> ToolPoint:
    """Returns the tcp from world points (n, 3) of the fingers, closed and open.

    `data` is the state with the hand closed. Names without a suffix are in the world.
    """
    # z, called `out`: the wrist's axis if the fingers lie roughly along it, else the
    # direction from the wrist to the fingers
    wrist = data.xanchor[parts.arm[-1]]
    wrist_axis = data.xaxis[parts.arm[-1]]
    out = closed.mean(axis=0) - wrist
    is_along_axis = abs(wrist_axis @ out) > ALONG_COS * np.linalg.norm(out)
    if is_along_axis:
        out = wrist_axis * np.sign(wrist_axis @ out)
    out /= np.linalg.norm(out)

    # y, called `opening`: the main axis of the motion of the fingertips. `main_axis` gives
    # most weight to points near the origin, so the outermost point becomes the origin
    from_tip = closed - closed[np.argmax(closed @ out)]
    opening = main_axis(from_tip, from_tip + opened - closed)

    # make y and z perpendicular; the wrist's axis is exact, so z is kept if z is that axis
    if is_along_axis:
        opening -= (opening @ out) * out
    else:
        out -= (out @ opening) * opening
    out /= np.linalg.norm(out)
    opening /= np.linalg.norm(opening)
    x_axis = np.cross(opening, out)

    # the position: the centre of the fingertips, moved along z to TIP_M behind their ends
    # (points within 1.5 TIP_M of the ends count as fingertips)
    height = closed @ out
    tips = closed[height > height.max() - 1.5 * TIP_M]
    middle = (tips.max(axis=0) + tips.min(axis=0)) / 2
    # Fingers on both sides close at the wrist's axis, so the centre is moved onto it along
    # y. A single jaw closes against a fixed part, so its centre stays.
    if len(fingers) > 1 or _num_sides(tips @ opening, wrist @ opening) > 1:
        middle = middle + (wrist - middle) @ opening * opening
    centre = middle + (height.max() - TIP_M - middle @ out) * out

    # express the pose in the frame of the body that carries the first finger
    body = int(model.body_parentid[int(model.jnt_bodyid[fingers[0]])])
    world_to_body = data.xmat[body].reshape(3, 3).T
    axes_in_body = world_to_body @ np.stack([x_axis, opening, out], axis=1)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, axes_in_body.flatten())
    return ToolPoint(body, world_to_body @ (centre - data.xpos[body]), quat)


def _num_sides(values: np.ndarray, middle: float) -> int:
    """Returns on how many sides of `middle` there are values (n,): 0, 1 or 2."""
    is_above = (values > middle + MOVED_M).any()
    is_below = (values < middle - MOVED_M).any()
    return int(is_above) + int(is_below)


def finger_ends(
    model: mujoco.MjModel, data: mujoco.MjData, parts: Parts, fingers: list[int]
) -> tuple[list[float], list[float]]:
    """Returns the positions (F,) of the closed and of the open fingers.

    They are the ends of the fingers' ranges. A finger is closed at the end that is nearer
    to the wrist's axis. A finger that can turn by more than FAR_RAD opens by WIDEST_RAD
    only.

    Raises:
        EmbodiedError: a finger has no range.
    """
    closed = []
    opened = []
    for joint in fingers:
        if not model.jnt_limited[joint]:
            raise EmbodiedError(
                f"the finger {model.joint(joint).name!r} has no range: describe the robot "
                "by hand, with gripper.closed and gripper.open"
            )

        low, high = (float(end) for end in model.jnt_range[joint])
        low_m = _axis_distance_m(model, data, parts, joint=joint, position=low)
        high_m = _axis_distance_m(model, data, parts, joint=joint, position=high)
        is_closed_at_low = low_m < high_m
        closed_at = low if is_closed_at_low else high
        # from the closed to the open position; negative if the finger closes at its high end
        travel = (high - low) if is_closed_at_low else (low - high)
        is_hinge = model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE
        if is_hinge and abs(travel) > FAR_RAD:
            travel = float(np.clip(travel, -WIDEST_RAD, WIDEST_RAD))
        closed.append(closed_at)
        opened.append(closed_at + travel)
    return closed, opened


def _axis_distance_m(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    parts: Parts,
    joint: int,
    position: float,
) -> float:
    """Returns the distance of a finger's centre from the wrist's axis, in m.

    The finger is moved to a joint position; all other joints are as in `data`.
    """
    moved = mujoco.MjData(model)
    moved.qpos[:] = data.qpos
    moved.qpos[model.jnt_qposadr[joint]] = position
    mujoco.mj_kinematics(model, moved)

    bodies = subtree(model, int(model.jnt_bodyid[joint]))
    points = [points_of(model, moved, geom) for geom in solid_geoms(model, bodies)]
    if not points:
        return 0.0  # a joint without geoms, which cannot grip

    # subtract the component along the wrist's axis
    from_wrist = np.concatenate(points).mean(axis=0) - moved.xanchor[parts.arm[-1]]
    axis = moved.xaxis[parts.arm[-1]]
    return float(np.linalg.norm(from_wrist - (from_wrist @ axis) * axis))
