"""The words that every layer shares: plain data and protocols over arrays, no
simulator, no files, no torch.

Shapes: N worlds (n when a subset), A action size, P proprioception size, E privileged
state size, L latent size. Time is an integer count of physics ticks since the world's
reset (`PHYSICS_HZ` a second), so no clock drifts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Protocol

import numpy as np

Array = Any  # a numpy array or a torch tensor: what the Array API calls an array

PHYSICS_HZ = 400
SKILLS = (
    *("reach", "grasp", "lift", "carry", "place", "release", "retreat"),
    *("push", "press", "turn", "open", "wipe", "pour", "drive_to", "look_at", "stop"),
)  # a plan's `subtask` indexes this tuple; append only, since datasets store the index


def seconds_to_ticks(seconds: float) -> int:
    """Duration in whole physics ticks, rounded up (an event never comes early)."""
    return int(np.ceil(round(seconds * PHYSICS_HZ, 6)))


@dataclass(frozen=True)
class ActionGroup:
    """Some adjacent action elements with one meaning, e.g. the arm's seven joint
    velocities.
    """

    name: str
    labels: tuple[str, ...]
    unit: str  # one for all, or one for each, with commas between
    frame: str
    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class ActionInterface:
    """What each number of an action means. Actions are in [-1, 1]; physical = offset +
    scale * action.
    """

    mode: str
    groups: tuple[ActionGroup, ...]

    @property
    def low(self) -> np.ndarray:  # (A,)
        return np.array([x for group in self.groups for x in group.low])

    @property
    def high(self) -> np.ndarray:  # (A,)
        return np.array([x for group in self.groups for x in group.high])

    @property
    def labels(self) -> tuple[str, ...]:
        return tuple(
            f"{group.name}.{label}" for group in self.groups for label in group.labels
        )

    def rows(self) -> list[tuple[str, str, str, float, float]]:
        """Of each element: label, unit, frame, and what -1 and 1 stand for."""
        found = []
        for group in self.groups:
            units = group.unit.split(", ")
            units = (
                units
                if len(units) == len(group.labels)
                else [group.unit] * len(group.labels)
            )
            for label, unit, low, high in zip(
                group.labels, units, group.low, group.high, strict=True
            ):
                found.append((f"{group.name}.{label}", unit, group.frame, low, high))
        return found

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> ActionInterface:
        """From what `dataclasses.asdict` made of one, as files have it."""
        return cls(
            stored["mode"], tuple(ActionGroup(**group) for group in stored["groups"])
        )

    def to_physical(self, action: Array) -> Array:  # (..., A) -> (..., A)
        return (self.high + self.low) / 2 + (self.high - self.low) / 2 * action

    def to_normalized(self, value: Array) -> Array:  # (..., A) -> (..., A)
        return (value - (self.high + self.low) / 2) / ((self.high - self.low) / 2)


@dataclass(frozen=True)
class Layout:
    """Names of the parts of a flat vector, in order."""

    parts: tuple[tuple[str, int], ...]  # (name, width)

    @property
    def size(self) -> int:
        return sum(width for _, width in self.parts)

    def slices(self) -> dict[str, slice]:
        ends = np.cumsum([width for _, width in self.parts])
        return {
            name: slice(int(end) - width, int(end))
            for (name, width), end in zip(self.parts, ends, strict=True)
        }


@dataclass(frozen=True)
class Observation:
    """What N worlds show a policy now. A policy that is not privileged gets an
    `environment_state` of width 0.
    """

    tick: Array  # (N,) int64
    agent_pos: Array  # (N, P) proprioception
    environment_state: Array  # (N, E) privileged
    instruction: tuple[str, ...]  # N sentences
    # camera -> (N, H, W, 3) uint8
    pixels: Mapping[str, Array] = field(default_factory=dict)
    # (N,) int64, when the newest frame was taken; None without cameras
    pixels_tick: Array = None

    def rows(self, ids: Array) -> Observation:
        """The same observation for some worlds only."""
        return Observation(
            tick=self.tick[ids],
            agent_pos=self.agent_pos[ids],
            environment_state=self.environment_state[ids],
            instruction=tuple(self.instruction[int(i)] for i in ids),
            pixels={camera: frames[ids] for camera, frames in self.pixels.items()},
            pixels_tick=None if self.pixels_tick is None else self.pixels_tick[ids],
        )


@dataclass(frozen=True)
class Payload:
    """What a planner says, a row per world. Goals are end-effector poses in the world
    frame, true at `tick_frame`.
    """

    subtask: Array  # (n,) int64, index into SKILLS
    goal_pos_w: Array  # (n, 3) m
    goal_quat_wxyz: Array  # (n, 4)
    # (n, 3) m/s of the goal itself (a tote on a belt); 0 where unknown
    goal_vel_w: Array
    gripper: Array  # (n,) in [-1, 1]: -1 closed, 1 open
    completion: Array  # (n,) share of the task done, in [0, 1]
    latent: Array  # (n, L), L may be 0

    def rows(self, ids: Array) -> Payload:
        return Payload(**{f.name: getattr(self, f.name)[ids] for f in fields(self)})

    def with_rows(self, ids: Array, other: Payload) -> Payload:
        """A copy in which the rows `ids` are those of `other`."""
        result = {}
        for f in fields(self):
            result[f.name] = getattr(self, f.name).copy()
            result[f.name][ids] = getattr(other, f.name)
        return replace(self, **result)

    @classmethod
    def empty(cls, num: int, latent_size: int = 0) -> Payload:
        """`num` rows of zeros, the gripper open and the orientation the identity."""
        quat = np.zeros((num, 4))
        quat[:, 0] = 1
        zeros3 = np.zeros((num, 3))
        zeros = np.zeros(num)
        subtask = np.full(num, SKILLS.index("stop"), dtype=np.int64)
        return cls(
            subtask,
            zeros3,
            quat,
            zeros3.copy(),
            np.ones(num),
            zeros,
            np.zeros((num, latent_size), np.float32),
        )


@dataclass(frozen=True)
class Plan:
    """Payloads with their times, all in ticks of the world's own clock; -1 = not yet,
    or never (dropped).
    """

    world: Array  # (n,) int64
    seq: Array  # (n,) int64, counts the plans of an episode from 0
    # (n,) int64, capture of the oldest image used (the observation's tick where there
    # is none)
    tick_frame: Array
    tick_start: Array  # (n,) int64, the planner began
    tick_done: Array  # (n,) int64, it had computed the plan
    tick_arrived: Array  # (n,) int64, the controller could read it
    payload: Payload


@dataclass(frozen=True)
class PolicySpec:
    """What a policy needs of the worlds it acts in."""

    control_mode: str = "joint_delta"
    control_hz: int = 20
    cameras: tuple[str, ...] = ()
    camera_hz: int | None = None  # None = a frame at each control step
    image_size: int = 96
    privileged: bool = False  # whether it may see environment_state


class Planner(Protocol):
    """System 2: says what to do next, a few times a second."""

    latent_size: int

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Forget what is known of worlds `ids`, which start anew."""

    def plan(self, observation: Observation, ids: Array) -> Payload:
        """Plans for the n worlds `ids`; the observation has these n rows only."""


class Controller(Protocol):
    """System 1: sees live observations at every control step, and the newest plan with
    its age.
    """

    spec: PolicySpec

    def reset(self, ids: Array, seeds: Sequence[int]) -> None: ...

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        """Actions (N, A) in [-1, 1]. `age_s` (N,) = now - tick_frame."""


class Policy(Protocol):
    """Anything that acts in a batch of worlds."""

    spec: PolicySpec

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        """Episodes start in worlds `ids`; the observation has all N rows, `seeds` one
        per id.
        """

    def act(self, observation: Observation) -> Array:
        """Actions (N, A) in [-1, 1] for all N worlds."""
