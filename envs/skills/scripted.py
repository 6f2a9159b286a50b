"""What scripted planners are made of: a table of decisions over what is so now, and the
little that such tables share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from embodied.arrays import array_namespace, dot
from embodied.core import SKILLS, Array, Layout, Observation, Payload, PlanShape
from embodied.rotations import quat_from_yaw, quat_multiply

POINTING_DOWN = (0.0, 1.0, 0.0, 0.0)  # wxyz of a hand whose approach is straight down

Readings = dict[str, Array]  # name of a layout's part -> (n, width)
# from the array namespace, proprioception and privileged state
Decide = Callable[[Any, Readings, Readings], Payload]


class Row(NamedTuple):
    """One row of a decision table: the skill, the worlds in which it applies, and where
    the hand goes.
    """

    skill: str
    when: Array  # (n,) bool
    goal_w: Array  # (n, 3) m, of the tool centre point


class ScriptedPlanner:
    """A planner that says what `decide` does, for n worlds at a time.

    It sees privileged state and remembers nothing, so it recovers from whatever
    happens.
    """

    plan_shape = PlanShape()

    def __init__(
        self, agent_layout: Layout, state_layout: Layout, decide: Decide
    ) -> None:
        self._agent = _with_first_effector(agent_layout.slices())
        self._state = state_layout.slices()
        self._decide = decide

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing: nothing is remembered."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        return self._decide(*self.read(observation))

    def read(self, observation: Observation) -> tuple[Any, Readings, Readings]:
        """Returns the array namespace, and proprioception and privileged state by the
        names of their parts.
        """
        agent_pos = observation.agent_pos
        state = observation.environment_state
        return (
            array_namespace(agent_pos),
            {name: agent_pos[:, part] for name, part in self._agent.items()},
            {name: state[:, part] for name, part in self._state.items()},
        )


def _with_first_effector(parts: dict[str, slice]) -> dict[str, slice]:
    """Returns the parts, with those of the first effector under plain names, too.

    So that what was written for robots of one arm works with robots of two, whose names
    begin with `left_` or the like.
    """
    parts = dict(parts)
    for plain in ("gripper_width", "tcp_pos_w", "tcp_rot6d"):
        named = [name for name in parts if name.endswith(plain)]
        if named:
            parts[plain] = parts[named[0]]
    return parts


def last_row(xp: Any, rows: Sequence[Row], otherwise_w: Array) -> tuple[Array, Array]:
    """Returns skill (n,) and goal (n, 3) of the last row that applies in each world;
    where none does, it is to reach for `otherwise_w` (n, 3).
    """
    skill = xp.full(otherwise_w.shape[:1], SKILLS.index("reach"), dtype=xp.int64)
    goal_w = otherwise_w
    for row in rows:
        skill = xp.where(row.when, SKILLS.index(row.skill), skill)
        goal_w = xp.where(row.when[:, None], row.goal_w, goal_w)
    return skill, goal_w


def is_skill(skill: Array, name: str) -> Array:
    """(n,) bool, whether the skills (n,) are the one of this name."""
    return skill == SKILLS.index(name)


def make_payload(
    skill: Array,
    pos_w: Array,
    quat_wxyz: Array,
    gripper: Array,
    completion: Array,
    vel_w: Array | None = None,
) -> Payload:
    """Returns plans for the one effector of a robot that stays where it is.

    Args:
        skill: (n,) int64, index into SKILLS.
        pos_w: (n, 3) m, where the effector goes.
        quat_wxyz: (n, 4) how it is turned there.
        gripper: (n,) in [-1, 1], -1 closed.
        completion: (n,) share of the task that is done.
        vel_w: (n, 3) m/s of the goal itself; None for a goal at rest.
    """
    xp = array_namespace(pos_w)
    if vel_w is None:
        vel_w = xp.zeros_like(pos_w)

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
    """(n,) how far along a task is whose skills follow this order: 0 at the first, 1 at
    the last.
    """
    shares = [0.0] * len(SKILLS)
    for place, name in enumerate(order):
        shares[SKILLS.index(name)] = place / (len(order) - 1)
    return xp.asarray(shares)[skill]


def pointing_down(xp: Any, yaw: Array) -> Array:
    """(n, 4) wxyz of a hand that points down, turned by `yaw` (n,) rad about the
    vertical.
    """
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
    """(n, 3) the next point on the way to a goal, at the goal's height, that keeps clear
    of the robot's column at the origin.

    Args:
        xp: The array namespace.
        tcp_w: (n, 3) m, where the hand is.
        goal_w: (n, 3) m.
        radius_m: How near to the column, and how far from it, the way may lead.
        turn_rad: About the column, that the next point covers at most.
    """
    angle = xp.atan2(tcp_w[:, 1], tcp_w[:, 0])
    goal_angle = xp.atan2(goal_w[:, 1], goal_w[:, 0])
    turn = xp.atan2(xp.sin(goal_angle - angle), xp.cos(goal_angle - angle))
    next_angle = angle + xp.clip(turn, -turn_rad, turn_rad)

    radius = xp.sqrt(dot(tcp_w[:, :2], tcp_w[:, :2]))
    goal_radius = xp.sqrt(dot(goal_w[:, :2], goal_w[:, :2]))
    next_radius = xp.clip((radius + goal_radius) / 2, *radius_m)

    x = next_radius * xp.cos(next_angle)
    y = next_radius * xp.sin(next_angle)
    point = xp.stack([x, y, goal_w[:, 2]], axis=1)
    return xp.where((xp.abs(turn) > turn_rad)[:, None], point, goal_w)


def with_z(xp: Any, points_w: Array, z: Array) -> Array:
    """(n, 3) points above or below others (n, 2 or 3), at heights `z` (n,)."""
    return xp.stack([points_w[:, 0], points_w[:, 1], z], axis=1)
