"""A person at a device as a policy, whose commands become actions of the robot.

The person moves the hand; an aid may control its orientation. The task's scripted planner
makes plans at the same time, so that takes have subtasks and goals like an expert's episodes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from embodied.core import ACTORS, SKILLS, Array, Observation
from embodied.envs.skills.goal_servo import (
    DRIVE_GAIN_PER_S,
    TURN_GAIN_PER_S,
    GoalServo,
)
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError, unknown
from embodied.plan import Payload, Plan, PlanShape
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

# The speeds for commands of 1: of the hand, of its rotation, of the base, of its rotation.
# They are slow enough for a person to follow.
HAND_M_S = 0.25
TURN_RAD_S = 1.0
DRIVE_M_S = 0.4
DRIVE_RAD_S = 0.6
AID_RAD_S = 1.2  # the top speed at which an aid rotates the hand


class TakeStopped(Exception):  # noqa: N818  # it is not an error
    """The person has stopped a take by the event `discard` or `quit`."""

    def __init__(self, event: str) -> None:
        super().__init__(event)
        self.event = event


@dataclass
class _Hands:
    """The state of E hands (effectors) during a take.

    Attributes:
        active: the index of the hand that commands move.
        grip: (E,) the command for each gripper: -1 closed, 1 open.
        level_w: (E, 3) the direction that each hand must point to with the aid `level`;
            None before the first observation.
    """

    active: int
    grip: np.ndarray
    level_w: np.ndarray | None = None


class Operator:
    """A policy for one world that executes a person's commands, in `ee_delta`.

    The aid controls the orientation of a hand while the person does not rotate it:

    - goal: the hand rotates to the goal of the task's planner.
    - level: the hand keeps its tilt, so that the person controls only its yaw.
    - free: the hand keeps its orientation.

    Args:
        worlds: the one world to act in.
        device: the device that gives the commands; it must be open.
        aid: one of AIDS.

    Raises:
        EmbodiedError: there are several worlds, or there is no such aid.
    """

    def __init__(self, worlds: Worlds, device: Device, aid: str = "goal") -> None:
        """Prepares the servo, which executes commands, and the expert, whose plans are kept."""
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
        self._expert = EXPERT.make(worlds)
        self._plans: list[Plan] = []  # the expert's plans since the last `take_plans`
        # the payload of the expert's newest plan, which has the goals for the aid
        self._newest_payload = Payload.empty(1, self._expert.planner.plan_shape)

        self.gripper_elements = tuple(worlds.interface.gripper_elements)
        self._limits = ReferenceLimits(
            num_worlds=1,
            max_step=MAX_ACTION_RATE / self.spec.control_hz,
            gripper_elements=self.gripper_elements,
            hold_action=None,
        )
        self._hands = self._new_hands()

    @property
    def intended_by(self) -> np.ndarray:
        """(1,) the person, index into ACTORS."""
        return np.array([BY_PERSON], np.uint8)

    @property
    def executed_by(self) -> np.ndarray:
        """(1,) the person, index into ACTORS."""
        return np.array([BY_PERSON], np.uint8)

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        self._expert.reset(ids, observation, seeds)
        self._limits.reset(ids)
        self._hands = self._new_hands()
        self._plans = []
        self._newest_payload = Payload.empty(1, self._expert.planner.plan_shape)
        self.is_marked = False

    def act(self, observation: Observation) -> np.ndarray:
        """Returns the action (1, A) for the person's current command.

        Raises:
            TakeStopped: the person has stopped the take.
        """
        command = self.read_command()
        self.collect_plans(observation)
        return self.execute(command, observation)

    def read_command(self) -> Command:
        """Reads the device, handles the events of its command, and returns the command.

        Raises:
            TakeStopped: the person has stopped the take.
        """
        command = self._device.read()
        self._handle(command.events)
        return command

    def execute(self, command: Command, observation: Observation) -> np.ndarray:
        """Returns the action (1, A) that executes a command."""
        payload = self._payload(observation.agent_pos, command)
        action = self._servo.act(observation, payload, age_s=np.zeros(1))
        # the limits only limit the rate of change here: the robot is never stopped
        no_stop = np.zeros(1, bool)
        return self._limits.apply(action, no_stop, observation)

    def set_grip(self, grip: np.ndarray) -> None:
        """Sets the grippers as another driver has left them.

        Args:
            grip: (E,) the action elements of the grippers; above 0 is open.
        """
        self._hands.grip = np.where(grip > 0, 1.0, -1.0)

    def take_plans(self) -> list[Plan]:
        """Returns the planner's plans since the last call."""
        plans = self._plans
        self._plans = []
        return plans

    def mean_plan_age_s(self, world: int) -> float:
        """Returns NaN, since the person follows no plan."""
        return float("nan")

    def _new_hands(self) -> _Hands:
        """Returns the state at a take's start: the first hand is active, all are open."""
        return _Hands(active=0, grip=np.ones(len(self._robot.effectors)))

    def _handle(self, events: frozenset[str]) -> None:
        """Handles all events except `keep` and `take_over`, which the callers handle.

        Raises:
            TakeStopped: the person has stopped the take.
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

    def collect_plans(self, observation: Observation) -> None:
        """Runs the task's scripted planner for a step, to collect its plans."""
        # the action that the expert would take is not used
        self._expert.act(observation)
        for plan in self._expert.take_plans():
            self._plans.append(plan)
            self._newest_payload = plan.payload

    def _payload(self, agent_pos: np.ndarray, command: Command) -> Payload:
        """Returns a payload from which the servo computes the action for a command.

        Its goals are the current positions of the hands, with the commanded velocities.

        Args:
            agent_pos: (1, P) the proprioception.
            command: the command of the person.
        """
        hands = self._hands
        if command.grip:
            hands.grip[hands.active] = np.sign(command.grip)

        # the current poses of the hands
        num_hands = len(hands.grip)
        pos_w = np.zeros((1, num_hands, 3))
        quat = np.zeros((1, num_hands, 4))
        for number, effector in enumerate(self._robot.effectors):
            pos_w[:, number] = agent_pos[:, self._slices[f"{effector.name}_pos_w"]]
            quat[:, number] = quat_from_rot6d(
                agent_pos[:, self._slices[f"{effector.name}_rot6d"]]
            )
        if hands.level_w is None:
            hands.level_w = _pointing(quat[0])

        # the commanded velocity, from the robot's axes to the world's
        heading = quat_from_yaw(self._mount.read(agent_pos)[:, 3])  # (1, 4)
        vel_w = np.zeros((1, num_hands, 3))
        move_m_s = np.array([command.move]) * HAND_M_S
        vel_w[:, hands.active] = quat_rotate(heading, move_m_s)

        # the servo drives base and lift only with the skill `drive_to`
        is_driving = self._robot.travels and any(command.drive)
        return replace(
            Payload.empty(1, self._shape()),
            subtask=np.array([DRIVE_TO if is_driving else REACH]),
            goal_pos_w=pos_w,
            goal_quat_wxyz=self._goal_quat(quat, heading, command),
            goal_vel_w=vel_w,
            gripper=hands.grip[None].copy(),
            base_goal_w=self._base_goal(agent_pos, heading, command),
        )

    def _shape(self) -> PlanShape:
        """Returns the sizes of the plans for the servo."""
        return PlanShape(
            effectors=len(self._robot.effectors), bases=int(self._robot.travels)
        )

    def _base_goal(
        self, agent_pos: np.ndarray, heading: np.ndarray, command: Command
    ) -> np.ndarray:
        """Returns goals of bases (1, B, 4) for which the servo drives at the commanded speed.

        The servo's speed is its gain times the distance to the goal, so the distance is the
        commanded speed divided by the gain. B is 0 if the robot does not travel.

        Args:
            agent_pos: (1, P) the proprioception.
            heading: (1, 4) the rotation from the robot's axes to the world's.
            command: the command of the person.
        """
        if not self._robot.travels:
            return np.zeros((1, 0, 4))
        offset_m = np.array([command.drive[:3]]) * DRIVE_M_S / DRIVE_GAIN_PER_S
        yaw_rad = command.drive[3] * DRIVE_RAD_S / DRIVE_GAIN_PER_S
        goal = self._mount.read(agent_pos).copy()  # (1, 4) x, y, z and yaw
        goal[:, :3] += quat_rotate(heading, offset_m)
        goal[:, 3] += yaw_rad
        return goal[:, None]

    def _goal_quat(
        self, quat: np.ndarray, heading: np.ndarray, command: Command
    ) -> np.ndarray:
        """Returns the orientations (1, E, 4) towards which the hands rotate.

        Args:
            quat: (1, E, 4) the current orientations of the hands.
            heading: (1, 4) the rotation from the robot's axes to the world's.
            command: the command of the person.
        """
        goals = quat.copy()
        for number in range(quat.shape[1]):
            rotvec_w = self._aid_rotvec(quat[:, number], number)
            if number == self._hands.active and any(command.turn):
                # the servo's angular speed is its gain times the angle, so this angle gives
                # the commanded speed
                turn_rad = np.array([command.turn]) * TURN_RAD_S / TURN_GAIN_PER_S
                person_w = quat_rotate(heading, turn_rad)
                rotvec_w = self._person_rotvec(
                    person_w, rotvec_w, quat=quat, number=number
                )
            goals[:, number] = quat_multiply(
                quat_from_rotvec(rotvec_w), quat[:, number]
            )
        return goals

    def _person_rotvec(
        self, person_w: np.ndarray, aid_w: np.ndarray, quat: np.ndarray, number: int
    ) -> np.ndarray:
        """Returns the rotation vector (1, 3) in rad for a hand that the person rotates.

        With the aid `level`, tilting the hand sets the new tilt to keep. If the person
        changes only its yaw, the aid still keeps the tilt.

        Args:
            person_w: (1, 3) the rotation vector that the person commands, in the world.
            aid_w: (1, 3) the rotation vector of the aid, in the world.
            quat: (1, E, 4) the current orientations of the hands.
            number: the index of the hand.
        """
        level_w = self._hands.level_w
        if self._aid != "level" or level_w is None:
            return person_w
        # a rotation about x or y tilts the hand; about z it only changes the yaw
        is_tilting = np.any(person_w[:, :2])
        if is_tilting:
            level_w[number] = _pointing(quat[0, number])
            return person_w
        return person_w + aid_w

    def _aid_rotvec(self, quat: np.ndarray, number: int) -> np.ndarray:
        """Returns the rotation vector (1, 3) in rad by which the aid rotates a hand.

        Args:
            quat: (1, 4) the current orientation of the hand.
            number: the index of the hand.
        """
        rotvec = np.zeros((1, 3))
        if self._aid == "level" and self._hands.level_w is not None:
            # the cross product is along the rotation axis, with the sine of the angle
            rotvec = np.cross(_pointing(quat), self._hands.level_w[number])
        elif self._aid == "goal" and self._has_goal(number):
            goal_quat = self._newest_payload.goal_quat_wxyz[:, number]
            rotvec = quat_to_rotvec(quat_multiply(goal_quat, quat_conjugate(quat)))

        # limited, so that the servo rotates the hand at most at `AID_RAD_S`
        largest_rad = AID_RAD_S / TURN_GAIN_PER_S
        angle_rad = float(np.linalg.norm(rotvec))
        return rotvec * min(1.0, largest_rad / max(angle_rad, largest_rad))

    def _has_goal(self, number: int) -> bool:
        """Returns whether the planner's plans have a goal for an effector."""
        return number < self._newest_payload.goal_quat_wxyz.shape[1]


def _pointing(quat: np.ndarray) -> np.ndarray:
    """Returns the directions (..., 3) of hands (..., 4), which are their z axes."""
    z_axis = np.broadcast_to(np.array([0.0, 0.0, 1.0]), (*quat.shape[:-1], 3))
    return np.array(quat_rotate(quat, z_axis))
