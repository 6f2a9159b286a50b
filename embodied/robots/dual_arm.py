"""`dual_arm`: two arms on a torso that bows, a head that turns, and a base that drives.

It is no product that one can buy. Where its parts are is taken from the Franka Mobile
FR3 Duo, as MuJoCo Menagerie has it: the arms lean outwards, at (0.037, +-0.050) m of
their mount. `dual_arm_body` has the figures of the torso and the head, `wheeled_base`
those of the base, and `franka` those of arms and hands.
"""

from __future__ import annotations

from dataclasses import replace

from embodied.robots.dual_arm_body import (
    ARM_POS,
    ARM_QUAT_WXYZ,
    WAIST_LOW_M,
    torso_lift,
    turning_head,
    waist,
)
from embodied.robots.franka.arm import franka_arm
from embodied.robots.franka.hand import franka_hand
from embodied.robots.parts.arm import Arm
from embodied.robots.parts.gripper import Gripper
from embodied.robots.parts.part import Placement, Quaternion, Vector3
from embodied.robots.robot import Robot
from embodied.robots.wheeled_base import wheeled_base

# (7,) rad, of the left arm: its tool point where that of `arm` is at home, pointing down.
LEFT_HOME = (0.2620, -0.3555, -0.0158, -2.4165, 0.9656, 1.8910, 0.0823)
# The hand is mounted on the flange by 45 degrees: where joint 7 mirrors itself, rad.
MIDDLE_JOINT_7_RAD = 0.7853981634
# From the waist: below the left shoulder's centre by as much as the base plate of an
# upright arm is below its own. An arm that stood there would reach the same places.
LEFT_AS_IF_AT: Vector3 = (0.1201, 0.2976, 0.0236)


def _arm_and_hand(side: str) -> tuple[Arm, Gripper]:
    """Returns the arm of a side, `left` or `right`, and its gripper."""
    x, y, z = ARM_POS
    pos: Vector3 = (x, y, z)
    quat: Quaternion = ARM_QUAT_WXYZ
    home = LEFT_HOME
    as_if_at = LEFT_AS_IF_AT
    if side == "right":
        # mirrored at the plane y = 0
        w, i, j, k = quat
        quat = (w, -i, j, -k)
        pos = (x, -y, z)
        as_if_at = (as_if_at[0], -as_if_at[1], as_if_at[2])
        q1, q2, q3, q4, q5, q6, q7 = home
        home = (-q1, q2, -q3, q4, -q5, q6, 2 * MIDDLE_JOINT_7_RAD - q7)

    arm = franka_arm(placement=Placement(pos=pos, quat_wxyz=quat))
    arm = replace(arm, joints=replace(arm.joints, home=home))
    arm = arm.prefixed(f"{side}_", on="waist")
    # commands of the mode `ee_delta` are along the chest's axes, not the tilted plate's
    arm = replace(arm, root_body="waist", along_carrier=True, as_if_at=as_if_at)
    return arm, franka_hand().prefixed(f"{side}_")


DUAL_ARM = Robot(
    name="dual_arm",
    parts=(
        replace(wheeled_base(), mount_pos_w=(0.0, 0.0, WAIST_LOW_M)),
        torso_lift(),
        waist(),
        turning_head(),
        *_arm_and_hand("left"),
        *_arm_and_hand("right"),
    ),
)
