"""`dual_arm`: two arms, a torso with lift and waist, a head, and a base that drives.

It is not a commercial product. The positions of its parts are those of the Franka Mobile
FR3 Duo in MuJoCo Menagerie: the arms lean outwards, at (0.037, +-0.050) m on their
mount. `dual_arm_body` has the figures of the torso and the head, `wheeled_base` those of
the base, and `franka` those of arms and hands.
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

# (7,) rad, the left arm's home: its tcp is where `arm` has it at home, pointing down.
LEFT_HOME = (0.2620, -0.3555, -0.0158, -2.4165, 0.9656, 1.8910, 0.0823)
# The position of joint 7 that is its own mirror image, as the hand is mounted on the
# flange at 45 degrees.
MIDDLE_JOINT_7_RAD = 0.7853981634
# (3,) m from the waist, the base of an upright arm with its shoulder at the left arm's
# shoulder; it would reach the same places.
LEFT_AS_IF_AT: Vector3 = (0.1201, 0.2976, 0.0236)


def _arm_and_hand(side: str) -> tuple[Arm, Gripper]:
    """Returns the arm of a side, `left` or `right`, and its gripper."""
    x, y, z = ARM_POS
    pos: Vector3 = (x, y, z)
    quat: Quaternion = ARM_QUAT_WXYZ
    home = LEFT_HOME
    as_if_at = LEFT_AS_IF_AT
    if side == "right":
        # mirror the left arm at the plane y = 0, where joints 1, 3, 5 and 7 turn the other
        # way
        w, i, j, k = quat
        quat = (w, -i, j, -k)
        pos = (x, -y, z)
        as_if_at = (as_if_at[0], -as_if_at[1], as_if_at[2])
        q1, q2, q3, q4, q5, q6, q7 = home
        home = (-q1, q2, -q3, q4, -q5, q6, 2 * MIDDLE_JOINT_7_RAD - q7)

    arm = franka_arm(placement=Placement(pos=pos, quat_wxyz=quat))
    arm = replace(arm, joints=replace(arm.joints, home=home))
    arm = arm.prefixed(f"{side}_", on="waist")
    # the mode `ee_delta` has the chest's axes, not those of the tilted base plate
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
