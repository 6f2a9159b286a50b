"""The tool point of a hand, from how its fingers move."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.errors import EmbodiedError
from embodied.robots.described.chain import Parts
from embodied.robots.described.geometry import main_axis, points_of, solid_geoms
from embodied.robots.described.holding import subtree
from embodied.robots.described.linkage import scratch, settled
from embodied.robots.parts.gripper import TIP_M

# What moves less than this between closed and open stands still.
MOVED_M = 5e-4
# The wrist's own axis is the way out of the hand, where it is within 45 degrees.
ALONG_COS = 0.7


@dataclass(frozen=True)
class ToolPoint:
    """A frame on a body: z out of the hand, y along which the fingers open."""

    body: int
    pos: np.ndarray  # (3,) m
    quat_wxyz: np.ndarray  # (4,)


def find_tool(
    model: mujoco.MjModel, data: mujoco.MjData, parts: Parts, fingers: list[int]
) -> ToolPoint:
    """Returns the tool point between the finger tips, a little behind their ends.

    Raises:
        EmbodiedError: a finger has no range, or nothing moves.
    """
    still = scratch(model)
    ends = []
    for position in _ends(still, data, parts, fingers):
        start = mujoco.MjData(still)
        start.qpos[:] = data.qpos
        names = [model.joint(j).name for j in fingers]
        passive = [j for j in parts.hand_joints if j not in fingers]
        ends.append(settled(still, start, names, position, passive))

    # shapes that move between closed and open
    bodies = subtree(model, parts.hand)
    closed = []
    opened = []
    for geom in solid_geoms(model, bodies):
        before = points_of(model, ends[0], geom)
        after = points_of(model, ends[1], geom)
        if np.abs(after - before).max() > MOVED_M:
            closed.append(before)
            opened.append(after)
    if not closed:
        raise EmbodiedError("no shape of the hand moves with its fingers")
    return _tool(
        model, ends[0], parts, fingers, np.concatenate(closed), np.concatenate(opened)
    )


def _tool(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    parts: Parts,
    fingers: list[int],
    closed: np.ndarray,
    opened: np.ndarray,
) -> ToolPoint:
    """Returns the tool point from the fingers' points (n, 3), closed and open."""
    wrist = data.xanchor[parts.arm[-1]]
    axis = data.xaxis[parts.arm[-1]]
    out = closed.mean(axis=0) - wrist
    is_along = abs(axis @ out) > ALONG_COS * np.linalg.norm(out)
    if is_along:
        out = axis * np.sign(axis @ out)
    out /= np.linalg.norm(out)

    # The hand opens as its tips move: points are counted from the outermost one, as
    # `main_axis` weighs those near the origin most.
    from_tip = closed - closed[np.argmax(closed @ out)]
    opening = main_axis(from_tip, from_tip + opened - closed)
    # right angles: the wrist's own axis stays where `out` is that, else the opening
    if is_along:
        opening -= (opening @ out) * out
    else:
        out -= (out @ opening) * opening
    out /= np.linalg.norm(out)
    opening /= np.linalg.norm(opening)
    across = np.cross(opening, out)

    # between the tips, a little behind their ends
    height = closed @ out
    tips = closed[height > height.max() - 1.5 * TIP_M]
    middle = (tips.max(axis=0) + tips.min(axis=0)) / 2
    # fingers on both sides meet at the wrist's axis; a single jaw, where it is
    if len(fingers) > 1 or _sides(tips @ opening, wrist @ opening) > 1:
        middle = middle + (wrist - middle) @ opening * opening
    centre = middle + (height.max() - TIP_M - middle @ out) * out

    # on the body that carries the first finger
    body = int(model.body_parentid[int(model.jnt_bodyid[fingers[0]])])
    to_body = data.xmat[body].reshape(3, 3).T
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, (to_body @ np.stack([across, opening, out], 1)).flatten())
    return ToolPoint(body, to_body @ (centre - data.xpos[body]), quat)


def _sides(places: np.ndarray, middle: float) -> int:
    """Returns on how many sides of a middle, 0 to 2, there are places (n,) in m."""
    return int((places > middle + MOVED_M).any()) + int(
        (places < middle - MOVED_M).any()
    )


def _ends(
    model: mujoco.MjModel, data: mujoco.MjData, parts: Parts, fingers: list[int]
) -> tuple[list[float], list[float]]:
    """Returns the fingers' positions closed and open: nearer to the wrist's axis first."""
    closed = []
    opened = []
    for joint in fingers:
        if not model.jnt_limited[joint]:
            raise EmbodiedError(
                f"the finger {model.joint(joint).name!r} has no range: describe the robot "
                "by hand, with gripper.closed and gripper.open"
            )

        # closed is where the finger is nearer to the axis, whatever its sign
        low, high = (float(end) for end in model.jnt_range[joint])
        is_low = _from_axis(model, data, parts, joint, low) < _from_axis(
            model, data, parts, joint, high
        )

        closed.append(low if is_low else high)
        opened.append(high if is_low else low)
    return closed, opened


def _from_axis(
    model: mujoco.MjModel,
    data: mujoco.MjData,
    parts: Parts,
    joint: int,
    position: float,
) -> float:
    """Returns how far a finger is from the wrist's axis, on the mean, in m."""
    # the arm stands as it did, and only this finger moves
    moved = mujoco.MjData(model)
    moved.qpos[:] = data.qpos
    moved.qpos[model.jnt_qposadr[joint]] = position
    mujoco.mj_kinematics(model, moved)

    bodies = subtree(model, int(model.jnt_bodyid[joint]))
    points = [points_of(model, moved, geom) for geom in solid_geoms(model, bodies)]
    if not points:
        return 0.0

    # without its share along the axis
    middle = np.concatenate(points).mean(axis=0) - moved.xanchor[parts.arm[-1]]
    axis = moved.xaxis[parts.arm[-1]]
    return float(np.linalg.norm(middle - (middle @ axis) * axis))
