"""What a frame of an export holds, and how it is made of an episode's arrays."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from embodied.core import SKILLS, ActionInterface
from embodied.datasets.schema import (
    DEPTH_SUFFIX,
    IMAGE_SUFFIX,
    SEGMENTATION_SUFFIX,
    Episode,
    EpisodeMeta,
)


@dataclass(frozen=True)
class FrameSpec:
    """What every frame of a selection holds.

    Attributes:
        hz: frames per second.
        robot: its name.
        agent_names: of the elements of the proprioception.
        state_names: of those of the privileged state; empty if it is left out.
        action_names: of the elements of an action.
        cameras: name -> (H, W).
        truth: name of an array of depth or segmentation -> (H, W).
    """

    hz: int
    robot: str
    agent_names: tuple[str, ...]
    state_names: tuple[str, ...]
    action_names: tuple[str, ...]
    cameras: Mapping[str, tuple[int, int]]
    truth: Mapping[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class SelectedEpisode:
    """An episode at the rate of the selection.

    Attributes:
        meta: its row of the table of episodes; `num_samples` is that of this rate.
        file_index: which of the files it is from.
        number: which of its episodes it is.
        agent_pos: (F, P) float32.
        environment_state: (F, S) float32; S is 0 where it is left out.
        images: camera -> (F, H, W, 3) uint8.
        actions: (F, J) float32, to reach by the end of the frame's period.
        rewards: (F,) float32, at the end of the frame's period.
        success: (F,) bool, at the end of the frame's period.
        states: (F, D) float64, the physics state.
        subtasks: (frame, word) for each frame at which another subtask begins.
        truth: `<camera>_depth` (F, H, W, 1) float32 in m, `<camera>_segmentation`
            (F, H, W, 1) uint16.
    """

    meta: EpisodeMeta
    file_index: int
    number: int
    agent_pos: np.ndarray
    environment_state: np.ndarray
    images: Mapping[str, np.ndarray]
    actions: np.ndarray
    rewards: np.ndarray
    success: np.ndarray
    states: np.ndarray
    subtasks: tuple[tuple[int, str], ...]
    truth: Mapping[str, np.ndarray] = field(default_factory=dict)


def camera_sizes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, int]]:
    """Returns the sizes (H, W) of the cameras among the shapes of arrays, by name."""
    sizes = {}
    for key, shape in shapes.items():
        if key.endswith(IMAGE_SUFFIX) and len(shape) == 3 and shape[2] == 3:
            camera = key.removeprefix("obs/").removesuffix(IMAGE_SUFFIX)
            sizes[camera] = (shape[0], shape[1])
    return sizes


def truth_sizes(
    shapes: Mapping[str, tuple[int, ...]], cameras: Collection[str]
) -> dict[str, tuple[int, int]]:
    """Returns the sizes (H, W) of depth and segmentation, by name.

    Args:
        shapes: of a row of each array of a file.
        cameras: those that are taken.
    """
    sizes = {}
    for camera in cameras:
        for suffix in (DEPTH_SUFFIX, SEGMENTATION_SUFFIX):
            shape = shapes.get(f"obs/{camera}{suffix}")
            if shape is not None and len(shape) == 3 and shape[2] == 1:
                sizes[camera + suffix] = (shape[0], shape[1])
    return sizes


def depth_in_m(depth: np.ndarray) -> np.ndarray:
    """Returns depth as float32 in m: 16-bit numbers are mm."""
    if depth.dtype.kind == "f":
        return depth.astype(np.float32)
    return depth.astype(np.float32) / np.float32(1000)


def part_names(metadata: Mapping[str, Any], layout: str, size: int) -> tuple[str, ...]:
    """Returns the names of the elements of a flat vector, such as `joint_pos.0`.

    Args:
        metadata: of a file.
        layout: which of its layouts names the parts of the vector.
        size: of the vector.
    """
    parts = metadata.get(layout, ())
    # widths that do not add up say nothing of the elements, which then get numbers
    if sum(width for _, width in parts) != size:
        return tuple(f"{number}" for number in range(size))

    names: list[str] = []
    for part, width in parts:
        names += [f"{part}.{number}" if width > 1 else part for number in range(width)]
    return tuple(names)


def action_names(metadata: Mapping[str, Any], size: int) -> tuple[str, ...]:
    """Returns the names of the elements of an action, such as `arm.joint1`."""
    stored = metadata.get("joint_interface")
    if stored is not None:
        labels = ActionInterface.of(stored).labels
        if len(labels) == size:
            return labels
    return tuple(f"{number}" for number in range(size))


def with_frames(meta: EpisodeMeta, count: int) -> EpisodeMeta:
    """Returns the row of the table of an episode that has `count` frames."""
    return replace(meta, num_samples=count)


def success_of_frames(episode: Episode, frames: np.ndarray) -> np.ndarray:  # (F,) bool
    """Returns whether the task was done at the end of the period of each frame.

    Args:
        episode: the episode.
        frames: (F,) which of its frames are meant; a period lasts until the next.
    """
    stream = episode.streams.get("success")
    if stream is None:  # only the end of the episode is known
        success = np.zeros(len(frames), bool)
        success[-1] = episode.meta.success
        return success

    ends = np.append(episode.frame_tick[frames[1:]], stream.tick[-1])
    rows = np.searchsorted(stream.tick, ends, side="right") - 1
    return stream.value[np.maximum(rows, 0)].astype(bool)


def subtasks_of_frames(
    episode: Episode, frames: np.ndarray
) -> tuple[tuple[int, str], ...]:
    """Returns (frame, word) wherever the plan in force begins another subtask.

    A plan is in force once the controller can read it. Plans without a word among
    `core.SKILLS` are passed over.
    """
    if not {"subtask", "tick_arrived"} <= episode.plans.keys():
        return ()

    begins: list[tuple[int, str]] = []
    arrived = episode.plans["tick_arrived"]
    ticks = episode.frame_tick[frames]
    for plan in np.argsort(arrived, kind="stable"):
        number = int(episode.plans["subtask"][plan])
        if arrived[plan] < 0 or not 0 <= number < len(SKILLS):
            continue
        frame = int(np.searchsorted(ticks, arrived[plan]))
        if frame == len(frames):
            break  # it, and all later plans, arrived after the last frame

        # A later plan for the same frame takes its place.
        if begins and begins[-1][0] == frame:
            begins.pop()
        if not begins or begins[-1][1] != SKILLS[number]:
            begins.append((frame, SKILLS[number]))
    return tuple(begins)
