"""Reading what imitation learning needs of the episodes of a dataset.

The rows are read by their positions in the file. Opening the arrays of an episode one by
one with HDF5 would take 30 ms per episode, and so ten minutes for 20,000.
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

AGENT_POS = "streams/agent_pos/value"
ACTION = "streams/intended/value"  # without the action noise of the collection
STEP_TICK = "streams/agent_pos/t"
PLANS = "plans/"
PLAN_TICK = f"{PLANS}tick_frame"
# the arrays of plans that every version of the schema has
PLAN_NAMES = (
    "tick_frame",
    "subtask",
    "goal_pos_w",
    "goal_quat_wxyz",
    "goal_vel_w",
    "gripper",
    "completion",
)
BASE_GOAL = f"{PLANS}base_goal_w"  # since version 2
# who drove, and who planned, at each control step; only of corrected policies
ACTORS = ("streams/executed_by/value", "streams/intended_by/value")
AT_ONCE = 100  # episodes that are read together


@dataclass(frozen=True)
class TrainingEpisode:
    """What imitation learning needs of an episode.

    Attributes:
        stored: the file and the group that hold the episode.
        plans: name -> (k, ...) rows of the k plans.
        picture_tick: (F,) the tick at which the images of each frame were captured.
        step_tick: (T,) the tick of each control step.
        executed_by: (T,) who drove, an index into ACTORS; None for demonstrations.
        intended_by: (T,) who planned, likewise.
        agent_pos: (T, P) proprioception; None if it stays on the disk.
        action: (T, A) what was intended; None if it stays on the disk.
        pictures: one (F, H, W, 3) uint8 per camera; empty if they stay on the disk.
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
        cameras: names of the cameras whose images to read.
        in_memory: whether to read images, proprioception and actions.

    Raises:
        DatasetError: the dataset has no plans, or is damaged.
    """
    if not numbers:
        return
    recorded = dataset.keys(numbers[0])
    if PLAN_TICK not in recorded:
        raise DatasetError(
            f"{dataset.path} has no plans to learn from: collect it with a policy that "
            "plans"
        )
    arrays = _Arrays.of(recorded, cameras)

    stored = [dataset.stored_episode(number) for number in numbers]
    # an unfinished collection has its episodes in several files
    for path, of_file in groupby(stored, lambda episode: episode.path):
        episodes = list(of_file)
        with closing(_File(path, arrays, in_memory)) as file:
            for first in range(0, len(episodes), AT_ONCE):
                yield from file.read(episodes[first : first + AT_ONCE])


@dataclass(frozen=True)
class _Arrays:
    """Names of the arrays to read of each episode.

    Attributes:
        plans: those with a row per plan.
        pictures: those with the images of each camera.
        picture_tick: the one with the ticks of the images.
        actors: those that say who drove and who planned; empty for demonstrations.
    """

    plans: tuple[str, ...]
    pictures: tuple[str, ...]
    picture_tick: str
    actors: tuple[str, ...]

    @classmethod
    def of(cls, recorded: Sequence[str], cameras: Sequence[str]) -> _Arrays:
        """Returns the names for a dataset.

        Args:
            recorded: names of the arrays of one of its episodes.
            cameras: names of the cameras whose images to read.
        """
        plans = [f"{PLANS}{name}" for name in PLAN_NAMES]
        return cls(
            plans=(*plans, *(key for key in (BASE_GOAL,) if key in recorded)),
            pictures=tuple(f"obs/{name}{IMAGE_SUFFIX}" for name in cameras),
            # a dataset that was recorded without cameras has no image_tick
            picture_tick="image_tick" if "image_tick" in recorded else "frame_tick",
            actors=tuple(key for key in ACTORS if key in recorded),
        )

    @property
    def of_frames(self) -> tuple[str, ...]:
        """Those with a row per frame; the first one has the ticks."""
        return (self.picture_tick, *self.pictures)

    @property
    def of_steps(self) -> tuple[str, ...]:
        """Those with a row per control step; the first one has the ticks."""
        return (STEP_TICK, AGENT_POS, ACTION, *self.actors)


class _File:
    """Reads episodes of one file by the positions of their rows.

    Args:
        path: the path of the file.
        arrays: names of the arrays to read.
        in_memory: whether to read images, proprioception and actions.
    """

    def __init__(self, path: Path, arrays: _Arrays, in_memory: bool) -> None:
        """Opens the index; raises DatasetError if arrays differ in their rows."""
        self._arrays = arrays
        keys = [*arrays.plans, *arrays.of_frames, *arrays.of_steps]
        self._index = open_index(path, keys, [], keep=False)
        for same in (arrays.plans, arrays.of_frames, arrays.of_steps):
            self._require_same_rows(path, same)

        on_disk = () if in_memory else (AGENT_POS, ACTION, *arrays.pictures)
        self._keys = [key for key in keys if key not in on_disk]
        self._numbers = {demo: number for number, demo in enumerate(self._index.demos)}
        self._file = FileOnDisk(path, self._index.stamp)

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def read(self, episodes: Sequence[StoredEpisode]) -> Iterator[TrainingEpisode]:
        """Yields some episodes of the file."""
        # each array is read once, for all of the episodes
        numbers = np.array([self._numbers[episode.demo] for episode in episodes])
        rows_of = {key: self._rows(key, numbers) for key in self._keys}

        arrays = self._arrays
        for number, stored in enumerate(episodes):
            rows = {key: values[number] for key, values in rows_of.items()}
            plans = {key.removeprefix(PLANS): rows[key] for key in arrays.plans}
            executed_by, intended_by = (rows.get(key) for key in ACTORS)
            yield TrainingEpisode(
                stored=stored,
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
        """Returns all rows of an array in each of some episodes."""
        source = stored_rows(self._file, self._index, key)
        counts = self._index.positions[key].rows[numbers]
        return np.split(source.all_rows(numbers), np.cumsum(counts)[:-1])

    def _require_same_rows(self, path: Path, keys: Sequence[str]) -> None:
        """Raises DatasetError if some of the arrays have more rows than others."""
        counts = [self._index.positions[key].rows for key in keys]
        for key, count in zip(keys, counts, strict=True):
            differing = np.flatnonzero(count != counts[0])
            if differing.size:
                number = differing[0]
                raise DatasetError(
                    f"{path} is damaged: in {self._index.demos[number]}, {key} has "
                    f"{count[number]} rows, but {keys[0]} {counts[0][number]}"
                )
