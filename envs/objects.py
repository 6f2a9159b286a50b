"""The objects that the subtasks of a task are about.

A demonstration tells where the hand was. What it shows of the task is where the hand
was *relative to an object*: so `embodied data generate` takes it along to where that
object stands in another episode. A task declares its objects once, by their poses in
its privileged state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from embodied.core import Array
from embodied.rotations import quat_from_rot6d


@dataclass(frozen=True)
class ObjectPose:
    """Where one object is in n worlds.

    Attributes:
        pos_w: (n, 3) m.
        quat_wxyz: (n, 4) how it is turned; None where that does not matter for how it
            is handled, as with a round cup.
        traits: (n, k) what else tells how it is handled, such as its size in m or
            the speed in m/s of what carries it; None for nothing.
    """

    pos_w: Array
    quat_wxyz: Array = None
    traits: Array = None


# Takes the array namespace and the parts of the privileged state, (n, width) each;
# returns the objects by name.
Poses = Callable[[Any, Mapping[str, Array]], dict[str, ObjectPose]]


@dataclass(frozen=True)
class Objects:
    """The objects of a task, and which of them are brought where.

    Attributes:
        poses: returns where they are.
        brought_to: object that is taken in hand -> object to which it is brought. What
            is only touched, such as a button, is not in it; there must be one such
            object where none is taken in hand.
    """

    poses: Poses
    brought_to: Mapping[str, str] = field(default_factory=dict)


def turned(xp: Any, rot6d: Array, is_round: Array) -> Array:
    """Returns the rotations (n, 4) of things; round ones count as not turned.

    Args:
        xp: The array namespace.
        rot6d: (n, 6) their x and y axes.
        is_round: (n,) bool.
    """
    not_turned = xp.asarray([1.0, 0.0, 0.0, 0.0], dtype=rot6d.dtype)
    return xp.where(is_round[:, None], not_turned, quat_from_rot6d(rot6d))
