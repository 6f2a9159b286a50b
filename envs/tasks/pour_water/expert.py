"""The scripted planner of PourWater: takes the bottle, pours, and tilts it back.

It tilts the bottle further while nothing flows, waits while water flows, and tilts it
back when enough water is in the glass or on its way. It decides from the present state
alone: if the glass then turns out to be short of water, it pours again.
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
# The yaw of the hand while it pours, rad: it points to the left and a little ahead.
POUR_YAW = 1.2
# The horizontal direction, a unit vector, in which the bottle is tilted: to the right of
# the hand, and so away from the robot.
POUR_DIRECTION = (float(np.sin(POUR_YAW)), -float(np.cos(POUR_YAW)), 0.0)
# The hand waits this far in front of the grip on the bottle.
STANDOFF_M = 0.12
# The hand stays this much higher until it points in the direction of the grip.
ABOVE_M = 0.16
# The hand goes in to the grip if its error across the way in is below this.
NEAR_M = 0.012
# The fingers close if the hand's errors along and across the way in are below this.
ON_M = 0.007
# The cosine of the largest error of the hand's x and y axes for going in.
ALIGNED_COS = float(np.cos(0.10))
# The bottle's width between the fingers.
WIDTH_M = 2 * BOTTLE_SIZE.outer_half_width
# The gripper holds the bottle if it is at most this much narrower or wider than the
# bottle, and the hand is at most IN_HAND_M from the grip.
NARROWER_M = 0.006
WIDER_M = 0.003
IN_HAND_M = 0.03
# The TCP height at which the held bottle is carried.
TRAVEL_Z_W = TABLE.top_z + GRIP_Z_M + 0.06
# A hand at most this far below that height need not rise first.
SAG_M = 0.03
# The bottle's lip while water flows: its horizontal distance from the middle of the glass,
# and its height above the rim.
LIP_BEFORE_M = 0.018
LIP_ABOVE_M = 0.030
# Nothing flows below this tilt of a bottle with MORE_THAN_FEW grains. Below it, the hand
# already stays where it will be at this tilt.
DRY_RAD = 1.15
# Nothing flows below this tilt of a bottle with at most FEW grains. With a number of
# grains in between, the limit is interpolated.
DRY_OF_FEW_RAD = 1.45
FEW = 40.0
MORE_THAN_FEW = 50.0
# An upright bottle keeps this additional distance from the glass.
CLEAR_M = 0.05
# The bottle is tilted if the hand's horizontal error is below this.
OVER_M = 0.02
# The goal's tilt is this far ahead of the present one while the tilt is too small for
# water to flow.
TIP_RAD = 0.30
# The same once water could flow but none does: small, so that little flows at once.
DROP_RAD = 0.06
# The goal's tilt is this far behind the present one when enough has been poured.
BACK_RAD = 0.70
# The largest tilt.
MOST_RAD = 2.3
# With this many grains missing or more, the bottle is tilted at full speed, and more
# grains may be in the air: MOST_IN_AIR + 1, instead of 1 for the last grain.
MANY = 16.0
MOST_IN_AIR = 2.0
# If more are in the air, the bottle is tilted back by this.
THROTTLE_RAD = 0.12
# About this many grains still follow each grain in the air, even if the bottle is tilted
# back at once. If that would be more than is missing, it is tilted back by PAUSE_RAD.
FOLLOWING = 4.0
PAUSE_RAD = 0.55
# Pouring ends this many grains before the mark, since some always follow.
STOP_BEFORE = 2.0


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand, bottle, glass and water in n worlds."""

    tcp: Array  # (n, 3) m
    grip: Array  # (n, 3) m, TCP position for taking the bottle
    ahead: (
        Array  # (n, 3) unit vector, the direction in which the hand goes in to the grip
    )
    tilt: Array  # (n,) rad, of the bottle towards the glass
    dry_tilt: Array  # (n,) rad, the tilt below which nothing flows
    # (n,) bool each
    is_held: Array
    is_low: Array  # too low to be carried
    is_aligned: Array  # the hand has the rotation of the grip
    is_hand_in_line: Array  # the hand may go in to the grip
    is_hand_at_grip: Array  # the fingers may close
    is_at_glass: Array  # the hand is where it pours
    is_enough: Array  # the water in the glass and in the air is enough
    # (n,) grains of water
    missing: Array  # how many more must leave the bottle
    in_air: Array


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds, from proprioception and the privileged state."""
    facts = _facts(xp, agent, state)

    # how far to tilt the bottle from here: the less water is missing, the slower it is
    # tilted, and the fewer grains may be in the air
    pours = facts.is_held & facts.is_at_glass & ~facts.is_enough
    share = xp.clip(facts.missing / MANY, 0.0, 1.0)
    step = DROP_RAD * (0.4 + 0.6 * share)
    step = xp.where(facts.tilt < facts.dry_tilt, TIP_RAD, step)
    step = xp.where(facts.in_air > 0.5, 0.0, step)
    step = xp.where(facts.in_air > 1.0 + MOST_IN_AIR * share, -THROTTLE_RAD, step)
    # stop at once if the grains that will follow those in the air are enough
    will_be_enough = facts.missing < FOLLOWING * facts.in_air
    step = xp.where(will_be_enough, -PAUSE_RAD, step)
    tilt = xp.where(pours, facts.tilt + step, facts.tilt - BACK_RAD)
    tilt = xp.where(facts.is_held, xp.clip(tilt, 0.0, MOST_RAD), 0.0)
    pouring_w = _pouring_w(xp, state["cup_pos_w"], tilt)
    skill, pos = _choose(xp, facts, pours, pouring_w)

    # an empty hand has a yaw at which it can take the bottle
    yaw = xp.where(facts.is_held, POUR_YAW, _grip_yaw(xp, state["bottle_rot6d"]))
    is_closing = facts.is_held | (is_skill(skill, "grasp") & facts.is_hand_at_grip)
    return make_payload(
        skill=skill,
        pos_w=pos,
        quat_wxyz=_hand_quat(xp, yaw, tilt),
        gripper=xp.where(is_closing, -1.0, 1.0),
        completion=completion_of(xp, ORDER, skill),
    )


def _facts(xp: Any, agent: Readings, state: Readings) -> ExpertFacts:
    """Returns what the decisions need, computed from the observations of n worlds."""
    tcp = agent["tcp_pos_w"]
    bottle = state["bottle_pos_w"]
    rot6d = state["bottle_rot6d"]
    cup = state["cup_pos_w"]
    # the bottle: its own z axis, the grip on it, and its tilt
    up = cross(rot6d[:, :3], rot6d[:, 3:])
    yaw = _grip_yaw(xp, rot6d)
    ahead = xp.stack([xp.cos(yaw), xp.sin(yaw), xp.zeros_like(yaw)], axis=1)
    grip = bottle + GRIP_Z_M * up - GRIP_BEFORE_M * ahead
    tilt = xp.atan2(dot(up, xp.asarray(POUR_DIRECTION)), up[:, 2])

    width = agent["gripper_width"][:, 0]
    is_closed = (width > WIDTH_M - NARROWER_M) & (width < WIDTH_M + WIDER_M)
    # the hand's error to the grip, along and across the direction in which it goes in
    error = tcp - grip
    along_m = dot(error, ahead)
    across = error - along_m[:, None] * ahead
    across_m = xp.sqrt(dot(across, across))
    grip_rot6d = quat_to_rot6d(_hand_quat(xp, yaw, xp.zeros_like(yaw)))
    x_cos = dot(agent["tcp_rot6d"][:, :3], grip_rot6d[:, :3])
    y_cos = dot(agent["tcp_rot6d"][:, 3:], grip_rot6d[:, 3:])
    is_aligned = (x_cos > ALIGNED_COS) & (y_cos > ALIGNED_COS)

    is_held = is_closed & (xp.sqrt(dot(error, error)) < IN_HAND_M)
    # the hand's horizontal error to where it pours at the present tilt
    pouring_error = (tcp - _pouring_w(xp, cup, tilt))[:, :2]

    # the water
    poured = state["in_cup"][:, 0] + state["in_air"][:, 0]
    missing = state["mark"][:, 0] - STOP_BEFORE - poured
    # from 0 with MORE_THAN_FEW grains in the bottle to 1 with FEW
    emptied = (MORE_THAN_FEW - state["in_bottle"][:, 0]) / (MORE_THAN_FEW - FEW)
    dry_tilt = DRY_RAD + (DRY_OF_FEW_RAD - DRY_RAD) * xp.clip(emptied, 0.0, 1.0)
    return ExpertFacts(
        tcp=tcp,
        grip=grip,
        ahead=ahead,
        tilt=tilt,
        dry_tilt=dry_tilt,
        is_held=is_held,
        is_low=tcp[:, 2] < TRAVEL_Z_W - SAG_M,
        is_aligned=is_aligned,
        is_hand_in_line=(across_m < NEAR_M) & is_aligned,
        is_hand_at_grip=(across_m < ON_M) & (xp.abs(along_m) < ON_M) & is_aligned,
        is_at_glass=xp.sqrt(dot(pouring_error, pouring_error)) < OVER_M,
        is_enough=missing <= 0.0,
        missing=missing,
        in_air=state["in_air"][:, 0],
    )


def _choose(
    xp: Any, facts: ExpertFacts, pours: Array, pouring_w: Array
) -> tuple[Array, Array]:
    """Returns the skill (n,), an index into SKILLS, and the TCP's goal (n, 3) m.

    Args:
        xp: The array namespace.
        facts: The facts of the observation.
        pours: (n,) bool, whether the hand pours.
        pouring_w: (n, 3) m, the TCP position for pouring at the next tilt.
    """
    held = facts.is_held
    before_grip = facts.grip - STANDOFF_M * facts.ahead
    above = before_grip + xp.asarray([0.0, 0.0, ABOVE_M])
    travel_z = xp.full_like(facts.tcp[:, 2], TRAVEL_Z_W)
    raised = with_z(xp, facts.tcp, travel_z)
    rows = [  # the last that applies wins
        Row("reach", when=~held, goal_w=above),
        Row("reach", when=~held & facts.is_aligned, goal_w=before_grip),
        Row("grasp", when=~held & facts.is_hand_in_line, goal_w=facts.grip),
        Row("lift", when=held & facts.is_low, goal_w=raised),
        Row("carry", when=held & ~facts.is_low, goal_w=pouring_w),
        Row("pour", when=pours, goal_w=pouring_w),
        Row("retreat", when=held & facts.is_enough, goal_w=pouring_w),
    ]
    return last_row(xp, rows, otherwise_w=before_grip)


def _pouring_w(xp: Any, cup_w: Array, tilt: Array) -> Array:
    """Returns the TCP positions (n, 3) m that bring the bottle's lip over the glass.

    A bottle that is tilted less than DRY_RAD is already where it will begin to pour, but
    farther from the glass, by up to CLEAR_M for an upright one.

    Args:
        xp: The array namespace.
        cup_w: (n, 3) m, centre of the glass's underside.
        tilt: (n,) rad, of the bottle.
    """
    pouring_tilt = xp.where(tilt > DRY_RAD, tilt, DRY_RAD)
    cos = xp.cos(pouring_tilt)
    sin = xp.sin(pouring_tilt)
    # from the hand to the lip in the bottle's frame: along its axis, and across it
    along = BOTTLE_SIZE.height - GRIP_Z_M
    across = BOTTLE_SIZE.mouth_half_width
    # from the glass to the hand: how far it is behind, against the direction of pouring,
    # and how high
    clear = CLEAR_M * xp.clip(1.0 - tilt / DRY_RAD, 0.0, 1.0)
    behind = LIP_BEFORE_M + clear + along * sin + across * cos
    z = CUP_SIZE.height + LIP_ABOVE_M - (along * cos - across * sin)
    # the TCP is GRIP_BEFORE_M in front of the bottle's axis, as seen along the fingers
    ahead = xp.asarray([float(np.cos(POUR_YAW)), float(np.sin(POUR_YAW)), 0.0])
    direction = xp.asarray(POUR_DIRECTION)
    up = xp.asarray([0.0, 0.0, 1.0])
    offset = z[:, None] * up - behind[:, None] * direction - GRIP_BEFORE_M * ahead
    return cup_w + offset


def _hand_quat(xp: Any, yaw: Array, tilt: Array) -> Array:
    """Returns rotations (n, 4) wxyz of a level hand that leans to its right.

    Args:
        xp: The array namespace.
        yaw: (n,) rad, the direction in which the fingers point.
        tilt: (n,) rad, the lean to the right, about the fingers' direction.
    """
    zeros = xp.zeros_like(tilt)
    roll = quat_from_rotvec(xp.stack([tilt, zeros, zeros], axis=1))
    ahead = xp.broadcast_to(xp.asarray(POINTING_AHEAD), roll.shape)
    return quat_multiply(quat_from_yaw(yaw), quat_multiply(roll, ahead))


def _grip_yaw(xp: Any, rot6d: Array) -> Array:
    """Returns the yaw (n,) rad of a hand that takes the bottle between two of its sides.

    The bottle is square, so four yaws are possible; this is the one nearest to POUR_YAW.
    """
    quarter = float(xp.pi) / 2
    yaw = xp.atan2(rot6d[:, 1], rot6d[:, 0]) - POUR_YAW
    return POUR_YAW + yaw - quarter * xp.floor(yaw / quarter + 0.5)
