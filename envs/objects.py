"""The objects that the subtasks of a task are about.

In a demonstration, the motion of the hand *relative to an object* is what carries over to
other episodes: `embodied data generate` replays it relative to the object's pose there. A
task declares its objects once, by their poses in its privileged state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from embodied.core import Array
from embodied.rotations import quat_from_rot6d


@dataclass(frozen=True)
class ObjectPose:
    """The pose of one object in n worlds.

    Attributes:
        pos_w: (n, 3) m, the object's position.
        quat_wxyz: (n, 4) the object's rotation; None if the object is handled in the
            same way whatever its rotation, like a round cup.
        traits: (n, k) other values that influence how the object is handled, such as its
            size in m or the speed of its belt in m/s; None if there are none.
    """

    pos_w: Array
    quat_wxyz: Array = None
    traits: Array = None


# A function that takes the array namespace and the entries of the privileged state,
# (n, width) each, and returns the objects' poses by name.
Poses = Callable[[Any, Mapping[str, Array]], dict[str, ObjectPose]]


@dataclass(frozen=True)
class Objects:
    """The objects of a task, and the places to which they are brought.

    Attributes:
        poses: the function that returns the objects' poses.
        brought_to: object that the hand takes -> object to which it is brought. Objects
            that are only touched, such as a button, are left out. If the mapping is
            empty, the task must have exactly one object, which the hand touches.
    """

    poses: Poses
    brought_to: Mapping[str, str] = field(default_factory=dict)


def quat_unless_round(xp: Any, rot6d: Array, is_round: Array) -> Array:
    """Returns the rotations (n, 4) wxyz of things, with the identity for round things.

    Args:
        xp: The array namespace.
        rot6d: (n, 6) the x and y axes of the things.
        is_round: (n,) bool, whether each thing is round.
    """
    identity = xp.asarray([1.0, 0.0, 0.0, 0.0], dtype=rot6d.dtype)
    return xp.where(is_round[:, None], identity, quat_from_rot6d(rot6d))
