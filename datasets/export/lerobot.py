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

# A new file of frames is begun when the last file has reached this size.
MAX_FILE_MB = 100
# New files of frames and videos are begun after this many episodes, because a killed
# export is resumed after the last complete files.
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
        selection: the episodes to export.
        episodes: the selection's episodes, loaded with images unless `pictures` is
            `none`.
        target: the folder to create.
        pictures: how images are stored; `none` leaves them out.
        subtasks: whether to add LeRobot 0.6's language columns, with the subtasks of the
            plans.
        resume: whether to continue a killed call with the same arguments.

    Raises:
        EmbodiedError: pyarrow is not installed; `target` exists; or it cannot be written.
    """
    load_pyarrow()
    identity = ["lerobot v3.0", selection.identity, pictures, subtasks]
    with new_folder(target, identity, resume) as folder:
        with _Writer(folder, selection, pictures, subtasks) as writer:
            # the files of a killed call's episodes exist; only their metadata are added
            num_finished = len(folder.finished)
            for index, note in enumerate(folder.finished):
                writer.add_finished(selection.episode(index, images=False), note)

            remaining = after(episodes, num_finished)
            for count, episode in enumerate(remaining, start=num_finished + 1):
                writer.add(episode)
                if count % EPISODES_PER_FILE == 0:
                    writer.finish_files()
        writer.finish()


class _Writer(ClosedOnExit):
    """Writes the files of a dataset, episode by episode.

    Args:
        new_folder: the folder to write to.
        selection: the episodes to export.
        pictures: how images are stored.
        subtasks: whether to add language columns with the subtasks of the plans.
    """

    def __init__(
        self,
        new_folder: NewFolder,
        selection: Selection,
        pictures: Pictures,
        subtasks: bool,
    ) -> None:
        """Opens the files that stay open while episodes are added."""
        self._pa = load_pyarrow()
        self._new_folder = new_folder
        folder = new_folder.path
        self._folder = folder
        # The notes for the journal on the episodes in the open files. The note on an
        # episode is its row of the table of episodes, and its images' statistics.
        self._unfinished_notes: list[Any] = []
        self._spec = selection.spec
        self._features = lerobot_features(selection.spec, pictures, subtasks)
        self._frames = FrameColumns(self._pa, self._features, self._spec.hz)
        self._statistics = FeatureStatistics(self._features)

        # these files stay open until the writer is closed
        self._open_files = ExitStack()
        self._file_number = FileNumber()
        self._frames_file: Any = None
        self._table = self._open_files.enter_context(EpisodeTable(self._pa, folder))
        self._source_notes = self._open_files.enter_context(
            SourceNotes(folder / "meta", selection.headers)
        )
        self._videos: dict[str, VideoFiles] = {}
        for name, feature in self._features.items():
            if feature["dtype"] == "video":
                size = tuple(feature["shape"][:2])
                files = VideoFiles(folder / "videos" / name, self._spec.hz, size)
                self._videos[name] = self._open_files.enter_context(files)

    def close(self) -> None:
        """Closes all files."""
        self._close_frames()
        self._open_files.close()

    def finish_files(self) -> None:
        """Closes the files of frames and videos, and adds them to the journal."""
        files = self._files_of_episodes(self._unfinished_notes)
        self._begin_after(self._unfinished_notes[-1]["row"])
        self._new_folder.add_finished(self._unfinished_notes, files)
        self._unfinished_notes = []

    def add(self, episode: SelectedEpisode) -> None:
        """Writes an episode's frames and images, and its row of the table."""
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
            section = video.add(columns[name])
            row[f"videos/{name}/chunk_index"] = section.file.chunk
            row[f"videos/{name}/file_index"] = section.file.file
            row[f"videos/{name}/from_timestamp"] = section.start_s
            row[f"videos/{name}/to_timestamp"] = section.end_s

        # the journal keeps the images' statistics, because resuming does not read images
        image_statistics = self._statistics.of_images(columns)
        image_states = {
            name: statistics.state() for name, statistics in image_statistics.items()
        }
        self._unfinished_notes.append({"row": row, "pictures": image_states})
        self._add_to_metadata(episode, columns, row, image_statistics)

    def add_finished(self, episode: SelectedEpisode, note: Any) -> None:
        """Adds an episode whose frames and images a killed call has written.

        Args:
            episode: the episode, without its images.
            note: the journal's note on the episode.
        """
        columns = self._frames.columns(episode)
        image_statistics = {
            name: PictureStatistics.of(state)
            for name, state in note["pictures"].items()
        }
        self._begin_after(note["row"])
        self._add_to_metadata(episode, columns, note["row"], image_statistics)

    def _add_to_metadata(
        self,
        episode: SelectedEpisode,
        columns: dict[str, Any],
        row: dict[str, Any],
        image_statistics: dict[str, PictureStatistics],
    ) -> None:
        """Adds an episode to the table of episodes, the statistics and the source notes.

        Args:
            episode: the episode, whose images and frames are already written.
            columns: the values of the episode's frames, by feature.
            row: the episode's row of the table of episodes, without statistics.
            image_statistics: the statistics of the episode's images, by feature.
        """
        # LeRobot stores an episode's statistics as columns of its row
        row = dict(row)
        episode_statistics = self._statistics.add(columns, image_statistics)
        for name, statistics in episode_statistics.items():
            for kind, value in statistics.items():
                row[f"stats/{name}/{kind}"] = value
        self._table.add(row)
        self._source_notes.add(episode_note(episode))
        self._frames.count(episode)

    def finish(self) -> None:
        """Writes the files about the dataset as a whole; call it after `close`."""
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
        """Writes the frames of an episode to Parquet, as one row group.

        Returns:
            The two entries of the episode's row that name the file with the frames.
        """
        # begin a new file if the open file is full; LeRobot counts 2**20 bytes as one MB
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
        """Closes the open files, so that the next episode begins new ones.

        Args:
            row: the row of the last episode in the old files, after whose numbers the new
                files are numbered.
        """
        self._close_frames()
        self._file_number = _number_in(row, "data").next()
        for name, video in self._videos.items():
            video.begin_after(_number_in(row, f"videos/{name}"))

    def _files_of_episodes(self, notes: Sequence[Mapping[str, Any]]) -> list[Path]:
        """Returns the files with the frames and videos of some episodes.

        Args:
            notes: the journal's notes on these episodes. Each holds the episode's row of
                the table of episodes, in which the numbers of its files are.
        """
        paths = []
        for note in notes:
            row = note["row"]
            paths.append(self._frames_path(_number_in(row, "data")))
            for name in self._videos:
                number = _number_in(row, f"videos/{name}")
                paths.append(self._folder / "videos" / name / number.path("mp4"))
        # without duplicates, because several episodes share a file
        return list(dict.fromkeys(paths))

    def _frames_path(self, number: FileNumber) -> Path:
        return self._folder / "data" / number.path("parquet")


def _number_in(row: Mapping[str, Any], kind: str) -> FileNumber:
    """Returns the number of an episode's file, from its row of the table of episodes.

    Args:
        row: the row of the episode.
        kind: `data`, or `videos/<feature>`.
    """
    return FileNumber(row[f"{kind}/chunk_index"], row[f"{kind}/file_index"])
