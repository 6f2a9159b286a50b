"""Robots: models built from published figures, and the actions that each one offers.

What a robot of one's own is composed of can be imported from here:
`from embodied.robots import Robot, franka_arm`. Nothing is loaded before it is asked
for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from embodied.lazy import lazy_exports

if TYPE_CHECKING:
    from embodied.robots.arm import ARM, pedestal
    from embodied.robots.described.robot import load_robot
    from embodied.robots.dual_arm import DUAL_ARM
    from embodied.robots.franka.arm import franka_arm
    from embodied.robots.franka.hand import franka_hand
    from embodied.robots.parts.arm import Arm
    from embodied.robots.parts.base import FixedBase, OmnidirectionalBase
    from embodied.robots.parts.gripper import Gripper
    from embodied.robots.parts.head import Head
    from embodied.robots.parts.part import Effector, Joints, Part, Placement
    from embodied.robots.parts.suction import SuctionGripper
    from embodied.robots.parts.torso import Lift, Waist
    from embodied.robots.robot import Robot, team
    from embodied.robots.suction import suction_gripper
    from embodied.robots.wheeled_arm import WHEELED_ARM
    from embodied.robots.wheeled_base import head, lift, wheeled_base

_EXPORTS = {
    "embodied.robots.arm": ("ARM", "pedestal"),
    "embodied.robots.described.robot": ("load_robot",),
    "embodied.robots.dual_arm": ("DUAL_ARM",),
    "embodied.robots.franka.arm": ("franka_arm",),
    "embodied.robots.franka.hand": ("franka_hand",),
    "embodied.robots.parts.arm": ("Arm",),
    "embodied.robots.parts.base": ("FixedBase", "OmnidirectionalBase"),
    "embodied.robots.parts.gripper": ("Gripper",),
    "embodied.robots.parts.head": ("Head",),
    "embodied.robots.parts.part": ("Effector", "Joints", "Part", "Placement"),
    "embodied.robots.parts.suction": ("SuctionGripper",),
    "embodied.robots.parts.torso": ("Lift", "Waist"),
    "embodied.robots.robot": ("Robot", "team"),
    "embodied.robots.suction": ("suction_gripper",),
    "embodied.robots.wheeled_arm": ("WHEELED_ARM",),
    "embodied.robots.wheeled_base": ("head", "lift", "wheeled_base"),
}

__all__ = [
    "ARM",
    "DUAL_ARM",
    "WHEELED_ARM",
    "Arm",
    "Effector",
    "FixedBase",
    "Gripper",
    "Head",
    "Joints",
    "Lift",
    "OmnidirectionalBase",
    "Part",
    "Placement",
    "Robot",
    "SuctionGripper",
    "Waist",
    "franka_arm",
    "franka_hand",
    "head",
    "lift",
    "load_robot",
    "pedestal",
    "suction_gripper",
    "team",
    "wheeled_base",
]

__getattr__, __dir__ = lazy_exports(globals(), _EXPORTS)
