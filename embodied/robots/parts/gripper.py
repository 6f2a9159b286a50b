"""Grippers with two pads at the end of an arm, and their tool centre points (tcp)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Self

from embodied.core import GRIPPER_FRAME, ActionGroup
from embodied.robots.parts.laws import OpeningLaw
from embodied.robots.parts.part import Effector, Part, TargetLaw
from embodied.sim.engine import Engine

if TYPE_CHECKING:
    from embodied.robots.robot import Robot

# `Gripper.tip_m` and `Gripper.palm_m` of our own robots' hand.
TIP_M = 0.020
PALM_M = 0.032
TCP = Effector(name="tcp", site="tcp", arm="arm", gripper="gripper")


@dataclass(frozen=True, kw_only=True)
class Gripper(Part):
    """A gripper with two pads, driven by an actuator of the part's name.

    Attributes:
        fingers: the joints that move when it opens.
        open_at: (number of fingers,) their positions when it is open, m or rad.
        width_m: the width between the pads when it is open.
        pads: two sites on the inner faces of the pads, towards +y and -y of the tcp;
            their distance is the width. Empty if the fingers' positions add up to the
            width.
        tool: its effector, the tcp.
        tip_m: distance of the closed fingers' tips beyond the tcp.
        palm_m: free height below the palm, measured from 20 mm behind the finger tips;
            a taller object would touch the palm.
    """

    # proprioception shows its opening as `<name>_<reading>`
    reading: ClassVar[str] = "width"

    name: str = "gripper"
    on: str = "arm"
    fingers: tuple[str, ...] = ("finger_left", "finger_right")
    open_at: tuple[float, ...] = (0.04, 0.04)
    width_m: float = 0.08
    pads: tuple[str, ...] = ()
    tool: Effector = field(default=TCP)
    tip_m: float = TIP_M
    palm_m: float = PALM_M

    @property
    def actuators(self) -> tuple[str, ...]:
        return (self.name,)

    @property
    def effector(self) -> Effector:
        return self.tool

    @property
    def open_target(self) -> float:
        """The servo's target for an open gripper; 0 is the target for a closed one."""
        return self.width_m

    def action_group(self, mode: str) -> ActionGroup:
        """Returns the gripper's part of an action: the width between its pads."""
        return ActionGroup(
            self.name,
            labels=("width",),
            unit="m",
            frame=GRIPPER_FRAME,
            low=(0.0,),
            high=(self.width_m,),
        )

    def law(self, mode: str, engine: Engine, robot: Robot, dt_s: float) -> TargetLaw:
        return OpeningLaw(self.open_target, engine)

    def prefixed(self, prefix: str, on: str | None = None) -> Self:
        """Returns the gripper with a prefix before all its names in the model.

        Args:
            prefix: the prefix.
            on: the name of the arm that carries it; None for the same arm with the prefix.
        """
        return replace(
            super().prefixed(prefix, on),
            fingers=tuple(prefix + finger for finger in self.fingers),
            pads=tuple(prefix + pad for pad in self.pads),
            tool=self.tool.prefixed(prefix),
        )

    def summary(self) -> str:
        return "gripper"
