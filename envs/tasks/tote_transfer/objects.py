"""The objects of ToteTransfer's subtasks: the named tote, and its slot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embodied.core import Array
from embodied.envs.objects import ObjectPose, Objects
from embodied.rotations import quat_from_rot6d


def poses(xp: Any, state: Mapping[str, Array]) -> dict[str, ObjectPose]:
    """Returns the poses of the objects in n worlds.

    The belt's speed is among the tote's traits, because a moving tote is grasped
    differently from a tote that stands.
    """
    traits = xp.concat([state["tote_size"], state["belt_speed"]], axis=1)
    quat = quat_from_rot6d(state["tote_rot6d"])
    tote = ObjectPose(state["tote_pos_w"], quat, traits)
    return {"tote": tote, "slot": ObjectPose(state["slot_pos_w"])}


OBJECTS = Objects(poses, brought_to={"tote": "slot"})
