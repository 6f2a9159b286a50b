"""Suction grippers: cups that hold objects by vacuum."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

from embodied.core import GRIPPER_FRAME, ActionGroup
from embodied.robots.parts.gripper import Gripper


@dataclass(frozen=True, kw_only=True)
class SuctionGripper(Gripper):
    """A gripper with a cup, whose vacuum is released by an actuator of the part's name.

    Its tool centre point is the middle of the lip. In place of a width, it has the share
    of its vacuum that is released: 0 holds, 1 lets go. So for both kinds of gripper, a
    closed one holds and an open one lets go.

    Attributes:
        force_n: the largest pull that it resists, N.
        seal: name of the sensor that counts the points of the lip that touch something.
        lip_points: the number of points of the lip.
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
        """Returns the gripper's part of an action: whether to release the vacuum."""
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
