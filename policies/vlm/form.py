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

from embodied.core import SKILLS, Array, Layout
from embodied.errors import EmbodiedError
from embodied.plan import Payload
from embodied.policies.vlm.bins import MAX_BINS, Bins, angle_bins
from embodied.policies.vlm.poses import mount_to_world, world_to_mount
from embodied.robots.mount import MountPose
from embodied.robots.robot import Robot
from embodied.rotations import (
    quat_conjugate,
    quat_from_rot6d,
    quat_from_yaw,
    quat_rotate,
)

Range = tuple[float, float]

# The default ranges of x, y and z of a hand's goal, relative to the mount of its arm.
BOX_M: tuple[Range, Range, Range] = ((-1.0, 1.0), (-1.0, 1.0), (-1.0, 1.0))
# The ranges of x and y, and of z, of a base's goal, relative to its present pose.
DRIVE_M: Range = (-2.0, 2.0)
LIFT_M: Range = (-0.5, 0.5)
# The names of the numbers of each effector's goal, and of each base's goal.
HAND = ("x", "y", "z", "roll", "pitch", "yaw", "gripper")
BASE = ("x", "y", "z", "yaw")


@dataclass(frozen=True)
class FormConfig:
    """The subtasks and the ranges of numbers in answers.

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

    Positions are relative to the present pose of the mount that carries the arm, or, for
    goals of bases, that drives. Roll, pitch and yaw rotate a hand that points down, about
    fixed axes of the mount, in this order.

    Attributes:
        plan_shape: the shape of the plans.
        subtasks: the subtasks that may be answered.
        names: the name of each of the K positions in an answer.
        words: for each of these positions, the words allowed there.

    Args:
        robot: the robot.
        agent_layout: the layout of the robot's proprioception.
        config: the subtasks and the ranges of numbers.
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

        # the positions in an answer: their names, and the words allowed at each
        self.names = self._names(travelling)
        numbers = [
            *self._hand_bins * len(self._effectors),
            *self._base_bins * len(self._base_mounts),
            self._done_bins,
        ]
        self.words = [self.subtasks, *(bins.words for bins in numbers)]

    @property
    def ranges(self) -> str:
        """The meaning of the numbers in words, for a prompt."""
        parts = [
            f"{name} {bins.low:g} to {bins.high:g} m"
            for name, bins in zip(HAND, self._hand_bins[:3], strict=False)
        ]
        last = self._done_bins.words[-1]

        # numbers of every robot, then numbers that only robots that drive have
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
        """Returns a question: a prompt with its fields filled in.

        Args:
            prompt: the template of the question.
            instruction: the instruction of the episode.
            proprioception: the robot's pose in words (see `proprioception`).
        """
        return prompt.substitute(
            instruction=instruction,
            subtasks=", ".join(self.subtasks),
            form=" ".join(self.names),
            ranges=self.ranges,
            proprioception=proprioception,
        )

    def payload(self, word_indices: Array, agent_pos: Array) -> Payload:
        """Returns the plans that n answers stand for.

        Args:
            word_indices: (n, K) the index of each word of an answer among its `words`.
            agent_pos: (n, P) the proprioception, whose mounts goals are relative to.
        """
        word_indices = np.asarray(word_indices, np.int64)
        agent_pos = np.asarray(agent_pos, np.float64)
        payload = Payload.empty(len(word_indices), self.plan_shape)
        payload.subtask[:] = self._skills[word_indices[:, 0]]
        payload.completion[:] = self._done_bins.value(word_indices[:, -1])

        # the goals of effectors
        column = 1
        for k, mount in enumerate(self._arm_mounts):
            hand = _values(self._hand_bins, word_indices[:, column:])  # (n, 7)
            column += len(HAND)
            pos_w, quat_w = mount_to_world(mount.read(agent_pos), hand[:, :6])
            payload.goal_pos_w[:, k] = pos_w
            payload.goal_quat_wxyz[:, k] = quat_w
            payload.gripper[:, k] = hand[:, 6]

        # the goals of bases
        for k, mount in enumerate(self._base_mounts):
            base = _values(self._base_bins, word_indices[:, column:])  # (n, 4)
            column += len(BASE)
            pose = mount.read(agent_pos)
            rotation = quat_from_yaw(pose[:, 3])  # from the mount's axes to the world's
            goal_pos_w = pose[:, :3] + quat_rotate(rotation, base[:, :3])
            payload.base_goal_w[:, k, :3] = goal_pos_w
            payload.base_goal_w[:, k, 3] = pose[:, 3] + base[:, 3]
        return payload

    def word_indices(
        self, payload: Payload, agent_pos: Array
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns the answers that stand for n plans, as indices of words.

        This is the inverse of `payload`, up to the width of bins.

        Args:
            payload: n plans of `plan_shape`; answers have no velocities of goals.
            agent_pos: (n, P) the proprioception, whose mounts goals are relative to.

        Returns:
            (n, K) the index of each word among its `words`; and (n,) bool, whether a goal's
            position is out of range, so that the answer has the end of the range.

        Raises:
            EmbodiedError: a subtask of the plans may not be answered.
        """
        agent_pos = np.asarray(agent_pos, np.float64)
        columns = [self._index_of_subtasks(payload.subtask)]
        is_outside = np.zeros(len(agent_pos), bool)

        for k, mount in enumerate(self._arm_mounts):
            pose = world_to_mount(
                mount.read(agent_pos),
                payload.goal_pos_w[:, k],
                payload.goal_quat_wxyz[:, k],
            )
            values = np.concatenate([pose, payload.gripper[:, k, None]], axis=1)
            columns += _bin_indices(self._hand_bins, values)
            is_outside |= _is_outside(self._hand_bins[:3], values)

        for k, mount in enumerate(self._base_mounts):
            goal = payload.base_goal_w[:, k]
            pose = mount.read(agent_pos)
            # from the world's axes to the mount's
            rotation = quat_conjugate(quat_from_yaw(pose[:, 3]))
            offset = quat_rotate(rotation, goal[:, :3] - pose[:, :3])
            # wrap the change of yaw to [-pi, pi)
            turn = (goal[:, 3:] - pose[:, 3:] + np.pi) % (2 * np.pi) - np.pi
            values = np.concatenate([offset, turn], axis=1)
            columns += _bin_indices(self._base_bins, values)
            is_outside |= _is_outside(self._base_bins[:3], values)

        columns.append(self._done_bins.index(payload.completion))
        return np.stack(columns, axis=1), is_outside

    def answers(self, word_indices: Array) -> list[str]:
        """Returns n answers as lines of text.

        Args:
            word_indices: (n, K) the index of each word of an answer among its `words`.
        """
        return [
            " ".join(words[k] for words, k in zip(self.words, row, strict=True))
            for row in np.asarray(word_indices)
        ]

    def proprioception(self, agent_pos: Array) -> list[str]:
        """Returns n texts: the poses of hands, in bins like goals, and widths of grippers.

        Args:
            agent_pos: (n, P) proprioception.
        """
        agent_pos = np.asarray(agent_pos, np.float64)
        parts_of_texts: list[list[str]] = [[] for _ in agent_pos]
        for name, mount in zip(self._effectors, self._arm_mounts, strict=True):
            poses = world_to_mount(
                mount.read(agent_pos),
                agent_pos[:, self._slices[f"{name}_pos_w"]],
                quat_from_rot6d(agent_pos[:, self._slices[f"{name}_rot6d"]]),
            )
            for parts, pose in zip(parts_of_texts, poses, strict=True):
                parts.append(f"{name} {self._pose_in_bins(pose)}")

        # entries of grippers are their names with a suffix, such as `gripper_width`
        for entry, columns in self._slices.items():
            if entry.rpartition("_")[0] in self._grippers:
                widths = agent_pos[:, columns]  # (n, 1)
                for parts, values in zip(parts_of_texts, widths, strict=True):
                    parts.append(f"{entry} {values[0]:.3f}")
        return [", ".join(parts) for parts in parts_of_texts]

    def _index_of_subtasks(self, skills: Array) -> np.ndarray:
        """Returns the index of each skill among the form's subtasks, (n,).

        Args:
            skills: (n,) indices into SKILLS.
        """
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

    def _pose_in_bins(self, pose: np.ndarray) -> str:
        """Returns the words of the bins of a pose (6,): x, y, z, roll, pitch, yaw."""
        words = [
            bins.words[int(bins.index(value))]
            for bins, value in zip(self._hand_bins, pose, strict=False)
        ]
        return " ".join(words)

    def _names(self, travelling: Sequence[str]) -> tuple[str, ...]:
        """Returns the name of each position in an answer.

        Names of numbers have the effector's name as a prefix if there are several, and the
        base's name for goals of bases.

        Args:
            travelling: the names of the bases that travel.
        """
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


def _values(bins: Sequence[Bins], word_indices: np.ndarray) -> np.ndarray:
    """Returns the numbers (n, B) that the first B columns of `word_indices` stand for.

    Args:
        bins: the bins of each of these B columns.
        word_indices: (n, B or more) indices of bins.
    """
    columns = [
        column_bins.value(word_indices[:, k]) for k, column_bins in enumerate(bins)
    ]
    return np.stack(columns, axis=1)


def _bin_indices(bins: Sequence[Bins], values: np.ndarray) -> list[np.ndarray]:
    """Returns, for each of some bins, the indices (n,) of the numbers in its column.

    Args:
        bins: the bins of the first B columns.
        values: (n, B or more) numbers.
    """
    return [column_bins.index(values[:, k]) for k, column_bins in enumerate(bins)]


def _is_outside(bins: Sequence[Bins], values: np.ndarray) -> np.ndarray:  # (n,) bool
    """Returns whether a number is out of the range of its bins, for each row of `values`.

    Numbers up to half a step beyond the range count as inside, since they round to the bin
    at its end like the numbers just inside.

    Args:
        bins: the bins of the first B columns.
        values: (n, B or more) numbers.
    """
    outside = [
        (values[:, k] < column_bins.low - column_bins.step / 2)
        | (values[:, k] > column_bins.high + column_bins.step / 2)
        for k, column_bins in enumerate(bins)
    ]
    return np.any(outside, axis=0)
