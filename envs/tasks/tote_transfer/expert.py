"""The scripted planner of ToteTransfer.

It decides from the present state alone, so that it recovers from whatever happens.
"""

from __future__ import annotations

from typing import Any

from embodied.arrays import dot
from embodied.core import Array, Controller, Layout, Observation, Payload, Planner
from embodied.envs.skills.driving import STAND_POSE_W, DrivingPlanner
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.hand_view import HandView
from embodied.envs.skills.scripted import (
    Readings,
    Row,
    ScriptedPlanner,
    around_column,
    completion_of,
    is_skill,
    last_row,
    make_payload,
    pointing_down,
    with_z,
)
from embodied.envs.tasks.tote_transfer.expert_facts import (
    CARRY_Z_W,
    GRASP_DEPTH_M,
    REACH_Y_W,
    ExpertFacts,
)
from embodied.envs.tasks.tote_transfer.scene import station_of
from embodied.robots.robot import Robot

ORDER = ("reach", "grasp", "lift", "carry", "place", "release", "retreat")
# The hand's height above the grip before it goes down, and above the rim afterwards.
HOVER_M = 0.10
CLEAR_M = 0.06
# A tote is set down towards a goal this far below the slot's floor.
PRESS_M = 0.004
# A tote is set down only beyond this y, where the rack is.
PLACE_Y_W = 0.3
# On the way to the rack: the largest turn about the robot's column between two goals,
# and the distances from the column.
TURN_RAD = 0.8
CARRY_RADIUS_M = (0.48, 0.62)
# A tote that is nearer to its slot than this, horizontally, is at the rack.
AT_RACK_M = 0.9
# A tote slower than this will not come within reach. A robot that travels then stands
# where the grip has this y as seen from it.
STUCK_M_S = 0.02
UPSTREAM_Y_M = -0.35


def tote_transfer_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of the expert.

    A robot that travels stands now at the belt, now at the rack.
    """
    expert = ToteTransferExpert(robot)
    hand = HandView.of(robot)
    planner = ScriptedPlanner(agent_layout, state_layout, expert.decide, hand)

    # the stand follows from the observation alone, whatever the plan
    def stand(observation: Observation, payload: Payload) -> Array:
        return expert.stand(*planner.read(observation))

    return DrivingPlanner(planner, agent_layout, robot, stand), GoalServo(
        agent_layout, robot
    )


class ToteTransferExpert:
    """Decides what to do next, as seen from where the robot should stand."""

    def __init__(self, robot: Robot) -> None:
        self._station = station_of(robot)
        self._drives = robot.travels
        # a palm that is near keeps a grip near to the rim
        palm_m = robot.gripper_of(robot.effectors[0]).palm_m
        self._depth_m = min(GRASP_DEPTH_M, palm_m)

    def stand(self, xp: Any, agent: Readings, state: Readings) -> Array:
        """Returns where the mount of a robot that travels should stand.

        Returns:
            (n, 4) x, y, z in m and yaw in rad.
        """
        facts = ExpertFacts.read(xp, agent, state, self._depth_m)
        is_at_rack = self._is_at_rack(facts)
        x, y = self._stand_xy(xp, facts, state["tote_vel_w"][:, 1])
        z = xp.full_like(x, STAND_POSE_W[2])
        yaw = xp.where(is_at_rack, self._station.facing, 0.0)
        return xp.stack([x, y, z, yaw], axis=1)

    def decide(self, xp: Any, agent: Readings, state: Readings) -> Payload:
        """Returns the plans for n worlds."""
        # move the origin to the floor below the mount of a robot at its stand: so the
        # decisions for a fixed robot, which stands at the origin, hold there, too
        facts_w = ExpertFacts.read(xp, agent, state, self._depth_m)
        x, y = self._stand_xy(xp, facts_w, state["tote_vel_w"][:, 1])
        origin = xp.stack([x, y, xp.zeros_like(x)], axis=1)
        agent = {**agent, "tcp_pos_w": agent["tcp_pos_w"] - origin}
        state = {
            **state,
            "tote_pos_w": state["tote_pos_w"] - origin,
            "slot_pos_w": state["slot_pos_w"] - origin,
        }
        facts = ExpertFacts.read(xp, agent, state, self._depth_m)

        # a tote rides within reach on the belt; one that is held gets the rack's yaw, 0
        is_riding = ~facts.is_holding & ~facts.is_standing & facts.is_reachable
        skill, pos = _choose(xp, facts, is_riding, self._depth_m)
        yaw = xp.where(facts.is_holding, xp.zeros_like(facts.yaw), facts.yaw)
        is_closing = is_skill(skill, "grasp") & facts.is_on_grip
        is_closing = is_closing | facts.is_holding & ~is_skill(skill, "release")
        # a goal on the belt moves with it
        velocity = xp.where(is_riding[:, None], state["tote_vel_w"], xp.zeros_like(pos))
        return make_payload(
            skill=skill,
            pos_w=pos + origin,
            quat_wxyz=pointing_down(xp, yaw),
            gripper=xp.where(is_closing, -1.0, 1.0),
            completion=completion_of(xp, ORDER, skill),
            vel_w=velocity,
        )

    @staticmethod
    def _is_at_rack(facts: ExpertFacts) -> Array:
        """Returns (n,) bool, whether the robot's work is at the rack now.

        It is where the tote is at the rack, or in the hand and lifted.
        """
        away = (facts.tote - facts.slot)[:, :2]
        return (dot(away, away) < AT_RACK_M**2) | facts.is_holding & ~facts.is_low

    def _stand_xy(
        self, xp: Any, facts: ExpertFacts, tote_speed: Array
    ) -> tuple[Array, Array]:
        """Returns x and y, (n,) each in m, of where the robot should stand.

        That is at the rack, at the belt, or further up the belt where a tote is out of
        reach and hardly moves. A fixed robot stands at the world's origin.
        """
        is_at_rack = self._is_at_rack(facts)
        grip_y = facts.grip[:, 1]
        is_slow = xp.abs(tote_speed) < STUCK_M_S
        is_stuck = (grip_y < REACH_Y_W[0]) & (facts.is_holding | is_slow)
        along_belt = xp.where(is_stuck & self._drives, grip_y - UPSTREAM_Y_M, 0.0)

        rack_x, rack_y = self._station.rack_origin_w
        x = xp.where(is_at_rack, rack_x, 0.0)
        y = xp.where(is_at_rack, rack_y, along_belt)
        return x, y


def _choose(
    xp: Any, facts: ExpertFacts, is_riding: Array, depth_m: float
) -> tuple[Array, Array]:
    """Returns the skill (n,), an index into SKILLS, and the hand's goal (n, 3) m."""
    tcp = facts.tcp
    slot = facts.slot
    grip = facts.grip
    in_hand = tcp - facts.tote  # from the tote to the hand that holds it
    carry_z = xp.full_like(tcp[:, 2], CARRY_Z_W)

    # the hand waits within reach for a tote that is still to come
    waiting_y = xp.clip(grip[:, 1], *REACH_Y_W)
    hover = xp.stack([grip[:, 0], waiting_y, grip[:, 2] + HOVER_M], axis=1)
    beside = around_column(xp, tcp, slot + in_hand, CARRY_RADIUS_M, TURN_RAD)
    down = slot + in_hand - xp.asarray([0.0, 0.0, PRESS_M])
    above_rim = grip[:, 2] + depth_m + CLEAR_M

    # a tote that is being lowered goes on down even if it drifts off a little
    held = facts.is_holding
    may_lower = facts.is_above_slot | facts.is_being_lowered
    may_lower = may_lower & (facts.tote[:, 1] > PLACE_Y_W)
    rows = [  # the last that applies wins
        Row("reach", when=~held, goal_w=hover),
        Row("grasp", when=is_riding & facts.is_near_grip, goal_w=grip),
        Row("lift", when=held & facts.is_low, goal_w=with_z(xp, tcp, carry_z)),
        Row("carry", when=held & ~facts.is_low, goal_w=with_z(xp, beside, carry_z)),
        Row("place", when=held & may_lower, goal_w=down),
        Row("release", when=held & facts.is_standing, goal_w=tcp),
        Row(
            "retreat",
            when=~held & facts.is_standing,
            goal_w=with_z(xp, tcp, above_rim),
        ),
    ]
    return last_row(xp, rows, otherwise_w=hover)
