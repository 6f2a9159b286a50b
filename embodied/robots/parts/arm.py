"""Arms: chains of joints that carry a gripper."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Self

from embodied.core import ActionGroup
from embodied.robots.parts.end_effector import EndEffectorLaw
from embodied.robots.parts.laws import PositionLaw, SpeedLaw
from embodied.robots.parts.part import Part, TargetLaw, Vector3, speed_group
from embodied.sim.engine import Engine
from embodied.wording import counted

if TYPE_CHECKING:
    from embodied.robots.robot import Robot

EE_LABELS = ("vx", "vy", "vz", "wx", "wy", "wz")
EE_UNITS = "m/s, m/s, m/s, rad/s, rad/s, rad/s"


@dataclass(frozen=True, kw_only=True)
class Arm(Part):
    """An arm of J revolute joints.

    Attributes:
        reach_m: farthest distance of its tcp from its mount.
        wrist_m: largest distance of its last joints from the hand's axis; 0 if it was
            not measured.
        root_body: the body with the axes of the mode `ee_delta`.
        ee_speed_m_s: full speed of the tcp in the mode `ee_delta`.
        ee_speed_rad_s: full angular speed of the tcp in that mode.
        along_carrier: whether `root_body` is the body that carries the arm, for an arm
            that is tilted on it.
        as_if_at: (3,) m from the robot's mount, the base of an upright arm that reaches
            the same places as this one.
    """

    name: str = "arm"
    on: str = "base"
    reach_m: float = 0.0
    wrist_m: float = 0.0
    root_body: str = "link0"
    ee_speed_m_s: float = 0.6
    ee_speed_rad_s: float = 2.0
    along_carrier: bool = False
    as_if_at: Vector3 = (0.0, 0.0, 0.0)

    @property
    def ee_speeds(self) -> tuple[float, ...]:
        """(6,) full speeds of the effector, m/s and rad/s."""
        return (self.ee_speed_m_s,) * 3 + (self.ee_speed_rad_s,) * 3

    @property
    def is_turned(self) -> bool:
        """Whether the axes of the mode `ee_delta` are rotated against its carrier's."""
        is_mounted_rotated = self.placement.quat_wxyz != (1.0, 0.0, 0.0, 0.0)
        return is_mounted_rotated and not self.along_carrier

    def action_group(self, mode: str) -> ActionGroup:
        """Returns the arm's part of an action in a control mode."""
        if mode == "joint":
            return self.joints.position_group(self.name, "rad", "joint")
        if mode == "joint_delta":
            return self.joints.speed_group(self.name, "rad/s", "joint")
        return speed_group(
            self.name,
            labels=EE_LABELS,
            unit=EE_UNITS,
            frame="mount",
            speeds=self.ee_speeds,
        )

    def law(self, mode: str, engine: Engine, robot: Robot, dt_s: float) -> TargetLaw:
        """Returns the law that turns the arm's actions into joint targets, in `mode`."""
        if mode == "joint":
            return PositionLaw(self.joints, engine, dt_s)
        if mode == "joint_delta":
            return SpeedLaw(self.joints, engine, dt_s)
        return EndEffectorLaw(self, robot.effector_of(self), engine, dt_s)

    def prefixed(self, prefix: str, on: str | None = None) -> Self:
        return replace(super().prefixed(prefix, on), root_body=prefix + self.root_body)

    def summary(self) -> str:
        return f"arm of {counted(len(self.joints), 'joint')}"
