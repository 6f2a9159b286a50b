"""The timestamps of an array's rows: from ticks to rows, and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Episode k's ticks are shifted by k times this many, so that one sorted array holds the
# ticks of all episodes. No episode lasts nearly as long.
EPISODE_OFFSET_TICKS = 2**40


@dataclass(frozen=True)
class Clock:
    """The ticks of the rows of one array, for E episodes.

    Attributes:
        rows: (E,) number of rows per episode.
        first: (E,) the tick of each episode's first row.
        step: (E,) ticks from each row to the next; used only if `ticks` is empty.
        ticks: (all rows,) the ticks of all episodes, concatenated. Empty if the rows of
            every episode are evenly spaced: then `first` and `step` give them.
    """

    rows: np.ndarray
    first: np.ndarray
    step: np.ndarray
    ticks: np.ndarray

    @cached_property
    def first_row(self) -> np.ndarray:
        """(E,) the index in `ticks` of each episode's first row."""
        return np.cumsum(self.rows) - self.rows

    def ticks_at(self, episode: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Returns the tick of each row.

        Args:
            episode: (n,) numbers of episodes.
            row: (n,) rows within these episodes.
        """
        if len(self.ticks):
            return self.ticks[self.first_row[episode] + row]
        return self.first[episode] + self.step[episode] * row

    def newest_rows(self, episode: np.ndarray, tick: np.ndarray) -> np.ndarray:
        """Returns (n,) the last row at or before each tick; 0 if there is none.

        Args:
            episode: (n,) numbers of episodes.
            tick: (n,) ticks.
        """
        if len(self.ticks):  # irregular: search the stored ticks
            shifted = tick + EPISODE_OFFSET_TICKS * episode
            row = np.searchsorted(self._shifted_ticks, shifted, side="right")
            row = row - 1 - self.first_row[episode]
        else:  # regular: row r has tick first + r * step
            row = (tick - self.first[episode]) // self.step[episode]
        return np.clip(row, 0, self.rows[episode] - 1)

    @cached_property
    def _shifted_ticks(self) -> np.ndarray:
        """(all rows,) the ticks, shifted per episode so that they never fall."""
        episode = np.repeat(np.arange(len(self.rows)), self.rows)
        return self.ticks + EPISODE_OFFSET_TICKS * episode


def episode_clock(rows: np.ndarray, ticks: np.ndarray) -> Clock:
    """Returns the clock of episodes.

    Args:
        rows: (E,) number of rows per episode; at least one.
        ticks: (all rows,) the ticks of all episodes, concatenated. Within an episode
            they never fall.
    """
    first_row = np.cumsum(rows) - rows
    first = ticks[first_row]
    last = ticks[first_row + rows - 1]
    # mean distance of rows; of an episode with one row any step will do, so 1
    step = np.maximum((last - first) // np.maximum(rows - 1, 1), 1)

    # Store the ticks only if evenly spaced rows would not have the same ones.
    owner = np.repeat(np.arange(len(rows)), rows)  # (all rows,) the row's episode
    within = np.arange(len(ticks)) - first_row[owner]  # its number in that episode
    is_regular = np.array_equal(first[owner] + step[owner] * within, ticks)
    return Clock(rows, first, step, ticks[:0] if is_regular else ticks)
