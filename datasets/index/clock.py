"""The timestamps of an array's rows: from ticks to rows, and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Ticks of episode k are shifted by k times this many ticks, so that one sorted array holds
# the ticks of all episodes. No episode is nearly as long: at 400 ticks per second this is
# 87 years.
EPISODE_OFFSET_TICKS = 2**40


@dataclass(frozen=True)
class Clock:
    """The ticks of the rows of one array, for E episodes.

    Attributes:
        rows: (E,) the number of rows in each episode.
        first: (E,) the tick of each episode's first row.
        step: (E,) the ticks from each row to the next; used only if `ticks` is empty.
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
        """Returns (n,) the tick of each of n rows.

        Args:
            episode: (n,) the number of each row's episode.
            row: (n,) the number of each row in its episode.
        """
        # `ticks` is empty if the rows are evenly spaced
        if len(self.ticks):
            return self.ticks[self.first_row[episode] + row]
        return self.first[episode] + self.step[episode] * row

    def newest_rows(self, episode: np.ndarray, tick: np.ndarray) -> np.ndarray:
        """Returns (n,) the last row at or before each tick; row 0 if there is none.

        Args:
            episode: (n,) the numbers of the episodes to search.
            tick: (n,) the tick to search for in each episode.
        """
        if len(self.ticks):
            # unevenly spaced: count the stored ticks, of all episodes, up to the tick
            shifted = tick + EPISODE_OFFSET_TICKS * episode
            count = np.searchsorted(self._shifted_ticks, shifted, side="right")
            row = count - 1 - self.first_row[episode]
        else:
            # evenly spaced: row r has the tick first + r * step
            row = (tick - self.first[episode]) // self.step[episode]
        return np.clip(row, 0, self.rows[episode] - 1)

    @cached_property
    def _shifted_ticks(self) -> np.ndarray:
        """(all rows,) the ticks, shifted per episode so that the whole array is sorted."""
        episode = np.repeat(np.arange(len(self.rows)), self.rows)
        return self.ticks + EPISODE_OFFSET_TICKS * episode


def episode_clock(rows: np.ndarray, ticks: np.ndarray) -> Clock:
    """Returns the clock of the rows of an array, from the ticks of all rows.

    Args:
        rows: (E,) the number of rows in each episode; at least one.
        ticks: (all rows,) the ticks of all episodes, concatenated. Within an episode
            ticks never fall.
    """
    first_row = np.cumsum(rows) - rows
    first = ticks[first_row]
    last = ticks[first_row + rows - 1]
    # the mean distance between rows; an episode with a single row has none, and gets 1
    step = np.maximum((last - first) // np.maximum(rows - 1, 1), 1)

    # (all rows,) each row's episode, and its number in that episode
    episode_of_row = np.repeat(np.arange(len(rows)), rows)
    row_in_episode = np.arange(len(ticks)) - first_row[episode_of_row]

    # Store the ticks only if the rows are not evenly spaced.
    even_ticks = first[episode_of_row] + step[episode_of_row] * row_in_episode
    is_even = np.array_equal(even_ticks, ticks)
    return Clock(rows, first, step, ticks=ticks[:0] if is_even else ticks)
