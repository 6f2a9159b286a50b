"""Demonstrations in the form that training needs: plans with their images and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from embodied.datasets.reader import Dataset
from embodied.datasets.schema import DatasetError
from embodied.policies.training.actor_weights import ActorWeights, weights_of_plans
from embodied.policies.training.episode_rows import episode_rows, goal_view
from embodied.policies.training.episodes import (
    ACTION,
    AGENT_POS,
    TrainingEpisode,
    read_training_episodes,
)
from embodied.policies.training.frames import (
    DiskFrames,
    DiskSteps,
    EpisodeRows,
    Frames,
    MemoryFrames,
    Steps,
)

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
    newest_frame: Tensor  # (k,) row in `frames` of the newest images at the plan's time
    earlier_frame: Tensor  # (k,) row in `frames` of earlier images, which show motion
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
    agent_pos: Steps  # (T, P)
    action: Steps  # (T, A) intended by the expert
    sentences: tuple[str, ...]
    control_hz: float

    def __len__(self) -> int:
        return len(self.newest_frame)

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

        Their number is between `count` and twice `count`; all plans if there are fewer.
        """
        spacing = max(1, len(self) // count)
        rows = torch.arange(0, len(self), spacing)
        chosen = {name: getattr(self, name)[rows] for name in _PLAN_FIELDS}

        # Only the images of these plans are kept: rows 0 to k - 1 are the earlier images,
        # rows k to 2 k - 1 the newest images.
        pictures = torch.cat(
            [
                self.frames.take(chosen["earlier_frame"]),
                self.frames.take(chosen["newest_frame"]),
            ]
        )
        chosen["earlier_frame"] = torch.arange(len(rows))
        chosen["newest_frame"] = chosen["earlier_frame"] + len(rows)
        return replace(self, frames=MemoryFrames(pictures), **chosen)


# The fields of `Samples` with one row per plan.
_PLAN_FIELDS = (
    "newest_frame",
    "earlier_frame",
    "sentence",
    "step",
    "frame_step",
    "last_step",
    "weight",
    *LABELS,
)


# Some episodes: (the path of a dataset, the numbers of its episodes), for each dataset.
EpisodeList = list[tuple[Path, list[int]]]


def training_episodes(paths: Sequence[Path]) -> tuple[EpisodeList, EpisodeList]:
    """Returns the training and the validation episodes, by the datasets' masks.

    If the masks have no validation episodes, which may happen in small datasets, a tenth
    of the largest dataset's training episodes is held out instead.

    Raises:
        DatasetError: there are fewer than two demonstrations.
    """
    masks: dict[str, EpisodeList] = {"train": [], "valid": []}
    for path in paths:
        with Dataset(path) as dataset:
            for name, episodes in masks.items():
                episodes.append((path, list(dataset.mask(name))))

    train = masks["train"]
    valid = masks["valid"]
    if not any(numbers for _, numbers in valid):
        path, numbers = max(train, key=lambda entry: len(entry[1]))
        num_valid = max(1, len(numbers) // 10)
        valid.append((path, numbers[-num_valid:]))
        del numbers[-num_valid:]  # `numbers` is the list in `train`, which gets shorter

    if not any(numbers for _, numbers in train):
        names = ", ".join(map(str, paths))
        raise DatasetError(f"too few successful episodes to learn from in {names}")
    return train, valid


def samples_bytes(episodes: EpisodeList, cameras: Sequence[str]) -> int:
    """Returns the size in memory of the images and control steps of some episodes.

    It is computed from the datasets' metadata, without reading the episodes.
    """
    total = 0.0
    for path, numbers in episodes:
        with Dataset(path) as dataset:
            metadata = dataset.header.metadata
            metas = [dataset.episodes[number] for number in numbers]

            # images are square, with one byte for each of three colours
            side_pixels = metadata["config"]["image_size"]
            frames = sum(meta.num_samples for meta in metas)
            total += frames * len(cameras) * side_pixels * side_pixels * 3

            # a float32 for each number of the proprioception and of the action
            groups = metadata.get("action_interface", {}).get("groups", [])
            action_size = sum(len(group["low"]) for group in groups)
            agent_layout = metadata.get("agent_layout", ())
            agent_size = sum(width for _, width in agent_layout)
            duration_s = sum(meta.duration_s for meta in metas)
            steps = duration_s * metadata["config"]["control_hz"]
            step_bytes = (action_size + agent_size) * np.dtype(np.float32).itemsize
            total += steps * step_bytes
    return round(total)


def load_samples(
    episodes: EpisodeList,
    cameras: Sequence[str],
    history_s: float,
    in_memory: bool = True,
    weights: ActorWeights | None = None,
    quiet: bool = False,
) -> Samples:
    """Reads episodes into samples.

    Args:
        episodes: the episodes to read.
        cameras: the names of the cameras whose images to use.
        history_s: the time from the earlier image to the plan.
        in_memory: whether to read all images and control steps now; otherwise each is read
            from the disk when a batch needs it.
        weights: the weights of plans in episodes in which an expert corrected a policy;
            1 by default.
        quiet: whether to show no progress.

    Raises:
        DatasetError: a dataset has no plans, or no images of a camera.
    """
    builder = _SamplesBuilder()
    weights = weights or ActorWeights()

    for path, numbers in episodes:
        with Dataset(path) as dataset:
            builder.begin(path, dataset, cameras)
            for episode in tqdm(
                read_training_episodes(dataset, numbers, cameras, in_memory),
                desc=f"read {path.name}",
                total=len(numbers),
                leave=False,
                # None: no bar unless the output is a terminal
                disable=True if quiet else None,
            ):
                builder.add(episode, episode_rows(episode, history_s), weights)
    return builder.samples(in_memory)


class _SamplesBuilder:
    """Joins the rows of episodes into `Samples`."""

    def __init__(self) -> None:
        """Begins with no episodes."""
        # for each field of `Samples` with a row per plan: one array per episode
        self._parts: dict[str, list[np.ndarray]] = {name: [] for name in _PLAN_FIELDS}
        # images and control steps in memory: one array per episode; empty if on disk
        self._pictures: list[np.ndarray] = []
        self._agent_pos: list[np.ndarray] = []
        self._action: list[np.ndarray] = []
        # the files and groups from which images and control steps can be read later
        self._frames: list[EpisodeRows] = []
        self._steps: list[EpisodeRows] = []
        self._sentences: dict[str, int] = {}  # sentence -> its index
        # numbers of frames and of control steps in all episodes so far
        self._num_frames = 0
        self._num_steps = 0

    def begin(self, path: Path, dataset: Dataset, cameras: Sequence[str]) -> None:
        """Prepares for the episodes of a dataset, which `add` adds.

        Raises:
            DatasetError: the dataset has no images of one of the cameras.
        """
        metadata = dataset.header.metadata
        _check_cameras(path, metadata["config"]["cameras"], cameras)
        poses = metadata.get("camera_poses", {})
        self._cameras = cameras
        self._poses = [poses.get(name) for name in cameras]
        self._control_hz = float(metadata["config"]["control_hz"])

    def add(
        self,
        episode: TrainingEpisode,
        rows: dict[str, np.ndarray],
        weights: ActorWeights,
    ) -> None:
        """Appends the rows of one episode.

        Row numbers of frames and control steps in `rows` count from the episode's start;
        they are shifted by the number of rows in all episodes before it.

        Args:
            episode: the episode.
            rows: the result of `episode_rows`.
            weights: the weights of plans in episodes in which an expert corrected a policy.
        """
        rows["weight"] = _weights(episode, rows["step"], weights)
        # a new sentence gets the next index
        stored = episode.stored
        sentence = self._sentences.setdefault(
            stored.meta.instruction, len(self._sentences)
        )
        rows["sentence"] = np.full(len(rows["step"]), sentence)
        # the gaze is trained on the goal of the first effector only
        rows["goal_view"] = goal_view(rows["goal_pos_w"][:, 0], self._poses)

        shift = dict.fromkeys(("newest_frame", "earlier_frame"), self._num_frames)
        shift |= dict.fromkeys(("step", "frame_step", "last_step"), self._num_steps)
        for name, values in rows.items():
            self._parts[name].append(values + shift[name] if name in shift else values)

        num_frames = len(episode.picture_tick)
        num_steps = len(episode.step_tick)
        self._frames.append(EpisodeRows(stored.path, stored.demo, num_frames))
        self._steps.append(EpisodeRows(stored.path, stored.demo, num_steps))
        self._num_frames += num_frames
        self._num_steps += num_steps
        # None if they stay on the disk, and so do the images
        if episode.agent_pos is not None and episode.action is not None:
            self._agent_pos.append(episode.agent_pos.astype(np.float32, copy=False))
            self._action.append(episode.action.astype(np.float32, copy=False))
            self._pictures.append(np.stack(episode.pictures, axis=1))

    def samples(self, in_memory: bool) -> Samples:
        """Returns the samples of all added episodes, joined."""
        # images and control steps were read already, or are read when a batch needs them
        frames: Frames
        agent_pos: Steps
        action: Steps
        if in_memory:
            frames = MemoryFrames(_joined(self._pictures))
            agent_pos = _joined(self._agent_pos)
            action = _joined(self._action)
        else:
            frames = DiskFrames(self._frames, self._cameras)
            agent_pos = DiskSteps(self._steps, AGENT_POS)
            action = DiskSteps(self._steps, ACTION)

        return Samples(
            frames=frames,
            agent_pos=agent_pos,
            action=action,
            sentences=tuple(self._sentences),
            control_hz=self._control_hz,
            **{name: _joined(values) for name, values in self._parts.items()},
        )


def _joined(parts: list[np.ndarray]) -> Tensor:
    """Returns the rows of all episodes as one tensor, and empties the list `parts`.

    Each episode's array is freed once it is copied, so that the rows are never in memory
    twice, which `np.concatenate` would need.

    Args:
        parts: for each episode, the array of its rows.
    """
    count = sum(len(part) for part in parts)
    rows = np.empty((count, *parts[0].shape[1:]), parts[0].dtype)
    parts.reverse()  # so that the first episode is popped first
    first_row = 0
    while parts:
        part = parts.pop()
        rows[first_row : first_row + len(part)] = part
        first_row += len(part)
    return torch.from_numpy(rows)


def _weights(
    episode: TrainingEpisode, step: np.ndarray, weights: ActorWeights
) -> np.ndarray:
    """Returns the sampling weights (k,) of an episode's plans, see `weights_of_plans`."""
    # An episode without a number of take-overs is a demonstration: its plans have weight 1,
    # even if it names the actor that made it.
    if episode.stored.meta.takeovers is None:
        return weights_of_plans(None, None, step, weights)
    return weights_of_plans(episode.executed_by, episode.intended_by, step, weights)


def _check_cameras(path: Path, recorded: Sequence[str], cameras: Sequence[str]) -> None:
    """Raises DatasetError if a dataset was recorded without one of the cameras."""
    missing = [name for name in cameras if name not in recorded]
    if missing:
        raise DatasetError(
            f"{path} has no pictures of the cameras {missing}; it has those of "
            f"{list(recorded)}: collect it with `--camera {' '.join(missing)}`"
        )
