"""The motion of hand and objects in a demonstration, control step by control step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class ObjectPath:
    """Where an object was at T control steps."""

    pos_w: np.ndarray  # (T, 3) m
    quat_wxyz: np.ndarray  # (T, 4)
    traits: np.ndarray  # (k,) at the start, see `ObjectPose`


@dataclass(frozen=True)
class Motion:
    """A demonstration of T control steps.

    Attributes:
        episode: the number of the demonstration in its file.
        dt_s: the control period.
        hand_pos_w: (T, 3) m, the position of the hand's tool centre point.
        hand_quat_wxyz: (T, 4) the rotation of the hand.
        width_m: (T,) the measured width of the gripper.
        grip: (T,) the gripper's command in [-1, 1].
        mount: (T, 4) x, y, z in m and yaw in rad of the part that carries the arm.
        objects: the paths of the objects, by their names in the task's `Objects`.
        plans: for each array of a plan, by its name in `PLAN_PAYLOAD`, its value (T, ...)
            in the plan that was followed at each step; empty if the demonstration has no
            plans.
    """

    episode: int
    dt_s: float
    hand_pos_w: np.ndarray
    hand_quat_wxyz: np.ndarray
    width_m: np.ndarray
    grip: np.ndarray
    mount: np.ndarray
    objects: Mapping[str, ObjectPath]
    plans: Mapping[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.hand_pos_w)


@dataclass(frozen=True)
class Hold:
    """An interval in which the hand holds an object."""

    start: int  # the first step at which the object is held
    stop: int  # the first step after it is let go
    object_name: str


@dataclass(frozen=True)
class Segment:
    """A part of a demonstration that is about one object.

    Attributes:
        start: the segment's first step.
        contact: the first step at which the hand is near the anchor; before it the hand
            is on its way there.
        stop: the step after the segment's last step.
        anchor: the name of the object to which the hand's path is relative.
        carried: the name of the object in the hand; "" for none.
    """

    start: int
    contact: int
    stop: int
    anchor: str
    carried: str = ""
