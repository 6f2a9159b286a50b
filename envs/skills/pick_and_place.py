"""A planner for any task in which one box is to be taken from above and set down
somewhere else.
"""

from __future__ import annotations

from typing import Any

from embodied.arrays import dot
from embodied.core import SKILLS, Array, Controller, Layout, Payload, Planner
from embodied.envs.skills.driving import Driving
from embodied.envs.skills.goal_servo import GoalServo
from embodied.envs.skills.scripted import (
    Parts,
    ScriptedPlanner,
    latest,
    pointing_down,
    say,
    share_of,
)
from embodied.robots.robot import Robot

# of the tool centre point above the box, before it goes down and on the way
HOVER_M = 0.10
# from where to go down, to close, to set down
NEAR_M = 0.012
ON_M = 0.008
# how much narrower and wider than the box a gripper that holds it stands
SLACK_M = (0.006, 0.003)
IN_HAND_M = 0.025
SET_M = 0.004  # how high above its place the box may be let go
ORDER = ("reach", "grasp", "lift", "carry", "place", "release", "retreat")


def pick_and_place(
    agent_layout: Layout,
    state_layout: Layout,
    robot: Robot,
    thing: str,
    goal: str,
    size: tuple[float, float, float],
) -> tuple[Planner, Controller]:
    """The expert of a task whose privileged state has `<thing>_pos_w`, `<thing>_rot6d`
    and `<goal>_pos_w`.

    The box `thing` of `size` (3,) in m, its frame in its middle, is set upright with
    its underside on the point `goal`.
    """
    planner = ScriptedPlanner(
        agent_layout, state_layout, PickAndPlace(thing, goal, size).decide
    )
    return Driving(planner, agent_layout, robot), GoalServo(agent_layout, robot)


class PickAndPlace:
    """The expert's decisions about the box `thing` of `size` (3,) m, and its place
    `goal`.
    """

    def __init__(self, thing: str, goal: str, size: tuple[float, float, float]) -> None:
        self._thing = thing
        self._goal = goal
        self._size = size

    def decide(self, xp: Any, agent: Parts, state: Parts) -> Payload:
        """Where the hand should go next."""
        up = xp.asarray([0.0, 0.0, 1.0])
        tcp = agent["tcp_pos_w"]
        box = state[f"{self._thing}_pos_w"]
        # of the box's middle
        place = state[f"{self._goal}_pos_w"] + up * (self._size[2] / 2)
        facts = self._facts(xp, tcp, box, place, agent["gripper_width"][:, 0])
        skill, pos = _choose(xp, tcp, box, place, facts)
        held = facts["held"]
        letting_go = skill == SKILLS.index("release")
        closing = (skill == SKILLS.index("grasp")) & facts["on"] | held & ~letting_go
        yaw = xp.where(held, 0.0, _quarter_yaw(xp, state[f"{self._thing}_rot6d"]))
        gripper = xp.where(closing, -1.0, 1.0)
        return say(
            skill, pos, pointing_down(xp, yaw), gripper, share_of(xp, ORDER, skill)
        )

    def _facts(
        self, xp: Any, tcp: Array, box: Array, place: Array, width: Array
    ) -> dict[str, Array]:
        """What is decided on, (n,) bool each."""
        narrow = self._size[1] - SLACK_M[0]
        wide = self._size[1] + SLACK_M[1]
        error = tcp - box
        offset = box - place
        aside, away = (xp.sqrt(dot(v[:, :2], v[:, :2])) for v in (error, offset))
        height = xp.abs(error[:, 2])
        return {
            "held": (width > narrow)
            & (width < wide)
            & (aside < IN_HAND_M)
            & (height < IN_HAND_M),
            "near": aside < NEAR_M,
            "on": (aside < ON_M) & (height < ON_M),
            "over": away < ON_M,
            "set": (away < 2 * ON_M) & (offset[:, 2] < SET_M),
            "low": box[:, 2] < place[:, 2] + HOVER_M / 2,
        }


def _choose(
    xp: Any, tcp: Array, box: Array, place: Array, facts: dict[str, Array]
) -> tuple[Array, Array]:
    """Skill (n,) and where the tool centre point goes (n, 3)."""
    up = xp.asarray([0.0, 0.0, HOVER_M])
    flat = xp.asarray([1.0, 1.0, 0.0])
    held = facts["held"]
    placed = ~facts["held"] & facts["set"]
    in_hand = tcp - box
    high = place * (1 - flat) + up
    rows = [  # the later wins
        ("grasp", ~held & facts["near"], box),
        ("lift", held & facts["low"], tcp * flat + in_hand * (1 - flat) + high),
        ("carry", held & ~facts["low"], place + in_hand + up),
        ("place", held & facts["over"], place + in_hand),
        ("release", held & facts["over"] & facts["set"], tcp),
        ("retreat", placed, tcp * flat + high + up),
    ]
    return latest(xp, rows, box + up)


def _quarter_yaw(xp: Any, rot6d: Array) -> Array:
    """(n,) the box's yaw to the nearest quarter turn, from -45 to 45 degrees: its sides
    are alike.
    """
    yaw = xp.atan2(rot6d[:, 1], rot6d[:, 0])
    quarter = float(xp.pi) / 2
    return yaw - quarter * xp.floor(yaw / quarter + 0.5)
