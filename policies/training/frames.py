"""Pictures of demonstrations, kept in memory or read from disk when they are needed."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from embodied.datasets.reader import Dataset
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
    number: int  # of the episode in its dataset
    count: int  # frames


class DiskFrames:
    """Pictures that are read from their datasets each time.

    An instance can be sent to other processes; each of them opens the files itself.
    """

    def __init__(
        self, episodes: Sequence[EpisodeFrames], cameras: Sequence[str]
    ) -> None:
        self._episodes = tuple(episodes)
        self._keys = tuple(f"obs/{name}{IMAGE_SUFFIX}" for name in cameras)
        self._datasets = {
            episode.path: Dataset(episode.path) for episode in self._episodes
        }

        # The row at which each episode's pictures begin.
        counts = [episode.count for episode in self._episodes]
        self._first_rows = [0, *np.cumsum(counts)[:-1].tolist()]

    def take(self, rows: Tensor) -> Tensor:
        pictures = [self._read(row) for row in rows.flatten().tolist()]
        stacked = np.stack(pictures)
        return torch.from_numpy(stacked).reshape(*rows.shape, *stacked.shape[1:])

    def to(self, device: torch.device) -> DiskFrames:
        """Returns itself: pictures on disk are on no device."""
        return self

    def _read(self, row: int) -> np.ndarray:  # (cameras, H, W, 3)
        # The episode whose pictures begin last before the row, or at it.
        index = bisect_right(self._first_rows, row) - 1
        episode = self._episodes[index]
        dataset = self._datasets[episode.path]

        frame = row - self._first_rows[index]
        return np.stack(
            [dataset.read(episode.number, key, frame) for key in self._keys]
        )
