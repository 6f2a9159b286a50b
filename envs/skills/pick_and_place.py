"""A planner for any task in which one box is to be taken from above and set down somewhere else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embodied.arrays import array_namespace, dot
from embodied.core import SKILLS, Array, Controller, Layout, Observation, Payload, Planner
from embodied.envs.skills.driving import Driving
from embodied.envs.skills.goal_servo import GoalServo
from embodied.robots.robot import Robot
from embodied.rotations import quat_from_yaw, quat_multiply

HOVER_M = 0.10  # of the tool centre point above the box, before it goes down and on the way
NEAR_M, ON_M = 0.012, 0.008  # from where to go down, to close, to set down
SLACK_M = (0.006, 0.003)  # how much narrower and wider than the box a gripper that holds it stands
IN_HAND_M = 0.025
SET_M = 0.004  # how high above its place the box may be let go
ORDER = ("reach", "grasp", "lift", "carry", "place", "release", "retreat")


def pick_and_place(
    agent_layout: Layout, state_layout: Layout, robot: Robot, thing: str, goal: str, size: tuple[float, float, float]
) -> tuple[Planner, Controller]:
    """The expert of a task whose privileged state has `<thing>_pos_w`, `<thing>_rot6d` and `<goal>_pos_w`.

    The box `thing` of `size` (3,) in m, its frame in its middle, is set upright with its underside on the point `goal`.
    """
    planner = PickAndPlace(agent_layout, state_layout, thing, goal, size)
    return Driving(planner, agent_layout, robot), GoalServo(agent_layout, robot)


class PickAndPlace:
    """Says the next skill and its goal for n worlds, from their present state alone."""

    latent_size = 0

    def __init__(
        self, agent_layout: Layout, state_layout: Layout, thing: str, goal: str, size: tuple[float, float, float]
    ) -> None:
        agent, state = agent_layout.slices(), state_layout.slices()
        self._tcp, self._width = agent["tcp_pos_w"], agent["gripper_width"]
        self._box, self._rot, self._goal = state[f"{thing}_pos_w"], state[f"{thing}_rot6d"], state[f"{goal}_pos_w"]
        self._size = size

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Nothing is remembered."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        agent, state = observation.agent_pos, observation.environment_state
        xp = array_namespace(agent)
        up = xp.asarray([0.0, 0.0, 1.0])
        tcp, box = agent[:, self._tcp], state[:, self._box]
        place = state[:, self._goal] + up * (self._size[2] / 2)  # of the box's middle
        facts = self._facts(xp, tcp, box, place, agent[:, self._width][:, 0])
        subtask, pos = _choose(xp, tcp, box, place, facts)
        held, letting_go = facts["held"], subtask == SKILLS.index("release")
        closing = (subtask == SKILLS.index("grasp")) & facts["on"] | held & ~letting_go
        yaw = xp.where(held, 0.0, _quarter_yaw(xp, state[:, self._rot]))
        turn = quat_from_yaw(yaw)
        down = xp.broadcast_to(xp.asarray([0.0, 1.0, 0.0, 0.0]), turn.shape)
        return Payload(
            subtask=subtask,
            goal_pos_w=pos,
            goal_quat_wxyz=quat_multiply(turn, down),
            goal_vel_w=xp.zeros_like(pos),
            gripper=xp.where(closing, -1.0, 1.0),
            completion=xp.asarray([ORDER.index(s) / (len(ORDER) - 1) if s in ORDER else 0.0 for s in SKILLS])[subtask],
            latent=xp.zeros((pos.shape[0], 0)),
        )

    def _facts(self, xp: Any, tcp: Array, box: Array, place: Array, width: Array) -> dict[str, Array]:
        """What is decided on, (n,) bool each."""
        narrow, wide = self._size[1] - SLACK_M[0], self._size[1] + SLACK_M[1]
        error, offset = tcp - box, box - place
        aside, away = (xp.sqrt(dot(v[:, :2], v[:, :2])) for v in (error, offset))
        height = xp.abs(error[:, 2])
        return {
            "held": (width > narrow) & (width < wide) & (aside < IN_HAND_M) & (height < IN_HAND_M),
            "near": aside < NEAR_M,
            "on": (aside < ON_M) & (height < ON_M),
            "over": away < ON_M,
            "set": (away < 2 * ON_M) & (offset[:, 2] < SET_M),
            "low": box[:, 2] < place[:, 2] + HOVER_M / 2,
        }


def _choose(xp: Any, tcp: Array, box: Array, place: Array, facts: dict[str, Array]) -> tuple[Array, Array]:
    """Skill (n,) and where the tool centre point goes (n, 3)."""
    up, flat = xp.asarray([0.0, 0.0, HOVER_M]), xp.asarray([1.0, 1.0, 0.0])
    held, placed, in_hand = facts["held"], ~facts["held"] & facts["set"], tcp - box
    high = place * (1 - flat) + up
    rows = [  # the later wins
        ("grasp", ~held & facts["near"], box),
        ("lift", held & facts["low"], tcp * flat + in_hand * (1 - flat) + high),
        ("carry", held & ~facts["low"], place + in_hand + up),
        ("place", held & facts["over"], place + in_hand),
        ("release", held & facts["over"] & facts["set"], tcp),
        ("retreat", placed, tcp * flat + high + up),
    ]
    subtask, pos = xp.full(tcp.shape[:1], SKILLS.index("reach"), dtype=xp.int64), box + up
    for skill, when, goal in rows:
        subtask = xp.where(when, SKILLS.index(skill), subtask)
        pos = xp.where(when[:, None], goal, pos)
    return subtask, pos


def _quarter_yaw(xp: Any, rot6d: Array) -> Array:
    """(n,) the box's yaw to the nearest quarter turn, from -45 to 45 degrees: its sides are alike."""
    yaw = xp.atan2(rot6d[:, 1], rot6d[:, 0])
    quarter = float(xp.pi) / 2
    return yaw - quarter * xp.floor(yaw / quarter + 0.5)
