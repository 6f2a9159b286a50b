"""The scripted expert of PourWater: take the bottle, pour, and tilt the bottle back.

The expert tilts the bottle further while nothing flows, waits while water flows, and tilts
the bottle back when enough water is in the glass or on its way. Water is simulated as
grains, and amounts of water are numbers of grains.

Each plan follows from the present state alone: if the glass then turns out to be short of
water, the expert pours again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.arrays import dot, norm
from embodied.core import Array
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
from embodied.plan import Payload
from embodied.rotations import (
    cross,
    quat_from_rotvec,
    quat_from_yaw,
    quat_multiply,
    quat_to_rot6d,
)

# The skills in the order of their use, by which completion rises.
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
# The hand stays this much higher until it has the rotation of the grip.
ABOVE_M = 0.16
# The hand goes forward to the grip if its error across the forward direction is below
# this.
NEAR_M = 0.012
# The fingers close if the hand's errors along and across the forward direction are below
# this.
AT_GRIP_M = 0.007
# The hand has the rotation of the grip if its x and its y axis are off by at most 0.1 rad.
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
# Nothing flows below this tilt of a bottle with FULL_GRAINS or more.
DRY_RAD = 1.15
# Nothing flows below this tilt of a bottle with FEW_GRAINS or less. With a number of
# grains in between, the limit is interpolated.
DRY_OF_FEW_RAD = 1.45
FEW_GRAINS = 40.0
FULL_GRAINS = 50.0
# An upright bottle keeps this additional distance from the glass.
CLEAR_M = 0.05
# The bottle is tilted only if the hand's horizontal error is below this.
AT_GLASS_M = 0.02
# The goal's tilt is this far ahead of the present tilt while that is too small for water to
# flow.
TIP_RAD = 0.30
# The same once water could flow but none does: small, so that little flows at once.
DROP_RAD = 0.06
# The goal's tilt is this far behind the present tilt when enough has been poured.
BACK_RAD = 0.70
# The largest tilt.
MOST_RAD = 2.3
# If at least this many grains are missing, the bottle is tilted at full speed. If fewer
# are missing, the speed falls in proportion, to LEAST_SPEED for the last grain.
MANY_GRAINS = 16.0
LEAST_SPEED = 0.4
# If more than 1 + MOST_IN_AIR grains are in the air, the bottle is tilted back by
# THROTTLE_RAD. The limit falls to 1 for the last missing grain.
MOST_IN_AIR = 2.0
THROTTLE_RAD = 0.12
# About this many grains still follow each grain in the air, even if the bottle is tilted
# back at once. If more would follow than are missing, it is tilted back by PAUSE_RAD.
FOLLOWING_GRAINS = 4.0
PAUSE_RAD = 0.55
# Pouring ends this many grains before the mark, since some grains always follow.
STOP_BEFORE_GRAINS = 2.0


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand, bottle, glass and water in n worlds."""

    tcp: Array  # (n, 3) m
    grip: Array  # (n, 3) m, TCP position for taking the bottle
    forward: Array  # (n, 3) unit vector, along which the hand goes to the grip
    tilt: Array  # (n,) rad, of the bottle towards the glass
    dry_tilt: Array  # (n,) rad, the tilt below which nothing flows
    # (n,) bool each
    is_held: Array
    is_low: Array  # the hand is too low to carry the bottle
    is_aligned: Array  # the hand has the rotation of the grip
    is_hand_in_line: Array  # the hand may go forward to the grip
    is_hand_at_grip: Array  # the fingers may close
    is_at_glass: Array  # the hand is where it pours
    is_enough: Array  # the water in the glass and in the air is enough
    # (n,) grains of water
    missing: Array  # how many more grains must leave the bottle
    in_air: Array  # how many grains are in the air


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds, from proprioception and the privileged state."""
    facts = _facts(xp, agent, state)

    # the bottle's next tilt: while it pours a step from the present tilt, else upright
    pours = facts.is_held & facts.is_at_glass & ~facts.is_enough
    pouring_tilt = facts.tilt + _tilt_step(xp, facts)
    tilt = xp.where(pours, pouring_tilt, facts.tilt - BACK_RAD)
    tilt = xp.where(facts.is_held, xp.clip(tilt, 0.0, MOST_RAD), 0.0)
    pouring_w = _pouring_w(xp, state["cup_pos_w"], tilt)
    skill, pos = _choose(xp, facts, pours=pours, pouring_w=pouring_w)

    # an empty hand has the yaw at which it takes the bottle
    yaw = xp.where(facts.is_held, POUR_YAW, _grip_yaw(xp, state["bottle_rot6d"]))
    is_closing = facts.is_held | (is_skill(skill, "grasp") & facts.is_hand_at_grip)
    return make_payload(
        skill=skill,
        pos_w=pos,
        quat_wxyz=_hand_quat(xp, yaw, tilt),
        gripper=xp.where(is_closing, -1.0, 1.0),
        completion=completion_of(xp, ORDER, skill),
    )


def _tilt_step(xp: Any, facts: ExpertFacts) -> Array:
    """Returns by how much (n,) rad a hand that pours should tilt the bottle further.

    The fewer grains are missing, the more slowly the bottle is tilted, and the fewer
    grains may be in the air.
    """
    # while nothing flows, the bottle is tilted in steps, which are large while it is too
    # upright for water to flow
    share = xp.clip(facts.missing / MANY_GRAINS, 0.0, 1.0)
    step = DROP_RAD * (LEAST_SPEED + (1.0 - LEAST_SPEED) * share)
    step = xp.where(facts.tilt < facts.dry_tilt, TIP_RAD, step)
    # wait while a grain is in the air, and tilt back if too many are
    step = xp.where(facts.in_air > 0.5, 0.0, step)  # at least one, a whole number
    is_too_much = facts.in_air > 1.0 + MOST_IN_AIR * share
    step = xp.where(is_too_much, -THROTTLE_RAD, step)
    # stop at once if the grains that will follow those in the air are enough
    will_be_enough = facts.missing < FOLLOWING_GRAINS * facts.in_air
    return xp.where(will_be_enough, -PAUSE_RAD, step)


def _facts(xp: Any, agent: Readings, state: Readings) -> ExpertFacts:
    """Returns what the decisions need, computed from the observations of n worlds."""
    tcp = agent["tcp_pos_w"]
    bottle = state["bottle_pos_w"]
    rot6d = state["bottle_rot6d"]
    cup = state["cup_pos_w"]
    # the bottle: its own z axis, the grip on it, and its tilt
    bottle_z = cross(rot6d[:, :3], rot6d[:, 3:])
    yaw = _grip_yaw(xp, rot6d)
    forward = xp.stack([xp.cos(yaw), xp.sin(yaw), xp.zeros_like(yaw)], axis=1)
    grip = bottle + GRIP_Z_M * bottle_z - GRIP_BEFORE_M * forward
    tilt = xp.atan2(dot(bottle_z, xp.asarray(POUR_DIRECTION)), bottle_z[:, 2])

    # the hand's error to the grip, along and across the forward direction
    error = tcp - grip
    along_m = dot(error, forward)
    across = error - along_m[:, None] * forward
    across_m = norm(across)
    grip_rot6d = quat_to_rot6d(_hand_quat(xp, yaw, xp.zeros_like(yaw)))
    x_cos = dot(agent["tcp_rot6d"][:, :3], grip_rot6d[:, :3])
    y_cos = dot(agent["tcp_rot6d"][:, 3:], grip_rot6d[:, 3:])
    is_aligned = (x_cos > ALIGNED_COS) & (y_cos > ALIGNED_COS)

    # whether the bottle is in the hand
    width = agent["gripper_width"][:, 0]
    is_closed = (width > WIDTH_M - NARROWER_M) & (width < WIDTH_M + WIDER_M)
    is_held = is_closed & (norm(error) < IN_HAND_M)
    # the hand's horizontal error to where it pours at the present tilt
    pouring_error = (tcp - _pouring_w(xp, cup, tilt))[:, :2]

    # the water; `emptied` rises from 0 with FULL_GRAINS in the bottle to 1 with FEW_GRAINS
    poured = state["in_cup"][:, 0] + state["in_air"][:, 0]
    missing = state["mark"][:, 0] - STOP_BEFORE_GRAINS - poured
    emptied = (FULL_GRAINS - state["in_bottle"][:, 0]) / (FULL_GRAINS - FEW_GRAINS)
    dry_tilt = DRY_RAD + (DRY_OF_FEW_RAD - DRY_RAD) * xp.clip(emptied, 0.0, 1.0)
    is_near_grip = (across_m < AT_GRIP_M) & (xp.abs(along_m) < AT_GRIP_M)
    return ExpertFacts(
        tcp=tcp,
        grip=grip,
        forward=forward,
        tilt=tilt,
        dry_tilt=dry_tilt,
        is_held=is_held,
        is_low=tcp[:, 2] < TRAVEL_Z_W - SAG_M,
        is_aligned=is_aligned,
        is_hand_in_line=(across_m < NEAR_M) & is_aligned,
        is_hand_at_grip=is_near_grip & is_aligned,
        is_at_glass=norm(pouring_error) < AT_GLASS_M,
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
        facts: What the expert knows.
        pours: (n,) bool, whether the hand pours.
        pouring_w: (n, 3) m, the TCP position for pouring at the next tilt.
    """
    # the goals: in front of the grip on the bottle, above that point, and straight up from
    # where the hand is
    held = facts.is_held
    before_grip = facts.grip - STANDOFF_M * facts.forward
    above = before_grip + xp.asarray([0.0, 0.0, ABOVE_M])
    travel_z = xp.full_like(facts.tcp[:, 2], TRAVEL_Z_W)
    raised = with_z(xp, facts.tcp, travel_z)

    rows = [  # the last row that applies wins
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

    While the tilt is less than DRY_RAD, the position is the one at DRY_RAD, where pouring
    begins, but farther from the glass: up to CLEAR_M farther for an upright bottle.

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
    # from the glass to the hand: the distance against the direction of pouring, and the
    # height
    clear = CLEAR_M * xp.clip(1.0 - tilt / DRY_RAD, 0.0, 1.0)
    distance = LIP_BEFORE_M + clear + along * sin + across * cos
    height = CUP_SIZE.height + LIP_ABOVE_M - (along * cos - across * sin)
    # the TCP stays GRIP_BEFORE_M short of the bottle's axis, along the fingers
    fingers = xp.asarray([float(np.cos(POUR_YAW)), float(np.sin(POUR_YAW)), 0.0])
    direction = xp.asarray(POUR_DIRECTION)
    up = xp.asarray([0.0, 0.0, 1.0])
    offset = height[:, None] * up - distance[:, None] * direction
    offset = offset - GRIP_BEFORE_M * fingers
    return cup_w + offset


def _hand_quat(xp: Any, yaw: Array, tilt: Array) -> Array:
    """Returns rotations (n, 4) wxyz of a level hand that leans to its right.

    Args:
        xp: The array namespace.
        yaw: (n,) rad, the horizontal direction in which the fingers point.
        tilt: (n,) rad, the lean to the right, a rotation about the fingers' direction.
    """
    zeros = xp.zeros_like(tilt)
    roll = quat_from_rotvec(xp.stack([tilt, zeros, zeros], axis=1))
    ahead = xp.broadcast_to(xp.asarray(POINTING_AHEAD), roll.shape)
    return quat_multiply(quat_from_yaw(yaw), quat_multiply(roll, ahead))


def _grip_yaw(xp: Any, rot6d: Array) -> Array:
    """Returns the yaw (n,) rad of a hand that takes the bottle by two opposite sides.

    The bottle is square, so four yaws are possible. The result is the one nearest to
    POUR_YAW.
    """
    quarter_turn = float(xp.pi) / 2
    difference = xp.atan2(rot6d[:, 1], rot6d[:, 0]) - POUR_YAW
    turns = xp.floor(difference / quarter_turn + 0.5)
    return POUR_YAW + difference - quarter_turn * turns
