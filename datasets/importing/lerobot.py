"""Import of a LeRobotDataset v3.0, read with pyarrow and PyAV."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from embodied.datasets.export.arrow import load_pyarrow
from embodied.datasets.export.lerobot_features import (
    ACTION,
    COUNTERS,
    DONE,
    ENVIRONMENT_STATE,
    LANGUAGE,
    LANGUAGE_EVENTS,
    REWARD,
    STATE,
    SUCCESS,
)
from embodied.datasets.export.numbered_files import FileNumber
from embodied.datasets.export.source_notes import EPISODES_FILE, HEADERS_FILE
from embodied.datasets.importing.action_range import ActionRange
from embodied.datasets.importing.foreign import (
    ForeignEpisode,
    ForeignSet,
    vector_layout,
)
from embodied.datasets.importing.inside import file_inside, read_json
from embodied.datasets.importing.lerobot_info import (
    checked_features,
    colour_cameras,
    frame_rate,
)
from embodied.datasets.importing.pictures import from_bytes, from_video
from embodied.datasets.schema import DatasetError
from embodied.errors import one_line

ORIGIN = "LeRobotDataset v3.0"
INFO = "meta/info.json"
# The features that are read, apart from images.
READ = (STATE, ENVIRONMENT_STATE, ACTION, REWARD, SUCCESS)
# The features that are not read, because other features or the table of episodes contain
# the same information.
REDUNDANT = (*COUNTERS, DONE, LANGUAGE, LANGUAGE_EVENTS, "timestamp")
# If an episode has several tasks, its instruction consists of at most this many of them.
MAX_TASKS = 3


class LeRobotFolder:
    """Reads the episodes of a LeRobotDataset v3.0.

    Attributes:
        foreign: the properties that all episodes share.
        omitted: the names of the features that the import loses; videos of cameras and
            REDUNDANT features are not among them.
        features: name of each usable feature -> its entry in `info.json`.
        cameras: camera -> name of the feature with its images.
        rows: the table of episodes, one row per episode.
        hz: frames per second.

    Args:
        folder: the folder of the dataset.
        reads_all: whether `frames` has all columns, not only those of an import.

    Raises:
        DatasetError: a file is missing, the version is another one, or the data
            contradict `info.json`.
        EmbodiedError: pyarrow is not installed.
    """

    def __init__(self, folder: Path, reads_all: bool = False) -> None:
        """Reads all tables except the frames."""
        self._pa = load_pyarrow()
        self._folder = folder
        self._reads_all = reads_all
        if not (folder / INFO).exists():
            raise DatasetError(f"{folder} is no LeRobot dataset: it has no {INFO}")
        info = read_json(folder, INFO)
        self.features = checked_features(folder, info)
        self.cameras = colour_cameras(self.features)
        read = {*READ, *REDUNDANT, *self.cameras.values()}
        self.omitted = [name for name in info["features"] if name not in read]
        self.hz = frame_rate(folder, info)

        self.rows = self._read_episode_table()
        # the notes of our export, if the folder is one: a row per episode, and the header
        self._notes, header = self._read_notes()
        # The last table of frames and the number of its file are kept, because the file
        # usually contains the next episode, too.
        self._table_number: FileNumber | None = None
        self._table: Any = None
        self.foreign = ForeignSet(
            origin=ORIGIN,
            hz=self.hz,
            name=folder.resolve().name,
            robot=str(info.get("robot_type") or ""),
            agent_layout=self._layout(STATE),
            state_layout=self._layout(ENVIRONMENT_STATE),
            action_names=self.names(ACTION),
            cameras=tuple(self.cameras),
            header=header,
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def says_success(self) -> bool:
        """Whether the dataset has a column that tells whether the task was done."""
        return SUCCESS in self.features

    def action_range(self) -> ActionRange:
        """Returns the range of all actions."""
        return ActionRange.of(
            self.vector(self.frames(row), ACTION) for row in self.rows
        )

    def load(self, success: bool | None) -> Iterator[ForeignEpisode]:
        """Yields the episodes.

        Args:
            success: whether all episodes ended in success, if the dataset does not store
                success; None if that is unknown.

        Raises:
            DatasetError: an episode cannot be read.
        """
        for number, row in enumerate(self.rows):
            yield self._load(number, row, success)

    def _load(
        self, number: int, row: Mapping[str, Any], success: bool | None
    ) -> ForeignEpisode:
        """Reads an episode.

        Args:
            number: the number of the episode.
            row: the row of the episode in the table of episodes.
            success: see `load`.
        """
        frames = self.frames(row)
        actions = self.vector(frames, ACTION)
        count = len(actions)
        state = np.zeros((count, 0), np.float32)
        if ENVIRONMENT_STATE in self.features:
            state = self.vector(frames, ENVIRONMENT_STATE)
        rewards = np.zeros(count, np.float32)
        if REWARD in self.features:
            rewards = self.vector(frames, REWARD)[:, 0]

        succeeded = None if success is None else np.zeros(count, bool)
        if self.says_success:
            succeeded = self.vector(frames, SUCCESS)[:, 0].astype(bool)
        elif succeeded is not None:
            # success is known for the last frame only; a slice, because an episode without
            # frames is refused later
            succeeded[-1:] = success

        return ForeignEpisode(
            agent_pos=self.vector(frames, STATE),
            environment_state=state,
            images={
                camera: self.pictures(name, row, frames)
                for camera, name in self.cameras.items()
            },
            actions=actions,
            rewards=rewards,
            success=succeeded,
            states=np.zeros((count, 0)),
            instruction="; ".join(row["tasks"][:MAX_TASKS]),
            note=self._notes[number] if self._notes else None,
        )

    def _layout(self, feature: str) -> tuple[tuple[str, int], ...]:
        """Returns (name, width) of a vector's parts; () if there is no such vector."""
        if feature not in self.features:
            return ()
        return vector_layout(feature.rpartition(".")[2], self.names(feature))

    def names(self, feature: str) -> tuple[str, ...]:
        """Returns the names of a vector's elements; numbered names if there are none."""
        description = self.features[feature]
        size = description["shape"][0]
        names = description.get("names")
        # some datasets have {"motors": [...]} instead of a list
        if isinstance(names, dict) and len(names) == 1:
            names = next(iter(names.values()))
        if isinstance(names, list) and len(names) == size:
            return tuple(str(name) for name in names)
        # a feature such as `observation.state` without names gets state.0, state.1, ...
        vector = feature.rpartition(".")[2]
        return tuple(f"{vector}.{element}" for element in range(size))

    def _read_episode_table(self) -> list[dict[str, Any]]:
        """Returns the table of episodes, one row per episode, without statistics.

        Raises:
            DatasetError: the table is missing or damaged.
        """
        rows: list[dict[str, Any]] = []
        number = FileNumber()
        while True:
            # The files are numbered without gaps, so the table ends at the first missing
            # file. If even the first file is missing, `_parquet` raises an error.
            relative = f"meta/episodes/{number.path('parquet')}"
            if rows and not (self._folder / relative).exists():
                break

            # skip the statistics, which take most of the file and are not needed
            with self._parquet(relative) as file:
                columns = [
                    name
                    for name in file.schema_arrow.names
                    if not name.startswith("stats/")
                ]
                rows += file.read(columns).to_pylist()
            number = number.next()

        videos = self._video_features()
        for index, row in enumerate(rows):
            _check_row(self._folder, index, row, videos)
        return rows

    def _video_features(self) -> list[str]:
        """Returns the names of the features that are stored as videos."""
        return [
            name
            for name in self.cameras.values()
            if self.features[name]["dtype"] == "video"
        ]

    def _read_notes(self) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """Returns the notes of our export: a table row per episode, and the header.

        The result is ([], None) if there are no notes; if another tool has changed the
        episodes since the export; or if several files were exported, because their
        headers may differ.

        Raises:
            DatasetError: the notes are damaged.
        """
        meta = self._folder / "meta"
        if not (meta / HEADERS_FILE).exists() or not (meta / EPISODES_FILE).exists():
            return [], None
        # one header per exported file
        headers = read_json(self._folder, f"meta/{HEADERS_FILE}").get("sources")
        path = file_inside(self._folder, f"meta/{EPISODES_FILE}")
        try:
            notes = [json.loads(line) for line in path.read_text().splitlines()]
            # (number of frames, tasks) of each episode at the time of the export
            exported_episodes = [
                (note["num_samples"], [note["instruction"]]) for note in notes
            ]
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{path} is damaged: {error!r}") from error

        # another tool may have deleted or edited episodes since the export
        present_episodes = [(row["length"], row["tasks"]) for row in self.rows]
        if exported_episodes != present_episodes:
            return [], None
        if not isinstance(headers, list) or len(headers) != 1:
            return [], None
        return notes, headers[0]

    @contextmanager
    def _parquet(self, relative: str) -> Iterator[Any]:
        """Yields an open Parquet file of the folder."""
        path = file_inside(self._folder, relative)
        try:
            with self._pa.parquet.ParquetFile(path) as file:
                yield file
        # a name or text that is not UTF-8 raises ValueError
        except (self._pa.ArrowException, OSError, ValueError) as error:
            raise DatasetError(f"{path} cannot be read: {one_line(error)}") from error

    def frames(self, row: Mapping[str, Any]) -> Any:
        """Returns the frames of one episode as a pyarrow table.

        Args:
            row: the row of the episode in the table of episodes.

        Raises:
            DatasetError: a column is missing, or the number of frames is wrong.
        """
        # read the file with the frames, unless the last episode was in the same file
        number = FileNumber(row["data/chunk_index"], row["data/file_index"])
        if number != self._table_number:
            skipped = () if self._reads_all else (*self.omitted, *REDUNDANT)
            columns = [
                name
                for name, feature in self.features.items()
                if feature.get("dtype") != "video" and name not in skipped
            ]
            relative = f"data/{number.path('parquet')}"
            with self._parquet(relative) as file:
                self._require_columns(relative, file, [*columns, "episode_index"])
                self._table = file.read(list({*columns, "episode_index"}))
            self._table_number = number

        # the file contains the frames of several episodes
        episode_of_frame = self._table["episode_index"].to_numpy()
        (frames,) = np.nonzero(episode_of_frame == row["episode_index"])
        if len(frames) != row["length"]:
            raise DatasetError(
                f"episode {row['episode_index']} of {self._folder} has {len(frames)}"
                f" frames, but the table of episodes says {row['length']}"
            )
        return self._table.take(frames)

    def _require_columns(self, relative: str, file: Any, names: Sequence[str]) -> None:
        """Raises DatasetError if an open Parquet file lacks a column."""
        for name in names:
            if name not in file.schema_arrow.names:
                raise DatasetError(f"{self._folder / relative} has no column {name}")

    def vector(self, frames: Any, name: str) -> np.ndarray:  # (F, d)
        """Returns the values of a feature of numbers, one flat row per frame.

        Args:
            frames: the episode's frames, as a pyarrow table.
            name: the name of the feature.

        Raises:
            DatasetError: the rows are not numbers, or not as wide as info.json says.
        """
        size = self.features[name]["shape"][0]
        try:
            values = np.array(frames[name].to_pylist())
        except ValueError as error:
            raise DatasetError(f"{name} in {self._folder} is ragged") from error
        values = values.reshape(len(values), -1)
        # numpy's kinds of floats, integers, unsigned integers and bools
        if values.dtype.kind not in "fiub" or values.shape[1] != size:
            raise DatasetError(
                f"{name} in {self._folder} has rows of {values.shape[1]} {values.dtype},"
                f" but info.json says {size} numbers"
            )
        return values

    def pictures(self, name: str, row: Mapping[str, Any], frames: Any) -> np.ndarray:
        """Returns the images (F, H, W, 3) of one camera in one episode.

        Args:
            name: the name of the camera's feature.
            row: the row of the episode in the table of episodes.
            frames: the episode's frames, as a pyarrow table.
        """
        # images are stored in the table of frames, or in videos
        size = tuple(self.features[name]["shape"][:2])
        where = f"{name}, episode {row['episode_index']} of {self._folder}"
        if self.features[name]["dtype"] == "image":
            return from_bytes(frames[name].to_pylist(), size, where)

        # the episode's row names the video, and the time at which the episode begins in it
        prefix = f"videos/{name}"
        number = FileNumber(row[f"{prefix}/chunk_index"], row[f"{prefix}/file_index"])
        path = file_inside(self._folder, f"{prefix}/{number.path('mp4')}")
        start_s = row[f"{prefix}/from_timestamp"]
        return from_video(
            path, start_s, count=row["length"], hz=self.hz, size=size, where=where
        )


def _check_row(
    folder: Path, index: int, row: Mapping[str, Any], videos: Sequence[str]
) -> None:
    """Raises DatasetError if a row of the table of episodes lacks a column.

    Args:
        folder: the folder of the dataset.
        index: the index of the row.
        row: the row to check.
        videos: the names of the features that are stored as videos.
    """
    # name of each column that is read -> type of its values
    types: dict[str, type] = {
        "episode_index": int,
        "length": int,
        "tasks": list,
        "data/chunk_index": int,
        "data/file_index": int,
    }
    for name in videos:
        types[f"videos/{name}/chunk_index"] = int
        types[f"videos/{name}/file_index"] = int
        types[f"videos/{name}/from_timestamp"] = float

    for name, expected_type in types.items():
        if not isinstance(row.get(name), expected_type):
            raise DatasetError(
                f"{folder}: row {index} of the table of episodes has no valid {name}"
            )
