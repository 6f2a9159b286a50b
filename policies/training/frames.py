"""Pictures of demonstrations, kept in memory or read from disk when they are needed."""

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
    """The pictures of all episodes, one row per frame."""

    def take(self, rows: Tensor) -> Tensor:
        """Returns the pictures of `rows` (n,): (n, cameras, H, W, 3) uint8."""

    def to(self, device: torch.device) -> Frames:
        """Returns the same pictures, on a device if they are in memory."""


@dataclass(frozen=True)
class MemoryFrames:
    """Pictures in the memory of a device."""

    pictures: Tensor  # (F, cameras, H, W, 3) uint8

    def take(self, rows: Tensor) -> Tensor:
        return self.pictures[rows]

    def to(self, device: torch.device) -> MemoryFrames:
        return MemoryFrames(self.pictures.to(device))


@dataclass(frozen=True)
class EpisodeFrames:
    """Where the pictures of one episode lie on disk."""

    path: Path
    demo: str  # the episode's name in the file
    count: int  # frames


class DiskFrames:
    """Pictures that are read from their files each time.

    An instance can be sent to other processes; each of them opens the files itself.
    """

    def __init__(
        self, episodes: Sequence[EpisodeFrames], cameras: Sequence[str]
    ) -> None:
        # The row at which each episode's pictures begin.
        counts = np.array([episode.count for episode in episodes])
        self._first_rows = np.cumsum(counts) - counts

        keys = [f"obs/{name}{IMAGE_SUFFIX}" for name in cameras]
        files = {
            path: _open(path, keys)
            for path in dict.fromkeys(episode.path for episode in episodes)
        }
        self._sources = [sources for _, sources in files.values()]
        self._picture = next(iter(files.values()))[0].places[keys[0]].row

        # The file of each episode, and its number there.
        place = {path: number for number, path in enumerate(files)}
        self._file = np.array([place[episode.path] for episode in episodes])
        numbers = {
            path: {demo: number for number, demo in enumerate(index.demos)}
            for path, (index, _) in files.items()
        }
        self._number = np.array([numbers[each.path][each.demo] for each in episodes])

    def take(self, rows: Tensor) -> Tensor:
        wanted = rows.flatten().numpy()
        episode = np.searchsorted(self._first_rows, wanted, side="right") - 1
        frame = wanted - self._first_rows[episode]

        cameras = len(self._sources[0])
        pictures = np.empty((len(wanted), cameras, *self._picture), np.uint8)
        for file in np.unique(self._file[episode]).tolist():
            places = np.flatnonzero(self._file[episode] == file)
            number = self._number[episode[places]]
            for camera, source in enumerate(self._sources[file]):
                taken = source.take(number, frame[places, None])
                pictures[places, camera] = taken[:, 0]
        return torch.from_numpy(pictures).reshape(*rows.shape, cameras, *self._picture)

    def to(self, device: torch.device) -> DiskFrames:
        """Returns itself: pictures on disk are on no device."""
        return self


def _open(path: Path, keys: Sequence[str]) -> tuple[FileIndex, list[StoredRows]]:
    """Returns the index of a file, and the pictures of each camera.

    The index is not kept: the file may be a part of a collection that still runs.
    """
    index = open_index(path, keys, [], keep=False)
    file = FileOnDisk(path, index.stamp)
    return index, [stored_rows(file, index, key) for key in keys]
