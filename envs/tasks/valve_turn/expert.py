"""The privileged planner of ValveTurn: takes the handle across, turns it, lets go; from
the present state alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import SKILLS, Array, Controller, Layout, Payload, Planner
from embodied.envs.props.valve import GRASP_RADIUS_M, UP_RAD
from embodied.envs.scenes.inspection_room import VALVE_CONSOLE
from embodied.envs.skills.driving import Driving
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.scripted import (
    Readings,
    ScriptedPlanner,
    completion_of,
    last_row,
    make_payload,
)
from embodied.robots.robot import Robot
from embodied.rotations import quat_from_yaw, quat_multiply, quat_to_rot6d

# wxyz: the hand reaches into the face, its camera's side up
HAND_IN_FACE = (0.0, np.sqrt(0.5), np.sqrt(0.5), 0.0)
STANDOFF_M = 0.085  # before the handle
# errors to close, and to go in
ON_M = 0.006
OVER_M = 0.010
ALIGNED_COS = float(np.cos(0.10))
AHEAD_RAD = 0.15  # how far the goal runs before the handle
# pose in which the hand hides no valve
ASIDE_W = (0.43, -0.24, 1.0)
DOWN = (0.0, 1.0, 0.0, 0.0)
# to let go, and to stay away
RIGHT_RAD = np.deg2rad(1.2)
DONE_RAD = np.deg2rad(3.5)
# of the gripper: open by 50 mm, so that the fingers fit between hub and rim
AJAR = 0.25
ORDER = ("reach", "grasp", "turn", "release", "retreat", "look_at")
# widths below which a handle is held, and above which the fingers are clear of it
HELD_M = 0.019
FREE_M = 0.030


def grasp_point_w(xp: Any, hub_w: Array, angle: Array, is_wheel: Array) -> Array:
    """(n, 3) where a hand takes the handle whose middle is `hub_w` (n, 3) and that
    stands at `angle` (n,) rad.
    """
    right, up, _ = (xp.asarray(axis) for axis in VALVE_CONSOLE.axes().T)
    turn = angle - UP_RAD
    radius = xp.where(is_wheel > 0.5, GRASP_RADIUS_M["wheel"], GRASP_RADIUS_M["lever"])
    return (
        hub_w
        + (radius * xp.cos(turn))[:, None] * up
        - (radius * xp.sin(turn))[:, None] * right
    )


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Where the hand should go next."""
    angle = state["valve_angle"][:, 0]
    target = state["target_angle"][:, 0]
    hub = state["valve_pos_w"]
    is_wheel = state["valve_is_wheel"][:, 0]
    facts = _facts(xp, agent, grasp_point_w(xp, hub, angle, is_wheel), angle)
    error = xp.abs(target - angle)
    turning = facts["held"] & (error > RIGHT_RAD)
    ahead = xp.where(
        turning, angle + xp.clip(target - angle, -AHEAD_RAD, AHEAD_RAD), angle
    )
    skill, goal = _choose(
        xp, agent["tcp_pos_w"], grasp_point_w(xp, hub, ahead, is_wheel), facts, error
    )
    aside = (skill == SKILLS.index("look_at"))[:, None]
    closing = turning | (skill == SKILLS.index("grasp")) & facts["on"]
    quat = xp.where(aside, xp.asarray(DOWN), _hand_quat(xp, ahead))
    return make_payload(
        skill,
        goal,
        quat,
        xp.where(closing, -1.0, AJAR),
        completion_of(xp, ORDER, skill),
    )


def _hand_quat(xp: Any, angle: Array) -> Array:
    """(n, 4) of a hand that reaches straight in and opens across a handle at `angle`
    (n,) rad.
    """
    shape = (angle.shape[0], 4)
    face, hand = (
        xp.broadcast_to(xp.asarray(quat), shape)
        for quat in (VALVE_CONSOLE.quat(), HAND_IN_FACE)
    )
    return quat_multiply(quat_multiply(face, quat_from_yaw(angle - UP_RAD)), hand)


def _facts(xp: Any, agent: Readings, grasp: Array, angle: Array) -> dict[str, Array]:
    """What the planner decides on, (n,) each: bools, and `out`, m from the handle
    towards the robot.
    """
    wanted = quat_to_rot6d(_hand_quat(xp, angle))
    rot6d = agent["tcp_rot6d"]
    width = agent["gripper_width"][:, 0]
    error = agent["tcp_pos_w"] - grasp
    out = dot(error, xp.asarray(VALVE_CONSOLE.axes()[:, 2]))
    along = dot(error, wanted[:, :3])
    across = dot(error, wanted[:, 3:])
    alike = (dot(rot6d[:, :3], wanted[:, :3]) > ALIGNED_COS) & (
        dot(rot6d[:, 3:], wanted[:, 3:]) > ALIGNED_COS
    )
    beside = xp.maximum(xp.abs(along), xp.abs(across))
    return {
        "over": (beside < OVER_M) & alike,
        "on": (beside < ON_M) & (xp.abs(out) < ON_M) & alike,
        "held": (width < HELD_M)
        & (xp.abs(out) < 0.02)
        & (xp.abs(across) < 0.012)
        & (xp.abs(along) < 0.025),
        "near": (beside < 0.04) & (out < 0.05),
        "clear": width > FREE_M,
    }


def _choose(
    xp: Any, tcp: Array, grasp: Array, facts: dict[str, Array], error: Array
) -> tuple[Array, Array]:
    """Skill (n,) and goal position (n, 3)."""
    before = grasp + STANDOFF_M * xp.asarray(VALVE_CONSOLE.axes()[:, 2])
    held = facts["held"]
    done = error < DONE_RAD
    rows = [  # the later wins
        ("reach", ~held & ~done, before),
        ("grasp", ~held & ~done & facts["over"], grasp),
        ("turn", held & (error > RIGHT_RAD), grasp),
        ("retreat", ~held & done, before),
        (
            "look_at",
            ~held & done & ~facts["near"],
            xp.broadcast_to(xp.asarray(ASIDE_W), before.shape),
        ),
        (
            "release",
            facts["near"] & ~facts["clear"] & done & ~(held & (error > RIGHT_RAD)),
            tcp,
        ),
    ]
    return last_row(xp, rows, before)


def valve_turn_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """The two halves of the expert: this planner and the goal servo."""
    planner = ScriptedPlanner(agent_layout, state_layout, decide)
    return Driving(planner, agent_layout, robot), GoalServo(agent_layout, robot)
