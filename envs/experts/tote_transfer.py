"""The privileged planner of ToteTransfer: names the next skill from the present state alone, so it recovers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embodied.arrays import array_namespace, dot
from embodied.core import SKILLS, Array, Controller, Layout, Observation, Payload, Planner
from embodied.envs.experts.tote_transfer_facts import CARRY_Z_W, GRASP_DEPTH_M, grip_point, read_facts
from embodied.envs.scenes.tote_station import station_of
from embodied.envs.skills.driving import STAND, Driving
from embodied.envs.skills.goal_servo import GoalServo
from embodied.robots.robot import Robot
from embodied.rotations import quat_from_yaw, quat_multiply

HOVER_M = 0.10  # above the grasp before going down
CLEAR_M = 0.06  # above the rim after letting go
REACH_Y_W = (-0.50, 0.56)  # of the grasp point, where the arm can follow
WAIT_M = 0.06  # how far beyond the hover the arm waits for a tote to come
TURN_RAD = 0.8  # about the robot's column, that one carry goal covers
CARRY_RADIUS_M = (0.48, 0.62)  # from the column on the way
AT_RACK_M = 0.9  # horizontally from the named slot
STUCK_M_S = 0.02  # a tote that is slower
UPSTREAM_Y_M = -0.35  # of its grasp point then, from the robot


class ToteTransferPlanner:
    """Where the hand should go next, for n worlds at a time, from privileged state. Remembers nothing."""

    latent_size = 0

    def __init__(self, agent_layout: Layout, state_layout: Layout, robot: Robot) -> None:
        self._agent, self._state = agent_layout.slices(), state_layout.slices()
        self._station, self._drives = station_of(robot), robot.drives

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Nothing is remembered."""

    def stand(self, observation: Observation, payload: Payload) -> Array:
        """(n, 4) where the mount of a robot that drives belongs: x, y, z in m and yaw in rad."""
        xp = array_namespace(observation.agent_pos)
        at_rack, origin = self._where(xp, *self._parts(observation))
        height = xp.full_like(origin[:, :1], STAND[2])
        return xp.concat([origin[:, :2], height, xp.where(at_rack, self._station.facing, 0.0)[:, None]], axis=1)

    def _parts(self, observation: Observation) -> tuple[dict[str, Array], dict[str, Array]]:
        agent = {name: observation.agent_pos[:, part] for name, part in self._agent.items()}
        return agent, {name: observation.environment_state[:, part] for name, part in self._state.items()}

    def _where(self, xp: Any, agent: dict[str, Array], state: dict[str, Array]) -> tuple[Array, Array]:
        """(n,) whether the next thing to do is at the rack: the tote is there, or in the hand and lifted; (n, 3) m, the
        floor below the mount of a robot that stands as it should for that: at the rack, at the belt, or further up
        the belt where a tote out of reach hardly comes nearer. A fixed robot stands at the world's origin."""
        grip = grip_point(xp, state["tote_pos_w"], state["tote_rot6d"])[0]
        facts = read_facts(xp, agent, state, grip)
        away, y = (state["tote_pos_w"] - state["slot_pos_w"])[:, :2], grip[:, 1]
        at_rack = (dot(away, away) < AT_RACK_M**2) | facts["held"] & ~facts["low"]
        stuck = (y < REACH_Y_W[0]) & (facts["held"] | (xp.abs(state["tote_vel_w"][:, 1]) < STUCK_M_S))
        along = xp.where(stuck & self._drives, y - UPSTREAM_Y_M, 0.0)
        rack_x, rack_y = self._station.rack_origin_w
        x, y = xp.where(at_rack, rack_x, 0.0), xp.where(at_rack, rack_y, along)
        return at_rack, xp.stack([x, y, xp.zeros_like(x)], axis=1)

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """All is planned as seen from where the robot should stand."""
        xp = array_namespace(observation.agent_pos)
        agent, state = self._parts(observation)
        origin = self._where(xp, agent, state)[1]
        agent = {**agent, "tcp_pos_w": agent["tcp_pos_w"] - origin}
        state = {**state, **{name: state[name] - origin for name in ("tote_pos_w", "slot_pos_w")}}
        grip, yaw = grip_point(xp, state["tote_pos_w"], state["tote_rot6d"])
        facts = read_facts(xp, agent, state, grip)
        subtask, pos, moving = _choose(xp, agent, state, grip, facts)
        held = facts["held"]
        turn = quat_from_yaw(xp.where(held, xp.zeros_like(yaw), yaw))
        down = xp.broadcast_to(xp.asarray([0.0, 1.0, 0.0, 0.0]), turn.shape)
        closing = (subtask == SKILLS.index("grasp")) & facts["on"] | held & (subtask != SKILLS.index("release"))
        return Payload(
            subtask=subtask,
            goal_pos_w=pos + origin,
            goal_quat_wxyz=quat_multiply(turn, down),
            goal_vel_w=xp.where(moving[:, None], state["tote_vel_w"], xp.zeros_like(pos)),
            gripper=xp.where(closing, -1.0, 1.0),
            completion=_completion(xp, subtask),
            latent=xp.zeros((pos.shape[0], 0)),
        )


def _choose(
    xp: Any, agent: dict[str, Array], state: dict[str, Array], grip: Array, facts: dict[str, Array]
) -> tuple[Array, Array, Array]:
    """Skill (n,), goal position (n, 3), and whether the goal rides on the belt (n,)."""
    tcp, slot, tote = agent["tcp_pos_w"], state["slot_pos_w"], state["tote_pos_w"]
    in_hand = tcp - tote  # where the hand holds the tote
    at_carry_z = xp.stack(
        [xp.zeros_like(tcp[:, 0]), xp.zeros_like(tcp[:, 0]), xp.full_like(tcp[:, 2], CARRY_Z_W)], axis=1
    )
    flat = xp.asarray([1.0, 1.0, 0.0])
    waiting_y = xp.clip(grip[:, 1], *REACH_Y_W)
    hover = xp.stack([grip[:, 0], waiting_y, grip[:, 2] + HOVER_M], axis=1)
    over_slot = _around(xp, tcp, slot + in_hand) * flat + at_carry_z
    reachable = (grip[:, 1] > REACH_Y_W[0]) & (grip[:, 1] < REACH_Y_W[1])
    held, standing = facts["held"], facts["standing"]
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
        ("retreat", ~held & standing, xp.stack([tcp[:, 0], tcp[:, 1], grip[:, 2] + GRASP_DEPTH_M + CLEAR_M], axis=1)),
    ]
    subtask = xp.full(tcp.shape[:1], SKILLS.index("reach"), dtype=xp.int64)
    pos = hover
    for skill, when, goal in rows:
        subtask = xp.where(when, SKILLS.index(skill), subtask)
        pos = xp.where(when[:, None], goal, pos)
    return subtask, pos, riding


def _around(xp: Any, tcp: Array, goal: Array) -> Array:
    """The next point (n, 3) on the way to `goal` that keeps clear of the robot's own column at the origin."""
    angle, goal_angle = xp.atan2(tcp[:, 1], tcp[:, 0]), xp.atan2(goal[:, 1], goal[:, 0])
    turn = xp.atan2(xp.sin(goal_angle - angle), xp.cos(goal_angle - angle))
    radius, goal_radius = (xp.sqrt(p[:, 0] ** 2 + p[:, 1] ** 2) for p in (tcp, goal))
    between = xp.clip((radius + goal_radius) / 2, *CARRY_RADIUS_M)
    next_angle = angle + xp.clip(turn, -TURN_RAD, TURN_RAD)
    point = xp.stack([between * xp.cos(next_angle), between * xp.sin(next_angle), goal[:, 2]], axis=1)
    return xp.where((xp.abs(turn) > TURN_RAD)[:, None], point, goal)


def _completion(xp: Any, subtask: Array) -> Array:
    order = ("reach", "grasp", "lift", "carry", "place", "release", "retreat")
    share = [order.index(skill) / (len(order) - 1) if skill in order else 0.0 for skill in SKILLS]
    return xp.asarray(share)[subtask]


def tote_transfer_expert(agent_layout: Layout, state_layout: Layout, robot: Robot) -> tuple[Planner, Controller]:
    """The two halves of the expert: this planner, driving first where the robot can, and the goal servo."""
    planner = ToteTransferPlanner(agent_layout, state_layout, robot)
    return Driving(planner, agent_layout, robot, planner.stand), GoalServo(agent_layout, robot)
