"""Export to LeRobot's format v2.1, with the additional files that NVIDIA's GR00T reads.

An episode is a Parquet file and one video per camera. `meta/modality.json` tells GR00T
the parts of states and actions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, TextIO

from embodied.closing import ClosedOnExit
from embodied.datasets.export.arrow import load_pyarrow
from embodied.datasets.export.folders import NewFolder, new_folder
from embodied.datasets.export.frames import SelectedEpisode
from embodied.datasets.export.lerobot_features import (
    DESCRIPTION,
    IMAGES,
    SUBTASK,
    Pictures,
    lerobot_features,
    with_annotations,
)
from embodied.datasets.export.lerobot_frames import FeatureStatistics, FrameColumns
from embodied.datasets.export.numbered_files import FILES_PER_CHUNK
from embodied.datasets.export.selection import Selection, after
from embodied.datasets.export.source_notes import SourceNotes, episode_note
from embodied.datasets.export.video_files import VideoFile
from embodied.datasets.running_statistics import PictureStatistics

LEROBOT_VERSION = "v2.1"
DATA_PATH = "data/chunk-{episode_chunk:03d}/episode_{episode_index:06d}.parquet"
VIDEO_PATH = (
    "videos/chunk-{episode_chunk:03d}/{video_key}/episode_{episode_index:06d}.mp4"
)
ANNOTATION = "annotation."


def export_lerobot_v2(
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
    target: Path,
    pictures: Pictures,
    subtasks: bool = False,
    resume: bool = False,
) -> None:
    """Writes a selection as a LeRobotDataset v2.1 with `modality.json`.

    Args:
        selection: the episodes to export.
        episodes: the selection's episodes, loaded with images unless `pictures` is
            `none`.
        target: the folder to create.
        pictures: how images are stored; `none` leaves them out.
        subtasks: whether to add the subtasks of the plans as GR00T's annotation.
        resume: whether to continue a killed call with the same arguments.

    Raises:
        EmbodiedError: pyarrow is not installed; `target` exists; or it cannot be written.
    """
    load_pyarrow()
    identity = ["lerobot v2.1", selection.identity, pictures, subtasks]
    with (
        new_folder(target, identity, resume) as folder,
        _Writer(folder, selection, pictures, subtasks) as writer,
    ):
        # the files of a killed call's episodes exist; only counts and statistics are added
        for index, image_states in enumerate(folder.finished):
            writer.add_finished(selection.episode(index, images=False), image_states)
        for episode in after(episodes, len(folder.finished)):
            writer.add(episode)
        writer.finish()


class _Writer(ClosedOnExit):
    """Writes the files of a dataset, episode by episode.

    Args:
        new_folder: the folder to write to.
        selection: the episodes to export.
        pictures: how images are stored.
        subtasks: whether to add the subtasks of the plans.
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
        self._selection = selection
        self._spec = selection.spec
        features = lerobot_features(selection.spec, pictures, subtasks=False)
        self._features = with_annotations(features, subtasks)
        self._frames = FrameColumns(self._pa, self._features, self._spec.hz)
        self._statistics = FeatureStatistics(self._features)

        # these files stay open until the writer is closed
        self._open_files = ExitStack()
        source_notes = SourceNotes(folder / "meta", selection.headers)
        self._source_notes = self._open_files.enter_context(source_notes)
        self._episodes = self._open_lines("episodes")
        self._episode_statistics = self._open_lines("episodes_stats")

    def _open_lines(self, name: str) -> TextIO:
        """Creates a file of JSON lines in `meta`, which stays open until `close`."""
        path = self._folder / "meta" / f"{name}.jsonl"
        return self._open_files.enter_context(path.open("w"))

    def close(self) -> None:
        """Closes all files."""
        self._open_files.close()

    def add(self, episode: SelectedEpisode) -> None:
        """Writes the files of an episode, and adds them to the journal."""
        columns = self._frames.columns(episode)
        path = self._new_path(DATA_PATH)
        files = [path]
        self._pa.parquet.write_table(self._frames.table(columns), path)
        for name in self._video_keys():
            video_path = self._new_path(VIDEO_PATH, name)
            height, width = self._features[name]["shape"][:2]
            with VideoFile(video_path, self._spec.hz, (height, width)) as video:
                video.add(columns[name])
            files.append(video_path)

        # the journal keeps the images' statistics, because resuming does not read images
        image_statistics = self._statistics.of_images(columns)
        image_states = {
            name: statistics.state() for name, statistics in image_statistics.items()
        }
        self._new_folder.add_finished([image_states], files)
        self._add_to_metadata(episode, columns, image_statistics)

    def add_finished(self, episode: SelectedEpisode, image_states: Any) -> None:
        """Adds an episode whose files a killed call has written.

        Args:
            episode: the episode, without its images.
            image_states: the `state` of the statistics of the episode's images, by feature,
                from the journal.
        """
        image_statistics = {
            name: PictureStatistics.of(state) for name, state in image_states.items()
        }
        self._add_to_metadata(episode, self._frames.columns(episode), image_statistics)

    def _add_to_metadata(
        self,
        episode: SelectedEpisode,
        columns: Mapping[str, Any],
        image_statistics: Mapping[str, PictureStatistics],
    ) -> None:
        """Adds an episode to the lists of episodes, the statistics and the source notes.

        Args:
            episode: the episode, whose images and frames are already written.
            columns: the values of the episode's frames, by feature.
            image_statistics: the statistics of the episode's images, by feature.
        """
        number = self._frames.episodes
        row = {
            "episode_index": number,
            "tasks": [episode.meta.instruction],
            "length": len(episode.actions),
        }
        _write_line(self._episodes, row)

        # LeRobot v2.1 stores an episode's own statistics in another file
        statistics = self._statistics.add(columns, image_statistics)
        _write_line(
            self._episode_statistics, {"episode_index": number, "stats": statistics}
        )
        self._source_notes.add(episode_note(episode))
        self._frames.count(episode)

    def finish(self) -> None:
        """Writes the files about the dataset as a whole."""
        with (self._folder / "meta" / "tasks.jsonl").open("w") as lines:
            for sentence, number in self._frames.tasks.items():
                _write_line(lines, {"task_index": number, "task": sentence})
        self._write_json("stats", self._vector_statistics())
        self._write_json("modality", self._modality())
        self._write_json("info", self._info())

    def _vector_statistics(self) -> dict[str, dict[str, Any]]:
        """Returns the content of `stats.json`: statistics over all episodes.

        Only GR00T reads this file; LeRobot v2.1 reads the statistics of each episode.
        GR00T cuts the mean, minimum and so on of a vector into the parts of
        `modality.json`, so each of them must be as long as the vector. This is why counts
        and images are left out.
        """
        vector_statistics = {}
        for name, statistics in self._statistics.result().items():
            if not name.startswith(IMAGES):
                vector_statistics[name] = {
                    kind: value for kind, value in statistics.items() if kind != "count"
                }
        return vector_statistics

    def _info(self) -> dict[str, Any]:
        """Returns the content of `info.json`, by which LeRobot knows the dataset's form."""
        count = self._frames.episodes
        videos = self._video_keys()

        return {
            "codebase_version": LEROBOT_VERSION,
            "robot_type": self._spec.robot,
            "total_episodes": count,
            "total_frames": self._frames.frames,
            "total_tasks": len(self._frames.tasks),
            "total_videos": count * len(videos),
            "total_chunks": -(-count // FILES_PER_CHUNK),  # rounded up
            "chunks_size": FILES_PER_CHUNK,
            "fps": self._spec.hz,
            "splits": {"train": f"0:{count}"},
            "data_path": DATA_PATH,
            "video_path": VIDEO_PATH if videos else None,
            "features": self._features,
        }

    def _modality(self) -> dict[str, Any]:
        """Returns the content of `modality.json`, which only GR00T reads."""
        metadata = self._selection.headers[0].metadata
        modality: dict[str, Any] = {
            "state": spans(
                metadata.get("agent_layout", ()), len(self._spec.agent_names)
            ),
            "action": spans(_action_parts(metadata), len(self._spec.action_names)),
        }

        videos = self._video_keys()
        if videos:
            modality["video"] = {
                name.removeprefix(IMAGES): {"original_key": name} for name in videos
            }

        modality["annotation"] = {
            name.removeprefix(ANNOTATION): {}
            for name in (DESCRIPTION, SUBTASK)
            if name in self._features
        }
        return modality

    def _video_keys(self) -> list[str]:
        """Returns the names of the features that are stored as videos."""
        return [
            name
            for name, feature in self._features.items()
            if feature["dtype"] == "video"
        ]

    def _new_path(self, pattern: str, video_key: str = "") -> Path:
        """Returns the path of a file of the next episode, and creates its folder.

        Args:
            pattern: the pattern of the path: `DATA_PATH` or `VIDEO_PATH`.
            video_key: the name of the video's feature, if the file is a video.
        """
        number = self._frames.episodes
        name = pattern.format(
            episode_chunk=number // FILES_PER_CHUNK,
            episode_index=number,
            video_key=video_key,
        )
        path = self._folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _write_json(self, name: str, content: Mapping[str, Any]) -> None:
        path = self._folder / "meta" / f"{name}.json"
        path.write_text(json.dumps(content, indent=2))


def spans(parts: Sequence[Sequence[Any]], size: int) -> dict[str, dict[str, int]]:
    """Returns the name of each part of a vector -> its elements, from `start` to `end` - 1.

    If the widths do not add up to the vector's length, the vector gets a single part,
    `all`.

    Args:
        parts: the name and the width of each part.
        size: the length of the vector.
    """
    elements = {}
    start = 0
    for name, width in parts:
        elements[str(name)] = {"start": start, "end": start + int(width)}
        start += int(width)
    return elements if start == size else {"all": {"start": 0, "end": size}}


def _action_parts(metadata: Mapping[str, Any]) -> list[tuple[str, int]]:
    """Returns (name, width) of the parts of an action; [] if the file names no parts."""
    groups = (metadata.get("joint_interface") or {}).get("groups", ())
    return [(group["name"], len(group["labels"])) for group in groups]


def _write_line(file: TextIO, content: Mapping[str, Any]) -> None:
    file.write(json.dumps(content) + "\n")
