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

MAX_PICTURES = 100  # per episode and camera that count in the statistics

Features = Mapping[str, Mapping[str, Any]]


class FrameColumns:
    """Turns episodes into columns, and numbers episodes, frames and sentences.

    Attributes:
        schema: of the tables.
        tasks: sentence -> its number.
        episodes: how many there were so far.
        frames: how many there were so far.
    """

    def __init__(self, pa: Any, features: Features, hz: int) -> None:
        self._pa = pa
        self._features = features
        self._hz = hz
        self.schema = arrow_schema(pa, features)
        self.tasks: dict[str, int] = {}
        self.episodes = 0
        self.frames = 0

    def columns(self, episode: SelectedEpisode) -> dict[str, Any]:
        """Returns the values of the next episode's frames (F rows), by feature.

        `count` must follow, or the next episode gets the same numbers.
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
            # LeRobot repeats the language of the whole episode in each frame. There are
            # no events, which would belong to single frames.
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

        # only what was chosen and loaded, in the order of the features
        return {name: columns[name] for name in self._features if name in columns}

    def table(self, columns: Mapping[str, Any]) -> Any:
        """Returns the table of an episode's columns; videos have none."""
        arrays = [self._array(field, columns[field.name]) for field in self.schema]
        return self._pa.table(arrays, schema=self.schema)

    def count(self, episode: SelectedEpisode) -> None:
        """Counts an episode whose columns are written."""
        self.episodes += 1
        self.frames += len(episode.actions)

    def task_number(self, sentence: str) -> int:
        """Returns the number of a sentence, a new one if it is new."""
        return self.tasks.setdefault(sentence, len(self.tasks))

    def _subtasks(self, episode: SelectedEpisode) -> np.ndarray:  # (F,) int64
        """Returns the number of the subtask in force at each frame.

        Before the first plan it is the whole task.
        """
        numbers = np.full(
            len(episode.actions), self.task_number(episode.meta.instruction)
        )
        for frame, word in episode.subtasks:
            numbers[frame:] = self.task_number(word)
        return numbers

    def _array(self, field: Any, values: Any) -> Any:
        """Returns the values of F frames as an Arrow array of the field's type."""
        pa = self._pa
        if self._features[field.name]["dtype"] == "image":
            rows = [{"bytes": png(picture), "path": None} for picture in values]
            return pa.array(rows, field.type)
        if isinstance(values, np.ndarray) and values.ndim == 2:
            if values.shape[1] == 1:
                return pa.array(values[:, 0], field.type)
            flat = pa.array(values.reshape(-1), field.type.value_type)
            return pa.FixedSizeListArray.from_arrays(flat, type=field.type)
        return pa.array(values, field.type)


class FeatureStatistics:
    """Collects the statistics of each feature, over all episodes and over each one."""

    def __init__(self, features: Features) -> None:
        self._features = features
        self._vectors: dict[str, VectorStatistics] = {}
        self._pictures: dict[str, PictureStatistics] = {}

    def pictures_of(self, columns: Mapping[str, Any]) -> dict[str, PictureStatistics]:
        """Returns the statistics of an episode's pictures, by feature."""
        found = {}
        for name, values in columns.items():
            if self._features[name]["dtype"] in ("image", "video"):
                # some pictures, evenly spread, are enough for means of colours
                number = min(len(values), MAX_PICTURES)
                found[name] = PictureStatistics()
                found[name].add(
                    values[np.linspace(0, len(values) - 1, number).astype(int)]
                )
        return found

    def add(
        self,
        columns: Mapping[str, Any],
        pictures: Mapping[str, PictureStatistics],
    ) -> dict[str, dict[str, Any]]:
        """Adds an episode; returns its own statistics as JSON values.

        Args:
            columns: of its frames; those of pictures may be missing.
            pictures: what `pictures_of` has said of all its columns.
        """
        own = {}
        for name, of_episode in pictures.items():
            self._pictures.setdefault(name, PictureStatistics()).join(of_episode)
            own[name] = _as_lerobot_has_it(of_episode)
        for name, values in columns.items():
            if self._features[name]["dtype"] in ("image", "video", "language"):
                continue  # text has no statistics
            rows = values.reshape(len(values), -1)
            own_rows = VectorStatistics(rows.shape[1])
            own_rows.add(rows)
            fresh = VectorStatistics(rows.shape[1])
            self._vectors.setdefault(name, fresh).add(rows)
            own[name] = _as_lerobot_has_it(own_rows)
        # in the order of the features, whatever was missing
        return {name: own[name] for name in self._features if name in own}

    def result(self) -> dict[str, dict[str, Any]]:
        """Returns the statistics of all episodes as JSON values."""
        of_all: dict[str, VectorStatistics | PictureStatistics] = {
            **self._vectors,
            **self._pictures,
        }
        return {
            name: _as_lerobot_has_it(of_all[name])
            for name in self._features
            if name in of_all
        }


def _as_lerobot_has_it(
    collected: VectorStatistics | PictureStatistics,
) -> dict[str, Any]:
    """Returns statistics with colours (3, 1, 1) in [0, 1], as lists."""
    result: Statistics = collected.result()
    if isinstance(collected, PictureStatistics):
        count = result.pop("count")
        colours = {kind: value.reshape(3, 1, 1) / 255 for kind, value in result.items()}
        result = {**colours, "count": count}
    return {kind: value.tolist() for kind, value in result.items()}


def png(picture: np.ndarray) -> bytes:
    """Returns a picture (H, W, 3) uint8 as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG")
    return buffer.getvalue()


def _language(episode: SelectedEpisode, hz: int) -> list[dict[str, Any]]:
    """Returns the subtasks of an episode as LeRobot's rows of language.

    The times are rounded to float32, as the frames' own timestamps are, so that the two
    are equal.
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
