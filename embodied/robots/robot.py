"""An embodiment: how to build it, and the names and limits by which the rest addresses it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco

from embodied.core import ActionGroup, ActionInterface

CONTROL_MODES = ("joint", "joint_delta", "ee_delta")


@dataclass(frozen=True)
class Robot:
    """An arm with a parallel gripper, as plain data. Its `build` gives a spec whose keyframe 0 is home."""

    name: str
    build: Callable[[], mujoco.MjSpec]
    joints: tuple[str, ...]  # names of the J arm joints; their position actuators have the same names
    joint_range: tuple[tuple[float, float], ...]  # (J, 2) rad
    joint_speed: tuple[float, ...]  # (J,) rad/s
    home: tuple[float, ...]  # (J,) rad
    mount_pos_w: tuple[float, float, float]  # where the base plate stands in the world, m
    root_body: str = "stand"
    gripper_actuator: str = "gripper"  # its ctrl is a width in m
    gripper_joints: tuple[str, ...] = ("finger_left", "finger_right")  # their positions add up to the width
    gripper_width_m: float = 0.08
    tcp_site: str = "tcp"
    cameras: tuple[str, ...] = ("wrist",)
    ee_speed_m_s: float = 0.6
    ee_speed_rad_s: float = 2.0

    def interface(self, mode: str) -> ActionInterface:
        """What the numbers of an action mean in one of CONTROL_MODES."""
        gripper = ActionGroup("gripper", ("width",), "m", "gripper", (0.0,), (self.gripper_width_m,))
        return ActionInterface(mode, (self._arm_group(mode), gripper))

    def _arm_group(self, mode: str) -> ActionGroup:
        if mode == "joint":
            low, high = zip(*self.joint_range, strict=True)
            return ActionGroup("arm", self.joints, "rad", "joint", low, high)
        if mode == "joint_delta":
            return ActionGroup(
                "arm", self.joints, "rad/s", "joint", tuple(-v for v in self.joint_speed), self.joint_speed
            )
        if mode == "ee_delta":
            speed = (self.ee_speed_m_s,) * 3 + (self.ee_speed_rad_s,) * 3
            labels = ("vx", "vy", "vz", "wx", "wy", "wz")
            return ActionGroup("arm", labels, "m/s, rad/s", "world", tuple(-v for v in speed), speed)
        raise ValueError(f"Control mode {mode!r} not found. Available: {list(CONTROL_MODES)}")
