"""Parts with one action element per joint."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from embodied.core import ActionGroup
from embodied.robots.parts.laws import PositionLaw, SpeedLaw
from embodied.robots.parts.part import Part, TargetLaw
from embodied.sim.engine import Engine

if TYPE_CHECKING:
    from embodied.robots.robot import Robot


@dataclass(frozen=True, kw_only=True)
class JointedPart(Part):
    """A part that takes positions in the mode `joint`, and speeds in the delta modes."""

    unit: ClassVar[str] = "rad"  # of the joints' positions

    def action_group(self, mode: str) -> ActionGroup | None:
        """Returns the part's share of an action in a control mode; None without joints."""
        if not len(self.joints):
            return None
        if mode == "joint":
            return self.joints.position_group(self.name, self.unit, "joint")
        return self.joints.speed_group(self.name, f"{self.unit}/s", "joint")

    def law(self, mode: str, engine: Engine, robot: Robot, dt_s: float) -> TargetLaw:
        if mode == "joint":
            return PositionLaw(self.joints, engine, dt_s)
        return SpeedLaw(self.joints, engine, dt_s)
