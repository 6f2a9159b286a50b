"""Data classes and protocols that all layers share.

This module depends on no simulator, file format or torch.

Shapes: N worlds (n for a subset of them), A action elements, P numbers of
proprioception, S numbers of privileged state. Time is an integer count of physics ticks
since the world's reset (`PHYSICS_HZ` per second), so clocks do not drift. Plans and the
protocols of planners and controllers are in `embodied.plan`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from embodied.errors import unknown
from embodied.plain import make_fields_plain
from embodied.step_data import step_data

# A numpy array or a torch tensor, used by the functions of the Array API.
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

# The possible sources of actions. A dataset's streams `intended_by` and `executed_by` are
# indices into this tuple. Append only: datasets store the index.
ACTORS = ("policy", "expert", "person")


def skill_index(name: str) -> int:
    """Returns the index of a skill in SKILLS.

    Raises:
        EmbodiedError: there is no such skill. The message lists all skills.
    """
    if name not in SKILLS:
        raise unknown("skill", name, SKILLS)
    return SKILLS.index(name)


def seconds_to_ticks(seconds: float) -> int:
    """Returns a duration in whole physics ticks, rounded up so that nothing is early."""
    # round off floating-point errors first; `ceil` would turn them into a whole tick
    return int(np.ceil(round(seconds * PHYSICS_HZ, 6)))


@dataclass(frozen=True)
class ActionGroup:
    """Adjacent action elements of one part, e.g. the speeds of an arm's joints."""

    name: str  # the name of the part
    labels: tuple[str, ...]  # a name for each element
    unit: str  # one unit for all elements, or one for each, separated by ", "
    frame: str  # the frame of the values, such as "joint", "mount" or "world"
    low: tuple[float, ...]  # the physical value of an action of -1, for each element
    high: tuple[float, ...]  # the physical value of an action of 1, for each element

    def units(self) -> list[str]:
        """Returns the unit of each element."""
        units = self.unit.split(", ")
        if len(units) == len(self.labels):
            return units
        return [self.unit] * len(self.labels)


@dataclass(frozen=True)
class ActionInterface:
    """The meaning of each element of an action.

    Actions are in [-1, 1]. They are mapped linearly to physical values in [low, high].
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
        """Returns (label, unit, frame, low, high) for each element."""
        rows = []
        for group in self.groups:
            elements = zip(
                group.labels, group.units(), group.low, group.high, strict=True
            )
            for label, unit, low, high in elements:
                rows.append((f"{group.name}.{label}", unit, group.frame, low, high))
        return rows

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> ActionInterface:
        """Returns the interface with the values `stored`, from `dataclasses.asdict`."""
        groups = tuple(ActionGroup(**group) for group in stored["groups"])
        return cls(stored["mode"], groups)

    def to_physical(self, action: Array) -> Array:  # (..., A) -> (..., A)
        """Returns the physical values of an action, in each element's unit."""
        return (self.high + self.low) / 2 + (self.high - self.low) / 2 * action

    def to_normalized(self, value: Array) -> Array:  # (..., A) -> (..., A)
        """Returns the action in [-1, 1] with these physical values."""
        return (value - (self.high + self.low) / 2) / ((self.high - self.low) / 2)


@dataclass(frozen=True)
class Layout:
    """The named parts of a flat vector, in order."""

    parts: tuple[tuple[str, int], ...]  # (name, width)

    @property
    def size(self) -> int:
        return sum(width for _, width in self.parts)

    def slices(self) -> dict[str, slice]:
        """Returns the slice of each part in the vector."""
        slices = {}
        start = 0
        for name, width in self.parts:
            slices[name] = slice(start, start + width)
            start += width
        return slices


@step_data
class Observation:
    """A policy's observation of N worlds."""

    tick: Array  # (N,) int64, the worlds' clocks
    agent_pos: Array  # (N, P) proprioception
    environment_state: Array  # (N, S) privileged state; S is 0 if it is hidden
    instruction: tuple[str, ...]  # N sentences
    # camera -> (N, H, W, 3) uint8, its newest frames; or, if another process renders them,
    # MOMENT -> (N,) the moments of these frames (`embodied.sim.feed`)
    pixels: Mapping[str, Array] = field(default_factory=dict)
    pixels_tick: Array = None  # (N,) int64, the ticks of these frames; None without any

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


@dataclass(frozen=True)
class PolicySpec:
    """A policy's requirements for its worlds."""

    control_mode: str = "joint_delta"
    control_hz: int = 20  # actions per second
    cameras: tuple[str, ...] = ()  # names of the cameras that it sees
    camera_hz: int | None = None  # None: a frame at each control step
    image_size: int = 96  # height and width of frames in pixels
    privileged: bool = False  # whether it sees `environment_state`

    def __post_init__(self) -> None:
        make_fields_plain(self)


class Policy(Protocol):
    """The interface of all policies: they act in a batch of worlds."""

    spec: PolicySpec

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        """Starts episodes in worlds `ids`, with one seed each.

        The observation has all N rows.
        """

    def act(self, observation: Observation) -> Array:
        """Returns actions (N, A) in [-1, 1] for all N worlds."""
