"""Demonstrations in the form that training needs: plans with their images and labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from embodied.core import PHYSICS_HZ
from embodied.datasets.merge import StoredEpisode
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import IMAGE_SUFFIX, DatasetError, Episode
from embodied.policies.training.actor_weights import ActorWeights, weights_of_plans
from embodied.policies.training.frames import (
    DiskFrames,
    EpisodeFrames,
    Frames,
    MemoryFrames,
)
from embodied.rotations import quat_to_rot6d

# The labels: fields of `Samples` that the planner learns to predict.
LABELS = (
    "subtask",
    "goal_pos_w",
    "goal_rot6d",
    "goal_vel_w",
    "gripper",
    "completion",
    "base_goal_w",
    "goal_view",
)


@dataclass(frozen=True)
class Samples:
    """The k plans of some episodes.

    Images and control steps of all episodes are concatenated: the images of F frames in
    `frames`, the T control steps in `agent_pos` and `action`. A plan refers to them by
    the numbers of their rows.
    """

    frames: Frames
    now: Tensor  # (k,) row in `frames` of the newest images at the plan's time
    then: Tensor  # (k,) row in `frames` of earlier images, which show motion
    sentence: Tensor  # (k,) index into `sentences`
    step: Tensor  # (k,) row of the control step at the plan's time
    # (k,) row of the control step at which the plan's image was captured, from which the
    # plan's age counts
    frame_step: Tensor
    last_step: Tensor  # (k,) row of the last control step of the plan's episode
    weight: Tensor  # (k,) relative frequency of sampling; 1 for plans of demonstrations
    subtask: Tensor  # (k,) int64, index into SKILLS
    goal_pos_w: Tensor  # (k, E, 3) m
    goal_rot6d: Tensor  # (k, E, 6)
    goal_vel_w: Tensor  # (k, E, 3) m/s
    gripper: Tensor  # (k, E) in [-1, 1]: -1 closed, 1 open
    completion: Tensor  # (k,) share of the task that is done, in [0, 1]
    base_goal_w: Tensor  # (k, B, 4) x, y, z in m and yaw in rad
    # (k, cameras, 2) position of the goal in each image: from top to bottom, then from
    # left to right, both in [-1, 1]; NaN if it is not in view
    goal_view: Tensor
    agent_pos: Tensor  # (T, P)
    action: Tensor  # (T, A) intended by the expert
    sentences: tuple[str, ...]
    control_hz: float

    def __len__(self) -> int:
        return len(self.now)

    def to(self, device: torch.device) -> Samples:
        """Returns the same samples with their tensors on a device."""
        moved: dict[str, Any] = {
            name: value.to(device)
            for name, value in vars(self).items()
            if isinstance(value, Tensor)
        }
        return replace(self, frames=self.frames.to(device), **moved)

    def thinned(self, count: int) -> Samples:
        """Returns evenly spaced plans, with their images in memory.

        Their number is from `count` to twice that; all plans if there are fewer.
        """
        every = max(1, len(self) // count)
        rows = torch.arange(0, len(self), every)
        chosen = {name: getattr(self, name)[rows] for name in _PLAN_FIELDS}

        # Only the images of these plans are kept: rows 0 to k - 1 are the earlier ones,
        # rows k to 2 k - 1 the newest ones.
        pictures = torch.cat(
            [self.frames.take(chosen["then"]), self.frames.take(chosen["now"])]
        )
        chosen["then"] = torch.arange(len(rows))
        chosen["now"] = chosen["then"] + len(rows)
        return replace(self, frames=MemoryFrames(pictures), **chosen)


# The fields of `Samples` with one row per plan.
_PLAN_FIELDS = (
    "now",
    "then",
    "sentence",
    "step",
    "frame_step",
    "last_step",
    "weight",
    *LABELS,
)


# Some episodes: (path of a dataset, numbers of its episodes).
Part = list[tuple[Path, list[int]]]


def training_episodes(paths: Sequence[Path]) -> tuple[Part, Part]:
    """Returns the training and the validation episodes, by the datasets' masks.

    If the masks have no validation episodes, which may happen in small datasets, a tenth
    of the largest dataset's training episodes is held out instead.

    Raises:
        DatasetError: there are fewer than two demonstrations.
    """
    masks: dict[str, Part] = {"train": [], "valid": []}
    for path in paths:
        with Dataset(path) as dataset:
            for name, part in masks.items():
                part.append((path, list(dataset.mask(name))))

    train = masks["train"]
    valid = masks["valid"]
    if not any(numbers for _, numbers in valid):
        path, numbers = max(train, key=lambda entry: len(entry[1]))
        kept = max(1, len(numbers) // 10)
        valid.append((path, numbers[-kept:]))
        del numbers[-kept:]  # `numbers` is the list in `train`

    if not any(numbers for _, numbers in train):
        names = ", ".join(map(str, paths))
        raise DatasetError(f"too few successful episodes to learn from in {names}")
    return train, valid


def pictures_bytes(part: Part, cameras: Sequence[str]) -> int:
    """Returns the size in memory of the images of some episodes."""
    total = 0
    for path, numbers in part:
        with Dataset(path) as dataset:
            side = dataset.header.metadata["config"]["image_size"]
            frames = sum(dataset.episodes[number].num_samples for number in numbers)
            total += frames * len(cameras) * side * side * 3
    return total


def load_samples(
    part: Part,
    cameras: Sequence[str],
    history_s: float,
    in_memory: bool = True,
    weights: ActorWeights | None = None,
) -> Samples:
    """Reads episodes into samples.

    Args:
        part: the episodes.
        cameras: names of the cameras whose images to use.
        history_s: time from the earlier image to the plan.
        in_memory: whether to read all images now, or each when it is needed.
        weights: the weights of plans in episodes in which an expert corrected a policy;
            1 by default.

    Raises:
        DatasetError: a dataset has no plans, or no images of a camera.
    """
    builder = _SamplesBuilder()
    weights = weights or ActorWeights()

    for path, numbers in part:
        with Dataset(path) as dataset:
            builder.begin(path, dataset, cameras)
            for number in tqdm(
                numbers, desc=f"read {path.name}", leave=False, disable=None
            ):
                # images that stay on the disk are read when a batch needs them
                episode = dataset.episode(number, images=in_memory)
                rows = episode_rows(path, episode, history_s)
                rows["weight"] = weights_of_plans(episode, rows["step"], weights)

                builder.add(dataset.stored_episode(number), episode, rows)
                if in_memory:
                    builder.add_pictures(episode)
    return builder.samples(in_memory)


class _SamplesBuilder:
    """Concatenates the rows of episodes."""

    def __init__(self) -> None:
        """Begins with no episodes."""
        names = [f.name for f in fields(Samples)]
        for not_a_tensor in ("frames", "sentences", "control_hz"):
            names.remove(not_a_tensor)
        self._parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
        self._pictures: list[np.ndarray] = []
        self._episodes: list[EpisodeFrames] = []
        self._sentences: dict[str, int] = {}  # sentence -> its index
        # numbers of frames and of control steps in all episodes so far
        self._num_frames = 0
        self._num_steps = 0

    def begin(self, path: Path, dataset: Dataset, cameras: Sequence[str]) -> None:
        """Prepares for the episodes of a dataset; raises DatasetError without cameras."""
        metadata = dataset.header.metadata
        _check_cameras(path, metadata["config"]["cameras"], cameras)

        poses = metadata.get("camera_poses", {})
        self._cameras = cameras
        self._poses = [poses.get(name) for name in cameras]
        self._control_hz = float(metadata["config"]["control_hz"])

    def add(
        self, stored: StoredEpisode, episode: Episode, rows: Mapping[str, np.ndarray]
    ) -> None:
        """Appends the rows of one episode.

        Row numbers of frames and control steps count from the episode's start. They are
        shifted by the number of rows in all episodes before it.

        Args:
            stored: file and group of the episode.
            episode: the episode.
            rows: the result of `episode_rows`, and the plans' weights.
        """
        # a new sentence gets the next index
        sentence = self._sentences.setdefault(
            episode.meta.instruction, len(self._sentences)
        )
        shift = dict.fromkeys(("now", "then"), self._num_frames)
        shift |= dict.fromkeys(("step", "frame_step", "last_step"), self._num_steps)
        for name, values in rows.items():
            if name in shift:
                self._parts[name].append(values + shift[name])
            else:
                self._parts[name].append(values)
        self._parts["sentence"].append(np.full(len(rows["now"]), sentence))

        # the gaze is trained on the goal of the first effector only
        first_goal = rows["goal_pos_w"][:, 0]
        self._parts["goal_view"].append(goal_view(first_goal, self._poses))

        count = len(episode.frame_tick)
        self._episodes.append(EpisodeFrames(stored.path, stored.demo, count))
        self._num_frames += count
        self._num_steps += len(rows["action"])

    def add_pictures(self, episode: Episode) -> None:
        """Appends the images of one episode, to keep them in memory."""
        pictures = [episode.obs[f"{name}{IMAGE_SUFFIX}"] for name in self._cameras]
        self._pictures.append(np.stack(pictures, axis=1))

    def samples(self, in_memory: bool) -> Samples:
        """Returns the samples of all added episodes, joined."""
        frames: Frames
        if in_memory:
            frames = MemoryFrames(torch.from_numpy(np.concatenate(self._pictures)))
        else:
            frames = DiskFrames(self._episodes, self._cameras)

        tensors = {
            name: torch.from_numpy(np.concatenate(values))
            for name, values in self._parts.items()
        }

        return Samples(
            frames=frames,
            sentences=tuple(self._sentences),
            control_hz=self._control_hz,
            **tensors,
        )


def _check_cameras(path: Path, recorded: Sequence[str], cameras: Sequence[str]) -> None:
    """Raises DatasetError if a dataset was recorded without one of the cameras."""
    missing = [name for name in cameras if name not in recorded]
    if missing:
        raise DatasetError(
            f"{path} has no pictures of the cameras {missing}; it has those of "
            f"{list(recorded)}: collect it with `--camera {' '.join(missing)}`"
        )


def episode_rows(
    path: Path, episode: Episode, history_s: float
) -> dict[str, np.ndarray]:
    """Returns the rows of one episode, by the names of the fields of `Samples`.

    Row numbers of frames and control steps count from the episode's start.

    Args:
        path: the path of the dataset, for error messages.
        episode: an episode with plans.
        history_s: time from the earlier image to the plan.

    Raises:
        DatasetError: the episode has no plans.
    """
    plans = episode.plans
    if not plans:
        raise DatasetError(
            f"{path} has no plans to learn from: collect it with a policy that plans"
        )

    # find the frame and the control step at the time of each plan
    pictures_tick = episode.image_tick
    # recorded without cameras
    if pictures_tick is None:
        pictures_tick = episode.frame_tick
    tick = plans["tick_frame"]
    agent = episode.streams["agent_pos"]
    action = episode.streams["intended"]  # without the action noise of the collection
    now = _last_at(pictures_tick, tick)
    step = np.searchsorted(agent.tick, tick, side="right") - 1

    floats = {
        "goal_pos_w": plans["goal_pos_w"],
        "goal_rot6d": quat_to_rot6d(plans["goal_quat_wxyz"]),
        "goal_vel_w": plans["goal_vel_w"],
        "gripper": plans["gripper"],
        "completion": plans["completion"],
        "base_goal_w": plans["base_goal_w"],
        "agent_pos": agent.value,
        "action": action.value,
    }
    return {
        "now": now,
        "then": _last_at(pictures_tick, tick - history_s * PHYSICS_HZ),
        "step": step,
        "frame_step": np.searchsorted(agent.tick, pictures_tick[now], side="right") - 1,
        "last_step": np.full(len(step), len(action.tick) - 1),  # the same for each
        "subtask": plans["subtask"],
        **{name: values.astype(np.float32) for name, values in floats.items()},
    }


def _last_at(ticks: np.ndarray, tick: np.ndarray) -> np.ndarray:
    """Returns the index of the last entry of `ticks` at or before each `tick`.

    If there is none, it is 0.

    Args:
        ticks: (m,) in rising order.
        tick: (k,).
    """
    return np.maximum(np.searchsorted(ticks, tick, side="right") - 1, 0)


def goal_view(
    goal_pos_w: np.ndarray, poses: Sequence[dict[str, Any] | None]
) -> np.ndarray:
    """Projects goals into the images of some cameras.

    Args:
        goal_pos_w: (k, 3) m.
        poses: the poses of the cameras, from a dataset's metadata; None for a moving
            camera.

    Returns:
        (k, cameras, 2) float32, see `Samples.goal_view`; NaN for moving cameras.
    """
    view = np.full((len(goal_pos_w), len(poses), 2), np.nan, np.float32)
    for number, pose in enumerate(poses):
        if pose is None:
            continue

        # The columns of `mat_w` are the axes of the camera's frame: x points right, y
        # up, z backwards.
        camera_to_world = np.asarray(pose["mat_w"]).reshape(3, 3)
        local = (goal_pos_w - np.asarray(pose["pos_w"])) @ camera_to_world  # (k, 3)

        # half the height, in m, of the visible area at the goal's distance
        distance_m = -local[:, 2]
        half_height = distance_m * np.tan(np.deg2rad(pose["fovy_deg"]) / 2)
        # NaN for goals behind the camera
        half_height = np.where(half_height > 0, half_height, np.nan)

        # images are square, so half the width is the same
        down_and_right = np.stack([-local[:, 1], local[:, 0]], axis=1)
        row_column = down_and_right / half_height[:, None]
        in_view = (np.abs(row_column) < 1).all(axis=1, keepdims=True)
        view[:, number] = np.where(in_view, row_column, np.nan)
    return view
