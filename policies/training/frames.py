"""The images of demonstrations, kept in memory or read from disk when needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from embodied.datasets.index.file_index import FileIndex
from embodied.datasets.index.opening import open_index, stored_rows
from embodied.datasets.index.rows import FileOnDisk, StoredRows
from embodied.datasets.schema import IMAGE_SUFFIX


class Frames(Protocol):
    """The images of all episodes, one row per frame."""

    def take(self, rows: Tensor) -> Tensor:
        """Returns the images (n, cameras, H, W, 3) uint8 of some frames.

        Args:
            rows: (n,) numbers of the frames.
        """

    def to(self, device: torch.device) -> Frames:
        """Returns the same images, on a device if they are in memory."""


@dataclass(frozen=True)
class MemoryFrames:
    """Images in the memory of a device."""

    pictures: Tensor  # (F, cameras, H, W, 3) uint8

    def take(self, rows: Tensor) -> Tensor:
        return self.pictures[rows]

    def to(self, device: torch.device) -> MemoryFrames:
        return MemoryFrames(self.pictures.to(device))


@dataclass(frozen=True)
class EpisodeFrames:
    """Where the images of one episode are on disk."""

    path: Path
    demo: str  # the episode's name in the file
    count: int  # frames


class DiskFrames:
    """Images that are read from their files whenever they are taken.

    An instance can be sent to other processes, each of which opens the files itself.

    Args:
        episodes: the episodes, in the order of their rows.
        cameras: names of the cameras.
    """

    def __init__(
        self, episodes: Sequence[EpisodeFrames], cameras: Sequence[str]
    ) -> None:
        """Opens the files; nothing is read yet."""
        # (E,) the row of each episode's first frame
        counts = np.array([episode.count for episode in episodes])
        self._first_rows = np.cumsum(counts) - counts

        keys = [f"obs/{name}{IMAGE_SUFFIX}" for name in cameras]
        files = {
            path: _open(path, keys)
            for path in dict.fromkeys(episode.path for episode in episodes)
        }
        # by file: one reader per camera
        self._sources = [sources for _, sources in files.values()]
        first_index, _ = next(iter(files.values()))
        self._picture = first_index.positions[keys[0]].row_shape  # (H, W, 3)

        # (E,) the file of each episode, and the episode's number there
        file_number = {path: number for number, path in enumerate(files)}
        self._file = np.array([file_number[episode.path] for episode in episodes])
        numbers = {
            path: {demo: number for number, demo in enumerate(index.demos)}
            for path, (index, _) in files.items()
        }
        self._number = np.array(
            [numbers[episode.path][episode.demo] for episode in episodes]
        )

    def take(self, rows: Tensor) -> Tensor:
        """Returns the images (..., cameras, H, W, 3) of frames `rows` (...) of all episodes."""
        # (n,) the episode of each row, and the frame within the episode
        wanted = rows.flatten().numpy()
        episode = np.searchsorted(self._first_rows, wanted, side="right") - 1
        frame = wanted - self._first_rows[episode]

        cameras = len(self._sources[0])
        pictures = np.empty((len(wanted), cameras, *self._picture), np.uint8)
        for file in np.unique(self._file[episode]).tolist():
            of_file = np.flatnonzero(self._file[episode] == file)
            number = self._number[episode[of_file]]
            for camera, source in enumerate(self._sources[file]):
                taken = source.take(number, frame[of_file, None])  # (m, 1, H, W, 3)
                pictures[of_file, camera] = taken[:, 0]
        return torch.from_numpy(pictures).reshape(*rows.shape, cameras, *self._picture)

    def to(self, device: torch.device) -> DiskFrames:
        """Returns itself, since images on disk are on no device."""
        return self


def _open(path: Path, keys: Sequence[str]) -> tuple[FileIndex, list[StoredRows]]:
    """Returns the index of a file, and one reader per camera.

    The index is not stored beside the file, which may be a part of a running collection.

    Args:
        path: the path of the file.
        keys: names of the arrays with the images of each camera.
    """
    index = open_index(path, keys, [], keep=False)
    file = FileOnDisk(path, index.stamp)
    return index, [stored_rows(file, index, key) for key in keys]
