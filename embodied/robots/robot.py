"""An embodiment: how to build it, and the names and limits by which the rest addresses
it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco

from embodied.core import ActionGroup, ActionInterface

CONTROL_MODES = ("joint", "joint_delta", "ee_delta")
Ranges = tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class Robot:
    """An arm with a parallel gripper, on a stand or on a driving base with a lift, as
    plain data.

    `build` gives a spec whose keyframe 0 is home. Every joint but the fingers has a
    position servo of its own name. The mount is where the arm is bolted on: its pose in
    the world is (base_x, base_y, height of the mount, base_yaw).
    """

    name: str
    build: Callable[[], mujoco.MjSpec]
    joints: tuple[str, ...]  # of the arm, J of them
    joint_range: Ranges  # (J, 2) rad
    joint_speed: tuple[float, ...]  # (J,) rad/s
    home: tuple[float, ...]  # (J,) rad
    # of the mount in the world with base and lift at 0, m
    mount_pos_w: tuple[float, float, float]
    root_body: str = "stand"
    # the arm's first body, whose axes are those of `ee_delta`
    mount_body: str = "link0"
    gripper_actuator: str = "gripper"  # its ctrl is a width in m
    # their positions add up to the width
    gripper_joints: tuple[str, ...] = ("finger_left", "finger_right")
    gripper_width_m: float = 0.08
    tcp_site: str = "tcp"
    cameras: tuple[str, ...] = ("wrist",)
    ee_speed_m_s: float = 0.6
    ee_speed_rad_s: float = 2.0
    # x and y along the world's axes, yaw; none where the robot does not drive
    base_joints: tuple[str, ...] = ()
    base_range: Ranges = ()  # m, m, rad
    base_speed: tuple[float, ...] = ()  # m/s, m/s, rad/s
    torso_joints: tuple[str, ...] = ()  # a lift, along z
    torso_range: Ranges = ()  # m
    torso_speed: tuple[float, ...] = ()  # m/s
    torso_home: tuple[float, ...] = ()  # m

    @property
    def drives(self) -> bool:
        """Whether it has a base that moves."""
        return bool(self.base_joints)

    @property
    def all_joints(self) -> tuple[str, ...]:
        """Base, torso and arm: the order of joint positions and targets."""
        return (*self.base_joints, *self.torso_joints, *self.joints)

    def interface(self, mode: str) -> ActionInterface:
        """What the numbers of an action mean in one of CONTROL_MODES."""
        if mode not in CONTROL_MODES:
            raise ValueError(
                f"Control mode {mode!r} not found. Available: {list(CONTROL_MODES)}"
            )
        body = (
            [self._base_group(mode), self._torso_group(mode)]
            if self.base_joints
            else []
        )
        gripper = ActionGroup(
            "gripper", ("width",), "m", "gripper", (0.0,), (self.gripper_width_m,)
        )
        return ActionInterface(mode, (*body, self._arm_group(mode), gripper))

    def _base_group(self, mode: str) -> ActionGroup:
        if mode == "joint":
            return _positions(
                "base", ("x", "y", "yaw"), "m, m, rad", "world", self.base_range
            )
        return _speeds(
            "base", ("vx", "vy", "wz"), "m/s, m/s, rad/s", "base", self.base_speed
        )

    def _torso_group(self, mode: str) -> ActionGroup:
        if mode == "joint":
            return _positions(
                "torso", self.torso_joints, "m", "joint", self.torso_range
            )
        return _speeds("torso", self.torso_joints, "m/s", "joint", self.torso_speed)

    def _arm_group(self, mode: str) -> ActionGroup:
        if mode == "joint":
            return _positions("arm", self.joints, "rad", "joint", self.joint_range)
        if mode == "joint_delta":
            return _speeds("arm", self.joints, "rad/s", "joint", self.joint_speed)
        speed = (self.ee_speed_m_s,) * 3 + (self.ee_speed_rad_s,) * 3
        return _speeds(
            "arm",
            ("vx", "vy", "vz", "wx", "wy", "wz"),
            ", ".join(["m/s"] * 3 + ["rad/s"] * 3),
            "mount",
            speed,
        )


def _positions(
    name: str, labels: tuple[str, ...], unit: str, frame: str, ranges: Ranges
) -> ActionGroup:
    low, high = zip(*ranges, strict=True)
    return ActionGroup(name, labels, unit, frame, low, high)


def _speeds(
    name: str, labels: tuple[str, ...], unit: str, frame: str, speed: tuple[float, ...]
) -> ActionGroup:
    return ActionGroup(name, labels, unit, frame, tuple(-v for v in speed), speed)
