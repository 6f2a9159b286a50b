"""Where a hand that points down takes a box or a cylinder, standing or lying, so that
neighbours don't hinder it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import array_namespace, dot
from embodied.core import Array
from embodied.rotations import cross

FINGER_TIP_M = 0.020  # below the tool centre point
PALM_M = 0.032  # above it: the most that a thing may rise between the fingers
WIDEST_M = 0.072  # that goes between them
# tried for what stands and is round, the liked ones first
ROUND_YAWS = (0.0, 0.45, -0.45, 0.9, 1.4)
# of the hand, rad: half a turn that the wrist reaches wherever the thing lies
YAW_RANGE = (-0.8, 2.34)
TURN_COST = 0.004  # m of room that a rad of the hand's turn is worth
FINGER_M = 0.013  # from a pad's face to the middle of its finger
ROOM_M = 0.075  # from a finger's middle to a neighbour's: more is not better
NEIGHBOUR_M = 0.033  # half of how wide neighbours are
# of palm and camera: half of their width
OVERHANGS = ((0.102, -0.032, 0.032, 0.035), (0.045, 0.032, 0.072, 0.052))
# along the opening, from where to where across it, their height above the tool centre
# point; m between open fingers; more than the span where there is less room
OPEN_M = 0.080
SLACK_M = 0.024
AMPLE_M = 0.065
LEAST_GRIP_M = 0.008  # of the pads on the thing


@dataclass(frozen=True)
class TopGrasp:
    """A grasp from above of n things."""

    pos_w: Array  # (n, 3) of the tool centre point
    yaw: Array  # (n,) of the hand, rad
    span: Array  # (n,) m between the pads
    # (n,) m to come down with: wide, or little more than the span where neighbours are
    # near
    opening: Array
    bottom_z: Array  # (n,) of the thing
    top_z: Array  # (n,)


def top_grasp(
    pos_w: Array,
    rot6d: Array,
    size: Array,
    is_round: Array,
    others_w: Array,
    table_z_w: float,
) -> TopGrasp:
    """For things with their middles at `pos_w` (n, 3), of `size` (n, 3), where
    `others_w` (n, K, 3) are in the way, which stand on a table.

    What is round (n,) has its axis along its own z.
    """
    xp = array_namespace(pos_w)
    along = rot6d[:, :3]
    across = rot6d[:, 3:]
    axes = xp.stack([along, across, cross(along, across)], axis=1)  # (n, 3 axes, 3)
    # the axis that is nearest to the vertical
    upright = xp.argmax(xp.abs(axes[:, :, 2]), axis=1)
    yaw, span = _box_candidates(xp, axes, size, upright)
    standing = is_round & (xp.abs(axes[:, 2, 2]) > 0.7)
    lying = is_round & (xp.abs(axes[:, 2, 2]) <= 0.7)
    free = xp.broadcast_to(xp.asarray(ROUND_YAWS), yaw.shape)
    # opens at right angles to the axis
    roll = _hand_yaw(xp, axes[:, 2, 1], -axes[:, 2, 0])[:, None]
    yaw = xp.where(standing[:, None], free, xp.where(lying[:, None], roll, yaw))
    span = xp.where(is_round[:, None], size[:, :1], span)
    rows = xp.arange(pos_w.shape[0])
    height = xp.where(
        lying, size[:, 0], xp.where(standing, size[:, 2], size[rows, upright])
    )
    bottom = pos_w[:, 2] - height / 2
    top = pos_w[:, 2] + height / 2
    lowest = xp.maximum(bottom + FINGER_TIP_M + 0.006, top - PALM_M)[:, None]
    # (n, 5)
    raised = xp.maximum(_above_neighbours(xp, pos_w, yaw, others_w, table_z_w), lowest)
    highest = (top + FINGER_TIP_M - LEAST_GRIP_M)[:, None]
    refused = xp.where(span > WIDEST_M, 2.0, xp.where(raised > highest, 1.0, 0.0))
    room = _room(xp, pos_w, yaw, span, others_w)
    score = room - span - (raised - lowest) - TURN_COST * xp.abs(yaw) - refused
    best = xp.argmax(score, axis=1)
    return TopGrasp(
        pos_w=xp.stack(
            [pos_w[:, 0], pos_w[:, 1], xp.minimum(raised, highest)[rows, best]], axis=1
        ),
        yaw=yaw[rows, best],
        span=span[rows, best],
        opening=xp.where(
            room < AMPLE_M,
            xp.minimum(span + SLACK_M, xp.full_like(span, OPEN_M)),
            OPEN_M,
        )[rows, best],
        bottom_z=bottom,
        top_z=top,
    )


def _box_candidates(
    xp: Any, axes: Array, size: Array, upright: Array
) -> tuple[Array, Array]:
    """Yaws and spans (n, 5) across a box's two level axes; the first stands there four
    times.
    """
    rows = xp.arange(axes.shape[0])
    level = xp.asarray([[1, 2], [0, 2], [1, 0]])[upright]  # (n, 2)
    yaws = []
    spans = []
    for k in range(2):
        axis = axes[rows, level[:, k]]
        yaws.append(_hand_yaw(xp, axis[:, 0], axis[:, 1]))
        spans.append(size[rows, level[:, k]])
    return xp.stack([yaws[0]] * 4 + [yaws[1]], axis=1), xp.stack(
        [spans[0]] * 4 + [spans[1]], axis=1
    )


def _hand_yaw(xp: Any, x: Array, y: Array) -> Array:
    """(n,) yaw of a hand that points down and opens along (x, y), within YAW_RANGE."""
    half_turn = float(xp.pi)
    yaw = xp.atan2(y, x) + half_turn / 2 - YAW_RANGE[0]
    return yaw - half_turn * xp.floor(yaw / half_turn) + YAW_RANGE[0]


def _room(xp: Any, pos_w: Array, yaw: Array, span: Array, others_w: Array) -> Array:
    """(n, 5) m from the fingers to the nearest neighbour's middle, as far as more is
    better.
    """
    # (n, 5, 2)
    aside = (
        xp.stack([xp.sin(yaw), -xp.cos(yaw)], axis=2)
        * (span / 2 + FINGER_M)[:, :, None]
    )
    room = xp.full_like(yaw, ROOM_M)
    for side in (-1.0, 1.0):
        finger = pos_w[:, None, :2] + side * aside
        gap = finger[:, :, None, :] - others_w[:, None, :, :2]  # (n, 5, K, 2)
        room = xp.minimum(room, xp.min(xp.sqrt(dot(gap, gap)), axis=2))
    return room


def _above_neighbours(
    xp: Any, pos_w: Array, yaw: Array, others_w: Array, table_z_w: float
) -> Array:
    """(n, 5) least height of the tool centre point at which palm and camera are above
    what they reach over.
    """
    away = (others_w - pos_w[:, None, :])[:, None, :, :2]  # (n, 1, K, 2)
    sin = xp.sin(yaw)[:, :, None]
    cos = xp.cos(yaw)[:, :, None]
    along = xp.abs(away[..., 0] * sin - away[..., 1] * cos)  # (n, 5, K), of the opening
    across = away[..., 0] * cos + away[..., 1] * sin
    top = 2 * others_w[:, None, :, 2] - table_z_w  # of what stands on the table
    least = xp.zeros_like(yaw)
    for half, start, end, height in OVERHANGS:
        below = (
            (along < half + NEIGHBOUR_M)
            & (across > start - NEIGHBOUR_M)
            & (across < end + NEIGHBOUR_M)
        )
        least = xp.maximum(least, xp.max(xp.where(below, top - height, 0.0), axis=2))
    return least
