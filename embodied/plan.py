"""Plans, which a slow planner makes for a fast controller.

Shapes: N worlds (n for a subset of them), E effectors, B bases that travel, L numbers of a
latent, R rows of a latent sequence, H steps of an action chunk, A action elements, W
waypoints, T bytes of a text.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol, get_args

import numpy as np

from embodied.core import SKILLS, Array, Observation, PolicySpec
from embodied.errors import EmbodiedError

# The optional contents of plans. All plans have a subtask and a completion.
PayloadKind = Literal[
    "goals", "base_goals", "latent", "chunk", "waypoints", "latent_sequence", "text"
]
PAYLOAD_KINDS: tuple[PayloadKind, ...] = get_args(PayloadKind)


@dataclass(frozen=True)
class PlanShape:
    """The sizes of the optional contents of a planner's plans; 0 if they are absent."""

    effectors: int = 1  # E, the number of effectors with goals
    bases: int = 0  # B, the number of bases with goals
    latent: int = 0  # L, the width of a latent
    chunk_steps: int = 0  # H, the number of steps of an action chunk
    chunk_actions: int = 0  # A, the width of an action chunk
    waypoints: int = 0  # W, the number of waypoints
    waypoint_effectors: int = 0  # E, the number of effectors with waypoints
    sequence_steps: int = 0  # R, the number of rows of a latent sequence
    sequence_width: int = 0  # L, the width of a latent sequence
    text_bytes: int = 0  # T, the most bytes that a subtask's text may have

    @property
    def kinds(self) -> tuple[PayloadKind, ...]:
        """The kinds of payload in such plans, in the order of PAYLOAD_KINDS."""
        sizes = (
            self.effectors,
            self.bases,
            self.latent,
            self.chunk_steps,
            self.waypoints,
            self.sequence_steps,
            self.text_bytes,
        )
        pairs = zip(PAYLOAD_KINDS, sizes, strict=True)
        return tuple(kind for kind, size in pairs if size)


@dataclass(frozen=True)
class Payload:
    """The content of plans, one row per world.

    Goals are poses in the world frame at the plan's `tick_frame`. Effectors and bases
    are in the order of the robot's parts.

    Attributes:
        subtask: (n,) int64, index into SKILLS.
        goal_pos_w: (n, E, 3) m, a position for each effector.
        goal_quat_wxyz: (n, E, 4), an orientation for each effector.
        goal_vel_w: (n, E, 3) m/s, the velocity of a moving goal, such as a tote on a
            belt; 0 if it is unknown.
        gripper: (n, E) in [-1, 1], from closed at -1 to open at 1.
        completion: (n,) in [0, 1], the share of the task that is done.
        latent: (n, L) numbers from a learned planner to its controller.
        base_goal_w: (n, B, 4) x, y, z in m and yaw in rad, the goal of the mount on each
            base.
        chunk: (n, H, A) actions in [-1, 1], in the worlds' control mode. Row k applies
            from k / `chunk_hz` seconds after `tick_frame`. None without a chunk.
        chunk_hz: (n,) rows of the chunk per second; None without a chunk.
        waypoint_s: (n, W) the times of the waypoints in s after `tick_frame`, ascending;
            None without waypoints, like the next three.
        waypoint_pos_w: (n, W, E, 3) m, a position for each effector at each waypoint.
        waypoint_quat_wxyz: (n, W, E, 4), an orientation for each effector.
        waypoint_gripper: (n, W, E) in [-1, 1], from closed to open, from the waypoint on.
        sequence: (n, R, L) a latent sequence: row k applies from k / `sequence_hz` seconds
            after `tick_frame`. None without a sequence.
        sequence_hz: (n,) rows of the sequence per second; None without a sequence.
        text: (n, T) uint8, the subtask in words, as a vision-language model puts it:
            UTF-8, filled up with zeros (see `encoded_texts` and `texts`). None without it.
    """

    subtask: Array
    goal_pos_w: Array
    goal_quat_wxyz: Array
    goal_vel_w: Array
    gripper: Array
    completion: Array
    latent: Array
    base_goal_w: Array
    chunk: Array = None
    chunk_hz: Array = None
    waypoint_s: Array = None
    waypoint_pos_w: Array = None
    waypoint_quat_wxyz: Array = None
    waypoint_gripper: Array = None
    sequence: Array = None
    sequence_hz: Array = None
    text: Array = None

    @property
    def texts(self) -> tuple[str, ...]:
        """The n texts of the subtasks; "" without texts."""
        if self.text is None:
            return ("",) * len(self.subtask)
        rows = np.ascontiguousarray(self.text, np.uint8)
        return tuple(row.tobytes().rstrip(b"\0").decode() for row in rows)

    @property
    def shape(self) -> PlanShape:
        """The sizes of the contents."""
        # numbers of rows and widths; None stands for contents that are absent
        chunk = (0, 0) if self.chunk is None else self.chunk.shape[1:]
        gripper = self.waypoint_gripper
        waypoints = (0, 0) if gripper is None else gripper.shape[1:]
        sequence = (0, 0) if self.sequence is None else self.sequence.shape[1:]

        return PlanShape(
            effectors=self.goal_pos_w.shape[1],
            bases=self.base_goal_w.shape[1],
            latent=self.latent.shape[1],
            chunk_steps=chunk[0],
            chunk_actions=chunk[1],
            waypoints=waypoints[0],
            waypoint_effectors=waypoints[1],
            sequence_steps=sequence[0],
            sequence_width=sequence[1],
            text_bytes=0 if self.text is None else self.text.shape[1],
        )

    @property
    def given(self) -> dict[str, Array]:
        """Name -> array, for all arrays that are not None."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def rows(self, ids: Array) -> Payload:
        """Returns only the rows `ids`, an index array."""
        return Payload(**{name: value[ids] for name, value in self.given.items()})

    def with_rows(self, ids: Array, other: Payload) -> Payload:
        """Returns a copy with rows `ids` (n,) replaced by the n rows of `other`."""
        values = {}
        for name, value in self.given.items():
            values[name] = value.copy()
            values[name][ids] = getattr(other, name)
        return replace(self, **values)

    @classmethod
    def empty(cls, num: int, shape: PlanShape | None = None) -> Payload:
        """Returns `num` rows with the subtask "stop", goals of zeros, grippers open."""
        shape = shape or PlanShape()

        # the identity rotation for every effector
        quat_wxyz = np.zeros((num, shape.effectors, 4))
        quat_wxyz[..., 0] = 1

        return cls(
            subtask=np.full(num, SKILLS.index("stop"), dtype=np.int64),
            goal_pos_w=np.zeros((num, shape.effectors, 3)),
            goal_quat_wxyz=quat_wxyz,
            goal_vel_w=np.zeros((num, shape.effectors, 3)),
            gripper=np.ones((num, shape.effectors)),
            completion=np.zeros(num),
            latent=np.zeros((num, shape.latent), np.float32),
            base_goal_w=np.zeros((num, shape.bases, 4)),
            **_empty_sequences(num, shape),
        )


def _empty_sequences(num: int, shape: PlanShape) -> dict[str, np.ndarray]:
    """Returns the arrays of `Payload` with rows over time, by name; none that are absent.

    Args:
        num: the number of plans.
        shape: the sizes of their contents.
    """
    arrays: dict[str, np.ndarray] = {}
    if shape.chunk_steps:
        chunk_shape = (num, shape.chunk_steps, shape.chunk_actions)
        arrays["chunk"] = np.zeros(chunk_shape, np.float32)
        arrays["chunk_hz"] = np.ones(num)  # the rate does not matter for equal rows

    if shape.waypoints:
        size = (num, shape.waypoints, shape.waypoint_effectors)
        # one second apart, for times must ascend
        arrays["waypoint_s"] = np.tile(
            np.arange(shape.waypoints, dtype=float), (num, 1)
        )
        arrays["waypoint_pos_w"] = np.zeros((*size, 3))
        arrays["waypoint_quat_wxyz"] = np.zeros((*size, 4))
        arrays["waypoint_quat_wxyz"][..., 0] = 1
        arrays["waypoint_gripper"] = np.ones(size)

    if shape.sequence_steps:
        sequence_shape = (num, shape.sequence_steps, shape.sequence_width)
        arrays["sequence"] = np.zeros(sequence_shape, np.float32)
        arrays["sequence_hz"] = np.ones(num)

    if shape.text_bytes:
        arrays["text"] = np.zeros((num, shape.text_bytes), np.uint8)
    return arrays


def encoded_texts(texts: Sequence[str], text_bytes: int) -> np.ndarray:
    """Returns texts as the array `Payload.text`, (n, T) uint8; undone by `Payload.texts`.

    Args:
        texts: n sentences.
        text_bytes: T, the most bytes that a text may have.

    Raises:
        EmbodiedError: a text is longer, or contains a zero character.
    """
    rows = np.zeros((len(texts), text_bytes), np.uint8)
    for row, text in zip(rows, texts, strict=True):
        encoded = text.encode()
        if len(encoded) > text_bytes:
            raise EmbodiedError(
                f"the subtask {text!r} has {len(encoded)} bytes, which exceeds the "
                f"{text_bytes} of the planner's plan_shape: set text_bytes there"
            )
        if b"\0" in encoded:
            raise EmbodiedError(f"the subtask {text!r} contains a zero character")
        row[: len(encoded)] = np.frombuffer(encoded, np.uint8)
    return rows


# Reasons for a plan to be discarded, or to be missing; "" for a sound plan. Append only:
# datasets store the index.
PLAN_FAULTS = ("", "not_finite", "from_the_future", "unanswered")


@dataclass(frozen=True)
class Plan:
    """Payloads with their times, in ticks of each world's own clock.

    A time is -1 if the event has not happened yet, or never will for a dropped plan.
    """

    world: Array  # (n,) int64, index of the world
    seq: Array  # (n,) int64, counts the plans of an episode from 0
    # (n,) int64, when the oldest image used was captured; the observation's tick if no
    # image was used
    tick_frame: Array
    tick_start: Array  # (n,) int64, when the planner began
    tick_done: Array  # (n,) int64, when the planner had computed the plan
    tick_arrived: Array  # (n,) int64, when the controller could read the plan
    payload: Payload
    fault: Array = None  # (n,) int64, index into PLAN_FAULTS; None if all are sound


class Planner(Protocol):
    """System 2: plans a few times per second.

    `plan_shape` declares the contents of its plans. A planner that may be unreachable,
    such as a remote one, has an attribute `unanswered`: (n,) bool, which worlds of the
    last call got no plan. Such plans count as lost.
    """

    plan_shape: PlanShape

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Starts episodes in worlds `ids` (n,), with one seed each."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns plans for worlds `ids` (n,); the observation has only these rows."""


class Controller(Protocol):
    """System 1: acts at every control step, from a live observation and the newest plan.

    It may have an attribute `takes`, a tuple of the `PayloadKind` that it needs. A
    planner without these kinds is then refused.

    It may have an attribute `sees_frames`. If this is False, it never reads
    `observation.pixels`; in real time the planner's process then renders the frames, so
    that no control step waits for them.
    """

    spec: PolicySpec

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Starts episodes in worlds `ids` (n,), with one seed each."""

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        """Returns actions (N, A) in [-1, 1] for all N worlds.

        Args:
            observation: the live observation, all N rows.
            payload: the newest plan of each world, N rows.
            age_s: (N,) age of these plans: now minus their `tick_frame`.
        """
