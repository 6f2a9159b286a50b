"""Export to Rerun: a recording per episode, which its viewer shows over time."""

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

TIME = "time"  # the timeline in s; the other one counts frames
FRAME = "frame"
POSITION = "pos_w"  # how the names of parts end that are points in the world
AXES = 3


def load_rerun() -> Any:
    """Returns the module `rerun`.

    Raises:
        EmbodiedError: it is not installed; the message names the extra.
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
    """Writes a selection as recordings of Rerun, `episode_000000.rrd` and so on.

    Args:
        selection: what to export.
        episodes: those of the selection, loaded with their pictures.
        target: the folder to make.
        resume: whether to go on with what a killed call has left.

    Raises:
        EmbodiedError: rerun-sdk is not installed; `target` exists; or it cannot be
            written.
    """
    rr = load_rerun()
    identity = ["rerun", rr.__version__, selection.identity]
    with new_folder(target, identity, resume) as folder:
        notes = list(folder.finished)
        for number, episode in enumerate(after(episodes, len(notes)), len(notes)):
            path = folder.path / f"episode_{number:06d}.rrd"
            _Recording(rr, path, number, selection).write(episode)
            notes.append(episode_note(episode))
            folder.finish(notes[-1:], [path])
        with SourceNotes(folder.path, selection.headers) as file:
            for note in notes:
                file.add(note)


class _Recording:
    """Writes one episode to one file."""

    def __init__(self, rr: Any, path: Path, number: int, selection: Selection) -> None:
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
        """Writes all of an episode."""
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
            for part, rows in _parts(values, self._metadata.get(layout, ())).items():
                names = [f"{part}.{i}" for i in range(rows.shape[1])]
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
        """Writes what the episode is, its instruction and its subtasks."""
        rr = self._rr
        meta = episode.meta
        self._stream.send_recording_name(f"{self._name}: {meta.instruction}")
        path = self._selection.paths[episode.file_index]
        note = {"file": path.name, "number": episode.number, **asdict(meta)}
        text = json.dumps(note, indent=1, default=str)
        self._log("episode", rr.TextDocument(text))
        self._log("instruction", rr.TextDocument(meta.instruction))

        if episode.subtasks:
            frames = np.array([frame for frame, _ in episode.subtasks])
            indexes = [
                rr.TimeColumn(TIME, duration=frames / self._selection.spec.hz),
                rr.TimeColumn(FRAME, sequence=frames),
            ]
            words = [word for _, word in episode.subtasks]
            self._send("subtask", indexes, rr.TextLog.columns(text=words))

    def _write_vector(
        self, place: str, rows: np.ndarray, names: Sequence[str], indexes: Any
    ) -> None:
        """Writes a vector (F, d) as d lines of a plot."""
        if not rows.shape[1]:
            return
        rr = self._rr
        self._log(place, rr.SeriesLines(names=list(names)))
        columns = rr.Scalars.columns(scalars=rows.astype(np.float64))
        self._send(place, indexes, columns)

    def _write_point(self, place: str, rows: np.ndarray, indexes: Any) -> None:
        """Writes a point (F, 3) that moves in the world."""
        columns = self._rr.Points3D.columns(positions=rows.astype(np.float32))
        self._send(place, indexes, columns)

    def _write_pictures(self, place: str, pictures: np.ndarray, indexes: Any) -> None:
        rr = self._rr
        files = [png(picture) for picture in pictures]
        media = ["image/png"] * len(files)
        columns = rr.EncodedImage.columns(blob=files, media_type=media)
        self._send(place, indexes, columns)

    def _write_truth(self, key: str, pictures: np.ndarray, indexes: Any) -> None:
        """Writes depth in m, or which thing is where."""
        rr = self._rr
        count, height, width = pictures.shape[:3]
        kind = "F32" if key.endswith(DEPTH_SUFFIX) else "U16"
        form = rr.components.ImageFormat(
            width=width, height=height, channel_datatype=kind
        )
        # Rerun takes each picture as a row of bytes
        content = pictures.reshape(count, -1).view(np.uint8)
        if key.endswith(DEPTH_SUFFIX):
            place = f"camera/{key.removesuffix(DEPTH_SUFFIX)}/depth"
            archetype = rr.DepthImage
            self._log(place, rr.DepthImage.from_fields(meter=1.0))
        else:
            place = f"camera/{key.removesuffix(SEGMENTATION_SUFFIX)}/segmentation"
            archetype = rr.SegmentationImage
            names = self._metadata.get("segmentation_names", ())
            self._log(place, rr.AnnotationContext(list(enumerate(names))))
        columns = archetype.columns(buffer=content, format=[form] * count)
        self._send(place, indexes, columns)

    def _log(self, place: str, what: Any) -> None:
        """Writes what is true at all times."""
        self._stream.log(place, what, static=True)

    def _send(self, place: str, indexes: Any, columns: Any) -> None:
        """Writes columns whose rows are at the times that `indexes` hold."""
        self._rr.send_columns(place, indexes, columns, recording=self._stream)


def _parts(
    values: np.ndarray, layout: Sequence[Sequence[Any]]
) -> Mapping[str, np.ndarray]:
    """Returns the named parts of a vector (F, d).

    If the widths of the layout do not add up to d, all of it is one part, `all`.
    """
    named = Layout(tuple((str(name), int(width)) for name, width in layout))
    if sum(width for _, width in named.parts) != values.shape[1]:
        return {"all": values}
    return {name: values[:, part] for name, part in named.slices().items()}
