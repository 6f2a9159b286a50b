"""Export to Rerun: one recording per episode, for Rerun's viewer."""

from __future__ import annotations

import importlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from embodied.core import Layout
from embodied.datasets.export.folders import new_folder
from embodied.datasets.export.frames import SelectedEpisode
from embodied.datasets.export.lerobot_frames import png
from embodied.datasets.export.selection import Selection, after
from embodied.datasets.export.source_notes import SourceNotes, episode_note
from embodied.datasets.schema import DEPTH_SUFFIX, SEGMENTATION_SUFFIX
from embodied.errors import EmbodiedError

# Rerun's timelines: one in s, one that counts frames
TIME = "time"
FRAME = "frame"
# Name ending of the parts of a vector that are points in the world frame.
POSITION = "pos_w"
AXES = 3


def load_rerun() -> Any:
    """Returns the module `rerun`.

    Raises:
        EmbodiedError: rerun-sdk is not installed; the message says what to install.
    """
    try:
        return importlib.import_module("rerun")
    except ImportError as error:
        raise EmbodiedError(
            "Rerun's recordings need rerun-sdk, which is not installed:"
            " pip install 'embodied-ground[rerun]'"
        ) from error


def export_rerun(
    selection: Selection,
    episodes: Iterable[SelectedEpisode],
    target: Path,
    resume: bool = False,
) -> None:
    """Writes a selection as Rerun recordings `episode_000000.rrd`, `episode_000001.rrd`.

    Args:
        selection: the episodes to export.
        episodes: the selection's episodes, loaded with images.
        target: the folder to create.
        resume: whether to continue a killed call with the same arguments.

    Raises:
        EmbodiedError: rerun-sdk is not installed; `target` exists; or it cannot be
            written.
    """
    rr = load_rerun()
    identity = ["rerun", rr.__version__, selection.identity]
    with new_folder(target, identity, resume) as folder:
        # one source note per episode, beginning with the episodes of a killed call
        notes = list(folder.finished)
        num_finished = len(notes)
        remaining = after(episodes, num_finished)
        for number, episode in enumerate(remaining, start=num_finished):
            path = folder.path / f"episode_{number:06d}.rrd"
            _Recording(rr, path, number, selection).write(episode)
            note = episode_note(episode)
            notes.append(note)
            folder.add_finished([note], [path])
        with SourceNotes(folder.path, selection.headers) as file:
            for note in notes:
                file.add(note)


class _Recording:
    """Writes one episode to one file.

    Args:
        rr: the module `rerun`.
        path: the path of the file.
        number: the number of the episode in the export.
        selection: the selection of the export.
    """

    def __init__(self, rr: Any, path: Path, number: int, selection: Selection) -> None:
        """Opens the file."""
        self._rr = rr
        self._selection = selection
        self._metadata = selection.headers[0].metadata
        self._name = f"episode {number}"
        self._stream = rr.RecordingStream(
            str(self._metadata.get("task") or "embodied"),
            recording_id=f"{path.stem}",
            send_properties=False,
        )
        self._stream.save(path)

    def write(self, episode: SelectedEpisode) -> None:
        """Writes the texts, plots and images of an episode, and closes the file."""
        frames = np.arange(len(episode.actions))
        times = frames / self._selection.spec.hz
        indexes = [
            self._rr.TimeColumn(TIME, duration=times),
            self._rr.TimeColumn(FRAME, sequence=frames),
        ]

        self._write_text(episode)
        spec = self._selection.spec
        self._write_vector("action", episode.actions, spec.action_names, indexes)
        for vector, values, layout in (
            ("agent_pos", episode.agent_pos, "agent_layout"),
            ("environment_state", episode.environment_state, "state_layout"),
        ):
            parts = _split_vector(values, self._metadata.get(layout, ()))
            for part, rows in parts.items():
                names = [f"{part}.{column}" for column in range(rows.shape[1])]
                # each part is a plot; positions are also shown as points in space
                self._write_vector(f"{vector}/{part}", rows, names, indexes)
                if part.endswith(POSITION) and rows.shape[1] == AXES:
                    self._write_point(f"world/{part}", rows, indexes)
        scores = np.stack([episode.rewards, episode.success], axis=1)
        self._write_vector("score", scores, ("reward", "success"), indexes)

        for camera, pictures in episode.images.items():
            self._write_pictures(f"camera/{camera}/image", pictures, indexes)
        for key, pictures in episode.truth.items():
            self._write_truth(key, pictures, indexes)
        self._stream.disconnect()

    def _write_text(self, episode: SelectedEpisode) -> None:
        """Writes the episode's row of the table, its instruction and its subtasks."""
        rr = self._rr
        meta = episode.meta
        self._stream.send_recording_name(f"{self._name}: {meta.instruction}")
        path = self._selection.paths[episode.file_index]
        note = {"file": path.name, "number": episode.number, **asdict(meta)}
        text = json.dumps(note, indent=1, default=str)
        self._log("episode", rr.TextDocument(text))
        self._log("instruction", rr.TextDocument(meta.instruction))

        # a line of text at each frame at which the subtask changes
        if episode.subtasks:
            frames = np.array([frame for frame, _ in episode.subtasks])
            indexes = [
                rr.TimeColumn(TIME, duration=frames / self._selection.spec.hz),
                rr.TimeColumn(FRAME, sequence=frames),
            ]
            words = [word for _, word in episode.subtasks]
            self._send("subtask", indexes, rr.TextLog.columns(text=words))

    def _write_vector(
        self, entity_path: str, rows: np.ndarray, names: Sequence[str], indexes: Any
    ) -> None:
        """Writes a vector (F, d) as d lines of a plot.

        Args:
            entity_path: the name of the plot in Rerun's tree of entities.
            rows: (F, d) the values of the vector.
            names: the names of the d lines.
            indexes: the times of the F frames.
        """
        if not rows.shape[1]:
            return
        rr = self._rr
        self._log(entity_path, rr.SeriesLines(names=list(names)))
        columns = rr.Scalars.columns(scalars=rows.astype(np.float64))
        self._send(entity_path, indexes, columns)

    def _write_point(self, entity_path: str, rows: np.ndarray, indexes: Any) -> None:
        """Writes a point (F, 3) that moves in the world."""
        columns = self._rr.Points3D.columns(positions=rows.astype(np.float32))
        self._send(entity_path, indexes, columns)

    def _write_pictures(
        self, entity_path: str, pictures: np.ndarray, indexes: Any
    ) -> None:
        """Writes colour images (F, H, W, 3) as PNG files."""
        rr = self._rr
        files = [png(picture) for picture in pictures]
        media = ["image/png"] * len(files)
        columns = rr.EncodedImage.columns(blob=files, media_type=media)
        self._send(entity_path, indexes, columns)

    def _write_truth(self, key: str, pictures: np.ndarray, indexes: Any) -> None:
        """Writes depth images in m, or segmentation images, (F, H, W, 1).

        Args:
            key: the name of the array: `<camera>_depth` or `<camera>_segmentation`.
            pictures: float32 depth or uint16 segmentation.
            indexes: the times of the F frames.
        """
        rr = self._rr
        count, height, width = pictures.shape[:3]
        is_depth = key.endswith(DEPTH_SUFFIX)
        image_format = rr.components.ImageFormat(
            width=width, height=height, channel_datatype="F32" if is_depth else "U16"
        )
        # Rerun takes each image as a row of bytes
        content = pictures.reshape(count, -1).view(np.uint8)
        if is_depth:
            entity_path = f"camera/{key.removesuffix(DEPTH_SUFFIX)}/depth"
            archetype = rr.DepthImage
            self._log(entity_path, rr.DepthImage.from_fields(meter=1.0))
        else:
            entity_path = f"camera/{key.removesuffix(SEGMENTATION_SUFFIX)}/segmentation"
            archetype = rr.SegmentationImage
            names = self._metadata.get("segmentation_names", ())
            self._log(entity_path, rr.AnnotationContext(list(enumerate(names))))
        columns = archetype.columns(buffer=content, format=[image_format] * count)
        self._send(entity_path, indexes, columns)

    def _log(self, entity_path: str, item: Any) -> None:
        """Writes an item that does not change over time."""
        self._stream.log(entity_path, item, static=True)

    def _send(self, entity_path: str, indexes: Any, columns: Any) -> None:
        """Writes columns with one row per time in `indexes`."""
        self._rr.send_columns(entity_path, indexes, columns, recording=self._stream)


def _split_vector(
    values: np.ndarray, layout: Sequence[Sequence[Any]]
) -> Mapping[str, np.ndarray]:
    """Splits a vector into its named parts; returns the name of each part -> (F, width).

    If the widths do not add up to the vector's width, there is a single part, `all`.

    Args:
        values: (F, d) the vector.
        layout: (name, width) of each part.
    """
    parts = Layout(tuple((str(name), int(width)) for name, width in layout))
    if sum(width for _, width in parts.parts) != values.shape[1]:
        return {"all": values}
    return {name: values[:, columns] for name, columns in parts.slices().items()}
