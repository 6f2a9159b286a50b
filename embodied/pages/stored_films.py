"""Stores the gallery's films: a clip of each one, and a list of them as JSON.

Films that were made before stay in the folder until they are made anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.error import FFmpegError
from PIL import Image

from embodied.benchmark.codec import decode, encode
from embodied.errors import EmbodiedError
from embodied.files import replace_text
from embodied.pages.gallery import FILM_FPS, Take
from embodied.rollout.video import write_mp4
from embodied.wording import counted

FORMAT = "embodied-gallery"
SCHEMA_VERSION = 1
LIST_NAME = "gallery.json"
CLIP_SIZE = (360, 480)  # (H, W)
CLIP_FPS = 2 * FILM_FPS  # clips play at twice real time
CLIP_CRF = 24  # constant rate factor of H.264; lower means better quality


@dataclass(frozen=True)
class FilmRecord:
    """What a film shows."""

    task: str
    robot: str
    level: str
    seed: int
    instruction: str
    clip: str  # the clip's path within the folder
    moment: int  # index of the frame for the contact sheet


@dataclass(frozen=True)
class StoredFilm:
    """A film in a folder."""

    record: FilmRecord
    path: Path  # of the clip

    def frames(self) -> list[np.ndarray]:
        """Returns all frames, (H, W, 3) each.

        Raises:
            EmbodiedError: the clip cannot be read, or ends before its moment.
        """
        source = self.path
        try:
            with av.open(source) as container:
                frames = [
                    frame.to_ndarray(format="rgb24")
                    for frame in container.decode(video=0)
                ]
        except (OSError, FFmpegError) as error:
            raise EmbodiedError(
                f"cannot read {source}: {error}; film {self.record.task} with "
                f"{self.record.robot} anew"
            ) from error

        if self.record.moment >= len(frames):
            raise EmbodiedError(
                f"{source} has {counted(len(frames), 'frame')}, but {LIST_NAME} names frame "
                f"{self.record.moment}; film {self.record.task} with "
                f"{self.record.robot} anew"
            )
        return frames


def store_film(folder: Path, take: Take) -> Path:
    """Writes the clip of a take and adds it to the list; returns the clip's path.

    An earlier film of the same task and robot is replaced.
    """
    plan = take.plan
    record = FilmRecord(
        task=plan.task,
        robot=plan.robot,
        level=plan.level,
        seed=take.clip.result.seed,
        instruction=take.clip.result.instruction,
        clip=f"clips/{plan.name}.mp4",
        moment=take.moment,
    )
    path = folder / record.clip
    path.parent.mkdir(parents=True, exist_ok=True)
    write_mp4(path, _clip_frames(take), CLIP_FPS, CLIP_CRF)

    others = [known for known in _read_records(folder) if known.clip != record.clip]
    content = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "films": [encode(film) for film in (*others, record)],
    }
    replace_text(folder / LIST_NAME, f"{json.dumps(content, indent=1)}\n")
    return path


def stored_films(folder: Path, pairs: Sequence[tuple[str, str]]) -> list[StoredFilm]:
    """Returns the films in a folder.

    Args:
        folder: the folder.
        pairs: tasks and robots in the order of their films; films of others follow.

    Raises:
        EmbodiedError: the list of films is of another version, or damaged.
    """
    rank = {pair: k for k, pair in enumerate(pairs)}
    records = sorted(
        _read_records(folder),
        key=lambda record: rank.get((record.task, record.robot), len(rank)),
    )
    return [StoredFilm(record, folder / record.clip) for record in records]


def _read_records(folder: Path) -> list[FilmRecord]:
    """Returns the records in a folder's list; none if there is no list."""
    path = folder / LIST_NAME
    if not path.exists():
        return []

    # every error about the content must name the file
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        given = (content["format"], content["schema_version"])
        if given != (FORMAT, SCHEMA_VERSION):
            raise ValueError(f"its format is {given}, not {(FORMAT, SCHEMA_VERSION)}")
        return [
            decode(FilmRecord, film, f"films[{k}]")
            for k, film in enumerate(content["films"])
        ]
    except (OSError, ValueError, KeyError, TypeError, EmbodiedError) as error:
        raise EmbodiedError(
            f"{path} is no list of films that this version reads: {error!r}"
        ) from error


def _clip_frames(take: Take) -> Iterator[np.ndarray]:
    """Yields all frames of a take, at the size of clips."""
    height, width = CLIP_SIZE
    for k in range(len(take.clip.frames)):
        image: Any = Image.fromarray(take.clip.frame(k))
        yield np.asarray(image.resize((width, height), Image.Resampling.LANCZOS))
