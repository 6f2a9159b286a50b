"""Rows of one array of a file, kept in memory."""

from __future__ import annotations

import numpy as np
import torch

from embodied.datasets.index.row_positions import RowPositions
from embodied.datasets.index.rows import StoredRows


class MemoryRows:
    """The rows of some episodes of a file, in memory.

    They are a torch tensor, because torch shares the memory of tensors with spawned
    worker processes.

    Args:
        source: the reader of the array's rows from the disk.
        positions: the positions of the array's rows, for their number per episode.
        episodes: (m,) numbers of the episodes to load.
    """

    def __init__(
        self, source: StoredRows, positions: RowPositions, episodes: np.ndarray
    ) -> None:
        """Reads all rows of the episodes."""
        self._rows = torch.from_numpy(source.all_rows(episodes))
        counts = positions.rows[episodes]
        # (E,) index of each episode's first row. Episodes that are not in memory get an
        # index beyond the end, so that reading them raises an IndexError.
        self._first_row = np.full(len(positions.rows), len(self._rows), np.int64)
        self._first_row[episodes] = np.cumsum(counts) - counts

    def take(self, episodes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns (n, c, ...) rows of episodes, see `Rows.take`."""
        numbers = self._first_row[episodes][:, None] + rows
        return self._rows.numpy()[numbers]
