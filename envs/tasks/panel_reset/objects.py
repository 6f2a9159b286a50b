"""The object of PanelReset's subtasks: the button to press."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.objects import ObjectPose, Objects
from embodied.envs.skills.face_reach import outwards
from embodied.envs.tasks.panel_reset.scene import CONSOLE


def poses(xp: Any, state: Mapping[str, Array]) -> dict[str, ObjectPose]:
    """Returns the button's position on the console's face.

    Unlike the button's top, this position does not change while the button is pressed.
    """
    out = outwards(xp, CONSOLE)
    button = state["button_pos_w"]
    # project the button's top onto the face
    height = dot(button - state["panel_pos_w"], out)
    return {"button": ObjectPose(button - height[:, None] * out)}


OBJECTS = Objects(poses)
