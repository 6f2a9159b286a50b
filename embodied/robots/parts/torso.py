"""Torsos: parts between a base and the arms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from embodied.robots.parts.jointed import JointedPart


@dataclass(frozen=True, kw_only=True)
class Lift(JointedPart):
    """A column that raises the parts on it."""

    unit: ClassVar[str] = "m"

    name: str = "torso"
    on: str = "base"

    def summary(self) -> str:
        return "lift"


@dataclass(frozen=True, kw_only=True)
class Waist(JointedPart):
    """A joint that tilts the upper body forwards, about the mount's y axis.

    The mount's origin is on that axis, so it stays in place.
    """

    name: str = "waist"
    on: str = "torso"

    def summary(self) -> str:
        return "waist"
