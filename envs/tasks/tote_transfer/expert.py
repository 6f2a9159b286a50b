"""The scripted planner of ToteTransfer.

Each plan follows from the present state alone, so the expert recovers from whatever
happens.
"""

from __future__ import annotations

from typing import Any

from embodied.arrays import dot
from embodied.core import Array, Layout, Observation
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
from embodied.envs.tasks.tote_transfer.two_handed_expert import two_handed_expert
from embodied.plan import Controller, Payload, Planner
from embodied.robots.robot import Robot

# The task's skills, first to last.
ORDER = ("reach", "grasp", "lift", "carry", "place", "release", "retreat")
# The hand's height above the grip before it goes down.
HOVER_M = 0.10
# An empty hand lower than this above the grip may have its fingers around a wall of some
# tote. Farther than FAR_M from its goal, horizontally, it rises before it travels, because
# it would drag that tote along.
LOW_M = 0.05
FAR_M = 0.12
# The hand's height above the tote's rim after it has let go.
CLEAR_M = 0.06
# A tote is set down towards a goal this far below the slot's floor.
PRESS_M = 0.004
# A tote is set down only if its y is larger than this, because there the rack is.
PLACE_Y_W = 0.3
# Waypoints around the robot's column on the way to the rack: the largest angle about the
# column from one waypoint to the next, and the range of their distances from the column.
WAYPOINT_RAD = 0.8
CARRY_RADIUS_M = (0.48, 0.62)
# A tote within this horizontal distance of its slot is at the rack.
AT_RACK_M = 0.9
# A tote slower than this is stuck: the belt does not bring it within reach.
STUCK_M_S = 0.02
# A robot that travels drives upstream to a stuck tote, until the grip has this y relative
# to the robot.
UPSTREAM_Y_M = -0.35


def tote_transfer_expert(
    agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of the expert.

    A robot that travels drives between the belt and the rack. A robot with two hands
    carries wide totes with both hands.
    """
    if station_of(robot).has_two_hands:
        return two_handed_expert(agent_layout, state_layout, robot)

    # the expert plans for one hand, which need not be like the reference hand
    expert = ToteTransferExpert(robot)
    hand = HandView.of(robot)
    planner = ScriptedPlanner(agent_layout, state_layout, expert.decide, hand)

    def stand(observation: Observation, payload: Payload) -> Array:
        """Returns where the mount should stand (n, 4): x, y, z in m and yaw in rad.

        The pose depends on the observation only; DrivingPlanner passes the plan, too.
        """
        return expert.stand(*planner.read(observation))

    return DrivingPlanner(planner, agent_layout, robot, stand), GoalServo(
        agent_layout, robot
    )


class ToteTransferExpert:
    """Decides what a robot with one hand does next, and where it should stand for that."""

    def __init__(self, robot: Robot) -> None:
        self._station = station_of(robot)
        self._travels = robot.travels
        # a grip deeper than the palm is above the TCP would push the palm onto the rim
        palm_m = robot.gripper_of(robot.effectors[0]).palm_m
        self._depth_m = min(GRASP_DEPTH_M, palm_m)

    def stand(self, xp: Any, agent: Readings, state: Readings) -> Array:
        """Returns where a robot that travels should stand.

        Returns:
            (n, 4) the pose of the robot's mount: x, y, z in m and yaw in rad.
        """
        facts = ExpertFacts.read(xp, agent, state, self._depth_m)
        is_at_rack = self._is_at_rack(facts)
        x, y = self._stand_xy(xp, facts, state["tote_vel_w"][:, 1])
        z = xp.full_like(x, STAND_POSE_W[2])
        yaw = xp.where(is_at_rack, self._station.facing, 0.0)
        return xp.stack([x, y, z, yaw], axis=1)

    def decide(self, xp: Any, agent: Readings, state: Readings) -> Payload:
        """Returns the plans for n worlds, from proprioception and the privileged state."""
        # The rules are those of a fixed robot, which stands at the world's origin. So
        # express all positions relative to the place where this robot should stand.
        facts_w = ExpertFacts.read(xp, agent, state, self._depth_m)
        x, y = self._stand_xy(xp, facts_w, state["tote_vel_w"][:, 1])
        stand_w = xp.stack([x, y, xp.zeros_like(x)], axis=1)
        agent = {**agent, "tcp_pos_w": agent["tcp_pos_w"] - stand_w}
        state = {
            **state,
            "tote_pos_w": state["tote_pos_w"] - stand_w,
            "slot_pos_w": state["slot_pos_w"] - stand_w,
        }
        facts = ExpertFacts.read(xp, agent, state, self._depth_m)

        # whether the tote is on the belt, within reach
        is_riding = ~facts.is_holding & ~facts.is_standing & facts.is_reachable
        skill, pos = _choose(xp, facts, is_riding, self._depth_m)
        # an empty hand takes the tote's yaw; a held tote is brought to the rack's yaw, 0
        yaw = xp.where(facts.is_holding, xp.zeros_like(facts.yaw), facts.yaw)
        is_closing = is_skill(skill, "grasp") & facts.is_on_grip
        is_closing = is_closing | (facts.is_holding & ~is_skill(skill, "release"))
        # the goal moves with a tote that the belt carries
        velocity = xp.where(is_riding[:, None], state["tote_vel_w"], xp.zeros_like(pos))
        return make_payload(
            skill=skill,
            pos_w=pos + stand_w,
            quat_wxyz=pointing_down(xp, yaw),
            gripper=xp.where(is_closing, -1.0, 1.0),
            completion=completion_of(xp, ORDER, skill),
            vel_w=velocity,
        )

    @staticmethod
    def _is_at_rack(facts: ExpertFacts) -> Array:
        """Returns (n,) bool, whether the robot should be at the rack now.

        The robot should be there once the tote is near its slot, or held and lifted.
        """
        offset = (facts.tote - facts.slot)[:, :2]
        is_tote_near = dot(offset, offset) < AT_RACK_M**2
        return is_tote_near | (facts.is_holding & ~facts.is_low)

    def _stand_xy(
        self, xp: Any, facts: ExpertFacts, tote_vel_y: Array
    ) -> tuple[Array, Array]:
        """Returns x and y, (n,) each in m, of the place where the robot should stand.

        A robot that travels stands at the rack or at the belt, and farther upstream if a
        tote is stuck out of reach. A fixed robot stands at the world's origin.

        Args:
            xp: The array namespace.
            facts: What the expert knows.
            tote_vel_y: (n,) m/s, the tote's velocity along the belt.
        """
        is_at_rack = self._is_at_rack(facts)
        grip_y = facts.grip[:, 1]
        # a tote that is held or hardly moves comes no nearer by itself
        is_slow = xp.abs(tote_vel_y) < STUCK_M_S
        is_stuck = (grip_y < REACH_Y_W[0]) & (facts.is_holding | is_slow)
        belt_y = xp.where(is_stuck & self._travels, grip_y - UPSTREAM_Y_M, 0.0)

        rack_x, rack_y = self._station.rack_stand_w
        x = xp.where(is_at_rack, rack_x, 0.0)
        y = xp.where(is_at_rack, rack_y, belt_y)
        return x, y


def _choose(
    xp: Any, facts: ExpertFacts, is_riding: Array, depth_m: float
) -> tuple[Array, Array]:
    """Returns the skill (n,), an index into SKILLS, and the hand's goal (n, 3) m.

    Args:
        xp: The array namespace.
        facts: What the expert knows.
        is_riding: (n,) bool, whether the tote is on the belt, within reach.
        depth_m: How far below the tote's rim the pads grip its wall.
    """
    tcp = facts.tcp
    slot = facts.slot
    grip = facts.grip
    tote_to_hand = tcp - facts.tote
    carry_z = xp.full_like(tcp[:, 2], CARRY_Z_W)

    # goals of an empty hand: above the grip, but at the edge of its reach while the tote
    # is still to come; and above the tote's rim after the hand has let go
    hover_y = xp.clip(grip[:, 1], *REACH_Y_W)
    hover = xp.stack([grip[:, 0], hover_y, grip[:, 2] + HOVER_M], axis=1)
    to_hover = (hover - tcp)[:, :2]
    is_far = dot(to_hover, to_hover) > FAR_M**2
    must_rise = is_far & (tcp[:, 2] < grip[:, 2] + LOW_M)
    raised = with_z(xp, tcp, hover[:, 2])
    above_rim = with_z(xp, tcp, grip[:, 2] + depth_m + CLEAR_M)
    # goals of a hand with a tote
    lifted = with_z(xp, tcp, carry_z)
    waypoint = around_column(
        xp, tcp, slot + tote_to_hand, radius_m=CARRY_RADIUS_M, turn_rad=WAYPOINT_RAD
    )
    carried = with_z(xp, waypoint, carry_z)
    set_down = slot + tote_to_hand - xp.asarray([0.0, 0.0, PRESS_M])

    # once a tote is being lowered, a small drift does not stop the lowering
    is_held = facts.is_holding
    may_lower = facts.is_above_slot | facts.is_being_lowered
    may_lower = may_lower & (facts.tote[:, 1] > PLACE_Y_W)
    rows = [  # the last row that applies wins
        Row("reach", when=~is_held, goal_w=hover),
        Row("reach", when=~is_held & must_rise, goal_w=raised),
        Row("grasp", when=is_riding & facts.is_near_grip, goal_w=grip),
        Row("lift", when=is_held & facts.is_low, goal_w=lifted),
        Row("carry", when=is_held & ~facts.is_low, goal_w=carried),
        Row("place", when=is_held & may_lower, goal_w=set_down),
        Row("release", when=is_held & facts.is_standing, goal_w=tcp),
        Row("retreat", when=~is_held & facts.is_standing, goal_w=above_rim),
    ]
    return last_row(xp, rows, otherwise_w=hover)
