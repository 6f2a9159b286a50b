"""Rows of one array of a file, kept in memory."""

from __future__ import annotations

import numpy as np
import torch

from embodied.datasets.index.places import ArrayPlaces
from embodied.datasets.index.rows import StoredRows


class MemoryRows:
    """Rows of some episodes of a file, in memory.

    They are a tensor, which processes that are spawned share.
    """

    def __init__(
        self, source: StoredRows, places: ArrayPlaces, episodes: np.ndarray
    ) -> None:
        self._rows = torch.from_numpy(source.all_rows(episodes))
        counts = places.rows[episodes]
        # Where each episode's rows begin. Those of episodes that are not in memory
        # begin beyond the end, so that asking for them raises an error.
        self._first_row = np.full(len(places.rows), len(self._rows), np.int64)
        self._first_row[episodes] = np.cumsum(counts) - counts

    def take(self, episodes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        numbers = self._first_row[episodes][:, None] + rows
        return self._rows.numpy()[numbers]
