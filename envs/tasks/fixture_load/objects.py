"""The objects of FixtureLoad's subtasks: workpiece, pocket and start button."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embodied.core import Array
from embodied.envs.objects import ObjectPose, Objects
from embodied.envs.props.start_box import button_top_z
from embodied.envs.skills.scripted import with_z
from embodied.envs.tasks.fixture_load.scene import START_BOX
from embodied.rotations import quat_from_rot6d, quat_from_yaw


def poses(xp: Any, state: Mapping[str, Array]) -> dict[str, ObjectPose]:
    """Returns the poses of the objects in n worlds.

    The button's position is that of its top while nothing presses it.
    """
    part_quat = quat_from_rot6d(state["part_rot6d"])
    cos = state["pocket_heading"][:, 0]
    sin = state["pocket_heading"][:, 1]
    pocket_quat = quat_from_yaw(xp.atan2(sin, cos))
    button = state["button_pos_w"]
    unpressed_z = xp.full_like(button[:, 2], button_top_z(START_BOX))
    return {
        "part": ObjectPose(state["part_pos_w"], part_quat),
        "pocket": ObjectPose(state["pocket_pos_w"], pocket_quat),
        "button": ObjectPose(with_z(xp, button, unpressed_z)),
    }


OBJECTS = Objects(poses, brought_to={"part": "pocket"})
