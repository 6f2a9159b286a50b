"""The privileged planner of ToteTransfer: names the next skill from the present state
alone, so it recovers.
"""

from __future__ import annotations

from typing import Any

from embodied.arrays import dot
from embodied.core import (
    SKILLS,
    Array,
    Controller,
    Layout,
    Observation,
    Payload,
    Planner,
)
from embodied.envs.skills.driving import STAND, Driving
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.scripted import (
    Parts,
    ScriptedPlanner,
    around_column,
    latest,
    pointing_down,
    say,
    share_of,
)
from embodied.envs.tasks.tote_transfer.expert_facts import (
    CARRY_Z_W,
    GRASP_DEPTH_M,
    grip_point,
    read_facts,
)
from embodied.envs.tasks.tote_transfer.scene import station_of
from embodied.robots.robot import Robot

HOVER_M = 0.10  # above the grasp before going down
CLEAR_M = 0.06  # above the rim after letting go
REACH_Y_W = (-0.50, 0.56)  # of the grasp point, where the arm can follow
WAIT_M = 0.06  # how far beyond the hover the arm waits for a tote to come
TURN_RAD = 0.8  # about the robot's column, that one carry goal covers
CARRY_RADIUS_M = (0.48, 0.62)  # from the column on the way
AT_RACK_M = 0.9  # horizontally from the named slot
ORDER = ("reach", "grasp", "lift", "carry", "place", "release", "retreat")
STUCK_M_S = 0.02  # a tote that is slower
UPSTREAM_Y_M = -0.35  # of its grasp point then, from the robot


class _Work:
    """The expert's decisions, all made as seen from where the robot should stand."""

    def __init__(self, robot: Robot) -> None:
        self._station = station_of(robot)
        self._drives = robot.drives

    def stand(self, xp: Any, agent: Parts, state: Parts) -> Array:
        """(n, 4) where the mount of a robot that drives belongs: x, y, z in m and yaw
        in rad.
        """
        at_rack, origin = self._where(xp, agent, state)
        height = xp.full_like(origin[:, :1], STAND[2])
        return xp.concat(
            [
                origin[:, :2],
                height,
                xp.where(at_rack, self._station.facing, 0.0)[:, None],
            ],
            axis=1,
        )

    def _where(self, xp: Any, agent: Parts, state: Parts) -> tuple[Array, Array]:
        """(n,) whether the next thing to do is at the rack: the tote is there, or in
        the hand and lifted; (n, 3) m, the floor below the mount of a robot that stands
        as it should for that: at the rack, at the belt, or further up the belt where a
        tote out of reach hardly comes nearer. A fixed robot stands at the world's
        origin.
        """
        grip = grip_point(xp, state["tote_pos_w"], state["tote_rot6d"])[0]
        facts = read_facts(xp, agent, state, grip)
        away = (state["tote_pos_w"] - state["slot_pos_w"])[:, :2]
        y = grip[:, 1]
        at_rack = (dot(away, away) < AT_RACK_M**2) | facts["held"] & ~facts["low"]
        stuck = (y < REACH_Y_W[0]) & (
            facts["held"] | (xp.abs(state["tote_vel_w"][:, 1]) < STUCK_M_S)
        )
        along = xp.where(stuck & self._drives, y - UPSTREAM_Y_M, 0.0)
        rack_x, rack_y = self._station.rack_origin_w
        x = xp.where(at_rack, rack_x, 0.0)
        y = xp.where(at_rack, rack_y, along)
        return at_rack, xp.stack([x, y, xp.zeros_like(x)], axis=1)

    def decide(self, xp: Any, agent: Parts, state: Parts) -> Payload:
        """Where the hand should go next."""
        origin = self._where(xp, agent, state)[1]
        agent = {**agent, "tcp_pos_w": agent["tcp_pos_w"] - origin}
        state = {
            **state,
            **{name: state[name] - origin for name in ("tote_pos_w", "slot_pos_w")},
        }
        grip, yaw = grip_point(xp, state["tote_pos_w"], state["tote_rot6d"])
        facts = read_facts(xp, agent, state, grip)
        skill, pos, moving = _choose(xp, agent, state, grip, facts)
        held = facts["held"]
        quat = pointing_down(xp, xp.where(held, xp.zeros_like(yaw), yaw))
        closing = (skill == SKILLS.index("grasp")) & facts["on"] | held & (
            skill != SKILLS.index("release")
        )
        velocity = xp.where(moving[:, None], state["tote_vel_w"], xp.zeros_like(pos))
        gripper = xp.where(closing, -1.0, 1.0)
        return say(
            skill, pos + origin, quat, gripper, share_of(xp, ORDER, skill), velocity
        )


def _choose(
    xp: Any, agent: Parts, state: Parts, grip: Array, facts: dict[str, Array]
) -> tuple[Array, Array, Array]:
    """Skill (n,), goal position (n, 3), and whether the goal rides on the belt (n,)."""
    tcp = agent["tcp_pos_w"]
    slot = state["slot_pos_w"]
    tote = state["tote_pos_w"]
    in_hand = tcp - tote  # where the hand holds the tote
    at_carry_z = xp.stack(
        [
            xp.zeros_like(tcp[:, 0]),
            xp.zeros_like(tcp[:, 0]),
            xp.full_like(tcp[:, 2], CARRY_Z_W),
        ],
        axis=1,
    )
    flat = xp.asarray([1.0, 1.0, 0.0])
    waiting_y = xp.clip(grip[:, 1], *REACH_Y_W)
    hover = xp.stack([grip[:, 0], waiting_y, grip[:, 2] + HOVER_M], axis=1)
    over_slot = (
        around_column(xp, tcp, slot + in_hand, CARRY_RADIUS_M, TURN_RAD) * flat
        + at_carry_z
    )
    reachable = (grip[:, 1] > REACH_Y_W[0]) & (grip[:, 1] < REACH_Y_W[1])
    held = facts["held"]
    standing = facts["standing"]
    riding = ~held & ~standing & reachable
    rows = [  # the later wins
        ("reach", ~held, hover),
        ("grasp", riding & facts["near"], grip),
        ("lift", held & facts["low"], tcp * flat + at_carry_z),
        ("carry", held & ~facts["low"], over_slot),
        (
            "place",
            held & (facts["above"] | facts["lowering"]) & (tote[:, 1] > 0.3),
            slot + in_hand - 0.004 * (1 - flat),
        ),
        ("release", held & standing, tcp),
        (
            "retreat",
            ~held & standing,
            xp.stack(
                [tcp[:, 0], tcp[:, 1], grip[:, 2] + GRASP_DEPTH_M + CLEAR_M], axis=1
            ),
        ),
    ]
    return *latest(xp, rows, hover), riding


def tote_transfer_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """The two halves of the expert: this planner, driving first where the robot can,
    and the goal servo.
    """
    work = _Work(robot)
    planner = ScriptedPlanner(agent_layout, state_layout, work.decide)

    def stand(observation: Observation, payload: Payload) -> Array:
        return work.stand(*planner.read(observation))

    return Driving(planner, agent_layout, robot, stand), GoalServo(agent_layout, robot)
