"""Export to LeRobotDataset v3.0, written with pyarrow and PyAV."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from embodied.closing import ClosedOnExit
from embodied.datasets.export.arrow import load_pyarrow
from embodied.datasets.export.folders import new_folder
from embodied.datasets.export.frames import SelectedEpisode
from embodied.datasets.export.lerobot_features import (
    ACTION,
    DONE,
    ENVIRONMENT_STATE,
    IMAGES,
    LANGUAGE,
    LANGUAGE_EVENTS,
    REWARD,
    STATE,
    SUCCESS,
    Pictures,
    arrow_schema,
    lerobot_features,
)
from embodied.datasets.export.lerobot_meta import EpisodeTable, write_info, write_tasks
from embodied.datasets.export.numbered_files import FileNumber
from embodied.datasets.export.selection import Selection
from embodied.datasets.export.source_notes import SourceNotes
from embodied.datasets.export.video_files import VideoFiles
from embodied.datasets.running_statistics import (
    PictureStatistics,
    Statistics,
    VectorStatistics,
)

MAX_FILE_MB = 100  # of frames
MAX_PICTURES = 100  # of an episode, evenly spaced, count in the statistics


def export_lerobot(
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
    target: Path,
    pictures: Pictures,
    subtasks: bool = False,
) -> None:
    """Writes a selection as a LeRobotDataset v3.0.

    Args:
        selection: what to export.
        episodes: those of the selection, loaded.
        target: the folder to make.
        pictures: how they are stored; `none` leaves them out.
        subtasks: whether to add LeRobot 0.6's columns of language, with the subtasks of
            the plans.

    Raises:
        EmbodiedError: pyarrow is not installed; `target` exists; or it cannot be written.
    """
    load_pyarrow()
    with new_folder(target) as folder:
        with _Writer(folder, selection, pictures, subtasks) as writer:
            for episode in episodes:
                writer.add(episode)
        writer.finish()


class _Writer(ClosedOnExit):
    """Writes the files of a dataset, episode by episode."""

    def __init__(
        self, folder: Path, selection: Selection, pictures: Pictures, subtasks: bool
    ) -> None:
        self._pa = load_pyarrow()
        self._folder = folder
        self._spec = selection.spec
        self._features = lerobot_features(selection.spec, pictures, subtasks)
        self._schema = arrow_schema(self._pa, self._features)
        self._tasks: dict[str, int] = {}
        self._frames = 0
        self._episodes = 0
        self._statistics: dict[str, VectorStatistics | PictureStatistics] = {}

        # Files that are open until the writer is closed.
        self._open = ExitStack()
        self._file_number = FileNumber()
        self._frames_file: Any = None
        self._table = self._open.enter_context(EpisodeTable(self._pa, folder))
        self._notes = self._open.enter_context(
            SourceNotes(folder / "meta", selection.headers)
        )
        self._videos: dict[str, VideoFiles] = {}
        for name, feature in self._features.items():
            if feature["dtype"] == "video":
                size = tuple(feature["shape"][:2])
                files = VideoFiles(folder / "videos" / name, self._spec.hz, size)
                self._videos[name] = self._open.enter_context(files)

    def close(self) -> None:
        """Ends the files."""
        if self._frames_file is not None:
            self._frames_file.close()
            self._frames_file = None
        self._open.close()

    def add(self, episode: SelectedEpisode) -> None:
        """Adds an episode."""
        columns = self._columns(episode)
        row = {
            "episode_index": self._episodes,
            "tasks": [episode.meta.instruction],
            "length": len(episode.actions),
            "dataset_from_index": self._frames,
            "dataset_to_index": self._frames + len(episode.actions),
        }
        row |= self._write_frames(columns)
        for name, video in self._videos.items():
            number, start_s, end_s = video.add(columns[name])
            row[f"videos/{name}/chunk_index"] = number.chunk
            row[f"videos/{name}/file_index"] = number.file
            row[f"videos/{name}/from_timestamp"] = start_s
            row[f"videos/{name}/to_timestamp"] = end_s

        for name, statistics in self._add_statistics(columns).items():
            for kind, value in statistics.items():
                row[f"stats/{name}/{kind}"] = value.tolist()
        self._table.add(row)
        self._notes.add(episode)
        self._episodes += 1
        self._frames += len(episode.actions)

    def finish(self) -> None:
        """Writes what is said of the dataset as a whole; the files are closed."""
        statistics = {
            name: {
                kind: value.tolist()
                for kind, value in _as_lerobot_has_it(collected).items()
            }
            for name, collected in self._statistics.items()
        }
        text = json.dumps(statistics, indent=2)
        (self._folder / "meta" / "stats.json").write_text(text)

        write_tasks(self._pa, self._folder, list(self._tasks))

        info = {
            "robot_type": self._spec.robot,
            "total_episodes": self._episodes,
            "total_frames": self._frames,
            "total_tasks": len(self._tasks),
            "fps": self._spec.hz,
            "features": self._features,
        }
        write_info(self._folder, info, has_videos=bool(self._videos))

    def _columns(self, episode: SelectedEpisode) -> dict[str, Any]:
        """Returns the values of the frames, by the names of features."""
        count = len(episode.actions)
        frame_index = np.arange(count)
        task = self._tasks.setdefault(episode.meta.instruction, len(self._tasks))
        done = np.zeros(count, bool)
        done[-1] = True

        columns: dict[str, Any] = {
            STATE: episode.agent_pos,
            ENVIRONMENT_STATE: episode.environment_state,
            ACTION: episode.actions,
            REWARD: episode.rewards,
            DONE: done,
            SUCCESS: episode.success,
            LANGUAGE: [_language(episode, self._spec.hz)] * count,
            LANGUAGE_EVENTS: [[]] * count,
            "timestamp": (frame_index / self._spec.hz).astype(np.float32),
            "frame_index": frame_index,
            "episode_index": np.full(count, self._episodes),
            "index": frame_index + self._frames,
            "task_index": np.full(count, task),
        }
        for camera, images in episode.images.items():
            columns[IMAGES + camera] = images
        return {name: columns[name] for name in self._features}

    def _write_frames(self, columns: dict[str, Any]) -> dict[str, int]:
        """Writes the frames of an episode as one row group; returns where they are."""
        path = self._frames_path()
        if self._frames_file is not None and path.stat().st_size >= MAX_FILE_MB * 2**20:
            self._frames_file.close()
            self._frames_file = None
            self._file_number = self._file_number.next()
            path = self._frames_path()
        if self._frames_file is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._frames_file = self._pa.parquet.ParquetWriter(path, self._schema)

        arrays = [
            self._arrow_array(field, columns[field.name]) for field in self._schema
        ]
        self._frames_file.write_table(self._pa.table(arrays, schema=self._schema))
        return {
            "data/chunk_index": self._file_number.chunk,
            "data/file_index": self._file_number.file,
        }

    def _frames_path(self) -> Path:
        return self._folder / "data" / self._file_number.path("parquet")

    def _arrow_array(self, field: Any, values: Any) -> Any:
        pa = self._pa
        if self._features[field.name]["dtype"] == "image":
            rows = [{"bytes": _png(picture), "path": None} for picture in values]
            return pa.array(rows, field.type)
        if isinstance(values, np.ndarray) and values.ndim == 2:
            if values.shape[1] == 1:
                return pa.array(values[:, 0], field.type)
            flat = pa.array(values.reshape(-1), field.type.value_type)
            return pa.FixedSizeListArray.from_arrays(flat, type=field.type)
        return pa.array(values, field.type)

    def _add_statistics(self, columns: dict[str, Any]) -> dict[str, Statistics]:
        """Adds an episode to the statistics of the dataset; returns its own."""
        own = {}
        for name, values in columns.items():
            dtype = self._features[name]["dtype"]
            if dtype == "language":  # text has no statistics
                continue

            if dtype in ("image", "video"):
                of_episode: Any = PictureStatistics()
                of_all = self._statistics.setdefault(name, PictureStatistics())
                # some pictures, evenly spread, are enough for means of colours
                number = min(len(values), MAX_PICTURES)
                rows = values[np.linspace(0, len(values) - 1, number).astype(int)]
            else:
                rows = values.reshape(len(values), -1)
                of_episode = VectorStatistics(rows.shape[1])
                fresh = VectorStatistics(rows.shape[1])
                of_all = self._statistics.setdefault(name, fresh)

            of_all.add(rows)
            of_episode.add(rows)
            own[name] = _as_lerobot_has_it(of_episode)
        return own


def _as_lerobot_has_it(collected: VectorStatistics | PictureStatistics) -> Statistics:
    """Returns statistics with colours (3, 1, 1) in [0, 1]."""
    result = collected.result()
    if isinstance(collected, VectorStatistics):
        return result
    count = result.pop("count")
    colours = {name: value.reshape(3, 1, 1) / 255 for name, value in result.items()}
    return {**colours, "count": count}


def _png(picture: np.ndarray) -> bytes:
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
