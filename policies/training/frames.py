"""The rows of demonstrations that batches take: images of frames, values of control steps.

They are kept in memory, or read from disk when a batch needs them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
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
class EpisodeRows:
    """Where the rows of one episode are on disk."""

    path: Path
    demo: str  # the episode's name in the file
    count: int  # rows


class _DiskRows:
    """Rows of all episodes that are read from their files whenever they are taken.

    An instance can be sent to other processes, each of which opens the files itself.

    Args:
        episodes: the episodes, in the order of their rows.
        keys: names of the arrays, which have as many rows as each other.
    """

    def __init__(self, episodes: Sequence[EpisodeRows], keys: Sequence[str]) -> None:
        """Opens the files; nothing is read yet."""
        # (E,) the row of each episode's first row
        counts = np.array([episode.count for episode in episodes])
        self._first_rows = np.cumsum(counts) - counts
        self.count = int(counts.sum())

        files = {
            path: _open(path, keys)
            for path in dict.fromkeys(episode.path for episode in episodes)
        }
        # by file: one reader per array
        self._sources = [sources for _, sources in files.values()]
        first_index, _ = next(iter(files.values()))
        self._row_shape = first_index.positions[keys[0]].row_shape

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

    def _located(
        self, episode: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, list[StoredRows]]]:
        """Yields, for each file: which entries are of it, their numbers there, its readers.

        Args:
            episode: (n,) numbers of episodes.
        """
        for file in np.unique(self._file[episode]).tolist():
            of_file = np.flatnonzero(self._file[episode] == file)
            yield of_file, self._number[episode[of_file]], self._sources[file]

    def _split(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the episode of each row, and the number of the row in the episode."""
        episode = np.searchsorted(self._first_rows, rows, side="right") - 1
        return episode, rows - self._first_rows[episode]


class DiskFrames(_DiskRows):
    """Images that are read from their files whenever they are taken.

    Args:
        episodes: the episodes, in the order of their rows.
        cameras: names of the cameras.
    """

    def __init__(self, episodes: Sequence[EpisodeRows], cameras: Sequence[str]) -> None:
        """Opens the files; nothing is read yet."""
        super().__init__(episodes, [f"obs/{name}{IMAGE_SUFFIX}" for name in cameras])
        self._num_cameras = len(cameras)

    def take(self, rows: Tensor) -> Tensor:
        """Returns the images (..., cameras, H, W, 3) of frames `rows` (...) of all episodes."""
        wanted = rows.flatten().numpy()
        episode, frame = self._split(wanted)
        picture = self._row_shape  # (H, W, 3)

        pictures = np.empty((len(wanted), self._num_cameras, *picture), np.uint8)
        for of_file, numbers, sources in self._located(episode):
            for camera, source in enumerate(sources):
                taken = source.take(numbers, frame[of_file, None])  # (m, 1, H, W, 3)
                pictures[of_file, camera] = taken[:, 0]
        return torch.from_numpy(pictures).reshape(
            *rows.shape, self._num_cameras, *picture
        )

    def to(self, device: torch.device) -> DiskFrames:
        """Returns itself, since images on disk are on no device."""
        return self


class DiskSteps(_DiskRows):
    """Values of control steps that are read whenever they are taken, as from a tensor.

    Args:
        episodes: the episodes, in the order of their rows.
        key: name of the array.
    """

    def __init__(self, episodes: Sequence[EpisodeRows], key: str) -> None:
        """Opens the files; nothing is read yet."""
        super().__init__(episodes, [key])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the tensor that this stands for: (all rows, *row)."""
        return (self.count, *self._row_shape)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Returns the values (..., *row) float32 of control steps.

        Args:
            rows: (...) numbers of the steps.
        """
        wanted = rows.cpu().numpy().reshape(-1, rows.shape[-1])  # (m, c)
        episode, step = self._split(wanted)
        # c steps of one episode in rising order take one read, others one each
        is_window = (episode == episode[:, :1]).all() and (np.diff(step) >= 0).all()
        if not is_window:
            episode = episode.reshape(-1, 1)
            step = step.reshape(-1, 1)

        values = np.empty((*step.shape, *self._row_shape), np.float32)
        for of_file, numbers, (source,) in self._located(episode[:, 0]):
            values[of_file] = source.take(numbers, step[of_file])
        taken = torch.from_numpy(values).reshape(*rows.shape, *self._row_shape)
        return taken.to(rows.device)


# Values of the control steps of all episodes: in memory, or on disk.
Steps = Tensor | DiskSteps


def _open(path: Path, keys: Sequence[str]) -> tuple[FileIndex, list[StoredRows]]:
    """Returns the index of a file, and one reader per array.

    The index is not stored beside the file, which may be a part of a running collection.

    Args:
        path: the path of the file.
        keys: names of the arrays.
    """
    index = open_index(path, keys, [], keep=False)
    file = FileOnDisk(path, index.stamp)
    return index, [stored_rows(file, index, key) for key in keys]
