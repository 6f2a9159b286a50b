"""The scripted expert of GaugeCheck: drive to each named gauge and answer it.

At each gauge the robot presses the button OK if the needle is between the gauge's
marks, and FAULT otherwise. Each plan follows from the present state alone, so the
expert recovers from whatever happens.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import norm
from embodied.core import Array, Layout, Observation
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
from embodied.plan import Controller, Payload, Planner
from embodied.robots.parts.gripper import TIP_M
from embodied.robots.robot import Robot

# The skills in the order of their use, by which completion rises.
ORDER = ("reach", "press", "retreat", "look_at")
# The goal height of the fingertip above the buttons while the robot drives.
CLEAR_M = 0.10
# The robot may drive with the fingertip at most this far below that height.
SAG_M = 0.03
# How far the fingertip pushes a button down: past the click, but not onto the stop.
DEPTH_M = 0.0068
# The largest horizontal distance between fingertip and button at which the hand
# presses.
OVER_BUTTON_M = 0.006
# The distance that gauges get that need no answer: larger than any in the room, so that
# such a gauge is never the nearest.
NOT_WAITING_M = 99.0


@dataclass(frozen=True)
class ExpertFacts:
    """What the expert knows of the fingertip and the gauges in n worlds."""

    tip: Array  # (n, 3) m, tip of the closed fingers
    button: Array  # (n, 3) m, top of the button to press next, while it is not pressed
    stand_y: Array  # (n,) m, world y at which the robot's mount should stand
    # (n,) bool each
    is_done: Array  # every named gauge has been answered
    is_high: Array  # the fingertip is high enough to drive
    is_over: Array  # the fingertip is above the button to press next


def gauge_check_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of the expert, which drives from gauge to gauge."""
    hand = HandView.of(robot)
    hand_planner = ScriptedPlanner(agent_layout, state_layout, decide, hand)

    def mount_goal_w(observation: Observation, payload: Payload) -> Array:
        """Returns the pose (n, 4) to which the arm's mount should drive.

        Args:
            observation: The observation.
            payload: The plan of the hand, which DrivingPlanner passes; it is not used.

        Returns:
            x, y, z in m and the yaw in rad.
        """
        xp, agent, state = hand_planner.read(observation)
        y = _read_facts(xp, agent, state).stand_y
        # the stand of a fixed arm, moved along y to the station
        x, _, z, yaw = STAND_POSE_W
        columns = [xp.full_like(y, x), y, xp.full_like(y, z), xp.full_like(y, yaw)]
        return xp.stack(columns, axis=1)

    planner = DrivingPlanner(hand_planner, agent_layout, robot, mount_goal_w)
    return planner, GoalServo(agent_layout, robot)


def decide(xp: Any, agent: Readings, state: Readings) -> Payload:
    """Returns the plans of the hand in n worlds, as if each robot stood at its next gauge.

    `DrivingPlanner` adds the plan of the base, which drives the robot there.
    """
    facts = _read_facts(xp, agent, state)
    up = xp.asarray([0.0, 0.0, 1.0])
    clear_z = xp.full_like(facts.tip[:, 2], button_top_z() + CLEAR_M)

    # goals of the fingertip
    raised = with_z(xp, facts.tip, clear_z)
    above_button = with_z(xp, facts.button, clear_z)
    pressed = facts.button - DEPTH_M * up
    may_press = facts.is_over & ~facts.is_done
    has_finished = facts.is_high & facts.is_done
    rows = [  # the last row that applies wins
        Row("reach", when=~facts.is_done, goal_w=above_button),
        Row("retreat", when=~facts.is_high, goal_w=raised),
        Row("press", when=may_press, goal_w=pressed),
        Row("look_at", when=has_finished, goal_w=raised),
    ]
    skill, tip_goal = last_row(xp, rows, otherwise_w=raised)

    # the hand points straight down, so that the TCP is above the fingertip
    return make_payload(
        skill=skill,
        pos_w=tip_goal + TIP_M * up,
        quat_wxyz=pointing_down(xp, xp.zeros_like(clear_z)),
        gripper=xp.full_like(clear_z, -1.0),  # closed
        completion=completion_of(xp, ORDER, skill),
    )


def _read_facts(xp: Any, agent: Readings, state: Readings) -> ExpertFacts:
    """Returns what the decisions need, computed from the observations of n worlds."""
    num_stations = len(PLACES)  # K, each with a gauge and two buttons
    num = agent["tcp_pos_w"].shape[0]
    worlds = xp.arange(num)
    tip = fingertip_w(agent["tcp_pos_w"], agent["tcp_rot6d"], TIP_M)
    stations = xp.reshape(state["stations_pos_w"], (num, num_stations, 3))

    # The next station is the nearest one that is named and not yet answered. The stations
    # are in a row along y, so the distance along y decides. In the state, `named` and
    # `answered` are 0 or 1.
    is_waiting = (state["named"] > 0.5) & (state["answered"] < 0.5)  # (n, K)
    distance = xp.abs(stations[..., 1] - tip[:, None, 1])  # (n, K) m
    nearest = xp.argmin(distance, axis=1)
    waiting_distance = xp.where(is_waiting, distance, NOT_WAITING_M)
    target = xp.argmin(waiting_distance, axis=1)

    # the correct button of the next station: OK if the needle is between the marks
    needle = state["needles"][worlds, target]
    is_above_low = needle > state["lows"][worlds, target]
    is_below_high = needle < state["highs"][worlds, target]
    is_ok = is_above_low & is_below_high
    button_x = stations[worlds, target][:, 0]
    station_to_button_y = xp.where(is_ok, BUTTON_Y_M[OK], BUTTON_Y_M[FAULT])
    button_y = stations[worlds, target][:, 1] + station_to_button_y
    top_z = button_top_z()
    button = xp.stack([button_x, button_y, xp.full_like(button_y, top_z)], axis=1)

    offset = (tip - button)[:, :2]
    is_over = norm(offset) < OVER_BUTTON_M
    is_high = tip[:, 2] > top_z + CLEAR_M - SAG_M
    is_done = ~xp.any(is_waiting, axis=1)
    # the robot drives on only with its hand raised, so that the hand hits nothing; until
    # then, and when all is done, the robot stays at the nearest station
    station = xp.where(is_high & ~is_done, target, nearest)
    return ExpertFacts(
        tip=tip,
        button=button,
        stand_y=stations[worlds, station][:, 1],
        is_done=is_done,
        is_high=is_high,
        is_over=is_over,
    )
