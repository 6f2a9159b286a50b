"""When the rows of an array were: from ticks to rows, and back."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

# Added to the ticks of each further episode, so that those of all episodes rise in one
# array: far more ticks than an episode has.
SPAN = 2**40


@dataclass(frozen=True)
class Clock:
    """The ticks of the rows of one array, for E episodes.

    Attributes:
        rows: (E,) how many an episode has.
        first: (E,) the tick of its first row.
        step: (E,) ticks from each row to the next; used only if `ticks` is empty.
        ticks: (all rows,) the ticks of all episodes one after the other, if the rows of
            some episode are not evenly spaced; else empty.
    """

    rows: np.ndarray
    first: np.ndarray
    step: np.ndarray
    ticks: np.ndarray

    @cached_property
    def first_row(self) -> np.ndarray:
        """(E,) how many rows the episodes before each one have together."""
        return np.cumsum(self.rows) - self.rows

    def ticks_at(self, episode: np.ndarray, row: np.ndarray) -> np.ndarray:
        """Returns the tick of each row.

        Args:
            episode: (n,) numbers of episodes.
            row: (n,) rows in them.
        """
        if len(self.ticks):
            return self.ticks[self.first_row[episode] + row]
        return self.first[episode] + self.step[episode] * row

    def newest_rows(self, episode: np.ndarray, tick: np.ndarray) -> np.ndarray:
        """Returns the last row at or before each tick; 0 where there is none.

        Args:
            episode: (n,) numbers of episodes.
            tick: (n,) ticks.
        """
        if len(self.ticks):
            place = tick + SPAN * episode
            row = np.searchsorted(self._spread_ticks, place, side="right")
            row = row - 1 - self.first_row[episode]
        else:
            row = (tick - self.first[episode]) // self.step[episode]
        return np.clip(row, 0, self.rows[episode] - 1)

    @cached_property
    def _spread_ticks(self) -> np.ndarray:
        """(all rows,) the ticks, made to rise from each episode to the next."""
        return self.ticks + SPAN * np.repeat(np.arange(len(self.rows)), self.rows)


def clock_of(rows: np.ndarray, ticks: np.ndarray) -> Clock:
    """Returns the clock of episodes.

    Args:
        rows: (E,) how many rows each episode has; at least one.
        ticks: (all rows,) their ticks, which never fall.
    """
    first_row = np.cumsum(rows) - rows
    first = ticks[first_row]
    last = ticks[first_row + rows - 1]
    step = np.maximum((last - first) // np.maximum(rows - 1, 1), 1)

    # Whether each row is where regular steps would put it.
    owner = np.repeat(np.arange(len(rows)), rows)
    within = np.arange(len(ticks)) - first_row[owner]
    is_regular = np.array_equal(first[owner] + step[owner] * within, ticks)
    return Clock(rows, first, step, ticks[:0] if is_regular else ticks)
