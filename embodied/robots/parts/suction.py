"""Suction grippers: a cup that holds by vacuum what its lip lies on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from embodied.core import GRIPPER_FRAME, ActionGroup
from embodied.robots.parts.gripper import Gripper


@dataclass(frozen=True, kw_only=True)
class SuctionGripper(Gripper):
    """A gripper with a cup, whose vacuum an actuator of the part's name lets off.

    Its tool centre point is the middle of the lip. Where fingers have a width, it has
    the share of its vacuum that is let off: 0 holds, 1 releases. So a closed gripper
    holds and an open one lets go, whichever it is.

    Attributes:
        force_n: up to which pull it holds, N.
        seal: the sensor that counts the points of the lip that touch something.
        lip_points: how many points the lip has.
    """

    reading: ClassVar[str] = "vacuum"

    fingers: tuple[str, ...] = ()
    open_at: tuple[float, ...] = ()
    width_m: float = 0.0
    tip_m: float = 0.0
    palm_m: float = 0.0
    force_n: float
    seal: str
    lip_points: int

    @property
    def open_target(self) -> float:
        return 1.0

    def action_group(self, mode: str) -> ActionGroup:
        return ActionGroup(
            self.name,
            labels=("release",),
            unit="1",
            frame=GRIPPER_FRAME,
            low=(0.0,),
            high=(self.open_target,),
        )

    def prefixed(self, prefix: str, on: str | None = None) -> Self:
        return replace(super().prefixed(prefix, on), seal=prefix + self.seal)

    def summary(self) -> str:
        return "suction gripper"
