"""The scripted planner of GaugeCheck: drives to a named gauge, and presses what is right.

It decides from the present state alone, so that it recovers from whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot
from embodied.core import Array, Controller, Layout, Observation, Payload, Planner
from embodied.envs.props.gauge import BUTTON_Y_M, FAULT, OK, button_top_z
from embodied.envs.skills.driving import STAND_POSE_W, DrivingPlanner
from embodied.envs.skills.fingertip import fingertip_w
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.hand_view import HandView
from embodied.envs.skills.scripted import (
    Readings,
    Row,
    ScriptedPlanner,
    completion_of,
    last_row,
    make_payload,
    pointing_down,
    with_z,
)
from embodied.envs.tasks.gauge_check.scene import PLACES
from embodied.robots.parts.gripper import TIP_M
from embodied.robots.robot import Robot

ORDER = ("reach", "press", "retreat", "look_at")
# The height of the fingertip above the buttons for travelling, and how much lower it
# may be.
CLEAR_M = 0.10
SAG_M = 0.03
# How far the tip presses a button: past the click, but not onto the stop.
DEPTH_M = 0.0068
# The largest error of the tip beside the button for pressing.
OVER_M = 0.006
# Larger than any distance in the room.
FAR_M = 99.0


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows in n worlds."""

    tip: Array  # (n, 3) m, of the closed fingers
    goal: Array  # (n, 3) m, the top of the button to press next, when it is up
    stand_y: Array  # (n,) m, where the mount should stand
    # (n,) bool each
    is_done: Array  # every named gauge is answered
    is_high: Array  # the tip is above all buttons
    is_over: Array  # the tip is above the button to press


def gauge_check_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of the expert, which drives from gauge to gauge."""
    hand = HandView.of(robot)
    planner = ScriptedPlanner(agent_layout, state_layout, decide, hand)

    # the stand follows from the observation alone, whatever the plan
    def stand(observation: Observation, payload: Payload) -> Array:
        xp, agent, state = planner.read(observation)
        y = _facts(xp, agent, state).stand_y
        x, _, z, yaw = STAND_POSE_W
        columns = [xp.full_like(y, x), y, xp.full_like(y, z), xp.full_like(y, yaw)]
        return xp.stack(columns, axis=1)

    return DrivingPlanner(planner, agent_layout, robot, stand), GoalServo(
        agent_layout, robot
    )


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans for n worlds, of a hand at its stand."""
    facts = _facts(xp, agent, state)
    up = xp.asarray([0.0, 0.0, 1.0])
    clear_z = xp.full_like(facts.tip[:, 2], button_top_z() + CLEAR_M)

    # where the fingertip goes
    rows = [  # the last that applies wins
        Row("reach", when=~facts.is_done, goal_w=with_z(xp, facts.goal, clear_z)),
        Row("retreat", when=~facts.is_high, goal_w=with_z(xp, facts.tip, clear_z)),
        Row(
            "press",
            when=facts.is_over & ~facts.is_done,
            goal_w=facts.goal - DEPTH_M * up,
        ),
        Row(
            "look_at",
            when=facts.is_done & facts.is_high,
            goal_w=with_z(xp, facts.tip, clear_z),
        ),
    ]
    skill, tip = last_row(xp, rows, otherwise_w=with_z(xp, facts.tip, clear_z))

    # the hand points down, with closed fingers
    return make_payload(
        skill=skill,
        pos_w=tip + TIP_M * up,
        quat_wxyz=pointing_down(xp, xp.zeros_like(clear_z)),
        gripper=xp.full_like(clear_z, -1.0),
        completion=completion_of(xp, ORDER, skill),
    )


def _facts(xp: Any, agent: Readings, state: Readings) -> ExpertFacts:
    """Returns the facts of an observation."""
    count = len(PLACES)
    num = agent["tcp_pos_w"].shape[0]
    rows = xp.arange(num)
    tip = fingertip_w(agent["tcp_pos_w"], agent["tcp_rot6d"], TIP_M)
    stations = xp.reshape(state["stations_pos_w"], (num, count, 3))

    # the next gauge is the nearest that is named and not yet answered
    is_waiting = (state["named"] > 0.5) & (state["answered"] < 0.5)  # (n, 3)
    away = xp.abs(stations[..., 1] - tip[:, None, 1])
    nearest = xp.argmin(away, axis=1)
    target = xp.argmin(xp.where(is_waiting, away, FAR_M), axis=1)

    # its right button
    needle = state["needles"][rows, target]
    is_ok = needle > state["lows"][rows, target]
    is_ok = is_ok & (needle < state["highs"][rows, target])
    aside = xp.where(is_ok, BUTTON_Y_M[OK], BUTTON_Y_M[FAULT])
    goal = stations[rows, target]
    top_z = button_top_z()
    goal = xp.stack(
        [goal[:, 0], goal[:, 1] + aside, xp.full_like(aside, top_z)], axis=1
    )

    # a hand that is low stays where it is until it is up
    offset = (tip - goal)[:, :2]
    is_over = xp.sqrt(dot(offset, offset)) < OVER_M
    is_high = tip[:, 2] > top_z + CLEAR_M - SAG_M
    is_done = ~xp.any(is_waiting, axis=1)
    station = xp.where(is_high & ~is_done, target, nearest)
    return ExpertFacts(
        tip=tip,
        goal=goal,
        stand_y=stations[rows, station][:, 1],
        is_done=is_done,
        is_high=is_high,
        is_over=is_over,
    )
