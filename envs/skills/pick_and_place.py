"""The expert of tasks in which one box is taken from above and set down elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from embodied.arrays import dot
from embodied.core import Array, Controller, Layout, Payload, Planner
from embodied.envs.skills.scripted import (
    Readings,
    Row,
    completion_of,
    is_skill,
    last_row,
    make_payload,
    pointing_down,
    scripted_expert,
    with_z,
)
from embodied.robots.robot import Robot

ORDER = ("reach", "grasp", "lift", "carry", "place", "release", "retreat")
# The height of the hand above the box before it goes down, and of the box above its
# place.
HOVER_M = 0.10
# The hand goes down where it is no farther than this beside the box.
NEAR_M = 0.012
# The fingers close, and the box goes down, where the error is no larger than this.
ON_M = 0.008
# A gripper holds the box if its width is at most this much below or above the box's,
# and the hand at most IN_HAND_M from the box's middle.
NARROWER_M = 0.006
WIDER_M = 0.003
IN_HAND_M = 0.025
# The box is let go at most this high above its place.
SET_DOWN_M = 0.004


def pick_and_place(
    agent_layout: Layout,
    state_layout: Layout,
    robot: Robot,
    thing: str,
    goal: str,
    size: tuple[float, float, float],
) -> tuple[Planner, Controller]:
    """Returns planner and controller of an expert that moves a box to a place.

    Args:
        agent_layout: The layout of proprioception.
        state_layout: The layout of privileged state, which must have `<thing>_pos_w`,
            `<thing>_rot6d` and `<goal>_pos_w`.
        robot: The robot that does it. One that travels drives up first.
        thing: The name of the box in the layout; its frame is in its middle.
        goal: The name of the point on which the box is set upright.
        size: The box's size along its axes, in m; the fingers close along its y.
    """
    decisions = PickAndPlace(thing, goal, size)
    return scripted_expert(decisions.decide, agent_layout, state_layout, robot)


@dataclass(frozen=True)
class BoxFacts:
    """What the expert knows of hand and box in n worlds."""

    tcp: Array  # (n, 3) m
    box: Array  # (n, 3) m, its middle
    place: Array  # (n, 3) m, where its middle belongs
    # (n,) bool each
    is_held: Array
    is_low: Array  # too low to be carried
    is_over_place: Array
    is_set_down: Array
    is_hand_near: Array  # beside the box by so little that it may go down
    is_hand_on: Array  # at the box, so that the fingers may close


class PickAndPlace:
    """Decides where the hand goes next, from the state of the box and its goal."""

    def __init__(self, thing: str, goal: str, size: tuple[float, float, float]) -> None:
        self._thing = thing
        self._goal = goal
        self._size = size

    def decide(self, xp: Any, agent: Readings, state: Readings) -> Payload:
        """Returns the plans for n worlds."""
        facts = self._facts(xp, agent, state)
        skill, pos = _choose(xp, facts)

        is_closing = is_skill(skill, "grasp") & facts.is_hand_on
        is_closing = is_closing | facts.is_held & ~is_skill(skill, "release")
        # the box is taken as it is turned, and set down along the world's axes
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
        """Returns the facts of an observation."""
        _, width_m, height_m = self._size
        tcp = agent["tcp_pos_w"]
        box = state[f"{self._thing}_pos_w"]
        # where the box's middle is once it stands on the goal
        half_up = xp.asarray([0.0, 0.0, 1.0]) * (height_m / 2)
        place = state[f"{self._goal}_pos_w"] + half_up

        width = agent["gripper_width"][:, 0]
        is_closed = (width > width_m - NARROWER_M) & (width < width_m + WIDER_M)
        # from the box to the hand, and from its place to the box
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
    """Returns skill (n,), an index into SKILLS, and where the TCP goes (n, 3) m."""
    tcp = facts.tcp
    in_hand = tcp - facts.box  # from the box to the hand that holds it
    hover = xp.asarray([0.0, 0.0, HOVER_M])
    travel_z = facts.place[:, 2] + HOVER_M

    held = facts.is_held
    may_place = held & facts.is_over_place
    # the last row that applies wins; without one, the hand reaches for a point above
    # the box
    rows = [
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
    """Returns the lengths (n,) of vectors (n, 2)."""
    return xp.sqrt(dot(vectors, vectors))


def _quarter_yaw(xp: Any, rot6d: Array) -> Array:
    """Returns the box's yaw (n,) less whole quarter turns, from -45 to 45 degrees.

    The box may be set down on any of its four sides, which are alike.
    """
    yaw = xp.atan2(rot6d[:, 1], rot6d[:, 0])
    quarter = float(xp.pi) / 2
    return yaw - quarter * xp.floor(yaw / quarter + 0.5)
