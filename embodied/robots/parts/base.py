"""Bases of robots: stands, and bases that drive.

A new kind of base is one more class here, derived from `Base`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import mujoco
import numpy as np

from embodied.core import ActionGroup, Array
from embodied.robots.parts.laws import PositionLaw, SpeedLaw
from embodied.robots.parts.part import Part, TargetLaw, Vector3
from embodied.sim.engine import Engine

if TYPE_CHECKING:
    from embodied.robots.robot import Robot

YAW = 2  # index of yaw among the joints of a base that travels


@dataclass(frozen=True, kw_only=True)
class Base(Part, ABC):
    """The interface of all bases.

    Attributes:
        travels: whether it can drive.
        root_body: name of the body that carries the whole robot.
        mount_pos_w: (3,) m, the mount's world position with all joints of base and torso
            at 0.
    """

    travels: ClassVar[bool] = False

    name: str = "base"
    root_body: str = "base"
    mount_pos_w: Vector3 = (0.0, 0.0, 0.0)

    @property
    def has_own_axes(self) -> bool:
        """Whether the mount's axes may differ from those of the world."""
        return self.travels

    @abstractmethod
    def mount_pose(self, xp: Any, joint_pos: Array, lift_m: Array) -> Array:
        """Returns (n, 4) x, y, z in m and yaw in rad of the mount, in the world.

        Args:
            xp: the array namespace.
            joint_pos: (n, J) positions of the base's own joints.
            lift_m: (n,) height by which a torso lifts the mount; the float 0.0 without
                a torso.
        """

    @abstractmethod
    def placed(self, place: Vector3) -> Self:
        """Returns the same base at another place: x, y in m and yaw in rad."""

    def prefixed(self, prefix: str, on: str | None = None) -> Self:
        return replace(super().prefixed(prefix, on), root_body=prefix + self.root_body)


@dataclass(frozen=True, kw_only=True)
class FixedBase(Base):
    """A stand at a fixed place.

    Attributes:
        yaw_rad: its rotation about the vertical.
    """

    root_body: str = "stand"
    yaw_rad: float = 0.0

    @property
    def has_own_axes(self) -> bool:
        return self.yaw_rad != 0.0

    def add_to(self, spec: mujoco.MjSpec, mount: mujoco.MjsBody) -> mujoco.MjsBody:
        """Adds the base below the robot's mount, and stands it at its place."""
        body = super().add_to(spec, mount)
        body.pos = list(self.mount_pos_w)
        if self.yaw_rad:
            body.quat = [np.cos(self.yaw_rad / 2), 0, 0, np.sin(self.yaw_rad / 2)]
        return body

    def mount_pose(self, xp: Any, joint_pos: Array, lift_m: Array) -> Array:
        """Returns the pose (N, 4) of the mount: x, y, z in m and yaw in rad.

        Only a torso that lifts the mount by `lift_m` can move it.
        """
        place = [*self.mount_pos_w, self.yaw_rad]
        fixed = xp.asarray(place, dtype=joint_pos.dtype)
        pose = xp.broadcast_to(fixed, (joint_pos.shape[0], 4))
        if isinstance(lift_m, float):  # there is no torso
            return pose
        return pose + lift_m[:, None] * xp.asarray([0.0, 0.0, 1.0, 0.0])

    def placed(self, place: Vector3) -> Self:
        x, y, yaw_rad = place
        height_m = self.mount_pos_w[2]
        return replace(self, mount_pos_w=(x, y, height_m), yaw_rad=yaw_rad)

    def summary(self) -> str:
        return "fixed stand"


@dataclass(frozen=True, kw_only=True)
class OmnidirectionalBase(Base):
    """A base that drives in every direction, with joints x and y in the world, and yaw.

    The joints' positions are the mount's pose in the world. Actions are absolute
    positions in the mode `joint`, and speeds along the base's own axes in the others.
    """

    travels: ClassVar[bool] = True

    def action_group(self, mode: str) -> ActionGroup:
        """Returns the base's part of an action: a pose in the world, or speeds."""
        if mode == "joint":
            named = replace(self.joints, labels=("x", "y", "yaw"))
            return named.position_group(self.name, "m, m, rad", "world")
        named = replace(self.joints, labels=("vx", "vy", "wz"))
        return named.speed_group(self.name, "m/s, m/s, rad/s", "base")

    def law(self, mode: str, engine: Engine, robot: Robot, dt_s: float) -> TargetLaw:
        if mode == "joint":
            return PositionLaw(self.joints, engine, dt_s)
        return SpeedLaw(self.joints, engine, dt_s, to_joint_axes=_heading_to_world)

    def mount_pose(self, xp: Any, joint_pos: Array, lift_m: Array) -> Array:
        x = joint_pos[:, 0]
        # adding zeros gives the height the shape (n,), even if `lift_m` is a number
        height = self.mount_pos_w[2] + lift_m + xp.zeros_like(x)
        return xp.stack([x, joint_pos[:, 1], height, joint_pos[:, YAW]], axis=1)

    def placed(self, place: Vector3) -> Self:
        return replace(self, joints=replace(self.joints, home=place))

    def summary(self) -> str:
        return "omnidirectional base"


def _heading_to_world(xp: Any, moves: Array, measured: Array) -> Array:
    """Returns moves (N, 3) of the joints x, y and yaw for moves along the base's axes.

    The joints x and y move along the world's axes; the base's axes are rotated by yaw.

    Args:
        xp: the array namespace.
        moves: (N, 3) forward and left in m, and yaw in rad.
        measured: (N, 3) the joints' positions.
    """
    yaw = measured[:, YAW]
    cos = xp.cos(yaw)
    sin = xp.sin(yaw)
    forward = moves[:, 0]
    left = moves[:, 1]
    x = cos * forward - sin * left
    y = sin * forward + cos * left
    return xp.concat([xp.stack([x, y], axis=1), moves[:, 2:]], axis=1)
