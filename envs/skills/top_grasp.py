"""Grasps from above, of boxes and of standing or lying cylinders among neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import array_namespace, dot
from embodied.core import Array
from embodied.robots.parts.gripper import PALM_M
from embodied.rotations import cross

# The hand: how far the fingertips are below the TCP.
FINGER_TIP_M = 0.020
# The width of the open gripper, and the widest thing that goes between the fingers.
OPEN_M = 0.080
WIDEST_M = 0.072
# From a pad's face to the middle of its finger.
FINGER_M = 0.013
# The least height of the pads on the thing, and of the fingertips above the table.
LEAST_GRIP_M = 0.008
ABOVE_TABLE_M = 0.006
# A round thing stands if its axis is within 45 degrees of the vertical.
UPRIGHT_COS = 0.7

# The hand's yaws that are tried for round things that stand, preferred ones first.
ROUND_YAWS_RAD = (0.0, 0.45, -0.45, 0.9, 1.4)
# The hand's yaw: half a turn that the wrist reaches wherever the thing lies.
YAW_RANGE_RAD = (-0.8, 2.34)
# What a candidate's score loses: per rad of the hand's yaw, in m; where the pads would
# hardly reach the thing; and where the thing is too wide.
TURN_COST_M = 0.004
TOO_HIGH_COST_M = 1.0
TOO_WIDE_COST_M = 2.0

# Half the width that neighbours are taken to have.
NEIGHBOUR_M = 0.033
# Room from a finger's middle to a neighbour's beyond this is not worth more.
ROOM_M = 0.075
# With less room than AMPLE_M the gripper opens only this much wider than the thing.
SLACK_M = 0.024
AMPLE_M = 0.065
# Of the palm, then of the camera: half the width along the fingers' opening, where it
# begins and ends across that, and its height above the TCP.
OVERHANGS_M = ((0.102, -0.032, 0.032, 0.035), (0.045, 0.032, 0.072, 0.052))


@dataclass(frozen=True)
class TopGrasp:
    """Grasps from above of n things."""

    pos_w: Array  # (n, 3) m, of the tool centre point
    yaw: Array  # (n,) rad, of the hand
    span: Array  # (n,) m, the thing's width between the pads
    # (n,) m, the gripper's width on the way down: wide, or little more than the span
    # where neighbours are near
    opening: Array
    # (n,) m, of the thing's lowest and highest point
    bottom_z: Array
    top_z: Array


def top_grasp(
    pos_w: Array,
    rot6d: Array,
    size: Array,
    is_round: Array,
    others_w: Array,
    table_z_w: float,
    palm_m: float = PALM_M,
) -> TopGrasp:
    """Returns the best of five candidate grasps for each of n things.

    Args:
        pos_w: (n, 3) m, middles of the things.
        rot6d: (n, 6), their x and y axes.
        size: (n, 3) m along their axes; a round thing is a cylinder along its own z.
        is_round: (n,) bool.
        others_w: (n, K, 3) m, middles of what stands on the table around each thing.
        table_z_w: Height of the table, m.
        palm_m: How far the palm is above the TCP.
    """
    xp = array_namespace(pos_w)
    rows = xp.arange(pos_w.shape[0])
    axes = _axes(xp, rot6d)
    upright = xp.argmax(xp.abs(axes[:, :, 2]), axis=1)  # (n,) the most vertical axis

    # the thing's height along that axis; for a cylinder that lies, its diameter
    stands = is_round & (xp.abs(axes[:, 2, 2]) > UPRIGHT_COS)
    lies = is_round & (xp.abs(axes[:, 2, 2]) <= UPRIGHT_COS)
    height = xp.where(stands, size[:, 2], size[rows, upright])
    height = xp.where(lies, size[:, 0], height)
    bottom = pos_w[:, 2] - height / 2
    top = pos_w[:, 2] + height / 2

    # five candidates, and how high the hand must stay for each: fingertips above the
    # table, palm above the thing and its neighbours, yet pads still on the thing
    yaw, span = _candidates(xp, axes, size, upright, stands, lies)  # (n, 5) each
    above_table = bottom + FINGER_TIP_M + ABOVE_TABLE_M
    lowest = xp.maximum(above_table, top - palm_m)[:, None]
    highest = (top + FINGER_TIP_M - LEAST_GRIP_M)[:, None]
    above_others = _above_neighbours(xp, pos_w, yaw, others_w, table_z_w, palm_m)
    raised = xp.maximum(above_others, lowest)  # (n, 5)

    # the best has room, is narrow, and neither raises nor turns the hand; scores in m
    cost = xp.where(raised > highest, TOO_HIGH_COST_M, 0.0)
    cost = xp.where(span > WIDEST_M, TOO_WIDE_COST_M, cost)
    room = _room(xp, pos_w, yaw, span, others_w)
    score = room - span - (raised - lowest) - TURN_COST_M * xp.abs(yaw) - cost
    best = xp.argmax(score, axis=1)

    z = xp.minimum(raised, highest)[rows, best]
    narrow = xp.minimum(span + SLACK_M, xp.full_like(span, OPEN_M))  # near neighbours
    opening = xp.where(room < AMPLE_M, narrow, OPEN_M)
    return TopGrasp(
        pos_w=xp.stack([pos_w[:, 0], pos_w[:, 1], z], axis=1),
        yaw=yaw[rows, best],
        span=span[rows, best],
        opening=opening[rows, best],
        bottom_z=bottom,
        top_z=top,
    )


def _axes(xp: Any, rot6d: Array) -> Array:
    """Returns the axes (n, 3 axes, 3) of things from their x and y axes (n, 6)."""
    x_axis = rot6d[:, :3]
    y_axis = rot6d[:, 3:]
    return xp.stack([x_axis, y_axis, cross(x_axis, y_axis)], axis=1)


def _candidates(
    xp: Any, axes: Array, size: Array, upright: Array, stands: Array, lies: Array
) -> tuple[Array, Array]:
    """Returns the yaws and spans of the candidates, (n, 5) each.

    Boxes are gripped across their sides, round things that stand from five sides, and
    round things that lie across their axis.
    """
    yaw, span = _box_candidates(xp, axes, size, upright)
    # a lying cylinder: at a right angle to its z axis; a round thing's x size is its
    # diameter
    across = _hand_yaw(xp, axes[:, 2, 1], -axes[:, 2, 0])[:, None]
    yaw = xp.where(lies[:, None], across, yaw)
    all_around = xp.broadcast_to(xp.asarray(ROUND_YAWS_RAD), yaw.shape)
    yaw = xp.where(stands[:, None], all_around, yaw)
    span = xp.where((stands | lies)[:, None], size[:, :1], span)
    return yaw, span


def _box_candidates(
    xp: Any, axes: Array, size: Array, upright: Array
) -> tuple[Array, Array]:
    """Returns yaws and spans, (n, 5) each, across a box's two level axes.

    There are only two of them, so the first one fills four columns.
    """
    rows = xp.arange(axes.shape[0])
    # (n, 2) the indices of the other two axes, which are level
    level = xp.asarray([[1, 2], [0, 2], [1, 0]])[upright]
    yaws = []
    spans = []
    for k in range(2):
        axis = axes[rows, level[:, k]]
        yaws.append(_hand_yaw(xp, axis[:, 0], axis[:, 1]))
        spans.append(size[rows, level[:, k]])
    yaw = xp.stack([yaws[0]] * 4 + [yaws[1]], axis=1)
    span = xp.stack([spans[0]] * 4 + [spans[1]], axis=1)
    return yaw, span


def _hand_yaw(xp: Any, x: Array, y: Array) -> Array:
    """Returns the yaw (n,), within YAW_RANGE_RAD, of a hand that opens along (x, y).

    A hand that points down opens along its y axis, a quarter turn from its yaw.
    """
    half_turn = float(xp.pi)  # by which the yaw may be off: the fingers are alike
    # counted from the range's lower end, half turns are taken off until less is left
    yaw = xp.atan2(y, x) + half_turn / 2 - YAW_RANGE_RAD[0]
    return yaw - half_turn * xp.floor(yaw / half_turn) + YAW_RANGE_RAD[0]


def _room(xp: Any, pos_w: Array, yaw: Array, span: Array, others_w: Array) -> Array:
    """Returns the room (n, 5) m from the fingers to the nearest neighbour's middle.

    It is horizontal, from the middle of the nearer finger, and at most ROOM_M.
    """
    # the y axis of a hand that points down, along which the fingers open
    along_opening = xp.stack([xp.sin(yaw), -xp.cos(yaw)], axis=2)  # (n, 5, 2)
    aside = along_opening * (span / 2 + FINGER_M)[:, :, None]
    room = xp.full_like(yaw, ROOM_M)
    for side in (-1.0, 1.0):
        finger = pos_w[:, None, :2] + side * aside
        gap = finger[:, :, None, :] - others_w[:, None, :, :2]  # (n, 5, K, 2)
        room = xp.minimum(room, xp.min(xp.sqrt(dot(gap, gap)), axis=2))
    return room


def _above_neighbours(
    xp: Any,
    pos_w: Array,
    yaw: Array,
    others_w: Array,
    table_z_w: float,
    palm_m: float,
) -> Array:
    """Returns the least heights (n, 5) m at which the hand clears its neighbours.

    Palm and camera reach over them. The heights are those of the tool centre point.
    """
    # from the thing to each neighbour, along the fingers' opening and across it
    away = (others_w - pos_w[:, None, :])[:, None, :, :2]  # (n, 1, K, 2)
    sin = xp.sin(yaw)[:, :, None]
    cos = xp.cos(yaw)[:, :, None]
    along = xp.abs(away[..., 0] * sin - away[..., 1] * cos)  # (n, 5, K), of the opening
    across = away[..., 0] * cos + away[..., 1] * sin  # (n, 5, K)
    # what stands on the table is as high above its middle as the table is below it
    top = 2 * others_w[:, None, :, 2] - table_z_w

    least = xp.zeros_like(yaw)
    lower_m = PALM_M - palm_m  # than the palm of our own robots
    for half_m, start_m, end_m, height_m in OVERHANGS_M:
        is_below = along < half_m + NEIGHBOUR_M
        is_below = is_below & (across > start_m - NEIGHBOUR_M)
        is_below = is_below & (across < end_m + NEIGHBOUR_M)
        raised = xp.where(is_below, top - (height_m - lower_m), 0.0)
        least = xp.maximum(least, xp.max(raised, axis=2))
    return least
