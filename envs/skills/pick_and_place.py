"""The expert of any task in which one box is to be taken from above and set down
somewhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot
from embodied.core import Array, Controller, Layout, Payload, Planner
from embodied.envs.skills.driving import Driving
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.scripted import (
    Readings,
    Row,
    ScriptedPlanner,
    completion_of,
    is_skill,
    last_row,
    make_payload,
    pointing_down,
    with_z,
)
from embodied.robots.robot import Robot

ORDER = ("reach", "grasp", "lift", "carry", "place", "release", "retreat")
HOVER_M = 0.10  # of the hand above the box, before it goes down and on the way
NEAR_M = 0.012  # of the hand beside the box, to go down
ON_M = 0.008  # of the hand from the box to close, and of the box from its place
# of a gripper that holds the box: how much narrower and wider than the box it stands
NARROWER_M = 0.006
WIDER_M = 0.003
IN_HAND_M = 0.025
SET_DOWN_M = 0.004  # how high above its place the box may be let go


def pick_and_place(
    agent_layout: Layout,
    state_layout: Layout,
    robot: Robot,
    thing: str,
    goal: str,
    size: tuple[float, float, float],
) -> tuple[Planner, Controller]:
    """Returns the two halves of the expert: the planner, which drives up first where the
    robot can, and the goal servo.

    Args:
        agent_layout: Of proprioception.
        state_layout: Of privileged state, which must have `<thing>_pos_w`,
            `<thing>_rot6d` and `<goal>_pos_w`.
        robot: That does it.
        thing: The box, its frame in its middle.
        goal: The point on which the box is set upright, with its underside.
        size: Of the box along its axes, in m; the fingers close along its y.
    """
    decisions = PickAndPlace(thing, goal, size)
    planner = ScriptedPlanner(agent_layout, state_layout, decisions.decide)
    return Driving(planner, agent_layout, robot), GoalServo(agent_layout, robot)


@dataclass(frozen=True)
class BoxFacts:
    """How things stand with the box in n worlds."""

    tcp: Array  # (n, 3) m
    box: Array  # (n, 3) m, its middle
    place: Array  # (n, 3) m, where its middle belongs
    # (n,) bool each
    is_held: Array
    is_low: Array  # too low to be carried
    is_over_place: Array
    is_set_down: Array
    is_hand_near: Array  # above the box
    is_hand_on: Array


class PickAndPlace:
    """The expert's decisions about the box `thing` of `size` (3,) m, and its place
    `goal`.
    """

    def __init__(self, thing: str, goal: str, size: tuple[float, float, float]) -> None:
        self._thing = thing
        self._goal = goal
        self._size = size

    def decide(self, xp: Any, agent: Readings, state: Readings) -> Payload:
        """Says where the hand should go next."""
        facts = self._facts(xp, agent, state)
        skill, pos = _choose(xp, facts)

        is_closing = is_skill(skill, "grasp") & facts.is_hand_on
        is_closing = is_closing | facts.is_held & ~is_skill(skill, "release")
        # the box is set down with its sides along the world's axes
        box_yaw = _quarter_yaw(xp, state[f"{self._thing}_rot6d"])
        yaw = xp.where(facts.is_held, 0.0, box_yaw)
        return make_payload(
            skill=skill,
            pos_w=pos,
            quat_wxyz=pointing_down(xp, yaw),
            gripper=xp.where(is_closing, -1.0, 1.0),
            completion=completion_of(xp, ORDER, skill),
        )

    def _facts(self, xp: Any, agent: Readings, state: Readings) -> BoxFacts:
        _, width_m, height_m = self._size
        tcp = agent["tcp_pos_w"]
        box = state[f"{self._thing}_pos_w"]
        half_up = xp.asarray([0.0, 0.0, 1.0]) * (height_m / 2)
        place = state[f"{self._goal}_pos_w"] + half_up

        width = agent["gripper_width"][:, 0]
        is_closed = (width > width_m - NARROWER_M) & (width < width_m + WIDER_M)
        error = tcp - box
        beside = _length(xp, error[:, :2])
        above = xp.abs(error[:, 2])

        offset = box - place
        away = _length(xp, offset[:, :2])
        return BoxFacts(
            tcp=tcp,
            box=box,
            place=place,
            is_held=is_closed & (beside < IN_HAND_M) & (above < IN_HAND_M),
            is_low=box[:, 2] < place[:, 2] + HOVER_M / 2,
            is_over_place=away < ON_M,
            is_set_down=(away < 2 * ON_M) & (offset[:, 2] < SET_DOWN_M),
            is_hand_near=beside < NEAR_M,
            is_hand_on=(beside < ON_M) & (above < ON_M),
        )


def _choose(xp: Any, facts: BoxFacts) -> tuple[Array, Array]:
    """Returns skill (n,) and where the tool centre point goes (n, 3)."""
    tcp = facts.tcp
    in_hand = tcp - facts.box
    hover = xp.asarray([0.0, 0.0, HOVER_M])
    travel_z = facts.place[:, 2] + HOVER_M

    held = facts.is_held
    may_place = held & facts.is_over_place
    rows = [  # the last that applies wins
        Row("grasp", when=~held & facts.is_hand_near, goal_w=facts.box),
        Row(
            "lift",
            when=held & facts.is_low,
            goal_w=with_z(xp, tcp, in_hand[:, 2] + travel_z),
        ),
        Row("carry", when=held & ~facts.is_low, goal_w=facts.place + in_hand + hover),
        Row("place", when=may_place, goal_w=facts.place + in_hand),
        Row("release", when=may_place & facts.is_set_down, goal_w=tcp),
        Row(
            "retreat",
            when=~held & facts.is_set_down,
            goal_w=with_z(xp, tcp, travel_z + HOVER_M),
        ),
    ]
    return last_row(xp, rows, otherwise_w=facts.box + hover)


def _length(xp: Any, vectors: Array) -> Array:
    """(n,) of vectors (n, 2)."""
    return xp.sqrt(dot(vectors, vectors))


def _quarter_yaw(xp: Any, rot6d: Array) -> Array:
    """(n,) the box's yaw to the nearest quarter turn, from -45 to 45 degrees: its sides
    are alike.
    """
    yaw = xp.atan2(rot6d[:, 1], rot6d[:, 0])
    quarter = float(xp.pi) / 2
    return yaw - quarter * xp.floor(yaw / quarter + 0.5)
