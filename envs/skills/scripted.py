"""Scripted planners: decision tables over the present state, and helpers for them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from embodied.arrays import array_namespace, dot
from embodied.core import SKILLS, Array, Layout, Observation, skill_index
from embodied.envs.skills.driving import DrivingPlanner
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.hand_view import HandView
from embodied.plan import Controller, Payload, Planner, PlanShape
from embodied.robots.robot import Robot
from embodied.rotations import quat_from_yaw, quat_multiply

# The rotation of a hand that points straight down, wxyz.
POINTING_DOWN = (0.0, 1.0, 0.0, 0.0)

# Name of a layout's entry -> its values, (n, width).
Readings = dict[str, Array]
# A function that returns plans from the array namespace, proprioception and privileged
# state.
Decide = Callable[[Any, Readings, Readings], Payload]


class Row(NamedTuple):
    """One row of a decision table: a skill, its condition, and the hand's goal."""

    skill: str  # a name in SKILLS
    when: Array  # (n,) bool, the worlds in which the row applies
    goal_w: Array  # (n, 3) m, of the tool centre point


class ScriptedPlanner:
    """A planner that gets its plans from a function `decide`.

    The planner sees the privileged state and remembers nothing: each plan follows from
    the present observation alone. So it recovers from disturbances without code for
    each kind.
    """

    def __init__(
        self,
        agent_layout: Layout,
        state_layout: Layout,
        decide: Decide,
        hand: HandView | None = None,
        effectors: int = 1,
    ) -> None:
        """Stores the layouts and the function.

        Args:
            agent_layout: The layout of proprioception.
            state_layout: The layout of privileged state.
            decide: The function that returns the plans.
            hand: Converts the first hand's TCP and gripper commands between that hand and
                the one that `decide` expects; None for a hand that needs no conversion.
            effectors: The number of hands that plans have goals for: the robot's first
                ones.
        """
        self.plan_shape = PlanShape(effectors=effectors)
        # name of a layout's entry -> its columns
        self._agent = _with_first_effector(agent_layout.slices())
        self._state = state_layout.slices()
        self._decide = decide
        self._hand_view = hand

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Does nothing: the planner keeps no state."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        payload = self._decide(*self.read(observation))
        return self._hand_view.plan_for_hand(payload) if self._hand_view else payload

    def read(self, observation: Observation) -> tuple[Any, Readings, Readings]:
        """Returns the array namespace, proprioception and privileged state.

        Proprioception and state are split into the entries of their layouts, by name.
        """
        agent_pos = observation.agent_pos
        environment_state = observation.environment_state
        agent = {name: agent_pos[:, columns] for name, columns in self._agent.items()}
        state = {
            name: environment_state[:, columns] for name, columns in self._state.items()
        }
        if self._hand_view:
            tcp_w = agent["tcp_pos_w"]
            agent["tcp_pos_w"] = self._hand_view.virtual_tcp(tcp_w, agent["tcp_rot6d"])
        return array_namespace(agent_pos), agent, state


def scripted_expert(
    decide: Decide, agent_layout: Layout, state_layout: Layout, robot: Robot
) -> tuple[Planner, Controller]:
    """Returns planner and controller of an expert that plans with `decide`.

    A robot that travels first drives to where a fixed robot would stand, then works like
    the fixed robot.

    Args:
        decide: The function that returns the plans of a fixed robot.
        agent_layout: The layout of proprioception.
        state_layout: The layout of privileged state.
        robot: The robot that executes the plans.
    """
    hand = HandView.of(robot)
    planner = ScriptedPlanner(agent_layout, state_layout, decide, hand)
    return DrivingPlanner(planner, agent_layout, robot), GoalServo(agent_layout, robot)


def _with_first_effector(entries: dict[str, slice]) -> dict[str, slice]:
    """Returns a layout's entries, with those of the first effector also without prefix.

    The entries of a robot with two arms have prefixes such as `left_`. Names without a
    prefix let planners for one arm work with such robots: `tcp_pos_w` then stands for
    `left_tcp_pos_w`.
    """
    entries = dict(entries)
    # The names without prefix. Of the names in one line, a hand has only one: fingers have
    # a width, a suction cup has a vacuum instead.
    for plain_names in (
        ("gripper_width", "gripper_vacuum"),
        ("tcp_pos_w",),
        ("tcp_rot6d",),
    ):
        full_names = [name for name in entries if name.endswith(plain_names)]
        if full_names:
            first = full_names[0]  # layouts list the first effector first
            plain = next(name for name in plain_names if first.endswith(name))
            entries[plain] = entries[first]
    return entries


def last_row(xp: Any, rows: Sequence[Row], otherwise_w: Array) -> tuple[Array, Array]:
    """Returns, for each world, skill and goal of the last row that applies there.

    Args:
        xp: The array namespace.
        rows: The decision table; later rows take precedence over earlier ones.
        otherwise_w: (n, 3) m, the goal where no row applies. The skill is then `reach`.

    Returns:
        (n,) int64, the skills as indices into SKILLS, and (n, 3) m, the goals.
    """
    skill = xp.full(otherwise_w.shape[:1], skill_index("reach"), dtype=xp.int64)
    goal_w = otherwise_w
    for row in rows:
        skill = xp.where(row.when, skill_index(row.skill), skill)
        goal_w = xp.where(row.when[:, None], row.goal_w, goal_w)
    return skill, goal_w


def is_skill(skill: Array, name: str) -> Array:
    """Returns (n,) bool, whether each of the skills (n,) is the named one."""
    return skill == skill_index(name)


def make_payload(
    skill: Array,
    pos_w: Array,
    quat_wxyz: Array,
    gripper: Array,
    completion: Array,
    vel_w: Array | None = None,
) -> Payload:
    """Returns payloads for one effector, without a goal for a base.

    Args:
        skill: (n,) int64, index into SKILLS.
        pos_w: (n, 3) m, goal position of the effector.
        quat_wxyz: (n, 4) goal rotation of the effector.
        gripper: (n,) in [-1, 1], -1 closed.
        completion: (n,) in [0, 1], share of the task that is done.
        vel_w: (n, 3) m/s, velocity of a goal that moves; None for a goal at rest.
    """
    xp = array_namespace(pos_w)
    if vel_w is None:
        vel_w = xp.zeros_like(pos_w)

    # goals have an axis for the effectors, (n, 1, ...). The base goals are empty, because
    # DrivingPlanner adds them; so is the latent, which only learned planners give
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
    """Returns the completion (n,) of a task whose skills follow one another in order.

    The completion rises in equal steps from 0 at the first skill to 1 at the last one.
    For skills that are not in the order, it is 0.

    Args:
        xp: The array namespace.
        order: Names of the task's skills, first to last.
        skill: (n,) the present skills, as indices into SKILLS.
    """
    completions = [0.0] * len(SKILLS)  # one per skill
    for step, name in enumerate(order):
        completions[skill_index(name)] = step / (len(order) - 1)
    return xp.asarray(completions)[skill]


def pointing_down(xp: Any, yaw: Array) -> Array:
    """Returns rotations (n, 4) wxyz of hands that point down with a yaw (n,), rad."""
    yaw_quat = quat_from_yaw(yaw)
    down = xp.broadcast_to(xp.asarray(POINTING_DOWN), yaw_quat.shape)
    return quat_multiply(yaw_quat, down)


def around_column(
    xp: Any,
    tcp_w: Array,
    goal_w: Array,
    radius_m: tuple[float, float],
    turn_rad: float,
) -> Array:
    """Returns the next waypoint on an arc to the goal around the robot's column.

    The column is at the world's origin. Waypoints are at the goal's height.

    Args:
        xp: The array namespace.
        tcp_w: (n, 3) m, the hand's present position.
        goal_w: (n, 3) m, where the hand shall go.
        radius_m: The least and the largest distance of waypoints from the column.
        turn_rad: The largest angle about the column from the hand to the next waypoint.
            A goal within this angle is itself the next waypoint.

    Returns:
        (n, 3) m, where the hand shall go next.
    """
    # the waypoint's angle about the column, on the shorter arc to the goal
    angle = xp.atan2(tcp_w[:, 1], tcp_w[:, 0])
    goal_angle = xp.atan2(goal_w[:, 1], goal_w[:, 0])
    difference = goal_angle - angle
    arc = xp.atan2(xp.sin(difference), xp.cos(difference))  # in [-pi, pi]
    next_angle = angle + xp.clip(arc, -turn_rad, turn_rad)

    # the waypoint's distance from the column: the mean of the hand's and the goal's
    radius = xp.sqrt(dot(tcp_w[:, :2], tcp_w[:, :2]))
    goal_radius = xp.sqrt(dot(goal_w[:, :2], goal_w[:, :2]))
    next_radius = xp.clip((radius + goal_radius) / 2, *radius_m)

    x = next_radius * xp.cos(next_angle)
    y = next_radius * xp.sin(next_angle)
    waypoint = xp.stack([x, y, goal_w[:, 2]], axis=1)
    is_far = xp.abs(arc) > turn_rad
    return xp.where(is_far[:, None], waypoint, goal_w)


def with_z(xp: Any, points_w: Array, z: Array) -> Array:
    """Returns points (n, 3) with the x and y of `points_w` and the heights `z` (n,)."""
    return xp.stack([points_w[:, 0], points_w[:, 1], z], axis=1)
