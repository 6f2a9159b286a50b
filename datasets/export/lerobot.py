"""Export to LeRobotDataset v3.0, written with pyarrow and PyAV."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from embodied.closing import ClosedOnExit
from embodied.datasets.export.arrow import load_pyarrow
from embodied.datasets.export.folders import NewFolder, new_folder
from embodied.datasets.export.frames import SelectedEpisode
from embodied.datasets.export.lerobot_features import Pictures, lerobot_features
from embodied.datasets.export.lerobot_frames import FeatureStatistics, FrameColumns
from embodied.datasets.export.lerobot_meta import EpisodeTable, write_info, write_tasks
from embodied.datasets.export.numbered_files import FileNumber
from embodied.datasets.export.selection import Selection, after
from embodied.datasets.export.source_notes import SourceNotes, episode_note
from embodied.datasets.export.video_files import VideoFiles
from embodied.datasets.running_statistics import PictureStatistics

# A file of frames is ended when it is so large, and files of frames and videos after so
# many episodes: an export that was killed goes on there.
MAX_FILE_MB = 100
EPISODES_PER_FILE = 100


def export_lerobot(
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
    target: Path,
    pictures: Pictures,
    subtasks: bool = False,
    resume: bool = False,
) -> None:
    """Writes a selection as a LeRobotDataset v3.0.

    Args:
        selection: what to export.
        episodes: those of the selection, loaded.
        target: the folder to make.
        pictures: how they are stored; `none` leaves them out.
        subtasks: whether to add LeRobot 0.6's columns of language, with the subtasks of
            the plans.
        resume: whether to go on with what a killed call has left.

    Raises:
        EmbodiedError: pyarrow is not installed; `target` exists; or it cannot be written.
    """
    load_pyarrow()
    identity = ["lerobot v3.0", selection.identity, pictures, subtasks]
    with new_folder(target, identity, resume) as folder:
        with _Writer(folder, selection, pictures, subtasks) as writer:
            done = len(folder.finished)
            for place, note in enumerate(folder.finished):
                writer.add_finished(selection.episode(place, images=False), note)
            for place, episode in enumerate(after(episodes, done), done + 1):
                writer.add(episode)
                if place % EPISODES_PER_FILE == 0:
                    writer.finish_files()
        writer.finish()


class _Writer(ClosedOnExit):
    """Writes the files of a dataset, episode by episode."""

    def __init__(
        self,
        new_folder: NewFolder,
        selection: Selection,
        pictures: Pictures,
        subtasks: bool,
    ) -> None:
        self._pa = load_pyarrow()
        self._new_folder = new_folder
        folder = new_folder.path
        self._folder = folder
        self._unfinished: list[Any] = []  # notes on the episodes of the open files
        self._spec = selection.spec
        self._features = lerobot_features(selection.spec, pictures, subtasks)
        self._frames = FrameColumns(self._pa, self._features, self._spec.hz)
        self._statistics = FeatureStatistics(self._features)

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
        self._close_frames()
        self._open.close()

    def finish_files(self) -> None:
        """Ends the files of frames and pictures, and notes that they are finished."""
        files = self._files_of(self._unfinished)
        self._begin_after(self._unfinished[-1]["row"])
        self._new_folder.finish(self._unfinished, files)
        self._unfinished = []

    def add(self, episode: SelectedEpisode) -> None:
        """Adds an episode."""
        columns = self._frames.columns(episode)
        row = {
            "episode_index": self._frames.episodes,
            "tasks": [episode.meta.instruction],
            "length": len(episode.actions),
            "dataset_from_index": self._frames.frames,
            "dataset_to_index": self._frames.frames + len(episode.actions),
        }
        row |= self._write_frames(columns)
        for name, video in self._videos.items():
            number, start_s, end_s = video.add(columns[name])
            row[f"videos/{name}/chunk_index"] = number.chunk
            row[f"videos/{name}/file_index"] = number.file
            row[f"videos/{name}/from_timestamp"] = start_s
            row[f"videos/{name}/to_timestamp"] = end_s

        of_pictures = self._statistics.pictures_of(columns)
        states = {name: each.state() for name, each in of_pictures.items()}
        self._unfinished.append({"row": row, "pictures": states})
        self._count(episode, columns, row, of_pictures)

    def add_finished(self, episode: SelectedEpisode, note: Any) -> None:
        """Adds an episode whose frames and pictures an earlier call has written.

        Args:
            episode: without its pictures.
            note: what that call has noted of it.
        """
        columns = self._frames.columns(episode)
        of_pictures = {
            name: PictureStatistics.of(state)
            for name, state in note["pictures"].items()
        }
        self._begin_after(note["row"])
        self._count(episode, columns, note["row"], of_pictures)

    def _count(
        self,
        episode: SelectedEpisode,
        columns: dict[str, Any],
        row: dict[str, Any],
        of_pictures: dict[str, PictureStatistics],
    ) -> None:
        """Adds an episode to what is said of all of them."""
        # its own statistics are columns of its row
        row = dict(row)
        for name, statistics in self._statistics.add(columns, of_pictures).items():
            for kind, value in statistics.items():
                row[f"stats/{name}/{kind}"] = value
        self._table.add(row)
        self._notes.add(episode_note(episode))
        self._frames.count(episode)

    def finish(self) -> None:
        """Writes what is said of the dataset as a whole; the files are closed."""
        text = json.dumps(self._statistics.result(), indent=2)
        (self._folder / "meta" / "stats.json").write_text(text)
        write_tasks(self._pa, self._folder, list(self._frames.tasks))
        info = {
            "robot_type": self._spec.robot,
            "total_episodes": self._frames.episodes,
            "total_frames": self._frames.frames,
            "total_tasks": len(self._frames.tasks),
            "fps": self._spec.hz,
            "features": self._features,
        }
        write_info(self._folder, info, has_videos=bool(self._videos))

    def _write_frames(self, columns: dict[str, Any]) -> dict[str, int]:
        """Writes the frames of an episode as one row group; returns where they are."""
        path = self._frames_path(self._file_number)
        if self._frames_file is not None and path.stat().st_size >= MAX_FILE_MB * 2**20:
            self._close_frames()
            self._file_number = self._file_number.next()
            path = self._frames_path(self._file_number)
        if self._frames_file is None:
            path.parent.mkdir(parents=True, exist_ok=True)
            schema = self._frames.schema
            self._frames_file = self._pa.parquet.ParquetWriter(path, schema)

        self._frames_file.write_table(self._frames.table(columns))
        return {
            "data/chunk_index": self._file_number.chunk,
            "data/file_index": self._file_number.file,
        }

    def _close_frames(self) -> None:
        if self._frames_file is not None:
            self._frames_file.close()
            self._frames_file = None

    def _begin_after(self, row: Mapping[str, Any]) -> None:
        """Ends the open files; the next ones come after those of an episode's row."""
        self._close_frames()
        self._file_number = _number_in(row, "data").next()
        for name, video in self._videos.items():
            video.begin_after(_number_in(row, f"videos/{name}"))

    def _files_of(self, notes: Sequence[Mapping[str, Any]]) -> list[Path]:
        """Returns the files of frames and pictures of some episodes."""
        paths = {}
        for note in notes:
            row = note["row"]
            paths[self._frames_path(_number_in(row, "data"))] = True
            for name in self._videos:
                number = _number_in(row, f"videos/{name}")
                paths[self._folder / "videos" / name / number.path("mp4")] = True
        return list(paths)

    def _frames_path(self, number: FileNumber) -> Path:
        return self._folder / "data" / number.path("parquet")


def _number_in(row: Mapping[str, Any], kind: str) -> FileNumber:
    """Returns the number of an episode's file of a kind, from its row of the table."""
    return FileNumber(row[f"{kind}/chunk_index"], row[f"{kind}/file_index"])
