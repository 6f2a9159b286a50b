"""The frames of an export, and how they are made from an episode's arrays."""

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
    """The arrays that each frame of an export has, with names and sizes.

    Attributes:
        hz: frames per second.
        robot: the robot's name.
        agent_names: the names of the elements of the proprioception.
        state_names: the names of the elements of the privileged state; empty if the state
            is left out.
        action_names: the names of the elements of an action.
        cameras: the name of a camera -> the size (H, W) of its images.
        truth: the name of an array of depth or segmentation images -> the size (H, W) of
            the images.
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
    """An episode at the frame rate of the selection.

    Attributes:
        meta: the episode's row of the table of episodes, with the number of frames at
            this rate.
        file_index: the index of the episode's file among the files of the selection.
        number: the number of the episode in its file.
        agent_pos: (F, P) float32, the proprioception.
        environment_state: (F, S) float32, the privileged state; S is 0 if it is left out.
        images: the images (F, H, W, 3) uint8 of each camera, by name.
        actions: (F, J) float32, the joint targets for the end of the frame's period.
        rewards: (F,) float32, at the end of the frame's period.
        success: (F,) bool, at the end of the frame's period.
        states: (F, D) float64, the physics state.
        subtasks: (frame, name of the subtask) for each frame at which the subtask
            changes.
        tick: (F,) int64, the tick at which each frame was observed.
        plans: the name of an array -> (K, ...) its values in the episode's K plans.
        truth: `<camera>_depth` -> (F, H, W, 1) float32 in m, and
            `<camera>_segmentation` -> (F, H, W, 1) uint16.
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
    tick: np.ndarray
    plans: Mapping[str, np.ndarray]
    truth: Mapping[str, np.ndarray] = field(default_factory=dict)


def camera_sizes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, tuple[int, int]]:
    """Returns camera -> size (H, W) of its colour images.

    Args:
        shapes: the name of an array -> the shape of one row.
    """
    sizes = {}
    for key, shape in shapes.items():
        if key.endswith(IMAGE_SUFFIX) and len(shape) == 3 and shape[2] == 3:
            camera = key.removeprefix("obs/").removesuffix(IMAGE_SUFFIX)
            sizes[camera] = (shape[0], shape[1])
    return sizes


def truth_sizes(
    shapes: Mapping[str, tuple[int, ...]], cameras: Collection[str]
) -> dict[str, tuple[int, int]]:
    """Returns the name of an array of depth or segmentation -> the size (H, W) of its images.

    Args:
        shapes: the name of an array -> the shape of one row.
        cameras: the names of the exported cameras; arrays of other cameras are left out.
    """
    sizes = {}
    for camera in cameras:
        for suffix in (DEPTH_SUFFIX, SEGMENTATION_SUFFIX):
            shape = shapes.get(f"obs/{camera}{suffix}")
            if shape is not None and len(shape) == 3 and shape[2] == 1:
                sizes[camera + suffix] = (shape[0], shape[1])
    return sizes


def depth_in_m(depth: np.ndarray) -> np.ndarray:
    """Returns depth as float32 in m.

    Args:
        depth: floats in m, or integers in mm.
    """
    if depth.dtype.kind == "f":
        return depth.astype(np.float32)
    return depth.astype(np.float32) / np.float32(1000)


def part_names(metadata: Mapping[str, Any], layout: str, size: int) -> tuple[str, ...]:
    """Returns the names of the elements of a flat vector, such as `joint_pos.0`.

    Args:
        metadata: the metadata of a file.
        layout: the name of the metadata's entry with the parts of the vector, such as
            `agent_layout`.
        size: the length of the vector.
    """
    parts = metadata.get(layout, ())
    # if the parts do not cover the whole vector, its elements are numbered instead
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
    """Returns an episode's row of the table with another number of frames."""
    return replace(meta, num_samples=count)


def success_of_frames(episode: Episode, frames: np.ndarray) -> np.ndarray:  # (F,) bool
    """Returns whether the task was done at the end of each frame's period.

    Args:
        episode: the episode.
        frames: (F,) the exported frames. The period of each lasts until the next one.
    """
    stream = episode.streams.get("success")
    # without the stream, success is known only for the end of the episode
    if stream is None:
        success = np.zeros(len(frames), bool)
        success[-1] = episode.meta.success
        return success

    # (F,) the tick at which each frame's period ends, and the stream's last row by then
    ends = np.append(episode.frame_tick[frames[1:]], stream.tick[-1])
    rows = np.searchsorted(stream.tick, ends, side="right") - 1
    return stream.value[np.maximum(rows, 0)].astype(bool)


def subtasks_of_frames(
    episode: Episode, frames: np.ndarray
) -> tuple[tuple[int, str], ...]:
    """Returns (frame, name of the subtask) for each frame at which the subtask changes.

    The subtask of a frame is the subtask of the newest plan that the controller has got.
    Plans whose subtask is not in `core.SKILLS` are ignored.

    Args:
        episode: the episode.
        frames: (F,) the exported frames.
    """
    if not {"subtask", "tick_arrived"} <= episode.plans.keys():
        return ()

    changes: list[tuple[int, str]] = []
    arrival_ticks = episode.plans["tick_arrived"]
    frame_ticks = episode.frame_tick[frames]
    for plan in np.argsort(arrival_ticks, kind="stable"):
        skill = int(episode.plans["subtask"][plan])
        # the tick of a plan that never arrived is -1
        if arrival_ticks[plan] < 0 or not 0 <= skill < len(SKILLS):
            continue
        # the first frame at or after the plan's arrival
        frame = int(np.searchsorted(frame_ticks, arrival_ticks[plan]))
        # this plan, and all later plans, arrived after the last frame
        if frame == len(frames):
            break

        # if several plans arrived before the same frame, the newest plan counts
        if changes and changes[-1][0] == frame:
            changes.pop()
        if not changes or changes[-1][1] != SKILLS[skill]:
            changes.append((frame, SKILLS[skill]))
    return tuple(changes)
