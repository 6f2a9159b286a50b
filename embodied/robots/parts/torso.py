"""Torsos: what lies between a base and the arms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from embodied.core import ActionGroup
from embodied.robots.parts.laws import PositionLaw, SpeedLaw
from embodied.robots.parts.part import Part, TargetLaw
from embodied.sim.engine import Engine

if TYPE_CHECKING:
    from embodied.robots.robot import Robot


@dataclass(frozen=True, kw_only=True)
class Lift(Part):
    """A column that raises what it carries, along the vertical."""

    name: str = "torso"
    on: str = "base"

    def action_group(self, mode: str) -> ActionGroup:
        if mode == "joint":
            return self.joints.position_group(self.name, "m", "joint")
        return self.joints.speed_group(self.name, "m/s", "joint")

    def law(self, mode: str, engine: Engine, robot: Robot, dt_s: float) -> TargetLaw:
        if mode == "joint":
            return PositionLaw(self.joints, engine, dt_s)
        return SpeedLaw(self.joints, engine, dt_s)

    def summary(self) -> str:
        return "lift"
