"""Heads with cameras above the robot's arms."""

from __future__ import annotations

from dataclasses import dataclass

from embodied.robots.parts.jointed import JointedPart


@dataclass(frozen=True, kw_only=True)
class Head(JointedPart):
    """A head with its cameras; without joints it does not move."""

    name: str = "head"
    on: str = "torso"

    def summary(self) -> str:
        return "head that turns" if len(self.joints) else self.name
