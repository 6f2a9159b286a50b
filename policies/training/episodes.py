"""Reads the parts of a dataset's episodes that imitation learning needs.

The rows are read by their positions in the file. Opening the arrays of an episode one by
one with HDF5 would take 30 ms per episode, so ten minutes for 20,000 episodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np

from embodied.datasets.episode_reading import with_goals_per_effector
from embodied.datasets.index.opening import open_index, stored_rows
from embodied.datasets.index.rows import FileOnDisk
from embodied.datasets.merge import StoredEpisode
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import IMAGE_SUFFIX, DatasetError
from embodied.wording import counted

# Names of arrays in an episode's group of the file.
AGENT_POS = "streams/agent_pos/value"
ACTION = "streams/intended/value"  # without the action noise of the collection
STEP_TICK = "streams/agent_pos/t"
PLANS = "plans/"
PLAN_TICK = f"{PLANS}tick_frame"
# the arrays of plans that are in files of every version of the schema
PLAN_NAMES = (
    "tick_frame",
    "subtask",
    "goal_pos_w",
    "goal_quat_wxyz",
    "goal_vel_w",
    "gripper",
    "completion",
)
BASE_GOAL = f"{PLANS}base_goal_w"  # since version 2 of the schema
# who drove, and who planned, at each control step; only where an expert corrected a policy
ACTORS = ("streams/executed_by/value", "streams/intended_by/value")
# Few enough to keep their images in memory, many enough to be fast.
EPISODES_PER_READ = 100


@dataclass(frozen=True)
class TrainingEpisode:
    """The parts of an episode that imitation learning needs.

    Attributes:
        stored: the file and the group that hold the episode.
        plans: the arrays (k, ...) of the k plans, by name.
        picture_tick: (F,) the tick at which the images of each frame were captured.
        step_tick: (T,) the tick of each control step.
        executed_by: (T,) who drove, an index into ACTORS; None for demonstrations.
        intended_by: (T,) who planned, an index into ACTORS; None for demonstrations.
        agent_pos: (T, P) proprioception; None if it stays on the disk.
        action: (T, A) the actions that the expert intended; None if they stay on the disk.
        pictures: one array (F, H, W, 3) uint8 per camera; empty if they stay on the disk.
    """

    stored: StoredEpisode
    plans: Mapping[str, np.ndarray]
    picture_tick: np.ndarray
    step_tick: np.ndarray
    executed_by: np.ndarray | None
    intended_by: np.ndarray | None
    agent_pos: np.ndarray | None
    action: np.ndarray | None
    pictures: tuple[np.ndarray, ...]


def read_training_episodes(
    dataset: Dataset, numbers: Sequence[int], cameras: Sequence[str], in_memory: bool
) -> Iterator[TrainingEpisode]:
    """Yields some episodes of a dataset, in the order of `numbers`.

    Args:
        dataset: the dataset.
        numbers: the numbers of the episodes.
        cameras: the names of the cameras whose images to read.
        in_memory: whether to read images, proprioception and actions as well.

    Raises:
        DatasetError: the dataset has no plans, or is damaged.
    """
    if not numbers:
        return

    # all episodes of a dataset have the same arrays, so the first one is looked at
    recorded = dataset.keys(numbers[0])
    if PLAN_TICK not in recorded:
        raise DatasetError(
            f"{dataset.path} has no plans to learn from: collect it with a policy that "
            "plans"
        )
    arrays = _Arrays.of(recorded, cameras)

    stored = [dataset.stored_episode(number) for number in numbers]
    # an unfinished collection has its episodes in several files
    for path, episodes_of_file in groupby(stored, lambda episode: episode.path):
        episodes = list(episodes_of_file)
        with closing(_File(path, arrays, in_memory)) as file:
            for first in range(0, len(episodes), EPISODES_PER_READ):
                yield from file.read(episodes[first : first + EPISODES_PER_READ])


@dataclass(frozen=True)
class _Arrays:
    """Names of the arrays to read of each episode.

    Attributes:
        plans: the arrays with a row per plan.
        pictures: the arrays with the images, one per camera.
        picture_tick: the array with the ticks of the images.
        actors: the arrays that say who drove and who planned; empty for demonstrations.
    """

    plans: tuple[str, ...]
    pictures: tuple[str, ...]
    picture_tick: str
    actors: tuple[str, ...]

    @classmethod
    def of(cls, recorded: Sequence[str], cameras: Sequence[str]) -> _Arrays:
        """Returns the names for a dataset.

        Args:
            recorded: the names of the arrays of one episode of the dataset.
            cameras: the names of the cameras whose images to read.
        """
        plans = [f"{PLANS}{name}" for name in PLAN_NAMES]
        if BASE_GOAL in recorded:
            plans.append(BASE_GOAL)
        return cls(
            plans=tuple(plans),
            pictures=tuple(f"obs/{name}{IMAGE_SUFFIX}" for name in cameras),
            # a dataset that was recorded without cameras has no image_tick
            picture_tick="image_tick" if "image_tick" in recorded else "frame_tick",
            actors=tuple(key for key in ACTORS if key in recorded),
        )

    @property
    def of_frames(self) -> tuple[str, ...]:
        """The arrays with a row per frame; the first one has the ticks."""
        return (self.picture_tick, *self.pictures)

    @property
    def of_steps(self) -> tuple[str, ...]:
        """The arrays with a row per control step; the first one has the ticks."""
        return (STEP_TICK, AGENT_POS, ACTION, *self.actors)


class _File:
    """Reads episodes of one file by the positions of their rows.

    Args:
        path: the path of the file.
        arrays: the names of the arrays to read.
        in_memory: whether to read images, proprioception and actions as well.
    """

    def __init__(self, path: Path, arrays: _Arrays, in_memory: bool) -> None:
        """Opens the index, and checks that arrays of plans, frames and steps fit together.

        Raises:
            DatasetError: arrays that must have as many rows as each other differ.
        """
        self._arrays = arrays
        keys = [*arrays.plans, *arrays.of_frames, *arrays.of_steps]
        # keep=False: the index isn't stored, for the file may be part of a running collection
        self._index = open_index(path, keys, [], keep=False)
        for group in (arrays.plans, arrays.of_frames, arrays.of_steps):
            self._require_same_rows(path, group)

        on_disk = () if in_memory else (AGENT_POS, ACTION, *arrays.pictures)
        self._keys = [key for key in keys if key not in on_disk]
        # name of an episode in the file -> its number in the index
        self._numbers = {demo: number for number, demo in enumerate(self._index.demos)}
        self._file = FileOnDisk(path, self._index.stamp)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def read(self, episodes: Sequence[StoredEpisode]) -> Iterator[TrainingEpisode]:
        """Yields some episodes of the file."""
        # each array is read once, for all of the episodes
        numbers = np.array([self._numbers[episode.demo] for episode in episodes])
        rows_by_key = {key: self._rows(key, numbers) for key in self._keys}

        arrays = self._arrays
        for number, stored in enumerate(episodes):
            rows = {key: values[number] for key, values in rows_by_key.items()}
            plans = {key.removeprefix(PLANS): rows[key] for key in arrays.plans}
            executed_by, intended_by = (rows.get(key) for key in ACTORS)
            yield TrainingEpisode(
                stored=stored,
                # files of version 1 have goals without an axis of effectors
                plans=with_goals_per_effector(plans),
                picture_tick=rows[arrays.picture_tick],
                step_tick=rows[STEP_TICK],
                executed_by=executed_by,
                intended_by=intended_by,
                agent_pos=rows.get(AGENT_POS),
                action=rows.get(ACTION),
                pictures=tuple(rows[key] for key in arrays.pictures if key in rows),
            )

    def _rows(self, key: str, numbers: np.ndarray) -> list[np.ndarray]:
        """Returns all rows of an array, as one array for each of some episodes.

        Args:
            key: the name of the array.
            numbers: (n,) the numbers of the episodes in the index.
        """
        reader = stored_rows(self._file, self._index, key)
        rows = reader.all_rows(numbers)  # the rows of all n episodes, concatenated
        counts = self._index.positions[key].rows[numbers]  # (n,)
        return np.split(rows, np.cumsum(counts)[:-1])

    def _require_same_rows(self, path: Path, keys: Sequence[str]) -> None:
        """Raises DatasetError if an array has more or fewer rows than the first one."""
        # per array: (episodes,) its number of rows in each episode of the file
        counts = [self._index.positions[key].rows for key in keys]
        for key, count in zip(keys, counts, strict=True):
            differing = np.flatnonzero(count != counts[0])
            if differing.size:
                number = differing[0]  # of the first such episode
                raise DatasetError(
                    f"{path} is damaged: in {self._index.demos[number]}, {key} has "
                    f"{counted(int(count[number]), 'row')}, but {keys[0]} {counts[0][number]}"
                )
