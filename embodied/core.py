"""The words that every layer shares: plain data and protocols over arrays.

Nothing here knows a simulator, a file or torch.

Shapes: N worlds (n where it is a subset of them), A action elements, P numbers of
proprioception, S numbers of privileged state, E effectors, B bases that travel,
L numbers of a latent, H steps of an action chunk. Time is an integer count of physics
ticks since the world's reset (`PHYSICS_HZ` per second), so that no clock drifts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol, get_args

import numpy as np

from embodied.errors import unknown
from embodied.plain import make_fields_plain

# A numpy array or a torch tensor: whatever the Array API calls an array.
Array = Any

PHYSICS_HZ = 400
# The frame of an action group that commands a gripper's width.
GRIPPER_FRAME = "gripper"
# A plan's `subtask` is an index into this tuple. Append only: datasets store the index.
SKILLS = (
    "reach",
    "grasp",
    "lift",
    "carry",
    "place",
    "release",
    "retreat",
    "push",
    "press",
    "turn",
    "open",
    "wipe",
    "pour",
    "drive_to",
    "look_at",
    "stop",
)

# Who acts. The streams `intended_by` and `executed_by` of a dataset are indices into this
# tuple. Append only: datasets store the index.
ACTORS = ("policy", "expert", "person")


def skill_index(name: str) -> int:
    """Returns the place of a skill in SKILLS.

    Raises:
        EmbodiedError: there is no such skill. The message lists those that exist.
    """
    if name not in SKILLS:
        raise unknown("skill", name, SKILLS)
    return SKILLS.index(name)


def seconds_to_ticks(seconds: float) -> int:
    """Returns a duration in whole physics ticks, rounded up: no event comes early."""
    # rounded first, or the last bit of a float would cost a whole tick
    return int(np.ceil(round(seconds * PHYSICS_HZ, 6)))


@dataclass(frozen=True)
class ActionGroup:
    """Adjacent action elements with one meaning, e.g. the speeds of an arm's joints."""

    name: str
    labels: tuple[str, ...]  # one per element
    unit: str  # one for all elements, or one for each, separated by ", "
    frame: str
    low: tuple[float, ...]  # the physical value of action -1, per element
    high: tuple[float, ...]  # the physical value of action 1, per element

    def units(self) -> list[str]:
        """Returns the unit of each element."""
        units = self.unit.split(", ")
        if len(units) == len(self.labels):
            return units
        return [self.unit] * len(self.labels)


@dataclass(frozen=True)
class ActionInterface:
    """The meaning of each element of an action.

    Actions are in [-1, 1]; the physical value is offset + scale * action.
    """

    mode: str
    groups: tuple[ActionGroup, ...]

    @property
    def low(self) -> np.ndarray:  # (A,)
        """The physical values of an action of -1."""
        return np.array([value for group in self.groups for value in group.low])

    @property
    def high(self) -> np.ndarray:  # (A,)
        """The physical values of an action of 1."""
        return np.array([value for group in self.groups for value in group.high])

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the elements, such as `arm.joint1`."""
        return tuple(
            f"{group.name}.{label}" for group in self.groups for label in group.labels
        )

    @property
    def gripper_elements(self) -> tuple[int, ...]:
        """Indices of the elements that command a gripper's width."""
        frames = [group.frame for group in self.groups for _ in group.labels]
        return tuple(k for k, frame in enumerate(frames) if frame == GRIPPER_FRAME)

    def rows(self) -> list[tuple[str, str, str, float, float]]:
        """Returns label, unit, frame, and the values of -1 and 1, for each element."""
        rows = []
        for group in self.groups:
            # the unit may be one for all elements
            elements = zip(
                group.labels, group.units(), group.low, group.high, strict=True
            )
            for label, unit, low, high in elements:
                rows.append((f"{group.name}.{label}", unit, group.frame, low, high))
        return rows

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> ActionInterface:
        """Returns the interface that `dataclasses.asdict` has turned into `stored`."""
        groups = tuple(ActionGroup(**group) for group in stored["groups"])
        return cls(stored["mode"], groups)

    def to_physical(self, action: Array) -> Array:  # (..., A) -> (..., A)
        """Returns the values, in each element's unit, that an action stands for."""
        return (self.high + self.low) / 2 + (self.high - self.low) / 2 * action

    def to_normalized(self, value: Array) -> Array:  # (..., A) -> (..., A)
        """Returns the action in [-1, 1] that stands for physical values."""
        return (value - (self.high + self.low) / 2) / ((self.high - self.low) / 2)


@dataclass(frozen=True)
class Layout:
    """The named parts of a flat vector, in order."""

    parts: tuple[tuple[str, int], ...]  # (name, width)

    @property
    def size(self) -> int:
        return sum(width for _, width in self.parts)

    def slices(self) -> dict[str, slice]:
        """Returns where each part lies in the vector."""
        slices = {}
        start = 0
        for name, width in self.parts:
            slices[name] = slice(start, start + width)
            start += width
        return slices


@dataclass(frozen=True)
class Observation:
    """What N worlds show a policy now.

    A policy that is not privileged gets an `environment_state` of width 0.
    """

    tick: Array  # (N,) int64
    agent_pos: Array  # (N, P) proprioception
    environment_state: Array  # (N, S) privileged
    instruction: tuple[str, ...]  # N sentences
    pixels: Mapping[str, Array] = field(default_factory=dict)  # (N, H, W, 3) uint8 each
    # (N,) int64, when the newest frame was taken; None without cameras
    pixels_tick: Array = None

    def rows(self, ids: Array) -> Observation:
        """Returns the observation of worlds `ids` (n,) only."""
        pixels_tick = self.pixels_tick
        if pixels_tick is not None:
            pixels_tick = pixels_tick[ids]

        return Observation(
            tick=self.tick[ids],
            agent_pos=self.agent_pos[ids],
            environment_state=self.environment_state[ids],
            instruction=tuple(self.instruction[int(i)] for i in ids),
            pixels={camera: frames[ids] for camera, frames in self.pixels.items()},
            pixels_tick=pixels_tick,
        )


# What plans may hold beside the subtask and the completion, which all of them have.
PayloadKind = Literal["goals", "base_goals", "latent", "chunk"]
PAYLOAD_KINDS: tuple[PayloadKind, ...] = get_args(PayloadKind)


@dataclass(frozen=True)
class PlanShape:
    """What a planner's plans hold: goals, a latent, an action chunk, and how large."""

    effectors: int = 1  # E, those with goals
    bases: int = 0  # B, those that travel and have goals
    latent: int = 0  # L
    chunk_steps: int = 0  # H; 0 for plans without an action chunk
    chunk_actions: int = 0  # A, of an action chunk

    @property
    def kinds(self) -> tuple[PayloadKind, ...]:
        """The kinds of payload that such plans give, in the order of PAYLOAD_KINDS."""
        sizes = (self.effectors, self.bases, self.latent, self.chunk_steps)
        pairs = zip(PAYLOAD_KINDS, sizes, strict=True)
        return tuple(kind for kind, size in pairs if size)


@dataclass(frozen=True)
class Payload:
    """The content of plans, one row per world.

    Goals are poses in the world frame, true at the plan's `tick_frame`. The order of
    effectors and bases is that of the robot's parts. Row k of an action chunk is what
    to do from k / `chunk_hz` after `tick_frame` on. What is None is not given.
    """

    subtask: Array  # (n,) int64, index into SKILLS
    goal_pos_w: Array  # (n, E, 3) m, of each effector
    goal_quat_wxyz: Array  # (n, E, 4)
    # (n, E, 3) m/s, of the goal itself (a tote on a belt); 0 where it is unknown
    goal_vel_w: Array
    gripper: Array  # (n, E) in [-1, 1]: -1 closed, 1 open
    completion: Array  # (n,) share of the task that is done, in [0, 1]
    latent: Array  # (n, L)
    # (n, B, 4) x, y, z in m and yaw in rad, where the mount on each base should stand
    base_goal_w: Array
    chunk: Array = None  # (n, H, A) actions in [-1, 1], in the worlds' control mode
    chunk_hz: Array = None  # (n,) rows of the chunk per second

    @property
    def shape(self) -> PlanShape:
        steps, actions = (0, 0) if self.chunk is None else self.chunk.shape[1:]
        return PlanShape(
            effectors=self.goal_pos_w.shape[1],
            bases=self.base_goal_w.shape[1],
            latent=self.latent.shape[1],
            chunk_steps=steps,
            chunk_actions=actions,
        )

    @property
    def given(self) -> dict[str, Array]:
        """Name -> array, of all that these plans hold."""
        return {name: value for name, value in vars(self).items() if value is not None}

    def rows(self, ids: Array) -> Payload:
        """Returns the rows `ids`, an index array, only."""
        return Payload(**{name: value[ids] for name, value in self.given.items()})

    def with_rows(self, ids: Array, other: Payload) -> Payload:
        """Returns a copy in which rows `ids` (n,) are those of `other`, which has n."""
        values = {}
        for name, value in self.given.items():
            values[name] = value.copy()
            values[name][ids] = getattr(other, name)
        return replace(self, **values)

    @classmethod
    def empty(cls, num: int, shape: PlanShape | None = None) -> Payload:
        """Returns `num` rows that say "stop": goals of zeros, grippers open."""
        shape = shape or PlanShape()

        # the identity rotation for every effector
        quat_wxyz = np.zeros((num, shape.effectors, 4))
        quat_wxyz[..., 0] = 1

        chunk = None
        chunk_hz = None
        if shape.chunk_steps:
            chunk_shape = (num, shape.chunk_steps, shape.chunk_actions)
            chunk = np.zeros(chunk_shape, np.float32)
            chunk_hz = np.ones(num)  # any rate, since all rows are the same

        return cls(
            subtask=np.full(num, SKILLS.index("stop"), dtype=np.int64),
            goal_pos_w=np.zeros((num, shape.effectors, 3)),
            goal_quat_wxyz=quat_wxyz,
            goal_vel_w=np.zeros((num, shape.effectors, 3)),
            gripper=np.ones((num, shape.effectors)),
            completion=np.zeros(num),
            latent=np.zeros((num, shape.latent), np.float32),
            base_goal_w=np.zeros((num, shape.bases, 4)),
            chunk=chunk,
            chunk_hz=chunk_hz,
        )


# Why a plan was thrown away when it was made, or never came; "" for one that is sound.
# Append only: datasets store the index.
PLAN_FAULTS = ("", "not_finite", "from_the_future", "unanswered")


@dataclass(frozen=True)
class Plan:
    """Payloads with their times, in ticks of each world's own clock.

    A time of -1 means that it has not come yet, or never will: the plan was dropped.
    """

    world: Array  # (n,) int64
    seq: Array  # (n,) int64, counts the plans of an episode from 0
    # (n,) int64, when the oldest image used was captured; the observation's tick where
    # no image was used
    tick_frame: Array
    tick_start: Array  # (n,) int64, the planner began
    tick_done: Array  # (n,) int64, the planner had computed the plan
    tick_arrived: Array  # (n,) int64, the controller could read the plan
    payload: Payload
    fault: Array = None  # (n,) int64, index into PLAN_FAULTS; None where all are sound


@dataclass(frozen=True)
class PolicySpec:
    """What a policy requires of the worlds that it acts in."""

    control_mode: str = "joint_delta"
    control_hz: int = 20
    cameras: tuple[str, ...] = ()
    camera_hz: int | None = None  # None: a frame at each control step
    image_size: int = 96
    privileged: bool = False  # whether it may see `environment_state`

    def __post_init__(self) -> None:
        make_fields_plain(self)


class Planner(Protocol):
    """System 2: says what to do next, a few times per second.

    `plan_shape` declares which kinds of payload its plans give. One that may be out of
    reach says in an attribute `unanswered`, (n,) bool, for which of the last n worlds it
    could not plan; these plans are lost.
    """

    plan_shape: PlanShape

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Starts episodes in worlds `ids` (n,), with one seed each."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Returns plans for worlds `ids` (n,); the observation has these rows only."""


class Controller(Protocol):
    """System 1: sees a live observation and the newest plan at every control step.

    It may declare in an attribute `takes`, a tuple of `PayloadKind`, which kinds it
    needs of a plan; a planner that does not give them is then refused.
    """

    spec: PolicySpec

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Starts episodes in worlds `ids` (n,), with one seed each."""

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        """Returns actions (N, A) in [-1, 1] for all N worlds.

        Args:
            observation: the live observation, all N rows.
            payload: of the newest plan of each world, N rows.
            age_s: (N,) how old these plans are: now minus their `tick_frame`.
        """


class Policy(Protocol):
    """Anything that acts in a batch of worlds."""

    spec: PolicySpec

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        """Starts episodes in worlds `ids`, with one seed each.

        The observation has all N rows.
        """

    def act(self, observation: Observation) -> Array:
        """Returns actions (N, A) in [-1, 1] for all N worlds."""
