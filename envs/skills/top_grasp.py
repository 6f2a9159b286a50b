"""Grasps from above, for boxes and for standing or lying cylinders among neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from embodied.arrays import array_namespace, norm
from embodied.core import Array
from embodied.robots.parts.gripper import PALM_M
from embodied.rotations import cross

# The distance of the fingertips below the TCP of a hand that points down.
FINGER_TIP_M = 0.020
# The width of the open gripper.
OPEN_M = 0.080
# The widest thing that goes between the fingers.
WIDEST_M = 0.072
# The distance from a pad's face to the centre of its finger.
FINGER_M = 0.013
# The pads must overlap the thing by at least this height.
LEAST_GRIP_M = 0.008
# The least height of the fingertips above the table.
ABOVE_TABLE_M = 0.006
# A round thing stands if its axis is within about 45 degrees of the vertical.
UPRIGHT_COS = 0.7

# Candidate yaws of the hand for round things that stand, preferred ones first.
ROUND_YAWS_RAD = (0.0, 0.45, -0.45, 0.9, 1.4)
# The range of the hand's yaw: a range of pi that the wrist reaches anywhere on the table.
YAW_RANGE_RAD = (-0.8, 2.34)
# What a candidate grasp's score loses per rad of the hand's yaw.
TURN_COST_M = 0.004
# What the score loses if neighbours keep the hand too high for the pads to reach the
# thing.
TOO_HIGH_COST_M = 1.0
# What the score loses if the thing is too wide for the gripper: more than
# TOO_HIGH_COST_M, because such a grasp cannot succeed at all.
TOO_WIDE_COST_M = 2.0

# Half the width that is assumed for neighbours.
NEIGHBOUR_M = 0.033
# The room beside a finger is clipped to this, because more room is no advantage.
ROOM_M = 0.075
# With less room than AMPLE_M, the gripper opens only SLACK_M wider than the thing, so
# that its fingers don't touch the neighbours.
SLACK_M = 0.024
AMPLE_M = 0.065


class Overhang(NamedTuple):
    """A box around a part of the hand that reaches over neighbours.

    All values are in m, in the frame of a hand that points down.
    """

    half_y: float  # half the box's width along y, along which the fingers open
    low_x: float  # the box extends from low_x to high_x along x
    high_x: float
    above_tcp: float  # height of the box's underside above the TCP


PALM = Overhang(half_y=0.102, low_x=-0.032, high_x=0.032, above_tcp=0.035)
WRIST_CAMERA = Overhang(half_y=0.045, low_x=0.032, high_x=0.072, above_tcp=0.052)


@dataclass(frozen=True)
class TopGrasp:
    """Grasps of n things from above."""

    pos_w: Array  # (n, 3) m, of the tool centre point
    yaw: Array  # (n,) rad, of the hand
    span: Array  # (n,) m, the thing's width between the pads
    # (n,) m, the gripper's width on the way down: full, or little more than the span if
    # neighbours are near
    opening: Array
    bottom_z: Array  # (n,) m, of the thing's lowest point
    top_z: Array  # (n,) m, of the thing's highest point


def top_grasp(
    pos_w: Array,
    rot6d: Array,
    size: Array,
    is_round: Array,
    others_w: Array,
    table_z_w: float,
    palm_m: float = PALM_M,
) -> TopGrasp:
    """Returns the best of five grasps with different yaws for each of n things.

    Args:
        pos_w: (n, 3) m, centres of the things.
        rot6d: (n, 6), the x and y axes of the things.
        size: (n, 3) m along these axes; a round thing is a cylinder along its own z.
        is_round: (n,) bool, whether a thing is a cylinder; otherwise it is a box.
        others_w: (n, K, 3) m, centres of the other things on the table.
        table_z_w: Height of the table, m.
        palm_m: Height of the palm above the TCP, m.
    """
    xp = array_namespace(pos_w)
    thing_ids = xp.arange(pos_w.shape[0])
    axes = _axes(xp, rot6d)
    # (n,) the index of each thing's most vertical axis
    upright_axis = xp.argmax(xp.abs(axes[:, :, 2]), axis=1)

    stands = is_round & (xp.abs(axes[:, 2, 2]) > UPRIGHT_COS)
    lies = is_round & (xp.abs(axes[:, 2, 2]) <= UPRIGHT_COS)
    height = _height(xp, size, upright_axis, stands=stands, lies=lies)
    bottom = pos_w[:, 2] - height / 2
    top = pos_w[:, 2] + height / 2

    # the candidates, (n, 5) each: the hand's yaw and the thing's width between the pads
    yaw, span = _candidates(xp, axes, size, upright_axis, stands=stands, lies=lies)

    # the range of TCP heights of each candidate: the fingertips stay above the table, the
    # palm above all things, and the pads reach the thing
    above_table = bottom + FINGER_TIP_M + ABOVE_TABLE_M
    lowest_alone = xp.maximum(above_table, top - palm_m)[:, None]  # without neighbours
    above_others = _above_neighbours(xp, pos_w, yaw, others_w, table_z_w, palm_m)
    lowest = xp.maximum(above_others, lowest_alone)  # (n, 5)
    highest = (top + FINGER_TIP_M - LEAST_GRIP_M)[:, None]

    # the best candidate: as low as possible, opened only a little near neighbours
    room = _room(xp, pos_w, yaw, span, others_w)
    raised_by = lowest - lowest_alone
    score = _score(xp, yaw, span, room, raised_by, is_too_high=lowest > highest)
    best = xp.argmax(score, axis=1)
    z = xp.minimum(lowest, highest)[thing_ids, best]
    narrow = xp.minimum(span + SLACK_M, xp.full_like(span, OPEN_M))
    opening = xp.where(room < AMPLE_M, narrow, OPEN_M)
    return TopGrasp(
        pos_w=xp.stack([pos_w[:, 0], pos_w[:, 1], z], axis=1),
        yaw=yaw[thing_ids, best],
        span=span[thing_ids, best],
        opening=opening[thing_ids, best],
        bottom_z=bottom,
        top_z=top,
    )


def _score(
    xp: Any, yaw: Array, span: Array, room: Array, raised_by: Array, is_too_high: Array
) -> Array:
    """Returns the scores (n, 5) m of the candidates, the largest for the best.

    Room beside the fingers raises a score. A wide span, a hand that neighbours force to
    be higher, and a large yaw lower it.

    Args:
        xp: the array namespace.
        yaw: (n, 5) rad, the hand's yaw.
        span: (n, 5) m, the thing's width between the fingers.
        room: (n, 5) m, the room beside the fingers.
        raised_by: (n, 5) m, how much higher the hand is because of neighbours.
        is_too_high: (n, 5) bool, whether the pads don't reach the thing.
    """
    cost = xp.where(is_too_high, TOO_HIGH_COST_M, 0.0)
    cost = xp.where(span > WIDEST_M, TOO_WIDE_COST_M, cost)
    return room - span - raised_by - TURN_COST_M * xp.abs(yaw) - cost


def _height(
    xp: Any, size: Array, upright_axis: Array, stands: Array, lies: Array
) -> Array:
    """Returns the heights (n,) m of things as they stand or lie.

    The height of a box is its size along its most vertical axis, that of a standing
    cylinder its length, and that of a lying cylinder its diameter.

    Args:
        xp: the array namespace.
        size: (n, 3) m, the sizes of the things along their axes.
        upright_axis: (n,) the index of the most vertical axis.
        stands: (n,) bool, whether a thing is a standing cylinder.
        lies: (n,) bool, whether a thing is a lying cylinder.
    """
    thing_ids = xp.arange(size.shape[0])
    height = xp.where(stands, size[:, 2], size[thing_ids, upright_axis])
    return xp.where(lies, size[:, 0], height)


def _axes(xp: Any, rot6d: Array) -> Array:
    """Returns the axes (n, 3 axes, 3) of things from their x and y axes (n, 6)."""
    x_axis = rot6d[:, :3]
    y_axis = rot6d[:, 3:]
    return xp.stack([x_axis, y_axis, cross(x_axis, y_axis)], axis=1)


def _candidates(
    xp: Any, axes: Array, size: Array, upright_axis: Array, stands: Array, lies: Array
) -> tuple[Array, Array]:
    """Returns the yaws and spans of the candidates, (n, 5) each, in rad and m.

    Boxes are gripped across their sides, standing cylinders with any of five yaws, and
    lying cylinders across their axis. A span is a thing's width between the fingers.

    Args:
        xp: the array namespace.
        axes: (n, 3 axes, 3) the axes of the things.
        size: (n, 3) m, the sizes of the things along these axes.
        upright_axis: (n,) the index of the most vertical axis.
        stands: (n,) bool, whether a thing is a standing cylinder.
        lies: (n,) bool, whether a thing is a lying cylinder.
    """
    yaw, span = _box_candidates(xp, axes, size, upright_axis)

    # the fingers open perpendicular to the z axis of a lying cylinder
    z_axis = axes[:, 2]
    across = _hand_yaw(xp, z_axis[:, 1], -z_axis[:, 0])[:, None]
    yaw = xp.where(lies[:, None], across, yaw)
    round_yaws = xp.broadcast_to(xp.asarray(ROUND_YAWS_RAD), yaw.shape)
    yaw = xp.where(stands[:, None], round_yaws, yaw)

    # the span of a cylinder is its diameter, its size along x
    span = xp.where((stands | lies)[:, None], size[:, :1], span)
    return yaw, span


def _box_candidates(
    xp: Any, axes: Array, size: Array, upright_axis: Array
) -> tuple[Array, Array]:
    """Returns the yaws and spans, (n, 5) each, for gripping a box across its sides.

    There are only two such candidates, one for each of the two horizontal axes. The first
    is repeated to fill four of the five columns that cylinders need.

    Args:
        xp: the array namespace.
        axes: (n, 3 axes, 3) the axes of the things.
        size: (n, 3) m, the sizes of the things along these axes.
        upright_axis: (n,) the index of the most vertical axis.
    """
    thing_ids = xp.arange(axes.shape[0])
    # (n, 2) the indices of the two horizontal axes, which are all but the upright axis.
    # Where both axes have the same score, the first of them is used.
    level_axes = xp.asarray([[1, 2], [0, 2], [1, 0]])[upright_axis]
    yaws = []
    spans = []
    for k in range(2):
        axis = axes[thing_ids, level_axes[:, k]]
        yaws.append(_hand_yaw(xp, axis[:, 0], axis[:, 1]))
        spans.append(size[thing_ids, level_axes[:, k]])
    yaw = xp.stack([yaws[0]] * 4 + [yaws[1]], axis=1)
    span = xp.stack([spans[0]] * 4 + [spans[1]], axis=1)
    return yaw, span


def _hand_yaw(xp: Any, x: Array, y: Array) -> Array:
    """Returns the yaw (n,) rad of a hand whose fingers open along the direction (x, y).

    The yaw is in YAW_RANGE_RAD. Yaws that differ by pi are equivalent, since the two
    fingers are alike.
    """
    # the fingers open along the hand's y axis, which is pi/2 from its yaw
    half_turn = float(xp.pi)
    yaw = xp.atan2(y, x) + half_turn / 2
    # reduce modulo pi to the range
    from_low = yaw - YAW_RANGE_RAD[0]
    return from_low - half_turn * xp.floor(from_low / half_turn) + YAW_RANGE_RAD[0]


def _room(xp: Any, pos_w: Array, yaw: Array, span: Array, others_w: Array) -> Array:
    """Returns the room (n, 5) m beside the fingers of each candidate grasp.

    The room is the horizontal distance from the centre of a finger to the centre of the
    nearest neighbour, clipped to ROOM_M.

    Args:
        xp: the array namespace.
        pos_w: (n, 3) m, the centre of each thing to grasp.
        yaw: (n, 5) rad, the hand's yaw in each candidate.
        span: (n, 5) m, the thing's width between the fingers.
        others_w: (n, K, 3) m, the centres of the other things.
    """
    # the y axis of a hand that points down, along which the fingers open
    hand_y = xp.stack([xp.sin(yaw), -xp.cos(yaw)], axis=2)  # (n, 5, 2)
    thing_to_finger = hand_y * (span / 2 + FINGER_M)[:, :, None]
    room = xp.full_like(yaw, ROOM_M)
    for side in (-1.0, 1.0):
        finger = pos_w[:, None, :2] + side * thing_to_finger
        gap = finger[:, :, None, :] - others_w[:, None, :, :2]  # (n, 5, K, 2)
        room = xp.minimum(room, xp.min(norm(gap), axis=2))
    return room


def _above_neighbours(
    xp: Any,
    pos_w: Array,
    yaw: Array,
    others_w: Array,
    table_z_w: float,
    palm_m: float,
) -> Array:
    """Returns the least TCP heights at which palm and wrist camera clear the neighbours.

    Args:
        xp: the array namespace.
        pos_w: (n, 3) m, the centre of each thing to grasp.
        yaw: (n, 5) rad, the hand's yaw in each candidate.
        others_w: (n, K, 3) m, the centres of the neighbours.
        table_z_w: the height of the table, m.
        palm_m: the height of the palm above the TCP, m.

    Returns:
        (n, 5) m, 0 where no neighbour is below the hand.
    """
    # the offsets from the thing to each neighbour, along the hand's y and x axes
    offset = (others_w - pos_w[:, None, :])[:, None, :, :2]  # (n, 1, K, 2)
    sin = xp.sin(yaw)[:, :, None]
    cos = xp.cos(yaw)[:, :, None]
    along_y = xp.abs(offset[..., 0] * sin - offset[..., 1] * cos)  # (n, 5, K)
    along_x = offset[..., 0] * cos + offset[..., 1] * sin  # (n, 5, K)
    # neighbours stand on the table, so their tops are as far above their centres as the
    # table is below them
    top = 2 * others_w[:, None, :, 2] - table_z_w

    least = xp.zeros_like(yaw)
    # how much lower this hand's palm is than that of the reference hand, for which
    # PALM and WRIST_CAMERA are given
    lower_m = PALM_M - palm_m
    for overhang in (PALM, WRIST_CAMERA):
        is_below = along_y < overhang.half_y + NEIGHBOUR_M
        is_below = is_below & (along_x > overhang.low_x - NEIGHBOUR_M)
        is_below = is_below & (along_x < overhang.high_x + NEIGHBOUR_M)
        tcp_z = top - (overhang.above_tcp - lower_m)
        least = xp.maximum(least, xp.max(xp.where(is_below, tcp_z, 0.0), axis=2))
    return least
