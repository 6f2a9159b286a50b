"""Grippers: what opens and closes at the end of an arm, and its tool point."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Self

from embodied.core import GRIPPER_FRAME, ActionGroup
from embodied.robots.parts.laws import WidthLaw
from embodied.robots.parts.part import Effector, Part, TargetLaw
from embodied.sim.engine import Engine

if TYPE_CHECKING:
    from embodied.robots.robot import Robot

TCP = Effector(name="tcp", site="tcp", arm="arm", gripper="gripper")


@dataclass(frozen=True, kw_only=True)
class Gripper(Part):
    """A parallel gripper, driven by an actuator of the part's name.

    Attributes:
        fingers: joints whose positions add up to the width between the pads.
        open_m: (number of fingers,) their positions when it is open; 0 is closed.
        tool: its tool centre point.
    """

    name: str = "gripper"
    on: str = "arm"
    fingers: tuple[str, ...] = ("finger_left", "finger_right")
    open_m: tuple[float, ...] = (0.04, 0.04)
    tool: Effector = field(default=TCP)

    @property
    def width_m(self) -> float:
        """The width between the pads when it is open."""
        return sum(self.open_m)

    @property
    def actuators(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def effector(self) -> Effector:
        return self.tool

    def action_group(self, mode: str) -> ActionGroup:
        return ActionGroup(
            self.name,
            labels=("width",),
            unit="m",
            frame=GRIPPER_FRAME,
            low=(0.0,),
            high=(self.width_m,),
        )

    def law(self, mode: str, engine: Engine, robot: Robot, dt_s: float) -> TargetLaw:
        return WidthLaw(self.width_m, engine)

    def prefixed(self, prefix: str, on: str | None = None) -> Self:
        return replace(
            super().prefixed(prefix, on),
            fingers=tuple(prefix + finger for finger in self.fingers),
            tool=self.tool.prefixed(prefix),
        )

    def summary(self) -> str:
        return "gripper"
