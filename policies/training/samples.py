"""Demonstrations in the form that training needs: plans with their images and labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
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
    agent_pos: Steps  # (T, P)
    action: Steps  # (T, A) intended by the expert
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


def samples_bytes(part: Part, cameras: Sequence[str]) -> int:
    """Returns the size in memory of the images and control steps of some episodes."""
    total = 0.0
    for path, numbers in part:
        with Dataset(path) as dataset:
            metadata = dataset.header.metadata
            metas = [dataset.episodes[number] for number in numbers]

            side = metadata["config"]["image_size"]
            frames = sum(meta.num_samples for meta in metas)
            total += frames * len(cameras) * side * side * 3

            # a float32 for each number of the proprioception and of the action
            groups = metadata.get("action_interface", {}).get("groups", [])
            numbers_per_step = sum(len(group["low"]) for group in groups)
            numbers_per_step += sum(
                width for _, width in metadata.get("agent_layout", ())
            )
            duration_s = sum(meta.duration_s for meta in metas)
            steps = duration_s * metadata["config"]["control_hz"]
            total += steps * numbers_per_step * np.dtype(np.float32).itemsize
    return round(total)


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
        in_memory: whether to read all images and control steps now, or each when it is
            needed.
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
            # what stays on the disk is read when a batch needs it
            for episode in tqdm(
                read_training_episodes(dataset, numbers, cameras, in_memory),
                desc=f"read {path.name}",
                total=len(numbers),
                leave=False,
                disable=None,
            ):
                builder.add(episode, episode_rows(episode, history_s), weights)
    return builder.samples(in_memory)


class _SamplesBuilder:
    """Concatenates the rows of episodes."""

    def __init__(self) -> None:
        """Begins with no episodes."""
        names = [f.name for f in fields(Samples)]
        for other in ("frames", "agent_pos", "action", "sentences", "control_hz"):
            names.remove(other)
        self._parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
        # in memory, one array per episode
        self._pictures: list[np.ndarray] = []
        self._agent_pos: list[np.ndarray] = []
        self._action: list[np.ndarray] = []
        # on disk, where the rows of each episode are
        self._frames: list[EpisodeRows] = []
        self._steps: list[EpisodeRows] = []
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
        self,
        episode: TrainingEpisode,
        rows: dict[str, np.ndarray],
        weights: ActorWeights,
    ) -> None:
        """Appends the rows of one episode.

        Row numbers of frames and control steps count from the episode's start. They are
        shifted by the number of rows in all episodes before it.

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
        rows["sentence"] = np.full(len(rows["now"]), sentence)
        # the gaze is trained on the goal of the first effector only
        rows["goal_view"] = goal_view(rows["goal_pos_w"][:, 0], self._poses)

        shift = dict.fromkeys(("now", "then"), self._num_frames)
        shift |= dict.fromkeys(("step", "frame_step", "last_step"), self._num_steps)
        for name, values in rows.items():
            self._parts[name].append(values + shift[name] if name in shift else values)

        num_frames = len(episode.picture_tick)
        num_steps = len(episode.step_tick)
        self._frames.append(EpisodeRows(stored.path, stored.demo, num_frames))
        self._steps.append(EpisodeRows(stored.path, stored.demo, num_steps))
        self._num_frames += num_frames
        self._num_steps += num_steps
        if episode.agent_pos is not None and episode.action is not None:
            self._agent_pos.append(episode.agent_pos.astype(np.float32, copy=False))
            self._action.append(episode.action.astype(np.float32, copy=False))
            self._pictures.append(np.stack(episode.pictures, axis=1))

    def samples(self, in_memory: bool) -> Samples:
        """Returns the samples of all added episodes, joined."""
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
    """Returns the rows of all episodes, and forgets those of each episode on the way.

    So the rows are in memory once, not twice.
    """
    count = sum(len(part) for part in parts)
    rows = np.empty((count, *parts[0].shape[1:]), parts[0].dtype)
    parts.reverse()
    first = 0
    while parts:
        part = parts.pop()
        rows[first : first + len(part)] = part
        first += len(part)
    return torch.from_numpy(rows)


def _weights(
    episode: TrainingEpisode, step: np.ndarray, weights: ActorWeights
) -> np.ndarray:
    """Returns the sampling weights (k,) of an episode's plans, see `weights_of_plans`."""
    # nobody took over in a demonstration, whoever made it
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
