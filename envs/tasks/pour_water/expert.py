"""The scripted planner of PourWater: takes the bottle, pours, and tilts it back.

It decides from the present state alone: it tilts the bottle further while nothing
flows, waits while water flows, and tilts it back when enough is in the glass or on its
way. So what was too little is poured after.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array, Payload
from embodied.envs.skills.scripted import (
    Readings,
    Row,
    completion_of,
    is_skill,
    last_row,
    make_payload,
    with_z,
)
from embodied.envs.tasks.pour_water.facts import GRIP_BEFORE_M, GRIP_Z_M
from embodied.envs.tasks.pour_water.scene import BOTTLE_SIZE, CUP_SIZE, TABLE
from embodied.rotations import (
    cross,
    quat_from_rotvec,
    quat_from_yaw,
    quat_multiply,
    quat_to_rot6d,
)

ORDER = ("reach", "grasp", "lift", "carry", "pour", "retreat")
# The rotation of a hand that points along x, its camera up and its fingers level.
POINTING_AHEAD = (0.0, np.sqrt(0.5), 0.0, np.sqrt(0.5))
# The way the hand points while it pours, rad: to the left and a little ahead. The bottle
# is then tilted ahead, away from the robot.
POUR_YAW = 1.2
POUR_WAY = (float(np.sin(POUR_YAW)), -float(np.cos(POUR_YAW)), 0.0)
# How far before the bottle the hand waits.
STANDOFF_M = 0.12
# How much higher it is until it points the right way.
ABOVE_M = 0.16
# The largest error of the hand beside the grip to go in, and to close.
NEAR_M = 0.012
ON_M = 0.007
ALIGNED_COS = float(np.cos(0.10))
# A gripper holds the bottle if its width is at most this much below or above the
# bottle's, and the hand no farther than this from the grip.
WIDTH_M = 2 * BOTTLE_SIZE.outer_half_width
NARROWER_M = 0.006
WIDER_M = 0.003
IN_HAND_M = 0.03
# The height of the grip to travel, and how much lower it may be and still travel.
TRAVEL_Z_W = TABLE.top_z + GRIP_Z_M + 0.06
SAG_M = 0.03
# Where the bottle's lip is while water flows: before the middle of the glass, and above
# its rim.
LIP_BEFORE_M = 0.018
LIP_ABOVE_M = 0.030
# Below this tilt nothing flows: the hand stays where it will be at this one.
DRY_RAD = 1.15
# With FEW grains in the bottle or less nothing flows below this tilt, with MORE_THAN_FEW
# below DRY_RAD.
DRY_OF_FEW_RAD = 1.45
FEW = 40.0
MORE_THAN_FEW = 50.0
CLEAR_M = 0.05
# The largest error of the hand for pouring.
OVER_M = 0.02
# How far the tilt's goal is ahead of the bottle: while it is dry, while nothing flows,
# and on the way back.
TIP_RAD = 0.30
DROP_RAD = 0.06
BACK_RAD = 0.70
MOST_RAD = 2.3
# So many missing grains are many; then so many may be in the air, and one at the end.
# Where there are more, the bottle is tilted back by so much.
MANY = 16.0
MOST_IN_AIR = 2.0
THROTTLE_RAD = 0.12
# How many grains follow each one that is in the air, and how far the bottle is tilted
# back where they would be too many.
FOLLOWING = 4.0
PAUSE_RAD = 0.55
# The bottle goes back when so many grains are missing.
STOP_BEFORE = 2.0


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand, bottle, glass and water in n worlds."""

    tcp: Array  # (n, 3) m
    grip: Array  # (n, 3) m, where the hand takes the bottle
    ahead: Array  # (n, 3) the way the hand goes in
    tilt: Array  # (n,) rad, of the bottle towards the glass
    dry: Array  # (n,) rad, the tilt below which nothing flows
    over: Array  # (n, 3) m, where the hand pours at this tilt
    # (n,) bool each
    is_held: Array
    is_low: Array  # too low to be carried
    is_aligned: Array  # the hand points as it goes in
    is_near: Array  # the hand is before the bottle, so that it may go in
    is_on: Array  # at the grip, so that the fingers may close
    is_over: Array  # the bottle is where it pours
    is_enough: Array  # in the glass, with what is on its way
    # (n,) grains
    missing: Array  # until it is enough
    in_air: Array


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds."""
    facts = _facts(xp, agent, state)

    # the tilt to go to, and where the hand pours with it
    pours = facts.is_held & facts.is_over & ~facts.is_enough
    # the less is missing, the slower the bottle is tilted, and the less may be in the air
    share = xp.clip(facts.missing / MANY, 0.0, 1.0)
    step = DROP_RAD * (0.4 + 0.6 * share)
    step = xp.where(facts.tilt < facts.dry, TIP_RAD, step)
    step = xp.where(facts.in_air > 0.5, 0.0, step)
    step = xp.where(facts.in_air > 1.0 + MOST_IN_AIR * share, -THROTTLE_RAD, step)
    # what flows now goes on while the bottle is tilted back
    is_coming = facts.missing < FOLLOWING * facts.in_air
    step = xp.where(is_coming, -PAUSE_RAD, step)
    tilt = xp.where(pours, facts.tilt + step, facts.tilt - BACK_RAD)
    tilt = xp.where(facts.is_held, xp.clip(tilt, 0.0, MOST_RAD), 0.0)
    skill, pos = _choose(xp, facts, pours, _pouring_w(xp, state["cup_pos_w"], tilt))

    # the hand goes in as the bottle is turned, and pours straight ahead
    yaw = xp.where(facts.is_held, POUR_YAW, _bottle_yaw(xp, state["bottle_rot6d"]))
    is_closing = facts.is_held | is_skill(skill, "grasp") & facts.is_on
    return make_payload(
        skill=skill,
        pos_w=pos,
        quat_wxyz=_hand_quat(xp, yaw, tilt),
        gripper=xp.where(is_closing, -1.0, 1.0),
        completion=completion_of(xp, ORDER, skill),
    )


def _facts(xp: Any, agent: Readings, state: Readings) -> ExpertFacts:
    """Returns the facts of an observation."""
    tcp = agent["tcp_pos_w"]
    bottle = state["bottle_pos_w"]
    rot6d = state["bottle_rot6d"]
    cup = state["cup_pos_w"]
    up = cross(rot6d[:, :3], rot6d[:, 3:])
    yaw = _bottle_yaw(xp, rot6d)
    ahead = xp.stack([xp.cos(yaw), xp.sin(yaw), xp.zeros_like(yaw)], axis=1)
    grip = bottle + GRIP_Z_M * up - GRIP_BEFORE_M * ahead
    tilt = xp.atan2(dot(up, xp.asarray(POUR_WAY)), up[:, 2])
    over = _pouring_w(xp, cup, tilt)

    width = agent["gripper_width"][:, 0]
    is_closed = (width > WIDTH_M - NARROWER_M) & (width < WIDTH_M + WIDER_M)
    error = tcp - grip
    along = dot(error, ahead)
    beside = error - along[:, None] * ahead
    beside_m = xp.sqrt(dot(beside, beside))
    wanted = quat_to_rot6d(_hand_quat(xp, yaw, xp.zeros_like(yaw)))
    x_cos = dot(agent["tcp_rot6d"][:, :3], wanted[:, :3])
    y_cos = dot(agent["tcp_rot6d"][:, 3:], wanted[:, 3:])
    is_aligned = (x_cos > ALIGNED_COS) & (y_cos > ALIGNED_COS)

    is_held = is_closed & (xp.sqrt(dot(error, error)) < IN_HAND_M)
    off = (tcp - over)[:, :2]
    coming = state["in_cup"][:, 0] + state["in_air"][:, 0]
    missing = state["mark"][:, 0] - STOP_BEFORE - coming
    gone = (MORE_THAN_FEW - state["in_bottle"][:, 0]) / (MORE_THAN_FEW - FEW)
    dry = DRY_RAD + (DRY_OF_FEW_RAD - DRY_RAD) * xp.clip(gone, 0.0, 1.0)
    return ExpertFacts(
        tcp=tcp,
        grip=grip,
        ahead=ahead,
        tilt=tilt,
        dry=dry,
        over=over,
        is_held=is_held,
        is_low=tcp[:, 2] < TRAVEL_Z_W - SAG_M,
        is_aligned=is_aligned,
        is_near=(beside_m < NEAR_M) & is_aligned,
        is_on=(beside_m < ON_M) & (xp.abs(along) < ON_M) & is_aligned,
        is_over=xp.sqrt(dot(off, off)) < OVER_M,
        is_enough=missing <= 0.0,
        missing=missing,
        in_air=state["in_air"][:, 0],
    )


def _choose(
    xp: Any, facts: ExpertFacts, pours: Array, pouring_w: Array
) -> tuple[Array, Array]:
    """Returns skill (n,), an index into SKILLS, and where the TCP goes (n, 3) m.

    Args:
        xp: The array namespace.
        facts: The facts.
        pours: (n,) bool, the bottle is tilted.
        pouring_w: (n, 3) m, where the hand pours at the tilt that it goes to.
    """
    held = facts.is_held
    before = facts.grip - STANDOFF_M * facts.ahead
    above = before + xp.asarray([0.0, 0.0, ABOVE_M])
    travel_z = xp.full_like(facts.tcp[:, 2], TRAVEL_Z_W)
    rows = [  # the last that applies wins
        Row("reach", when=~held, goal_w=above),
        Row("reach", when=~held & facts.is_aligned, goal_w=before),
        Row("grasp", when=~held & facts.is_near, goal_w=facts.grip),
        Row("lift", when=held & facts.is_low, goal_w=with_z(xp, facts.tcp, travel_z)),
        Row("carry", when=held & ~facts.is_low, goal_w=pouring_w),
        Row("pour", when=pours, goal_w=pouring_w),
        Row("retreat", when=held & facts.is_enough, goal_w=pouring_w),
    ]
    return last_row(xp, rows, otherwise_w=before)


def _pouring_w(xp: Any, cup_w: Array, tilt: Array) -> Array:
    """Returns where the hand is (n, 3) m, with the bottle's lip over the glass.

    Args:
        xp: The array namespace.
        cup_w: (n, 3) m, of the glass's underside.
        tilt: (n,) rad, of the bottle; below DRY_RAD it does not matter.
    """
    wet = xp.where(tilt > DRY_RAD, tilt, DRY_RAD)
    cos = xp.cos(wet)
    sin = xp.sin(wet)
    # from the hand to the lip: along the bottle, and across it
    along = BOTTLE_SIZE.height - GRIP_Z_M
    across = BOTTLE_SIZE.mouth_half_width
    # upright it stays clear of the glass
    clear = CLEAR_M * xp.clip(1.0 - tilt / DRY_RAD, 0.0, 1.0)
    behind = LIP_BEFORE_M + clear + along * sin + across * cos
    z = CUP_SIZE.height + LIP_ABOVE_M - (along * cos - across * sin)
    # the hand is a little behind the bottle's middle, too, as seen along its fingers
    ahead = xp.asarray([float(np.cos(POUR_YAW)), float(np.sin(POUR_YAW)), 0.0])
    way = xp.asarray(POUR_WAY)
    up = xp.asarray([0.0, 0.0, 1.0])
    offset = z[:, None] * up - behind[:, None] * way - GRIP_BEFORE_M * ahead
    return cup_w + offset


def _hand_quat(xp: Any, yaw: Array, tilt: Array) -> Array:
    """Returns the hand's rotations (n, 4) wxyz, ahead at a yaw, tilted to its right."""
    zeros = xp.zeros_like(tilt)
    roll = quat_from_rotvec(xp.stack([tilt, zeros, zeros], axis=1))
    ahead = xp.broadcast_to(xp.asarray(POINTING_AHEAD), roll.shape)
    return quat_multiply(quat_from_yaw(yaw), quat_multiply(roll, ahead))


def _bottle_yaw(xp: Any, rot6d: Array) -> Array:
    """Returns the yaw (n,) of a hand that takes the bottle between two of its sides.

    Its four sides are alike: of four yaws it is the nearest to POUR_YAW.
    """
    quarter = float(xp.pi) / 2
    yaw = xp.atan2(rot6d[:, 1], rot6d[:, 0]) - POUR_YAW
    return POUR_YAW + yaw - quarter * xp.floor(yaw / quarter + 0.5)
