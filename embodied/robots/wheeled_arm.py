"""`wheeled_arm`: the arm of `arm` on a base that drives, with a lift and a head."""

from __future__ import annotations

from embodied.robots.franka.arm import franka_arm
from embodied.robots.franka.hand import franka_hand
from embodied.robots.robot import Robot
from embodied.robots.wheeled_base import head, lift, wheeled_base

WHEELED_ARM = Robot(
    name="wheeled_arm",
    parts=(
        wheeled_base(),
        lift(),
        head(),
        franka_arm(on="torso"),
        franka_hand(),
    ),
)
