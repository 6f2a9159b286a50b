"""A person at a device as a policy: commands become actions of the robot.

The person moves the hand; aids keep or turn it as the task needs it. The task's scripted
planner looks on and plans, so that takes have subtasks and goals as those of an expert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from embodied.core import (
    ACTORS,
    SKILLS,
    Array,
    Observation,
    Payload,
    Plan,
    PlanShape,
)
from embodied.envs.skills.goal_servo import (
    DRIVE_GAIN_PER_S,
    TURN_GAIN_PER_S,
    GoalServo,
)
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError, unknown
from embodied.policies.corrected import MAX_ACTION_RATE
from embodied.policies.expert import EXPERT
from embodied.policies.limits import ReferenceLimits
from embodied.policies.teleop.device import Command, Device
from embodied.robots.mount import MountPose
from embodied.rotations import (
    quat_conjugate,
    quat_from_rot6d,
    quat_from_rotvec,
    quat_from_yaw,
    quat_multiply,
    quat_rotate,
    quat_to_rotvec,
)

Aid = Literal["goal", "level", "free"]
AIDS: tuple[str, ...] = get_args(Aid)
BY_PERSON = ACTORS.index("person")
REACH = SKILLS.index("reach")
DRIVE_TO = SKILLS.index("drive_to")

# Top speeds of what a person commands.
HAND_M_S = 0.25
TURN_RAD_S = 1.0
DRIVE_M_S = 0.4
DRIVE_RAD_S = 0.6
# An aid turns the hand no faster than this.
AID_RAD_S = 1.2


class TakeStopped(Exception):  # noqa: N818  # no error: the person wants it so
    """The person ended a take before it was over; `event` says why."""

    def __init__(self, event: str) -> None:
        super().__init__(event)
        self.event = event


@dataclass
class _Hands:
    """What is remembered of a take: of E effectors in one world."""

    active: int
    grip: np.ndarray  # (E,) -1 closed, 1 open
    # (E, 3) where each hand is to point, for the aid `level`; None until first seen
    level_w: np.ndarray | None = None


class Operator:
    """A policy of one world that does what a person commands, in `ee_delta`.

    Aids for the orientation of a hand, each until the person turns it by hand:

    - goal: it turns as the task's planner would have it.
    - level: it keeps the tilt it has, so that only its yaw is left to the person.
    - free: it stays as it is.

    Raises:
        EmbodiedError: there are several worlds, or no such aid.
    """

    def __init__(self, worlds: Worlds, device: Device, aid: str = "goal") -> None:
        if worlds.num_worlds != 1:
            raise EmbodiedError(
                f"a person acts in one world, not in {worlds.num_worlds}"
            )
        if aid not in AIDS:
            raise unknown("aid", aid, AIDS)
        self.is_marked = False  # whether the person marked this take
        self._device = device
        self._aid = aid
        self._robot = worlds.robot
        self._slices = worlds.agent_layout.slices()
        self._mount = MountPose(worlds.robot, worlds.agent_layout)
        self._servo = GoalServo(worlds.agent_layout, worlds.robot)
        self.spec = replace(self._servo.spec, privileged=True)
        self._planner = EXPERT.make(worlds)
        self._plans: list[Plan] = []
        self._goal = Payload.empty(1, self._planner.planner.plan_shape)  # the newest

        self.gripper_elements = tuple(worlds.interface.gripper_elements)
        self._limits = ReferenceLimits(
            1,
            MAX_ACTION_RATE / self.spec.control_hz,
            self.gripper_elements,
            hold_action=None,
        )
        self._hands = self._new_hands()

    @property
    def intended_by(self) -> np.ndarray:
        """(1,) the person."""
        return np.array([BY_PERSON], np.uint8)

    @property
    def executed_by(self) -> np.ndarray:
        """(1,) the person."""
        return np.array([BY_PERSON], np.uint8)

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        self._planner.reset(ids, observation, seeds)
        self._limits.reset(ids)
        self._hands = self._new_hands()
        self._plans = []
        self._goal = Payload.empty(1, self._planner.planner.plan_shape)
        self.is_marked = False

    def act(self, observation: Observation) -> np.ndarray:
        """Returns the action (1, A) that the person wants.

        Raises:
            TakeStopped: the person does not want to go on.
        """
        command = self.listen()
        self.look_on(observation)
        return self.do(command, observation)

    def listen(self) -> Command:
        """Returns what the person wants now, after acting on its events.

        Raises:
            TakeStopped: the person does not want to go on.
        """
        command = self._device.read()
        self._obey(command.events)
        return command

    def do(self, command: Command, observation: Observation) -> np.ndarray:
        """Returns the action (1, A) of a command."""
        payload = self._payload(observation.agent_pos, command)
        action = self._servo.act(observation, payload, age_s=np.zeros(1))
        return self._limits.apply(action, np.zeros(1, bool), observation)

    def hold_grip(self, grip: np.ndarray) -> None:
        """Lets the grippers (E,) stay as another driver had them: above 0 is open."""
        self._hands.grip = np.where(grip > 0, 1.0, -1.0)

    def take_plans(self) -> list[Plan]:
        """Returns the planner's plans since the last call."""
        plans = self._plans
        self._plans = []
        return plans

    def mean_plan_age_s(self, world: int) -> float:
        """Returns nan: the person follows no plan."""
        return float("nan")

    def _new_hands(self) -> _Hands:
        return _Hands(active=0, grip=np.ones(len(self._robot.effectors)))

    def _obey(self, events: frozenset[str]) -> None:
        """Acts on events; `keep` and `take_over` are for others to act on.

        Raises:
            TakeStopped: the person does not want to go on.
        """
        for event in ("quit", "discard"):
            if event in events:
                raise TakeStopped(event)
        hands = self._hands
        if "mark" in events:
            self.is_marked = True
        if "next_arm" in events:
            hands.active = (hands.active + 1) % len(hands.grip)
        if "grip" in events:
            hands.grip[hands.active] *= -1

    def look_on(self, observation: Observation) -> None:
        """Lets the planner plan; its controller's actions are not taken."""
        self._planner.act(observation)
        for plan in self._planner.take_plans():
            self._plans.append(plan)
            self._goal = plan.payload

    def _payload(self, agent_pos: np.ndarray, command: Command) -> Payload:
        """Returns a plan that the servo turns into what the person commands.

        Its goals are where the hands are, so that nothing but the goals' own velocity
        moves them.
        """
        hands = self._hands
        if command.grip:
            hands.grip[hands.active] = np.sign(command.grip)

        num = len(hands.grip)
        pos_w = np.zeros((1, num, 3))
        quat = np.zeros((1, num, 4))
        for number, effector in enumerate(self._robot.effectors):
            pos_w[:, number] = agent_pos[:, self._slices[f"{effector.name}_pos_w"]]
            quat[:, number] = quat_from_rot6d(
                agent_pos[:, self._slices[f"{effector.name}_rot6d"]]
            )
        if hands.level_w is None:
            hands.level_w = _pointing(quat[0])

        heading = quat_from_yaw(self._mount.read(agent_pos)[:, 3])  # (1, 4)
        vel_w = np.zeros((1, num, 3))
        move = np.array([command.move]) * HAND_M_S
        vel_w[:, hands.active] = quat_rotate(heading, move)

        # only with the skill `drive_to` does the servo drive base and lift
        wanted = Payload.empty(1, self._shape())
        drives = self._robot.travels and any(command.drive)
        return replace(
            wanted,
            subtask=np.array([DRIVE_TO if drives else REACH]),
            goal_pos_w=pos_w,
            goal_quat_wxyz=self._turned(quat, heading, command),
            goal_vel_w=vel_w,
            gripper=hands.grip[None].copy(),
            base_goal_w=self._base_goal(agent_pos, heading, command),
        )

    def _shape(self) -> PlanShape:
        return PlanShape(
            effectors=len(self._robot.effectors), bases=int(self._robot.travels)
        )

    def _base_goal(
        self, agent_pos: np.ndarray, heading: np.ndarray, command: Command
    ) -> np.ndarray:
        """Returns (1, B, 4) a place so near that the servo drives as commanded.

        The servo's speed is its gain times the distance. B is 0 without a base.
        """
        if not self._robot.travels:
            return np.zeros((1, 0, 4))
        mount = self._mount.read(agent_pos)  # (1, 4)
        way = np.array([command.drive[:3]]) * DRIVE_M_S / DRIVE_GAIN_PER_S
        turn_rad = command.drive[3] * DRIVE_RAD_S / DRIVE_GAIN_PER_S
        goal = mount.copy()
        goal[:, :3] += quat_rotate(heading, way)
        goal[:, 3] += turn_rad
        return goal[:, None]

    def _turned(
        self, quat: np.ndarray, heading: np.ndarray, command: Command
    ) -> np.ndarray:
        """Returns (1, E, 4) orientations that the servo turns the hands towards."""
        wanted = quat.copy()
        for number in range(quat.shape[1]):
            turn = self._aid_turn(quat[:, number], number)
            if number == self._hands.active and any(command.turn):
                by_hand = np.array([command.turn]) * TURN_RAD_S / TURN_GAIN_PER_S
                turn = self._by_hand(quat_rotate(heading, by_hand), turn, quat, number)
            wanted[:, number] = quat_multiply(quat_from_rotvec(turn), quat[:, number])
        return wanted

    def _by_hand(
        self, by_hand: np.ndarray, aid: np.ndarray, quat: np.ndarray, number: int
    ) -> np.ndarray:
        """Returns the turn (1, 3) in rad of a hand that the person turns.

        With the aid `level`, a person who tilts the hand gives it a new tilt to keep.
        Where only its yaw is turned, the aid still keeps the tilt.

        Args:
            by_hand: (1, 3) what the person commands, about world axes.
            aid: (1, 3) what the aid wants.
            quat: (1, E, 4) the hands' rotations.
            number: of the hand.
        """
        level_w = self._hands.level_w
        if self._aid != "level" or level_w is None:
            return by_hand
        if np.any(by_hand[:, :2]):
            level_w[number] = _pointing(quat[0, number])
            return by_hand
        return by_hand + aid

    def _aid_turn(self, quat: np.ndarray, number: int) -> np.ndarray:
        """Returns the turn (1, 3) that the aid wants of a hand now, about world axes."""
        turn = np.zeros((1, 3))
        if self._aid == "level" and self._hands.level_w is not None:
            # the axis from one direction to the other, as long as the angle's sine
            turn = np.cross(_pointing(quat), self._hands.level_w[number])
        elif self._aid == "goal" and self._has_goal(number):
            goal_quat = self._goal.goal_quat_wxyz[:, number]
            turn = quat_to_rotvec(quat_multiply(goal_quat, quat_conjugate(quat)))

        # shortened, so that the servo turns the hand no faster than `AID_RAD_S`
        most_rad = AID_RAD_S / TURN_GAIN_PER_S
        size_rad = float(np.linalg.norm(turn))
        return turn * min(1.0, most_rad / max(size_rad, most_rad))

    def _has_goal(self, number: int) -> bool:
        """Returns whether the planner has a goal for an effector of this number."""
        return number < self._goal.goal_quat_wxyz.shape[1]


def _pointing(quat: np.ndarray) -> np.ndarray:
    """Returns where hands (..., 4) point, (..., 3): the z axes of their tools."""
    z = np.broadcast_to(np.array([0.0, 0.0, 1.0]), (*quat.shape[:-1], 3))
    return np.array(quat_rotate(quat, z))
