"""The privileged planner of PanelReset: goes before the lit lamp's button, presses,
backs off. Remembers nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import SKILLS, Array, Controller, Layout, Payload, Planner
from embodied.envs.props.panel import BUTTON_TOP_M, lamp_of_button
from embodied.envs.scenes.inspection_room import PANEL_CONSOLE
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
from embodied.rotations import cross, quat_multiply, quat_to_rot6d

# wxyz: the hand reaches into the face, its camera's side up
HAND_IN_FACE = (0.0, np.sqrt(0.5), np.sqrt(0.5), 0.0)
TIP_M = 0.020  # of the closed fingers beyond the TCP
# of the tip before a button, and from where it may go to another
STANDOFF_M = 0.045
CLEAR_M = 0.030
DEPTH_M = 0.0068  # that the tip presses a button: past the click, not onto the stop
OVER_M = 0.006
# pose in which the hand hides nothing of the panel
ASIDE_W = (0.43, -0.24, 1.0)
DOWN = (0.0, 1.0, 0.0, 0.0)
ALIGNED_COS = float(np.cos(0.10))
ORDER = ("reach", "press", "retreat", "look_at")


def tip_w(tcp_w: Array, rot6d: Array) -> Array:
    """(n, 3) the closed fingers' tip of a hand with the TCP at `tcp_w` and axes `rot6d`
    (n, 6).
    """
    return tcp_w + TIP_M * cross(rot6d[:, :3], rot6d[:, 3:])


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Where the hand should go next."""
    quat = _hand_quat(xp, agent["tcp_pos_w"].shape[0])
    skill, tip = _choose(xp, agent, state, quat_to_rot6d(quat))
    outwards = xp.asarray(PANEL_CONSOLE.axes()[:, 2])
    aside = (skill == SKILLS.index("look_at"))[:, None]
    goal = xp.where(aside, xp.asarray(ASIDE_W), tip + TIP_M * outwards)
    wanted = xp.where(aside, xp.asarray(DOWN), quat)
    return make_payload(
        skill, goal, wanted, xp.full(skill.shape, -1.0), completion_of(xp, ORDER, skill)
    )


def _hand_quat(xp: Any, count: int) -> Array:
    """(n, 4) of a hand that reaches straight into the face."""
    face, hand = (
        xp.broadcast_to(xp.asarray(quat), (count, 4))
        for quat in (PANEL_CONSOLE.quat(), HAND_IN_FACE)
    )
    return quat_multiply(face, hand)


def _choose(
    xp: Any, agent: Readings, state: Readings, wanted: Array
) -> tuple[Array, Array]:
    """Skill (n,) and where the fingers' tip should be (n, 3), but for looking."""
    right, up, outwards = (xp.asarray(axis) for axis in PANEL_CONSOLE.axes().T)
    rot6d = agent["tcp_rot6d"]
    on_face = state["button_pos_w"] - state["panel_pos_w"]
    lamp = lamp_of_button(xp, xp.stack([dot(on_face, right), dot(on_face, up)], axis=1))
    lit = state["lamps"][xp.arange(lamp.shape[0]), lamp] > 0.75
    # when it is up
    top = (
        state["button_pos_w"]
        + (BUTTON_TOP_M - dot(on_face, outwards))[:, None] * outwards
    )
    offset = tip_w(agent["tcp_pos_w"], rot6d) - top
    out = dot(offset, outwards)
    beside = offset - out[:, None] * outwards
    over = xp.sqrt(dot(beside, beside)) < OVER_M
    aligned = (dot(rot6d[:, :3], wanted[:, :3]) > ALIGNED_COS) & (
        dot(rot6d[:, 3:], wanted[:, 3:]) > ALIGNED_COS
    )
    before = top + STANDOFF_M * outwards
    straight_out = top + beside + STANDOFF_M * outwards
    rows = [  # the later wins
        ("reach", lit, before),
        ("retreat", ~lit, before),
        ("look_at", ~lit & (out > CLEAR_M), before),
        ("retreat", (out < CLEAR_M) & ~over, straight_out),
        ("press", lit & over & aligned, top - DEPTH_M * outwards),
    ]
    return last_row(xp, rows, before)


def panel_reset_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """The two halves of the expert: this planner and the goal servo."""
    planner = ScriptedPlanner(agent_layout, state_layout, decide)
    return Driving(planner, agent_layout, robot), GoalServo(agent_layout, robot)
