"""The objects of DrawerTidy's subtasks: the handle, both named things, the drawer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embodied.core import Array
from embodied.envs.objects import ObjectPose, Objects, quat_unless_round
from embodied.envs.tasks.drawer_tidy.scene import DRAWERS_SIZE


def poses(xp: Any, state: Mapping[str, Array]) -> dict[str, ObjectPose]:
    """Returns the poses of the objects in n worlds.

    "chest" is the position of the handle when the drawer is closed.
    """
    drawer = state["drawer_pos_w"]
    handle = drawer + xp.asarray(DRAWERS_SIZE.handle)
    # a drawer opens towards -x, so a closed drawer's handle is farther along +x
    to_closed = xp.asarray([1.0, 0.0, 0.0]) * state["opening"]
    return {
        "handle": ObjectPose(handle),
        "chest": ObjectPose(handle + to_closed),
        "drawer": ObjectPose(drawer),
        "first": _named_thing(xp, state, k=0),
        "second": _named_thing(xp, state, k=1),
    }


def _named_thing(xp: Any, state: Mapping[str, Array], k: int) -> ObjectPose:
    """Returns the pose of the k-th named thing; a single one is both first and second."""
    is_round = state["target_round"][:, k] > 0.5
    rot6d = state["target_rot6d"][:, 6 * k : 6 * k + 6]
    size = state["target_size"][:, 3 * k : 3 * k + 3]
    return ObjectPose(
        pos_w=state["target_pos_w"][:, 3 * k : 3 * k + 3],
        quat_wxyz=quat_unless_round(xp, rot6d, is_round),
        traits=size,
    )


OBJECTS = Objects(
    poses, brought_to={"handle": "chest", "first": "drawer", "second": "drawer"}
)
