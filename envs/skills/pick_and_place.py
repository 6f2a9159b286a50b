"""A scripted expert that picks up one box from above and sets it down elsewhere."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from embodied.arrays import norm
from embodied.core import Array, Layout
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
from embodied.plan import Controller, Payload, Planner
from embodied.robots.robot import Robot
from embodied.rotations import angle_modulo

# The task's skills, first to last.
ORDER = ("reach", "grasp", "lift", "carry", "place", "release", "retreat")
# The height of the hand above the box before it goes down to it, and the height above its
# place at which the box is carried.
HOVER_M = 0.10
# The hand goes down to the box when its horizontal error is below this.
NEAR_M = 0.012
# The fingers close when the hand's error to the box is below this.
AT_BOX_M = 0.008
# The box is lowered when its horizontal error to its place is below this.
OVER_PLACE_M = 0.008
# A box that already stands is at its place even with twice this error, so that it is
# released rather than lifted again for a small gain.
PLACED_M = 2 * OVER_PLACE_M
# A held box less than this above its place is lifted before it is carried. The limit is
# half the height of the carry, so that a box that sags a little on the way is not lifted
# again.
LOW_M = HOVER_M / 2
# The gripper holds the box if the gap between its fingers is at most NARROWER_M narrower
# and WIDER_M wider than the box, and the hand's horizontal and vertical distances from the
# box's centre are below IN_HAND_M.
NARROWER_M = 0.006
WIDER_M = 0.003
IN_HAND_M = 0.025
# The box is down if it is at most this high above its place.
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
        robot: The robot that executes the plans. A robot that travels drives up first.
        thing: The name of the box in the layout. The box's frame is at its centre.
        goal: The name in the layout of the point on which the box is set upright.
        size: The box's size along its axes, in m. The fingers close along its y axis.
    """
    decisions = PickAndPlace(thing, goal, size)
    return scripted_expert(decisions.decide, agent_layout, state_layout, robot)


@dataclass(frozen=True)
class BoxFacts:
    """What the expert knows of hand and box in n worlds."""

    tcp: Array  # (n, 3) m, the hand's tool centre point
    box: Array  # (n, 3) m, centre of the box
    place: Array  # (n, 3) m, centre of the box once it stands on its goal
    # (n,) bool each
    is_held: Array  # the box is in the hand
    is_low: Array  # the box is too low to be carried
    is_over_place: Array  # the box may be lowered
    is_set_down: Array  # the box stands at its place
    is_hand_over_box: Array  # the hand may go down to the box
    is_hand_at_box: Array  # the fingers may close


class PickAndPlace:
    """Decides where the hand goes next, from the state of the box and its goal."""

    def __init__(self, thing: str, goal: str, size: tuple[float, float, float]) -> None:
        self._thing = thing
        self._goal = goal
        self._size = size

    def decide(self, xp: Any, agent: Readings, state: Readings) -> Payload:
        """Returns the plans for n worlds, from proprioception and the privileged state."""
        facts = self._facts(xp, agent, state)
        skill, pos = _choose(xp, facts)

        # the fingers close at the box, and stay closed around a held box until its release
        is_closing = is_skill(skill, "grasp") & facts.is_hand_at_box
        is_closing = is_closing | (facts.is_held & ~is_skill(skill, "release"))
        # an empty hand takes the box's yaw; a held box is brought to yaw 0
        box_yaw = _yaw_modulo_quarter(xp, state[f"{self._thing}_rot6d"])
        yaw = xp.where(facts.is_held, 0.0, box_yaw)
        return make_payload(
            skill=skill,
            pos_w=pos,
            quat_wxyz=pointing_down(xp, yaw),
            gripper=xp.where(is_closing, -1.0, 1.0),
            completion=completion_of(xp, ORDER, skill),
        )

    def _facts(self, xp: Any, agent: Readings, state: Readings) -> BoxFacts:
        """Returns what the decisions need, computed from the observations of n worlds."""
        _, width_m, height_m = self._size
        tcp = agent["tcp_pos_w"]
        box = state[f"{self._thing}_pos_w"]
        # the centre of a box that stands on its goal is half its height above the goal
        goal_to_centre = xp.asarray([0.0, 0.0, 1.0]) * (height_m / 2)
        place = state[f"{self._goal}_pos_w"] + goal_to_centre

        # the hand's error to the box
        width = agent["gripper_width"][:, 0]
        is_closed = (width > width_m - NARROWER_M) & (width < width_m + WIDER_M)
        error = tcp - box
        error_xy = norm(error[:, :2])
        error_z = xp.abs(error[:, 2])

        # the box's offset from its place
        offset = box - place
        offset_xy = norm(offset[:, :2])
        return BoxFacts(
            tcp=tcp,
            box=box,
            place=place,
            is_held=is_closed & (error_xy < IN_HAND_M) & (error_z < IN_HAND_M),
            is_low=box[:, 2] < place[:, 2] + LOW_M,
            is_over_place=offset_xy < OVER_PLACE_M,
            is_set_down=(offset_xy < PLACED_M) & (offset[:, 2] < SET_DOWN_M),
            is_hand_over_box=error_xy < NEAR_M,
            is_hand_at_box=(error_xy < AT_BOX_M) & (error_z < AT_BOX_M),
        )


def _choose(xp: Any, facts: BoxFacts) -> tuple[Array, Array]:
    """Returns the skill (n,), an index into SKILLS, and the TCP's goal (n, 3) m."""
    tcp = facts.tcp
    box_to_hand = tcp - facts.box
    hover = xp.asarray([0.0, 0.0, HOVER_M])
    travel_z = facts.place[:, 2] + HOVER_M  # the height at which the box is carried

    # goals of the TCP: with the box straight up, over its place, and after the release
    lifted = with_z(xp, tcp, box_to_hand[:, 2] + travel_z)
    carried = facts.place + box_to_hand + hover
    retreated = with_z(xp, tcp, travel_z + HOVER_M)

    is_held = facts.is_held
    may_place = is_held & facts.is_over_place
    # the last row that applies wins; if none does, the hand reaches for a point above
    # the box
    rows = [
        Row("grasp", when=~is_held & facts.is_hand_over_box, goal_w=facts.box),
        Row("lift", when=is_held & facts.is_low, goal_w=lifted),
        Row("carry", when=is_held & ~facts.is_low, goal_w=carried),
        Row("place", when=may_place, goal_w=facts.place + box_to_hand),
        Row("release", when=may_place & facts.is_set_down, goal_w=tcp),
        Row("retreat", when=~is_held & facts.is_set_down, goal_w=retreated),
    ]
    return last_row(xp, rows, otherwise_w=facts.box + hover)


def _yaw_modulo_quarter(xp: Any, rot6d: Array) -> Array:
    """Returns the box's yaw (n,) modulo pi/2, in [-pi/4, pi/4) rad.

    The fingers can close across any two opposite sides of the box.
    """
    yaw = xp.atan2(rot6d[:, 1], rot6d[:, 0])  # the direction of the box's x axis
    return angle_modulo(yaw, math.pi / 2)
