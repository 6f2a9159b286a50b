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
        """Returns the same images; those in memory are moved to a device."""


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
    """The file and the group in which the rows of one episode are on disk."""

    path: Path
    demo: str  # the name of the episode's group in the file
    count: int  # number of rows


class _DiskRows:
    """Rows of all episodes that are read from their files whenever they are taken.

    An instance can be sent to worker processes, each of which opens the files itself.

    Args:
        episodes: the episodes, in the order of their rows.
        keys: the names of the arrays, which have as many rows as each other.
    """

    def __init__(self, episodes: Sequence[EpisodeRows], keys: Sequence[str]) -> None:
        """Opens the files; their rows are not read yet."""
        # (E,) the row of each episode's first row, counted over all E episodes
        counts = np.array([episode.count for episode in episodes])
        self._first_rows = np.cumsum(counts) - counts
        self.count = int(counts.sum())  # rows of all episodes

        # open each file once: path -> (its index, one reader per array)
        opened = {
            path: _open(path, keys)
            for path in dict.fromkeys(episode.path for episode in episodes)
        }
        self._readers = [readers for _, readers in opened.values()]  # by file
        first_index, _ = next(iter(opened.values()))
        self._row_shape = first_index.positions[keys[0]].row_shape

        # (E,) the number of each episode's file, and of the episode in its file
        file_numbers = {path: number for number, path in enumerate(opened)}
        self._file = np.array([file_numbers[episode.path] for episode in episodes])
        demo_numbers = {
            path: {demo: number for number, demo in enumerate(index.demos)}
            for path, (index, _) in opened.items()
        }
        self._number = np.array(
            [demo_numbers[episode.path][episode.demo] for episode in episodes]
        )

    def _by_file(
        self, episode: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, list[StoredRows]]]:
        """Groups requested episodes by their file, since each file is read at once.

        Args:
            episode: (n,) the numbers of episodes; an episode may be there repeatedly.

        Yields:
            For each file that is needed: (m,) the indices of its entries in `episode`,
            (m,) the numbers of these episodes in the file, and the file's readers, one
            per array.
        """
        for file in np.unique(self._file[episode]).tolist():
            in_file = np.flatnonzero(self._file[episode] == file)
            yield in_file, self._number[episode[in_file]], self._readers[file]

    def _episode_and_row(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the episode of each row, and the row's number within that episode."""
        episode = np.searchsorted(self._first_rows, rows, side="right") - 1
        return episode, rows - self._first_rows[episode]


class DiskFrames(_DiskRows):
    """Images that are read from their files whenever they are taken.

    Args:
        episodes: the episodes, in the order of their rows.
        cameras: the names of the cameras.
    """

    def __init__(self, episodes: Sequence[EpisodeRows], cameras: Sequence[str]) -> None:
        """Opens the files; images are not read yet."""
        super().__init__(episodes, [f"obs/{name}{IMAGE_SUFFIX}" for name in cameras])
        self._num_cameras = len(cameras)

    def take(self, rows: Tensor) -> Tensor:
        """Reads the images of some frames.

        Args:
            rows: (...) the numbers of the frames, counted over all episodes.

        Returns:
            (..., cameras, H, W, 3) uint8.
        """
        flat_rows = rows.flatten().numpy()  # (n,)
        episode, frame = self._episode_and_row(flat_rows)
        frame_shape = (self._num_cameras, *self._row_shape)  # (cameras, H, W, 3)

        pictures = np.empty((len(flat_rows), *frame_shape), np.uint8)
        for in_file, numbers, readers in self._by_file(episode):
            # one frame of each of m episodes, for each camera
            frames = frame[in_file, None]
            for camera, reader in enumerate(readers):
                taken = reader.take(numbers, frames)  # (m, 1, H, W, 3)
                pictures[in_file, camera] = taken[:, 0]
        return torch.from_numpy(pictures).reshape(*rows.shape, *frame_shape)

    def to(self, device: torch.device) -> DiskFrames:
        """Returns itself, since images on disk are on no device."""
        return self


class DiskSteps(_DiskRows):
    """Values of control steps, read from their files whenever this is indexed like a tensor.

    Args:
        episodes: the episodes, in the order of their rows.
        key: the name of the array.
    """

    def __init__(self, episodes: Sequence[EpisodeRows], key: str) -> None:
        """Opens the files; values are not read yet."""
        super().__init__(episodes, [key])

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of a tensor with the values of all episodes: (all rows, *row)."""
        return (self.count, *self._row_shape)

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, rows: Tensor) -> Tensor:
        """Reads the values (..., *row) float32 of some control steps.

        Args:
            rows: (...) the numbers of the steps, counted over all episodes. Along the last
                axis they are often steps that follow each other, such as a chunk.
        """
        wanted = rows.cpu().numpy().reshape(-1, rows.shape[-1])  # (m, c)
        episode, step = self._episode_and_row(wanted)
        # A reader takes c steps of one episode in one read if they are in rising order.
        # Other steps are read one by one: (m * c, 1).
        are_windows = (episode == episode[:, :1]).all() and (np.diff(step) >= 0).all()
        if not are_windows:
            episode = episode.reshape(-1, 1)
            step = step.reshape(-1, 1)

        values = np.empty((*step.shape, *self._row_shape), np.float32)
        for in_file, numbers, (reader,) in self._by_file(episode[:, 0]):
            values[in_file] = reader.take(numbers, step[in_file])
        taken = torch.from_numpy(values).reshape(*rows.shape, *self._row_shape)
        return taken.to(rows.device)


# Values of the control steps of all episodes: in memory, or on disk.
Steps = Tensor | DiskSteps


def _open(path: Path, keys: Sequence[str]) -> tuple[FileIndex, list[StoredRows]]:
    """Returns the index of a file, and one reader per array.

    The index is not stored, because the file may be a part of a running collection.

    Args:
        path: the path of the file.
        keys: the names of the arrays.
    """
    index = open_index(path, keys, [], keep=False)
    file = FileOnDisk(path, index.stamp)
    return index, [stored_rows(file, index, key) for key in keys]
