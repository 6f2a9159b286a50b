"""The privileged planner of TableWipe: takes the pad, strokes over what is left of the
nearest named stain until all are gone, and lays the pad back on its mat. It names the
next skill from the present state alone, so it recovers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot
from embodied.core import SKILLS, Array, Controller, Layout, Payload, Planner
from embodied.envs.props.pad import GRIP_Z_M, HALF_M, HELD_WIDTH_M
from embodied.envs.skills.driving import Driving
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.scripted import (
    Readings,
    ScriptedPlanner,
    last_row,
    make_payload,
    pointing_down,
)
from embodied.robots.robot import Robot

HOVER_M = 0.10  # of the hand above the grip before going down
# horizontal error to go down, and to close
NEAR_M = 0.012
ON_M = 0.008
PRESS_M = 0.007  # of the foam: 10 N
CLEAR_M = 0.05  # of the pad above the table on its way
# below this it is lifted before it travels; below that it strokes
LOW_M = 0.025
TOUCHING_M = 0.004
BEYOND_M = 0.022  # the outermost cells' middles, a stroke goes
LANE_M = 2 * HALF_M[0] - 0.024  # width that one stroke cleans for sure
SLOW_M_S = 0.03
STILL_M_S = 0.1  # a pad that slides faster is not reached for
AT_M = 0.012  # how near the end of a stroke counts as there, and to lower the pad
ASTRAY_M = 0.035  # off the lane or the stroke: lifted


@dataclass(frozen=True)
class Stroke:
    """A lane along y over what is left of a stain, for n worlds, m."""

    lane_x: Array  # (n,)
    low_y: Array  # (n,) its ends
    high_y: Array  # (n,)
    any: Array  # (n,) bool, whether there is anything left to wipe


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Where the hand should go next."""
    stroke = _stroke(xp, state)
    yaw = _handle_yaw(xp, state["pad_rot6d"])
    facts = _facts(xp, agent, state, stroke)
    skill, pos = _choose(xp, agent, state, stroke, facts)
    quat = pointing_down(xp, xp.where(facts["held"], 0.0, yaw))
    opened = (
        (skill == SKILLS.index("release"))
        | ~(facts["held"] | facts["on"])
        | facts["put_back"]
    )
    return make_payload(
        skill, pos, quat, xp.where(opened, 1.0, -1.0), _completion(xp, state)
    )


def _handle_yaw(xp: Any, rot6d: Array) -> Array:
    """(n,) rad of the handle about the vertical, in (-pi/2, pi/2]: both ways round are
    the same to the hand.
    """
    cos = rot6d[:, 0]
    sin = rot6d[:, 1]
    return xp.atan2(xp.where(cos < 0, -sin, sin), xp.abs(cos))


def _stroke(xp: Any, state: Readings) -> Stroke:
    """Over the nearest of the stains that are named and not clean."""
    pad = state["pad_pos_w"]
    stains = state["dirt_named"].shape[1]
    low, high = (
        xp.reshape(state[f"dirt_{end}_xy_w"], (-1, 2, stains))
        for end in ("low", "high")
    )
    wanted = (state["dirt_named"] > 0) & (state["dirt_cm2"] > 0)
    away = (low + high) / 2 - pad[:, :2, None]
    distance2 = xp.where(
        wanted, away[:, 0] * away[:, 0] + away[:, 1] * away[:, 1], 99.0
    )
    # (n, 1, S)
    chosen = xp.where(
        xp.arange(stains) == xp.argmin(distance2, axis=1)[:, None], 1.0, 0.0
    )[:, None]
    # (n, 2)
    low = dot(low, chosen)
    high = dot(high, chosen)
    room = xp.maximum(high[:, 0] - low[:, 0] - LANE_M, xp.zeros_like(low[:, 0])) / 2
    middle_x = (low[:, 0] + high[:, 0]) / 2  # of one lane, or of the nearer of two
    lane_x = xp.minimum(xp.maximum(pad[:, 0], middle_x - room), middle_x + room)
    return Stroke(
        lane_x, low[:, 1] - BEYOND_M, high[:, 1] + BEYOND_M, xp.any(wanted, axis=1)
    )


def _facts(
    xp: Any, agent: Readings, state: Readings, stroke: Stroke
) -> dict[str, Array]:
    """What the planner decides on, (n,) bool each."""
    width = agent["gripper_width"][:, 0]
    pad = state["pad_pos_w"]
    error = agent["tcp_pos_w"] - pad
    speed = state["pad_vel_w"]
    across = xp.sqrt(dot(error[:, :2], error[:, :2]))
    up = xp.abs(error[:, 2] - GRIP_Z_M)
    height = pad[:, 2] - state["table_z"][:, 0]
    off_lane = xp.abs(pad[:, 0] - stroke.lane_x)
    off_ends = xp.maximum(stroke.low_y - pad[:, 1], pad[:, 1] - stroke.high_y)
    off_mat = xp.maximum(
        xp.abs(pad[:, 0] - state["mat_pos_w"][:, 0]),
        xp.abs(pad[:, 1] - state["mat_pos_w"][:, 1]),
    )
    held = (
        (width > HELD_WIDTH_M[0])
        & (width < HELD_WIDTH_M[1])
        & (across < 0.02)
        & (up < 0.02)
    )
    over = (off_lane < ASTRAY_M) & (off_ends < ASTRAY_M)
    return {
        "held": held,
        "near": (across < NEAR_M) & (dot(speed, speed) < STILL_M_S**2),
        "on": (across < ON_M) & (up < 0.012),
        "low": height < LOW_M,
        "touching": height < TOUCHING_M,
        "above": (off_lane < AT_M) & (off_ends < AT_M),
        "over": over & stroke.any,
        "home": ~stroke.any & (off_mat < AT_M),
        "put_back": ~stroke.any & (off_mat < 2 * AT_M) & (height < TOUCHING_M),
    }


def _choose(
    xp: Any, agent: Readings, state: Readings, stroke: Stroke, facts: dict[str, Array]
) -> tuple[Array, Array]:
    """Skill (n,) and goal position (n, 3) of the hand."""
    tcp = agent["tcp_pos_w"]
    pad = state["pad_pos_w"]
    table_z = state["table_z"][:, 0]
    grip = _at(xp, pad, pad[:, 2] + GRIP_Z_M)
    entry = xp.stack(
        [stroke.lane_x, xp.minimum(xp.maximum(pad[:, 1], stroke.low_y), stroke.high_y)],
        axis=1,
    )
    onward = xp.stack([stroke.lane_x, _onward_y(xp, state, stroke)], axis=1)
    target = xp.where(stroke.any[:, None], entry, state["mat_pos_w"])
    pressed_z = table_z - PRESS_M
    clear_z = table_z + CLEAR_M
    held = facts["held"]
    low = facts["low"]
    over = facts["over"]
    any_left = stroke.any

    def in_hand(goal: Array) -> Array:
        """Where the hand must be for the pad to be at `goal`."""
        return goal + tcp - pad

    rows = [  # the later wins
        ("reach", ~held, _at(xp, grip, grip[:, 2] + HOVER_M)),
        ("grasp", ~held & facts["near"], grip),
        ("lift", held & low, in_hand(_at(xp, pad, clear_z))),
        ("carry", held & ~low, in_hand(_at(xp, target, clear_z))),
        (
            "place",
            held & any_left & (facts["above"] | (low & over)),
            in_hand(_at(xp, entry, pressed_z)),
        ),
        (
            "wipe",
            held & any_left & facts["touching"] & over,
            in_hand(_at(xp, onward, pressed_z)),
        ),
        ("place", held & facts["home"], in_hand(_at(xp, target, table_z - 0.002))),
        ("release", held & facts["put_back"], tcp),
        (
            "retreat",
            ~held & facts["put_back"],
            _at(xp, tcp, table_z + GRIP_Z_M + HOVER_M),
        ),
    ]
    return last_row(xp, rows, grip)


def _at(xp: Any, point: Array, z: Array) -> Array:
    """The x and y of `point` (n, 2 or 3) at heights `z` (n,)."""
    return xp.stack([point[:, 0], point[:, 1], z], axis=1)


def _onward_y(xp: Any, state: Readings, stroke: Stroke) -> Array:
    """(n,) the end of the stroke that the pad moves towards; the farther one when it
    stands, or is at an end.
    """
    y = state["pad_pos_w"][:, 1]
    speed = state["pad_vel_w"][:, 1]
    low = stroke.low_y
    high = stroke.high_y
    farther = xp.where(y - low > high - y, low, high)
    end = xp.where((speed > SLOW_M_S) & (y < high - AT_M), high, farther)
    return xp.where((speed < -SLOW_M_S) & (y > low + AT_M), low, end)


def _completion(xp: Any, state: Readings) -> Array:
    """(n,) the less is left of what is named, the more."""
    left = xp.sum(state["dirt_named"] * state["dirt_cm2"], axis=1)
    return 1 / (1 + 0.1 * left)


def table_wipe_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """The two halves of the expert: this planner and the goal servo."""
    planner = ScriptedPlanner(agent_layout, state_layout, decide)
    return Driving(planner, agent_layout, robot), GoalServo(agent_layout, robot)
