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
    IMAGES,
    LANGUAGE,
    LANGUAGE_EVENTS,
    REWARD,
    STATE,
    SUCCESS,
)
from embodied.datasets.export.numbered_files import FileNumber
from embodied.datasets.export.source_notes import EPISODES_FILE, HEADERS_FILE
from embodied.datasets.importing.foreign import (
    ActionRange,
    ForeignEpisode,
    ForeignSet,
    vector_layout,
    whole_rate,
)
from embodied.datasets.importing.inside import file_inside, read_json
from embodied.datasets.importing.pictures import from_bytes, from_video
from embodied.datasets.schema import DatasetError
from embodied.errors import one_line
from embodied.names import is_name

ORIGIN = "LeRobotDataset v3.0"
READ = (STATE, ENVIRONMENT_STATE, ACTION, REWARD, SUCCESS)
# Not read as features: they follow from others, or from the table of episodes.
PASSED_OVER = (*COUNTERS, DONE, LANGUAGE, LANGUAGE_EVENTS, "timestamp")
SHOWN_TASKS = 3
LONGEST = 10**5  # of an axis of a feature: no vector or picture is so large


class LeRobotFolder:
    """A LeRobotDataset v3.0 that is read.

    Attributes:
        foreign: what is true of every episode.
        omitted: the names of the features that are not read.

    Raises:
        DatasetError: it is not whole, of another version, or not as its own `info.json`
            says.
        EmbodiedError: pyarrow is not installed.
    """

    def __init__(self, folder: Path) -> None:
        self._pa = load_pyarrow()
        self._folder = folder
        info = read_json(folder, "meta/info.json")
        self._features = _checked_features(folder, info)
        self._cameras = _cameras(self._features)
        read = {*READ, *PASSED_OVER, *self._cameras.values()}
        self.omitted = [name for name in info["features"] if name not in read]
        self._hz = _whole_rate(folder, info)

        self._rows = self._read_episode_table()
        self._notes, header = self._read_notes()
        # The file of frames that was read last is kept: its episodes follow each other.
        self._table_number: FileNumber | None = None
        self._table: Any = None
        self.foreign = ForeignSet(
            origin=ORIGIN,
            hz=self._hz,
            name=folder.resolve().name,
            robot=str(info.get("robot_type") or ""),
            agent_layout=self._layout(STATE),
            state_layout=self._layout(ENVIRONMENT_STATE),
            action_names=self._names(ACTION),
            cameras=tuple(self._cameras),
            header=header,
        )

    def __len__(self) -> int:
        return len(self._rows)

    @property
    def says_success(self) -> bool:
        """Whether there is a column that tells success from failure."""
        return SUCCESS in self._features

    def action_range(self) -> ActionRange:
        """Returns the extent of all actions."""
        return ActionRange.of(
            self._vector(self._frames(row), ACTION) for row in self._rows
        )

    def load(self, success: bool | None) -> Iterator[ForeignEpisode]:
        """Yields the episodes.

        Args:
            success: what is true of each episode if the dataset does not say it.
        """
        for number, row in enumerate(self._rows):
            yield self._load(number, row, success)

    def _load(
        self, number: int, row: Mapping[str, Any], success: bool | None
    ) -> ForeignEpisode:
        frames = self._frames(row)
        actions = self._vector(frames, ACTION)
        count = len(actions)
        state = np.zeros((count, 0), np.float32)
        if ENVIRONMENT_STATE in self._features:
            state = self._vector(frames, ENVIRONMENT_STATE)
        rewards = np.zeros(count, np.float32)
        if REWARD in self._features:
            rewards = self._vector(frames, REWARD)[:, 0]

        succeeded = None if success is None else np.zeros(count, bool)
        if self.says_success:
            succeeded = self._vector(frames, SUCCESS)[:, 0].astype(bool)
        elif succeeded is not None:
            # at the last frame; an episode without frames is refused later
            succeeded[-1:] = success

        return ForeignEpisode(
            agent_pos=self._vector(frames, STATE),
            environment_state=state,
            images={
                camera: self._pictures(name, row, frames)
                for camera, name in self._cameras.items()
            },
            actions=actions,
            rewards=rewards,
            success=succeeded,
            states=np.zeros((count, 0)),
            instruction="; ".join(row["tasks"][:SHOWN_TASKS]),
            note=self._notes[number] if self._notes else None,
        )

    def _layout(self, feature: str) -> tuple[tuple[str, int], ...]:
        """Returns the parts (name, width) of a vector; none if there is no such."""
        if feature not in self._features:
            return ()
        return vector_layout(feature.rpartition(".")[2], self._names(feature))

    def _names(self, feature: str) -> tuple[str, ...]:
        """Returns the names of a vector's elements, or their numbers."""
        described = self._features[feature]
        size = described["shape"][0]
        names = described.get("names")
        # Some datasets name them as {"motors": [...]}.
        if isinstance(names, dict) and len(names) == 1:
            names = next(iter(names.values()))
        if isinstance(names, list) and len(names) == size:
            return tuple(str(name) for name in names)
        return tuple(f"{feature.rpartition('.')[2]}.{k}" for k in range(size))

    def _read_episode_table(self) -> list[dict[str, Any]]:
        """Returns the rows of the table of episodes, without their statistics."""
        rows: list[dict[str, Any]] = []
        number = FileNumber()
        while True:
            relative = f"meta/episodes/{number.path('parquet')}"
            if rows and not (self._folder / relative).exists():
                break
            with self._parquet(relative) as file:
                names = [
                    name
                    for name in file.schema_arrow.names
                    if not name.startswith("stats/")
                ]
                rows += file.read(names).to_pylist()
            number = number.next()

        for index, row in enumerate(rows):
            _check_row(self._folder, index, row, self._video_features())
        return rows

    def _video_features(self) -> list[str]:
        return [
            name
            for name in self._cameras.values()
            if self._features[name]["dtype"] == "video"
        ]

    def _read_notes(self) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
        """Returns what our export noted: a row per episode, and the header.

        Both are empty or None if there are no notes, if another tool has changed the
        episodes since, or if several files with a header each were exported.
        """
        meta = self._folder / "meta"
        if not (meta / HEADERS_FILE).exists() or not (meta / EPISODES_FILE).exists():
            return [], None
        sources = read_json(self._folder, f"meta/{HEADERS_FILE}").get("sources")
        path = file_inside(self._folder, f"meta/{EPISODES_FILE}")
        try:
            notes = [json.loads(line) for line in path.read_text().splitlines()]
            noted = [(note["num_samples"], [note["instruction"]]) for note in notes]
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(f"{path} is damaged: {error!r}") from error

        found = [(row["length"], row["tasks"]) for row in self._rows]
        if not isinstance(sources, list) or len(sources) != 1 or noted != found:
            return [], None
        return notes, sources[0]

    @contextmanager
    def _parquet(self, relative: str) -> Iterator[Any]:
        """Yields an open Parquet file of the folder."""
        path = file_inside(self._folder, relative)
        try:
            with self._pa.parquet.ParquetFile(path) as file:
                yield file
        except (self._pa.ArrowException, OSError) as error:
            raise DatasetError(f"{path} cannot be read: {one_line(error)}") from error

    def _frames(self, row: Mapping[str, Any]) -> Any:
        """Returns the frames of an episode as a table."""
        number = FileNumber(row["data/chunk_index"], row["data/file_index"])
        if number != self._table_number:
            columns = [
                name
                for name, feature in self._features.items()
                if feature["dtype"] != "video" and name not in self.omitted
            ]
            columns = [name for name in columns if name not in PASSED_OVER]
            relative = f"data/{number.path('parquet')}"
            with self._parquet(relative) as file:
                self._require_columns(relative, file, [*columns, "episode_index"])
                self._table = file.read([*columns, "episode_index"])
            self._table_number = number

        episodes = self._table["episode_index"].to_numpy()
        (own,) = np.nonzero(episodes == row["episode_index"])
        if len(own) != row["length"]:
            raise DatasetError(
                f"episode {row['episode_index']} of {self._folder} has {len(own)} frames,"
                f" but the table of episodes says {row['length']}"
            )
        return self._table.take(own)

    def _require_columns(self, relative: str, file: Any, names: Sequence[str]) -> None:
        for name in names:
            if name not in file.schema_arrow.names:
                raise DatasetError(f"{self._folder / relative} has no column {name}")

    def _vector(self, frames: Any, name: str) -> np.ndarray:  # (F, d)
        """Returns the values of a feature."""
        size = self._features[name]["shape"][0]
        try:
            values = np.array(frames[name].to_pylist())
        except ValueError as error:
            raise DatasetError(f"{name} in {self._folder} is ragged") from error
        values = values.reshape(len(values), -1)
        if values.dtype.kind not in "fiub" or values.shape[1] != size:
            raise DatasetError(
                f"{name} in {self._folder} has rows of {values.shape[1]} {values.dtype},"
                f" but info.json says {size} numbers"
            )
        return values

    def _pictures(self, name: str, row: Mapping[str, Any], frames: Any) -> np.ndarray:
        """Returns the pictures (F, H, W, 3) of a camera."""
        size = tuple(self._features[name]["shape"][:2])
        where = f"{name}, episode {row['episode_index']} of {self._folder}"
        if self._features[name]["dtype"] == "image":
            return from_bytes(frames[name].to_pylist(), size, where)

        place = f"videos/{name}"
        number = FileNumber(row[f"{place}/chunk_index"], row[f"{place}/file_index"])
        path = file_inside(self._folder, f"{place}/{number.path('mp4')}")
        start_s = row[f"{place}/from_timestamp"]
        return from_video(path, start_s, row["length"], self._hz, size, where)


def _checked_features(folder: Path, info: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the features whose names and shapes are safe to use, by name."""
    found = str(info.get("codebase_version"))
    if not found.startswith("v3."):
        raise DatasetError(
            f"{folder} is a LeRobot dataset of version {found}; v3.0 is read. LeRobot"
            " converts older ones: python -m lerobot.scripts.convert_dataset_v21_to_v30"
        )
    features = info.get("features")
    if not isinstance(features, dict):
        raise DatasetError(f"{folder}/meta/info.json has no features")

    usable = {name: each for name, each in features.items() if _is_usable(name, each)}
    for name in (STATE, ACTION):
        if name not in usable:
            raise DatasetError(
                f"{folder} has no {name}; its features are {', '.join(features)}"
            )
    return usable


def _is_usable(name: str, feature: Any) -> bool:
    """Returns whether a feature has a name that is safe in a path, and a shape."""
    shape = feature.get("shape") if isinstance(feature, dict) else None
    if not isinstance(shape, list) or not shape:
        return False
    is_whole = all(type(length) is int and 0 < length <= LONGEST for length in shape)
    return is_whole and all(is_name(part) for part in name.split("."))


def _cameras(features: Mapping[str, Any]) -> dict[str, str]:
    """Returns camera -> feature of the colour pictures."""
    cameras = {}
    for name, feature in features.items():
        is_picture = feature.get("dtype") in ("image", "video")
        is_depth = bool((feature.get("info") or {}).get("video.is_depth_map"))
        if is_picture and not is_depth and feature["shape"][2:] == [3]:
            camera = name.removeprefix(IMAGES).removeprefix("observation.")
            cameras[camera.replace(".", "_")] = name
    return cameras


def _whole_rate(folder: Path, info: Mapping[str, Any]) -> int:
    rate = whole_rate(info.get("fps"))
    if rate is None:
        raise DatasetError(
            f"{folder}: fps is {info.get('fps')!r}, but must be a whole number"
        )
    return rate


def _check_row(
    folder: Path, index: int, row: Mapping[str, Any], videos: Sequence[str]
) -> None:
    """Raises DatasetError unless a row of the table of episodes is as it must be."""
    # what is read of a row, and as which type
    kinds: dict[str, type] = {
        "episode_index": int,
        "length": int,
        "tasks": list,
        "data/chunk_index": int,
        "data/file_index": int,
    }
    for name in videos:
        kinds[f"videos/{name}/chunk_index"] = int
        kinds[f"videos/{name}/file_index"] = int
        kinds[f"videos/{name}/from_timestamp"] = float

    for name, kind in kinds.items():
        if not isinstance(row.get(name), kind):
            raise DatasetError(
                f"{folder}: row {index} of the table of episodes has no {name}"
            )
