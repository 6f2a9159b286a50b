"""The scripted planner of ValveTurn: grips the handle across, turns it and lets go.

It decides from the present state alone, so that it recovers from whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array, Payload
from embodied.envs.skills.face_reach import ASIDE_W, is_aligned, outwards
from embodied.envs.skills.scripted import (
    POINTING_DOWN,
    Readings,
    Row,
    completion_of,
    is_skill,
    last_row,
    make_payload,
)
from embodied.envs.tasks.valve_turn.grasp import grasp_pos_w, grasp_quat_wxyz
from embodied.envs.tasks.valve_turn.scene import CONSOLE
from embodied.rotations import quat_to_rot6d

ORDER = ("reach", "grasp", "turn", "release", "retreat", "look_at")
# How far out of the face the hand waits before the handle.
STANDOFF_M = 0.085
# The largest error of the hand from the grasp: to close, and to go in.
ON_M = 0.006
OVER_M = 0.010
# The largest error of a hand that holds: out of the face, across and along the handle.
HELD_OUT_M = 0.02
HELD_ACROSS_M = 0.012
HELD_ALONG_M = 0.025
# The hand is still near the handle within these, along the face and out of it.
NEAR_M = 0.04
NEAR_OUT_M = 0.05
# How far the goal is ahead of the handle while it turns.
AHEAD_RAD = 0.15
# The handle's error from its target: small enough to stop turning, and to leave it.
RIGHT_RAD = np.deg2rad(1.2)
DONE_RAD = np.deg2rad(3.5)
# The gripper command for 50 mm, with which the fingers fit between hub and rim.
AJAR = 0.25
# Widths below which a handle is held, and above which the fingers are clear of it.
HELD_M = 0.019
FREE_M = 0.030


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of hand and handle in n worlds, (n,) bool each."""

    is_over_handle: Array  # so that the hand may go in
    is_on_handle: Array  # so that the fingers may close
    is_holding: Array
    is_near_handle: Array
    is_open_wide: Array
    is_turned_right: Array  # so exactly that turning may stop
    is_done: Array  # well enough to leave the handle alone


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds."""
    hub = state["valve_pos_w"]
    angle = state["valve_angle"][:, 0]
    target = state["target_angle"][:, 0]
    is_wheel = state["valve_is_wheel"][:, 0]
    facts = _facts(xp, agent, grasp_pos_w(xp, hub, angle, is_wheel), angle, target)

    # while the hand turns the handle, its goal is ahead of it
    is_turning = facts.is_holding & ~facts.is_turned_right
    next_angle = angle + xp.clip(target - angle, -AHEAD_RAD, AHEAD_RAD)
    next_angle = xp.where(is_turning, next_angle, angle)
    grasp = grasp_pos_w(xp, hub, next_angle, is_wheel)
    skill, goal = _choose(xp, agent["tcp_pos_w"], grasp, facts)

    is_aside = is_skill(skill, "look_at")[:, None]
    quat = grasp_quat_wxyz(xp, next_angle)
    is_closing = is_turning | is_skill(skill, "grasp") & facts.is_on_handle
    return make_payload(
        skill=skill,
        pos_w=goal,
        quat_wxyz=xp.where(is_aside, xp.asarray(POINTING_DOWN), quat),
        gripper=xp.where(is_closing, -1.0, AJAR),
        completion=completion_of(xp, ORDER, skill),
    )


def _facts(
    xp: Any, agent: Readings, grasp: Array, angle: Array, target: Array
) -> ExpertFacts:
    """Returns the facts of an observation.

    Args:
        xp: The array namespace.
        agent: Proprioception.
        grasp: (n, 3) m, where the hand grips the handle as it stands.
        angle: (n,) rad, of the handle.
        target: (n,) rad, that it should have.
    """
    wanted = quat_to_rot6d(grasp_quat_wxyz(xp, angle))  # the hand's x and y axes
    width = agent["gripper_width"][:, 0]

    # the hand's error from the grasp: out of the face, along and across the handle
    error = agent["tcp_pos_w"] - grasp
    out = dot(error, outwards(xp, CONSOLE))
    along = xp.abs(dot(error, wanted[:, :3]))
    across = xp.abs(dot(error, wanted[:, 3:]))
    beside = xp.maximum(along, across)
    is_straight = is_aligned(agent["tcp_rot6d"], wanted)

    is_around = (xp.abs(out) < HELD_OUT_M) & (across < HELD_ACROSS_M)
    is_around = is_around & (along < HELD_ALONG_M)
    angle_error = xp.abs(target - angle)
    return ExpertFacts(
        is_over_handle=(beside < OVER_M) & is_straight,
        is_on_handle=(beside < ON_M) & (xp.abs(out) < ON_M) & is_straight,
        is_holding=(width < HELD_M) & is_around,
        is_near_handle=(beside < NEAR_M) & (out < NEAR_OUT_M),
        is_open_wide=width > FREE_M,
        is_turned_right=angle_error <= RIGHT_RAD,
        is_done=angle_error < DONE_RAD,
    )


def _choose(
    xp: Any, tcp: Array, grasp: Array, facts: ExpertFacts
) -> tuple[Array, Array]:
    """Returns the skill (n,) and the hand's goal (n, 3) m.

    Args:
        xp: The array namespace.
        tcp: (n, 3) m, where the hand is.
        grasp: (n, 3) m, where it should grip the handle; ahead of it to turn it.
        facts: The facts.
    """
    before = grasp + STANDOFF_M * outwards(xp, CONSOLE)
    aside = xp.broadcast_to(xp.asarray(ASIDE_W), before.shape)

    held = facts.is_holding
    is_turning = held & ~facts.is_turned_right
    is_working = ~held & ~facts.is_done
    is_leaving = ~held & facts.is_done
    # the fingers are not yet clear of the handle
    is_around = facts.is_near_handle & ~facts.is_open_wide
    rows = [  # the last that applies wins
        Row("reach", when=is_working, goal_w=before),
        Row("grasp", when=is_working & facts.is_over_handle, goal_w=grasp),
        Row("turn", when=is_turning, goal_w=grasp),
        Row("retreat", when=is_leaving, goal_w=before),
        Row("look_at", when=is_leaving & ~facts.is_near_handle, goal_w=aside),
        Row("release", when=is_around & facts.is_done & ~is_turning, goal_w=tcp),
    ]
    return last_row(xp, rows, otherwise_w=before)
