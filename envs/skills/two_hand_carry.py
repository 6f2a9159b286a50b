"""The carrying of one object by two hands, which keep their relative pose.

The hands hold the object at its walls on both sides of its y axis. Whatever goal the object
gets, both hands get theirs from it, so that neither goes ahead of the other. The servo
moves hands by their distances to their goals. As the object is moved, these distances
are equal, and so are the speeds.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from embodied.core import Array
from embodied.envs.skills.scripted import pointing_down
from embodied.rotations import quat_conjugate, quat_from_yaw, quat_rotate


class HeldObject(NamedTuple):
    """An object between two hands, in n worlds."""

    pos_w: Array  # (n, 3) m
    quat_wxyz: Array  # (n, 4)
    half_width_m: Array  # (n,) from its middle to the walls that are held


def grip_w(xp: Any, held: HeldObject, side: float, height_m: float) -> Array:
    """Returns the grip (n, 3) m of a hand, in the middle of its wall.

    Args:
        xp: The array namespace.
        held: The object.
        side: 1 for the wall at the object's +y, -1 for that at -y.
        height_m: The grip's height above the object's origin.
    """
    zero = xp.zeros_like(held.half_width_m)
    offset = xp.stack([zero, side * held.half_width_m, zero + height_m], axis=1)
    return held.pos_w + quat_rotate(held.quat_wxyz, offset)


def in_object(held: HeldObject, hand_w: Array) -> Array:
    """Returns where a hand (n, 3) is in the object's frame, (n, 3) m."""
    return quat_rotate(quat_conjugate(held.quat_wxyz), hand_w - held.pos_w)


def carried_hand(
    xp: Any,
    held: HeldObject,
    hand_w: Array,
    side: float,
    goal_w: Array,
    goal_yaw: Array,
) -> tuple[Array, Array]:
    """Returns the goal of a hand that brings the object to its goal, level.

    The hand keeps its place along the wall and its height, as it holds there. Across the
    wall it keeps the wall's distance from the middle, so that errors of the two hands
    neither squeeze nor pull the object more and more.

    Args:
        xp: The array namespace.
        held: The object.
        hand_w: (n, 3) m, where the hand is.
        side: 1 for the wall at the object's +y, -1 for that at -y.
        goal_w: (n, 3) m, the object's goal.
        goal_yaw: (n,) rad, its yaw there.

    Returns:
        (n, 3) m, the hand's goal; and (n, 4) wxyz, its rotation there: it points down.
    """
    local = in_object(held, hand_w)
    kept = xp.stack([local[:, 0], side * held.half_width_m, local[:, 2]], axis=1)
    pos_w = goal_w + quat_rotate(quat_from_yaw(goal_yaw), kept)
    return pos_w, pointing_down(xp, goal_yaw)
