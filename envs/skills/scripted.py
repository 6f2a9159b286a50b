"""Scripted planners: tables of decisions about the present state, and their helpers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from embodied.arrays import array_namespace, dot
from embodied.core import (
    SKILLS,
    Array,
    Controller,
    Layout,
    Observation,
    Payload,
    Planner,
    PlanShape,
    skill_index,
)
from embodied.envs.skills.driving import DrivingPlanner
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.hand_view import HandView
from embodied.robots.robot import Robot
from embodied.rotations import quat_from_yaw, quat_multiply

# The rotation of a hand that points straight down, wxyz.
POINTING_DOWN = (0.0, 1.0, 0.0, 0.0)

# Name of a layout's part -> its values, (n, width).
Readings = dict[str, Array]
# A function that returns plans from the array namespace, proprioception and privileged
# state.
Decide = Callable[[Any, Readings, Readings], Payload]


class Row(NamedTuple):
    """One row of a decision table: a skill, where it applies, and the hand's goal."""

    skill: str
    when: Array  # (n,) bool
    goal_w: Array  # (n, 3) m, of the tool centre point


class ScriptedPlanner:
    """A planner whose plans are those of a function `decide`.

    It sees the privileged state and remembers nothing. So it recovers from whatever
    happens: the next plan follows from the new state alone.
    """

    plan_shape = PlanShape()

    def __init__(
        self,
        agent_layout: Layout,
        state_layout: Layout,
        decide: Decide,
        hand: HandView | None = None,
    ) -> None:
        """Keeps what reads and decides.

        Args:
            agent_layout: The layout of proprioception.
            state_layout: The layout of privileged state.
            decide: Returns the plans.
            hand: How a hand looks to it that is not of the house; None for one that is.
        """
        # name of a layout's part -> its columns
        self._agent = _with_first_effector(agent_layout.slices())
        self._state = state_layout.slices()
        self._decide = decide
        self._hand = hand

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing: nothing is remembered."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        payload = self._decide(*self.read(observation))
        return self._hand.done(payload) if self._hand else payload

    def read(self, observation: Observation) -> tuple[Any, Readings, Readings]:
        """Returns the array namespace, proprioception and privileged state.

        The latter two are split into the parts that their layouts name.
        """
        agent_pos = observation.agent_pos
        state = observation.environment_state
        agent = {name: agent_pos[:, part] for name, part in self._agent.items()}
        if self._hand:
            seen = self._hand.seen(agent["tcp_pos_w"], agent["tcp_rot6d"])
            agent["tcp_pos_w"] = seen
        return (
            array_namespace(agent_pos),
            agent,
            {name: state[:, part] for name, part in self._state.items()},
        )


def scripted_expert(
    decide: Decide, agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of an expert that plans with `decide`.

    A robot that travels drives up first, then does what a fixed robot does.

    Args:
        decide: Returns the plans of a fixed robot.
        agent_layout: The layout of proprioception.
        state_layout: The layout of privileged state.
        robot: The robot that does it.
    """
    hand = HandView.of(robot)
    planner = ScriptedPlanner(agent_layout, state_layout, decide, hand)
    return DrivingPlanner(planner, agent_layout, robot), GoalServo(agent_layout, robot)


def _with_first_effector(parts: dict[str, slice]) -> dict[str, slice]:
    """Returns a layout's parts, those of the first effector under plain names, too.

    The names of a robot with two arms begin with `left_` or the like. With the plain
    names, planners written for one arm work with such robots.
    """
    parts = dict(parts)
    # of a gripper it is either its width or its vacuum
    for kinds in (("gripper_width", "gripper_vacuum"), ("tcp_pos_w",), ("tcp_rot6d",)):
        named = [name for name in parts if name.endswith(kinds)]
        if named:
            plain = next(kind for kind in kinds if named[0].endswith(kind))
            parts[plain] = parts[named[0]]
    return parts


def last_row(xp: Any, rows: Sequence[Row], otherwise_w: Array) -> tuple[Array, Array]:
    """Returns skill (n,) and goal (n, 3) of the last row that applies in each world.

    Args:
        xp: The array namespace.
        rows: The decision table; later rows win.
        otherwise_w: (n, 3) m, what to reach for where no row applies.
    """
    skill = xp.full(otherwise_w.shape[:1], skill_index("reach"), dtype=xp.int64)
    goal_w = otherwise_w
    for row in rows:
        skill = xp.where(row.when, skill_index(row.skill), skill)
        goal_w = xp.where(row.when[:, None], row.goal_w, goal_w)
    return skill, goal_w


def is_skill(skill: Array, name: str) -> Array:
    """Returns (n,) bool, whether the skills (n,) are the one of this name."""
    return skill == skill_index(name)


def make_payload(
    skill: Array,
    pos_w: Array,
    quat_wxyz: Array,
    gripper: Array,
    completion: Array,
    vel_w: Array | None = None,
) -> Payload:
    """Returns plans for one effector, without a goal for a base.

    Args:
        skill: (n,) int64, index into SKILLS.
        pos_w: (n, 3) m, where the effector goes.
        quat_wxyz: (n, 4) how it is turned there.
        gripper: (n,) in [-1, 1], -1 closed.
        completion: (n,) in [0, 1], share of the task that is done.
        vel_w: (n, 3) m/s of the goal itself; None for a goal at rest.
    """
    xp = array_namespace(pos_w)
    if vel_w is None:
        vel_w = xp.zeros_like(pos_w)

    # goals have an axis of effectors, (n, 1, ...); there are no goals of bases, and no
    # numbers of a latent, which only learned planners give
    num = pos_w.shape[0]
    return Payload(
        subtask=skill,
        goal_pos_w=pos_w[:, None],
        goal_quat_wxyz=quat_wxyz[:, None],
        goal_vel_w=vel_w[:, None],
        gripper=gripper[:, None],
        completion=completion,
        latent=xp.zeros((num, 0)),
        base_goal_w=xp.zeros((num, 0, 4)),
    )


def completion_of(xp: Any, order: tuple[str, ...], skill: Array) -> Array:
    """Returns the completion (n,) of a task whose skills follow an order.

    It is 0 at the first skill and 1 at the last, in equal steps.

    Args:
        xp: The array namespace.
        order: Names of the task's skills.
        skill: (n,) the present skills, as indices into SKILLS.
    """
    shares = [0.0] * len(SKILLS)
    for place, name in enumerate(order):
        shares[skill_index(name)] = place / (len(order) - 1)
    return xp.asarray(shares)[skill]


def pointing_down(xp: Any, yaw: Array) -> Array:
    """Returns rotations (n, 4) wxyz of hands that point down at a yaw (n,), rad."""
    turn = quat_from_yaw(yaw)
    down = xp.broadcast_to(xp.asarray(POINTING_DOWN), turn.shape)
    return quat_multiply(turn, down)


def around_column(
    xp: Any,
    tcp_w: Array,
    goal_w: Array,
    radius_m: tuple[float, float],
    turn_rad: float,
) -> Array:
    """Returns the next point (n, 3) on a way to the goal around the robot's column.

    The column is at the origin. The points are at the goal's height.

    Args:
        xp: The array namespace.
        tcp_w: (n, 3) m, where the hand is.
        goal_w: (n, 3) m.
        radius_m: The least and the largest distance of the way from the column.
        turn_rad: The largest angle about the column from the hand to the next point;
            a goal that is nearer is itself the next point.
    """
    # about the column: how far it is to the goal, the shorter way round, and the angle
    # of the next point
    angle = xp.atan2(tcp_w[:, 1], tcp_w[:, 0])
    goal_angle = xp.atan2(goal_w[:, 1], goal_w[:, 0])
    turn = xp.atan2(xp.sin(goal_angle - angle), xp.cos(goal_angle - angle))
    next_angle = angle + xp.clip(turn, -turn_rad, turn_rad)

    # its distance from the column
    radius = xp.sqrt(dot(tcp_w[:, :2], tcp_w[:, :2]))
    goal_radius = xp.sqrt(dot(goal_w[:, :2], goal_w[:, :2]))
    next_radius = xp.clip((radius + goal_radius) / 2, *radius_m)

    x = next_radius * xp.cos(next_angle)
    y = next_radius * xp.sin(next_angle)
    point = xp.stack([x, y, goal_w[:, 2]], axis=1)
    return xp.where((xp.abs(turn) > turn_rad)[:, None], point, goal_w)


def with_z(xp: Any, points_w: Array, z: Array) -> Array:
    """Returns points (n, 3) with the x and y of `points_w`, at heights `z` (n,)."""
    return xp.stack([points_w[:, 0], points_w[:, 1], z], axis=1)
