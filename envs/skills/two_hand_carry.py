"""Goals of two hands that carry one object and keep their pose relative to each other.

The hands hold the object at its two walls that are perpendicular to its y axis. The goals
of both hands are computed from the goal of the object, so that neither hand goes ahead of
the other: the servo's speeds are proportional to the hands' distances from their goals,
and these distances are equal while the object moves without rotating.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from embodied.core import Array
from embodied.envs.skills.scripted import pointing_down
from embodied.rotations import quat_conjugate, quat_from_yaw, quat_rotate


class HeldObject(NamedTuple):
    """An object between two hands, in n worlds."""

    pos_w: Array  # (n, 3) m, position of the object's frame
    quat_wxyz: Array  # (n, 4) rotation of the object
    half_width_m: Array  # (n,) from the object's middle to each of the held walls


def grip_w(xp: Any, held: HeldObject, side: float, height_m: float) -> Array:
    """Returns where a hand grips the object, (n, 3) m: in the middle of one of its walls.

    Args:
        xp: The array namespace.
        held: The object.
        side: 1 for the wall at the object's +y, -1 for the wall at -y.
        height_m: The height of the grip above the origin of the object's frame.
    """
    zero = xp.zeros_like(held.half_width_m)
    offset = xp.stack([zero, side * held.half_width_m, zero + height_m], axis=1)
    return held.pos_w + quat_rotate(held.quat_wxyz, offset)


def in_object(held: HeldObject, hand_w: Array) -> Array:
    """Returns the position (n, 3) m in the object's frame of a hand at `hand_w` (n, 3)."""
    return quat_rotate(quat_conjugate(held.quat_wxyz), hand_w - held.pos_w)


def carried_hand(
    xp: Any,
    held: HeldObject,
    hand_w: Array,
    side: float,
    goal_w: Array,
    goal_yaw: Array,
) -> tuple[Array, Array]:
    """Returns the goal of a hand for bringing the object, level, to the object's goal.

    Along the wall and in height, the hand stays where it holds the object now. Across the
    wall, its goal is at the wall itself and not where the hand is, so that errors of the
    two hands don't add up to squeeze or pull the object.

    Args:
        xp: The array namespace.
        held: The object.
        hand_w: (n, 3) m, the hand's present position.
        side: 1 for the wall at the object's +y, -1 for the wall at -y.
        goal_w: (n, 3) m, the object's goal.
        goal_yaw: (n,) rad, the object's yaw at its goal.

    Returns:
        (n, 3) m, the hand's goal; and (n, 4) wxyz, the hand's rotation at the goal, where
        it points down.
    """
    # the hand's position in the object's frame now, and at the goal
    local = in_object(held, hand_w)
    local_goal = xp.stack([local[:, 0], side * held.half_width_m, local[:, 2]], axis=1)
    pos_w = goal_w + quat_rotate(quat_from_yaw(goal_yaw), local_goal)
    return pos_w, pointing_down(xp, goal_yaw)
