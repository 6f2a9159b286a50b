"""The frames of a LeRobot dataset: columns, tables of Parquet, statistics."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from embodied.datasets.export.frames import SelectedEpisode
from embodied.datasets.export.lerobot_features import (
    ACTION,
    DESCRIPTION,
    DONE,
    ENVIRONMENT_STATE,
    IMAGES,
    LANGUAGE,
    LANGUAGE_EVENTS,
    REWARD,
    STATE,
    SUBTASK,
    SUCCESS,
    arrow_schema,
)
from embodied.datasets.running_statistics import (
    PictureStatistics,
    Statistics,
    VectorStatistics,
)

# Statistics use at most this many images per episode and camera, evenly spaced.
MAX_PICTURES = 100

Features = Mapping[str, Mapping[str, Any]]


class FrameColumns:
    """Converts episodes to columns, and numbers episodes, frames and sentences.

    Attributes:
        schema: the Arrow schema of the tables of frames.
        tasks: each sentence -> its number in the table of tasks.
        episodes: the number of episodes counted so far, which is the number of the next
            episode.
        frames: the number of frames counted so far, which is the next frame's number.

    Args:
        pa: the module `pyarrow`.
        features: the features of the dataset.
        hz: frames per second.
    """

    def __init__(self, pa: Any, features: Features, hz: int) -> None:
        """Begins with no episodes."""
        self._pa = pa
        self._features = features
        self._hz = hz
        self.schema = arrow_schema(pa, features)
        self.tasks: dict[str, int] = {}
        self.episodes = 0
        self.frames = 0

    def columns(self, episode: SelectedEpisode) -> dict[str, Any]:
        """Returns feature -> the values of the episode's F frames.

        Call `count` afterwards: otherwise the next episode gets the same numbers.
        """
        count = len(episode.actions)
        frame_index = np.arange(count)
        task = np.full(count, self.task_number(episode.meta.instruction))
        done = np.zeros(count, bool)
        done[-1] = True

        columns: dict[str, Any] = {
            STATE: episode.agent_pos,
            ENVIRONMENT_STATE: episode.environment_state,
            ACTION: episode.actions,
            REWARD: episode.rewards,
            DONE: done,
            SUCCESS: episode.success,
            # In LeRobot each frame repeats the language rows of the whole episode, whereas
            # events belong to single frames. This export has no events.
            LANGUAGE: [_language(episode, self._hz)] * count,
            LANGUAGE_EVENTS: [[]] * count,
            DESCRIPTION: task,  # a number in the table of tasks
            "timestamp": (frame_index / self._hz).astype(np.float32),
            "frame_index": frame_index,
            "episode_index": np.full(count, self.episodes),
            "index": frame_index + self.frames,
            "task_index": task,
        }
        if SUBTASK in self._features:
            columns[SUBTASK] = self._subtasks(episode)
        for camera, images in episode.images.items():
            columns[IMAGES + camera] = images

        # only the features of this dataset; images may not have been loaded
        return {name: columns[name] for name in self._features if name in columns}

    def table(self, columns: Mapping[str, Any]) -> Any:
        """Returns the Arrow table of an episode's columns, without videos."""
        arrays = [self._array(field, columns[field.name]) for field in self.schema]
        return self._pa.table(arrays, schema=self.schema)

    def count(self, episode: SelectedEpisode) -> None:
        """Counts an episode whose columns are written."""
        self.episodes += 1
        self.frames += len(episode.actions)

    def task_number(self, sentence: str) -> int:
        """Returns the number of a sentence in the table of tasks; adds a new sentence."""
        return self.tasks.setdefault(sentence, len(self.tasks))

    def _subtasks(self, episode: SelectedEpisode) -> np.ndarray:  # (F,) int64
        """Returns the number of each frame's subtask in the table of tasks.

        Before the first plan it is the number of the instruction.
        """
        instruction = self.task_number(episode.meta.instruction)
        numbers = np.full(len(episode.actions), instruction)
        for frame, word in episode.subtasks:
            numbers[frame:] = self.task_number(word)
        return numbers

    def _array(self, field: Any, values: Any) -> Any:
        """Returns a column as an Arrow array.

        Args:
            field: the column's field of the Arrow schema.
            values: the values of F frames.
        """
        pa = self._pa
        if self._features[field.name]["dtype"] == "image":
            rows = [{"bytes": png(picture), "path": None} for picture in values]
            return pa.array(rows, field.type)
        # vectors of one element are scalars in LeRobot
        if isinstance(values, np.ndarray) and values.ndim == 2:
            if values.shape[1] == 1:
                return pa.array(values[:, 0], field.type)
            flat = pa.array(values.reshape(-1), field.type.value_type)
            return pa.FixedSizeListArray.from_arrays(flat, type=field.type)
        return pa.array(values, field.type)


class FeatureStatistics:
    """Computes the statistics of each feature, per episode and over all episodes."""

    def __init__(self, features: Features) -> None:
        self._features = features
        self._vectors: dict[str, VectorStatistics] = {}
        self._pictures: dict[str, PictureStatistics] = {}

    def of_images(self, columns: Mapping[str, Any]) -> dict[str, PictureStatistics]:
        """Returns feature -> statistics of an episode's images, by a sample of them."""
        statistics = {}
        for name, values in columns.items():
            if self._features[name]["dtype"] in ("image", "video"):
                sample_size = min(len(values), MAX_PICTURES)
                rows = np.linspace(0, len(values) - 1, sample_size).astype(int)
                statistics[name] = PictureStatistics()
                statistics[name].add(values[rows])
        return statistics

    def add(
        self,
        columns: Mapping[str, Any],
        image_statistics: Mapping[str, PictureStatistics],
    ) -> dict[str, dict[str, Any]]:
        """Adds an episode; returns feature -> statistics of the episode, as JSON values.

        Args:
            columns: the values of the episode's frames, by feature; images may be missing.
            image_statistics: the result of `of_images` for this episode.
        """
        episode_statistics = {}
        for name, pictures in image_statistics.items():
            self._pictures.setdefault(name, PictureStatistics()).join(pictures)
            episode_statistics[name] = _lerobot_statistics(pictures)

        for name, values in columns.items():
            # images are added above, and text has no statistics
            if self._features[name]["dtype"] in ("image", "video", "language"):
                continue
            rows = values.reshape(len(values), -1)
            vectors = VectorStatistics(name, rows.shape[1])
            vectors.add(rows)
            episode_statistics[name] = _lerobot_statistics(vectors)
            if name not in self._vectors:
                self._vectors[name] = VectorStatistics(name, rows.shape[1])
            self._vectors[name].add(rows)

        # in the order of the features
        return {
            name: episode_statistics[name]
            for name in self._features
            if name in episode_statistics
        }

    def result(self) -> dict[str, dict[str, Any]]:
        """Returns the statistics over all episodes as JSON values, by feature."""
        total: dict[str, VectorStatistics | PictureStatistics] = {
            **self._vectors,
            **self._pictures,
        }
        return {
            name: _lerobot_statistics(total[name])
            for name in self._features
            if name in total
        }


def _lerobot_statistics(
    collected: VectorStatistics | PictureStatistics,
) -> dict[str, Any]:
    """Returns statistics in LeRobot's form: lists, with colours (3, 1, 1) in [0, 1]."""
    result: Statistics = collected.result()
    if isinstance(collected, PictureStatistics):
        count = result.pop("count")
        colours = {kind: value.reshape(3, 1, 1) / 255 for kind, value in result.items()}
        result = {**colours, "count": count}
    return {kind: value.tolist() for kind, value in result.items()}


def png(picture: np.ndarray) -> bytes:
    """Returns the PNG file of an image (H, W, 3) uint8."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _language(episode: SelectedEpisode, hz: int) -> list[dict[str, Any]]:
    """Returns the subtasks of an episode as LeRobot's language rows.

    Times are rounded to float32, so that they are equal to the frames' timestamps.
    """
    return [
        {
            "role": "assistant",
            "content": word,
            "style": "subtask",
            "timestamp": float(np.float32(frame / hz)),
            "camera": None,
            "tool_calls": None,
        }
        for frame, word in episode.subtasks
    ]
