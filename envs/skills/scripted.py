"""What planners of experts are made of: a function of what is there now, and the little
that such functions share.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from embodied.arrays import array_namespace, dot
from embodied.core import SKILLS, Array, Layout, Observation, Payload
from embodied.rotations import quat_from_yaw, quat_multiply

Parts = dict[str, Array]  # name of a layout's part -> (n, width)
# of the array namespace, proprioception and privileged state
Decide = Callable[[Any, Parts, Parts], Payload]
# a skill, the worlds in which it is due (n,) bool, its goal (n, 3)
Row = tuple[str, Array, Array]


class ScriptedPlanner:
    """Says what `decide` does, for n worlds at a time, from privileged state. Remembers
    nothing, so it recovers.
    """

    latent_size = 0

    def __init__(
        self, agent_layout: Layout, state_layout: Layout, decide: Decide
    ) -> None:
        self._agent = agent_layout.slices()
        self._state = state_layout.slices()
        self._decide = decide

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Nothing is remembered."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        return self._decide(*self.read(observation))

    def read(self, observation: Observation) -> tuple[Any, Parts, Parts]:
        """The array namespace, and both kinds of state by the names of their parts."""
        agent_pos = observation.agent_pos
        state = observation.environment_state
        agent = {name: agent_pos[:, part] for name, part in self._agent.items()}
        return (
            array_namespace(agent_pos),
            agent,
            {name: state[:, part] for name, part in self._state.items()},
        )


def say(
    skill: Array,
    pos_w: Array,
    quat_wxyz: Array,
    gripper: Array,
    completion: Array,
    vel_w: Array | None = None,
) -> Payload:
    """A plan without a latent; its goal is at rest unless `vel_w` (n, 3) says
    otherwise.
    """
    xp = array_namespace(pos_w)
    moving = xp.zeros_like(pos_w) if vel_w is None else vel_w
    latent = xp.zeros((pos_w.shape[0], 0))
    return Payload(skill, pos_w, quat_wxyz, moving, gripper, completion, latent)


def latest(xp: Any, rows: Sequence[Row], pos_w: Array) -> tuple[Array, Array]:
    """Skill (n,) and goal (n, 3) of the last row that is due in each world; where none
    is, reach for `pos_w` (n, 3).
    """
    skill = xp.full(pos_w.shape[:1], SKILLS.index("reach"), dtype=xp.int64)
    for name, due, goal in rows:
        skill = xp.where(due, SKILLS.index(name), skill)
        pos_w = xp.where(due[:, None], goal, pos_w)
    return skill, pos_w


def share_of(xp: Any, order: tuple[str, ...], skill: Array) -> Array:
    """(n,) how far along a task is whose skills follow this order, from 0 at the first
    to 1 at the last.
    """
    share = [
        order.index(name) / (len(order) - 1) if name in order else 0.0
        for name in SKILLS
    ]
    return xp.asarray(share)[skill]


def pointing_down(xp: Any, yaw: Array) -> Array:
    """(n, 4) wxyz of a hand that points down, turned by `yaw` (n,) rad about the
    vertical.
    """
    turn = quat_from_yaw(yaw)
    return quat_multiply(
        turn, xp.broadcast_to(xp.asarray([0.0, 1.0, 0.0, 0.0]), turn.shape)
    )


def around_column(
    xp: Any, tcp: Array, goal: Array, radius_m: tuple[float, float], turn_rad: float
) -> Array:
    """The next point (n, 3) on the way to `goal`, at its height, that keeps clear of
    the robot's column at the origin.

    One goal covers at most `turn_rad` about the column; the way there lies between the
    radii.
    """
    angle = xp.atan2(tcp[:, 1], tcp[:, 0])
    goal_angle = xp.atan2(goal[:, 1], goal[:, 0])
    turn = xp.atan2(xp.sin(goal_angle - angle), xp.cos(goal_angle - angle))
    radius, goal_radius = (xp.sqrt(dot(p[:, :2], p[:, :2])) for p in (tcp, goal))
    between = xp.clip((radius + goal_radius) / 2, *radius_m)
    next_angle = angle + xp.clip(turn, -turn_rad, turn_rad)
    point = xp.stack(
        [between * xp.cos(next_angle), between * xp.sin(next_angle), goal[:, 2]], axis=1
    )
    return xp.where((xp.abs(turn) > turn_rad)[:, None], point, goal)
