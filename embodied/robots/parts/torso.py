"""Torsos: what lies between a base and the arms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from embodied.robots.parts.jointed import JointedPart


@dataclass(frozen=True, kw_only=True)
class Lift(JointedPart):
    """A column that raises what it carries, along the vertical."""

    unit: ClassVar[str] = "m"

    name: str = "torso"
    on: str = "base"

    def summary(self) -> str:
        return "lift"


@dataclass(frozen=True, kw_only=True)
class Waist(JointedPart):
    """A joint that bows the upper body: it turns about the mount's y axis.

    The mount is on that axis, so that bowing turns it and leaves it where it is.
    """

    name: str = "waist"
    on: str = "torso"

    def summary(self) -> str:
        return "waist"
