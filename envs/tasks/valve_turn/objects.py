"""The objects of ValveTurn's subtasks: the handle, and the angle it is turned to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embodied.core import Array
from embodied.envs.objects import ObjectPose, Objects
from embodied.envs.tasks.valve_turn.grasp import grasp_pos_w, grasp_quat_wxyz


def poses(xp: Any, state: Mapping[str, Array]) -> dict[str, ObjectPose]:
    """Returns the grasps of the handle at its present angle and at its target angle."""
    hub = state["valve_pos_w"]
    is_wheel = state["valve_is_wheel"][:, 0]

    angles = {
        "handle": state["valve_angle"][:, 0],
        "target": state["target_angle"][:, 0],
    }

    # levers and wheels are handled differently, so the kind of valve is a trait
    return {
        name: ObjectPose(
            pos_w=grasp_pos_w(xp, hub, angle, is_wheel),
            quat_wxyz=grasp_quat_wxyz(xp, angle),
            traits=state["valve_is_wheel"],
        )
        for name, angle in angles.items()
    }


OBJECTS = Objects(poses, brought_to={"handle": "target"})
