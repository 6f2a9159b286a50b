"""The form of a model's answer: a subtask, and goals as whole numbers.

An answer is one line of words, as RT-2 writes its actions (arXiv 2307.15818, section 3.2):

    subtask  x y z roll pitch yaw gripper  [x y z yaw]  done
    reach    768 470 352 500 500 548 999                047

There are seven numbers for each effector, and four for each base that travels. All are
bins of fixed ranges (`bins.py`), so any line of this form is a plan. RT-2 gives changes
of the pose; these are goals, which the goal servo drives to.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from string import Template

import numpy as np

from embodied.core import SKILLS, Array, Layout, Payload
from embodied.errors import EmbodiedError
from embodied.policies.vlm.bins import MAX_BINS, Bins, angle_bins
from embodied.policies.vlm.poses import seen_from_mount, seen_in_world
from embodied.robots.mount import MountPose
from embodied.robots.robot import Robot
from embodied.rotations import (
    quat_conjugate,
    quat_from_rot6d,
    quat_from_yaw,
    quat_rotate,
)

Range = tuple[float, float]

BOX_M: tuple[Range, Range, Range] = ((-1.0, 1.0), (-1.0, 1.0), (-1.0, 1.0))
# x and y, and z, of a base's goal
DRIVE_M: Range = (-2.0, 2.0)
LIFT_M: Range = (-0.5, 0.5)
HAND = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
BASE = ("x", "y", "z", "yaw")


@dataclass(frozen=True)
class FormConfig:
    """What answers are made of.

    Attributes:
        subtasks: the subtasks that the model may choose; names of SKILLS.
        bins: the number of bins of each range.
        box_m: the ranges of x, y and z of an effector's goal, in m from the mount of its
            arm: forwards, to the left, up.
    """

    subtasks: tuple[str, ...] = SKILLS
    bins: int = MAX_BINS
    box_m: tuple[Range, Range, Range] = field(default=BOX_M)


class PlanForm:
    """The form of answers for a robot, or for a team.

    Positions are relative to the present pose of the mount that carries the arm, or
    that drives. Roll, pitch and yaw turn a hand that points down, about fixed axes of
    the mount, in this order.

    Args:
        robot: the robot.
        agent_layout: the layout of its proprioception.
        config: what answers are made of.
    """

    def __init__(self, robot: Robot, agent_layout: Layout, config: FormConfig) -> None:
        self.plan_shape = robot.plan_shape
        self.subtasks = config.subtasks
        # nothing can drive on a robot that stands
        if not any(base.travels for base in robot.bases):
            self.subtasks = tuple(
                name for name in config.subtasks if name != "drive_to"
            )
        self._skills = np.array([SKILLS.index(name) for name in self.subtasks])
        self._effectors = [effector.name for effector in robot.effectors]
        self._grippers = [gripper.name for gripper in robot.grippers]
        self._slices = agent_layout.slices()

        # the mounts: of each effector's arm, and of each base that travels
        mounts = {
            base.name: MountPose(robot, agent_layout, base) for base in robot.bases
        }
        self._arm_mounts = [
            mounts[robot.base_of(robot.part(effector.arm)).name]
            for effector in robot.effectors
        ]
        travelling = [base.name for base in robot.bases if base.travels]
        self._base_mounts = [mounts[name] for name in travelling]

        # the bins of each number, in the order of HAND and of BASE
        count = config.bins
        angle = angle_bins(count)
        box = [Bins(low, high, count) for low, high in config.box_m]
        self._hand_bins = [*box, angle, angle, angle, Bins(-1.0, 1.0, count)]
        drive = Bins(*DRIVE_M, count)
        self._base_bins = [drive, drive, Bins(*LIFT_M, count), angle]
        self._done_bins = Bins(0.0, 1.0, count)

        # the names of the places of an answer, and the words allowed at each
        self.names = self._names(travelling)
        numbers = [
            *self._hand_bins * len(self._effectors),
            *self._base_bins * len(self._base_mounts),
            self._done_bins,
        ]
        self.words = [self.subtasks, *(bins.words for bins in numbers)]

    @property
    def ranges(self) -> str:
        """Returns what the numbers mean, for a prompt."""
        parts = [
            f"{name} {bins.low:g} to {bins.high:g} m"
            for name, bins in zip(HAND, self._hand_bins[:3], strict=False)
        ]
        last = self._done_bins.words[-1]

        # what every robot has, then what only those that drive have
        text = (
            f"numbers from 000 to {last} stand for {', '.join(parts)}, forwards, left and "
            "up of the arm's mount; roll, pitch, yaw -180 to 180 degrees, of a hand that "
            "points down; gripper closed to open; done 0 to 100 percent"
        )
        if self._base_mounts:
            text += (
                f"; of a base x, y {DRIVE_M[0]:g} to {DRIVE_M[1]:g} m and z "
                f"{LIFT_M[0]:g} to {LIFT_M[1]:g} m from where its mount is"
            )
        return text

    def question(self, prompt: Template, instruction: str, proprioception: str) -> str:
        """Returns a question: a prompt with its fields filled in."""
        return prompt.substitute(
            instruction=instruction,
            subtasks=", ".join(self.subtasks),
            form=" ".join(self.names),
            ranges=self.ranges,
            proprioception=proprioception,
        )

    def payload(self, chosen: Array, agent_pos: Array) -> Payload:
        """Returns the plans of n answers.

        Args:
            chosen: (n, K) the index of the chosen word at each of the K places.
            agent_pos: (n, P) proprioception, from which goals are measured.
        """
        chosen = np.asarray(chosen, np.int64)
        agent_pos = np.asarray(agent_pos, np.float64)
        payload = Payload.empty(len(chosen), self.plan_shape)
        payload.subtask[:] = self._skills[chosen[:, 0]]
        payload.completion[:] = self._done_bins.value(chosen[:, -1])

        column = 1
        for k, mount in enumerate(self._arm_mounts):
            hand = _values(self._hand_bins, chosen[:, column:])  # (n, 7)
            column += len(HAND)
            pos_w, quat_w = seen_in_world(mount.read(agent_pos), hand[:, :6])
            payload.goal_pos_w[:, k] = pos_w
            payload.goal_quat_wxyz[:, k] = quat_w
            payload.gripper[:, k] = hand[:, 6]

        for k, mount in enumerate(self._base_mounts):
            base = _values(self._base_bins, chosen[:, column:])  # (n, 4)
            column += len(BASE)
            pose = mount.read(agent_pos)
            to_world = quat_from_yaw(pose[:, 3])
            moved = pose[:, :3] + quat_rotate(to_world, base[:, :3])
            payload.base_goal_w[:, k, :3] = moved
            payload.base_goal_w[:, k, 3] = pose[:, 3] + base[:, 3]
        return payload

    def chosen(
        self, payload: Payload, agent_pos: Array
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the answers that stand for n plans, the inverse of `payload`.

        Args:
            payload: n plans of `plan_shape`; velocities of goals cannot be answered.
            agent_pos: (n, P) proprioception, from which goals are measured.

        Returns:
            (n, K) the index of the word at each place, and (n,) bool, whether a position
            is out of its range, so that the answer has the end of the range.

        Raises:
            EmbodiedError: a subtask is none of this form's.
        """
        agent_pos = np.asarray(agent_pos, np.float64)
        columns = [self._index_of_subtasks(payload.subtask)]
        is_outside = np.zeros(len(agent_pos), bool)

        for k, mount in enumerate(self._arm_mounts):
            pose = seen_from_mount(
                mount.read(agent_pos),
                payload.goal_pos_w[:, k],
                payload.goal_quat_wxyz[:, k],
            )
            values = np.concatenate([pose, payload.gripper[:, k, None]], axis=1)
            columns += [
                bins.index(values[:, j]) for j, bins in enumerate(self._hand_bins)
            ]
            is_outside |= _is_outside(self._hand_bins[:3], values)

        for k, mount in enumerate(self._base_mounts):
            goal = payload.base_goal_w[:, k]
            pose = mount.read(agent_pos)
            to_mount = quat_conjugate(quat_from_yaw(pose[:, 3]))
            offset = quat_rotate(to_mount, goal[:, :3] - pose[:, :3])
            turn = (goal[:, 3:] - pose[:, 3:] + np.pi) % (2 * np.pi) - np.pi
            values = np.concatenate([offset, turn], axis=1)
            columns += [
                bins.index(values[:, j]) for j, bins in enumerate(self._base_bins)
            ]
            is_outside |= _is_outside(self._base_bins[:3], values)

        columns.append(self._done_bins.index(payload.completion))
        return np.stack(columns, axis=1), is_outside

    def answers(self, chosen: Array) -> list[str]:
        """Returns the lines of n answers (n, K), given as indices of words."""
        return [
            " ".join(choices[k] for choices, k in zip(self.words, row, strict=True))
            for row in np.asarray(chosen)
        ]

    def proprioception(self, agent_pos: Array) -> list[str]:
        """Returns n texts: where each hand is, in the bins of goals, and the grippers.

        Args:
            agent_pos: (n, P) proprioception.
        """
        agent_pos = np.asarray(agent_pos, np.float64)
        parts: list[list[str]] = [[] for _ in agent_pos]
        for name, mount in zip(self._effectors, self._arm_mounts, strict=True):
            values = seen_from_mount(
                mount.read(agent_pos),
                agent_pos[:, self._slices[f"{name}_pos_w"]],
                quat_from_rot6d(agent_pos[:, self._slices[f"{name}_rot6d"]]),
            )
            for texts, row in zip(parts, values, strict=True):
                texts.append(f"{name} {self._in_bins(row)}")

        for reading, part in self._slices.items():
            if reading.rpartition("_")[0] in self._grippers:
                for texts, row in zip(parts, agent_pos[:, part], strict=True):
                    texts.append(f"{reading} {row[0]:.3f}")
        return [", ".join(texts) for texts in parts]

    def _index_of_subtasks(self, skills: Array) -> np.ndarray:
        """Returns the places of skills (n,) among the form's subtasks."""
        index = []
        for skill in np.asarray(skills):
            name = SKILLS[int(skill)]
            if name not in self.subtasks:
                raise EmbodiedError(
                    f"the plans have the subtask {name!r}, which is none of those that "
                    f"may be answered: {', '.join(self.subtasks)}"
                )
            index.append(self.subtasks.index(name))
        return np.array(index, np.int64)

    def _in_bins(self, pose: np.ndarray) -> str:
        """Returns a pose x, y, z, roll, pitch, yaw as words."""
        words = [
            bins.words[int(bins.index(value))]
            for bins, value in zip(self._hand_bins, pose, strict=False)
        ]
        return " ".join(words)

    def _names(self, travelling: Sequence[str]) -> tuple[str, ...]:
        """Returns the name of each place; with the part's name if there are several."""
        hands = [f"{name}." for name in self._effectors]
        if len(hands) == 1:
            hands = [""]
        bases = [f"{name}." for name in travelling]
        return (
            "subtask",
            *(hand + name for hand in hands for name in HAND),
            *(base + name for base in bases for name in BASE),
            "done",
        )


def _values(bins: Sequence[Bins], chosen: np.ndarray) -> np.ndarray:
    """Returns the numbers of the first columns of `chosen`, one for each of the bins."""
    columns = [each.value(chosen[:, k]) for k, each in enumerate(bins)]
    return np.stack(columns, axis=1)


def _is_outside(bins: Sequence[Bins], values: np.ndarray) -> np.ndarray:  # (n,) bool
    """Returns whether one of the first columns of `values` is out of its range."""
    outside = [
        (values[:, j] < each.low - each.step / 2)
        | (values[:, j] > each.high + each.step / 2)
        for j, each in enumerate(bins)
    ]
    return np.any(outside, axis=0)
