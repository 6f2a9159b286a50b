"""The windows of one dataset file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.array_specs import PLAN_PAYLOAD
from embodied.datasets.index.clock import Clock
from embodied.datasets.index.opening import open_index, stored_rows
from embodied.datasets.index.row_positions import OnEpisode, RowPositions
from embodied.datasets.index.rows import (
    FileOnDisk,
    Rows,
    StoredRows,
)
from embodied.datasets.opening import open_file, read_header
from embodied.datasets.schema import DatasetError
from embodied.datasets.windows.memory_rows import MemoryRows
from embodied.datasets.windows.window import (
    PLAN_TICKS,
    Window,
    stored_key,
    ticks_key,
)
from embodied.errors import EmbodiedError
from embodied.wording import counted

PLAN = "plan/"  # name beginning of the arrays with the payload of a window's plan
IS_PAD = "_is_pad"  # name ending of the arrays that mark padded rows

# name -> array with one row per window
Arrays = dict[str, np.ndarray]


class FileWindows:
    """The windows of the chosen episodes of one file.

    Attributes:
        path: the path of the file.
        metadata: the metadata of the file's header.
        sentences: the different instructions in the file.
        episodes: (m,) the numbers of the chosen episodes.
        keys: the name of an array in a window -> its name in the file.
        stamp: the stamp of the file when it was opened.
    """

    def __init__(
        self,
        path: Path,
        window: Window,
        mask: str,
        on_episode: OnEpisode | None = None,
    ) -> None:
        """Opens a file. Arguments and errors are those of `Windows`."""
        self.path = path
        self._window = window
        self.keys = _keys(window)

        # the name of the array with the moments of the windows
        moments = ticks_key(window.at)
        # dictionaries as ordered sets, because several arrays may have the same ticks
        clocks = dict.fromkeys([moments, *map(ticks_key, self.keys.values())])
        arrays = dict.fromkeys(self.keys.values())
        index = open_index(path, list(arrays), list(clocks), on_episode)
        with open_file(path) as file:
            self.metadata: Mapping[str, Any] = read_header(file).metadata

        self.sentences = index.sentences
        self.episodes = index.episodes_in_mask(path, mask)
        self.stamp = index.stamp
        self._instruction = index.instruction
        self._moments = moments
        self._clocks = {key: index.clocks[key] for key in clocks}
        self._positions = {key: index.positions[key] for key in arrays}
        self._check_arrays(index.demos)
        self._demos = index.demos

        # windows are numbered episode by episode
        counts = self._clocks[moments].rows[self.episodes]
        self._ends = np.cumsum(counts)
        self._starts = self._ends - counts

        self._file = FileOnDisk(path, index.stamp)
        self._stored: dict[str, StoredRows] = {
            key: stored_rows(self._file, index, key) for key in self._positions
        }
        self._rows: dict[str, Rows] = dict(self._stored)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def close(self) -> None:
        """Closes the file; the next use opens it again."""
        self._file.close()

    def row(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a row of an array."""
        return self._positions[self.keys[name]].row_shape

    def dtype(self, name: str) -> np.dtype:
        """Returns the type that an array has in a batch."""
        return _batch_type(self._positions[self.keys[name]].dtype)

    def memory_bytes(self, name: str) -> int:
        """Returns the size in memory of an array, over all rows of the chosen episodes."""
        positions = self._positions[self.keys[name]]
        return int(positions.rows[self.episodes].sum()) * positions.row_bytes

    def load(self, name: str) -> None:
        """Reads an array into memory: all rows of the chosen episodes."""
        key = self.keys[name]
        self._rows[key] = MemoryRows(
            self._stored[key], self._positions[key], self.episodes
        )

    def all_rows(self, name: str, episodes: np.ndarray) -> np.ndarray:
        """Returns (all rows, ...), every row of an array in some episodes.

        Args:
            name: the name of the array.
            episodes: (m,) numbers of the episodes.

        Raises:
            DatasetError: a number is not finite.
        """
        key = self.keys[name]
        values = self._stored[key].all_rows(episodes)
        not_finite = _first_not_finite(values)
        if not_finite is not None:
            # convert the row's number among all rows to its episode and number there
            number = not_finite[0]
            counts = self._positions[key].rows[episodes]
            index = np.repeat(np.arange(len(episodes)), counts)[number]
            row = number - int(counts[:index].sum())
            raise self._not_finite(key, episodes[index], row)
        return values

    def batch(self, numbers: np.ndarray, age: np.ndarray) -> Arrays:
        """Returns the arrays (n, ...) of n windows, by name.

        Args:
            numbers: (n,) the numbers of the windows in this file.
            age: (n,) in [0, 1), the age of each window's plan within
                `Window.plan_age_s`: 0 stands for the smallest age, 1 for the largest.
        """
        # (n,) each window's episode, its row there, and the tick of its moment
        index = np.searchsorted(self._ends, numbers, side="right")
        episode = self.episodes[index]
        row = numbers - self._starts[index]
        tick = self._clocks[self._moments].ticks_at(episode, row)

        arrays: Arrays = {
            "episode": episode,
            "tick": tick,
            "instruction": self._instruction[episode],
        }
        for name, rows in self._window.rows.items():
            # (n,) the array's newest row at each window's moment, which is row 0 there
            newest = row
            if ticks_key(name) != self._moments:
                newest = self._clocks[ticks_key(name)].newest_rows(episode, tick)
            # (n, c) the numbers of the requested rows in the episode
            requested = newest[:, None] + np.arange(rows.start, rows.stop, rows.step)
            # for rows beyond the episode, take the episode's first or last row
            last = self._positions[self.keys[name]].rows[episode] - 1
            existing = np.clip(requested, 0, last[:, None])
            arrays[name] = self._take(name, episode, existing)
            arrays[f"{name}{IS_PAD}"] = requested != existing

        if self._window.plan_age_s is not None:
            arrays |= self._plans(episode, tick, age)
        return arrays

    def _plans(self, episode: np.ndarray, tick: np.ndarray, age: np.ndarray) -> Arrays:
        """Returns the plan of each window: the newest plan of at least the requested age.

        If no plan is so old, the episode's first plan is taken. The returned `plan_age_s`
        is the actual age of the plan.

        Args:
            episode: (n,) the number of each window's episode.
            tick: (n,) the moments of the windows.
            age: (n,) in [0, 1), see `batch`.
        """
        smallest_s, largest_s = self._window.plan_age_s or (0, 0)
        requested_s = smallest_s + age * (largest_s - smallest_s)
        # a plan of at least this age was captured at this tick or before
        latest_tick = np.floor(tick - requested_s * PHYSICS_HZ).astype(np.int64)
        clock = self._clocks[PLAN_TICKS]
        row = clock.newest_rows(episode, latest_tick)

        actual_s = (tick - clock.ticks_at(episode, row)) / PHYSICS_HZ
        plans: Arrays = {"plan_age_s": actual_s.astype(np.float32)}
        for name in self.keys:
            if name.startswith(PLAN):
                # `_take` needs an axis of rows, which a window's only plan does not need
                plans[name] = self._take(name, episode, row[:, None])[:, 0]
        return plans

    def _take(self, name: str, episode: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns (n, c, ...) rows of an array, of the type that batches have.

        Args:
            name: the name of the array.
            episode: (n,) the number of each window's episode.
            rows: (n, c) the numbers of the rows in that episode.

        Raises:
            DatasetError: a number is not finite.
        """
        key = self.keys[name]
        values = self._rows[key].take(episode, rows)
        not_finite = _first_not_finite(values)
        if not_finite is not None:
            window, column = not_finite[:2]  # the index along the axes n and c
            raise self._not_finite(key, episode[window], rows[window, column])
        return values.astype(_batch_type(values.dtype), copy=False)

    def _not_finite(self, key: str, episode: int, row: int) -> DatasetError:
        """Returns the error for a row with NaN or infinity."""
        return DatasetError(
            f"{self.path}: row {row} of {key} in {self._demos[episode]} holds a number "
            "that is not finite: leave the episode out with `embodied data filter`"
        )

    def _check_arrays(self, demos: tuple[str, ...]) -> None:
        """Raises DatasetError if an array has another number of rows than timestamps.

        Args:
            demos: the names of the file's episodes.
        """
        for key, positions in self._positions.items():
            ticks = ticks_key(key)
            clock: Clock = self._clocks[ticks]
            wrong_episodes = np.flatnonzero(positions.rows != clock.rows)
            if len(wrong_episodes):
                episode = wrong_episodes[0]
                raise DatasetError(
                    f"{self.path}: {key} of {demos[episode]} has "
                    f"{counted(int(positions.rows[episode]), 'row')}, but {ticks} has "
                    f"{clock.rows[episode]}"
                )
            _check_type(self.path, key, positions)


def _keys(window: Window) -> dict[str, str]:
    """Returns name of an array in a window -> name of the array in the file."""
    keys = {name: stored_key(name) for name in window.rows}
    if window.plan_age_s is not None:
        for spec in PLAN_PAYLOAD:
            keys[f"{PLAN}{spec.name}"] = f"plans/{spec.name}"
    return keys


def _first_not_finite(values: np.ndarray) -> tuple[int, ...] | None:
    """Returns the index of the first NaN or infinity; None if there is none."""
    if values.dtype.kind != "f":
        return None
    finite = np.isfinite(values)
    return None if finite.all() else tuple(np.argwhere(~finite)[0].tolist())


def _check_type(path: Path, key: str, positions: RowPositions) -> None:
    """Raises EmbodiedError for checksums, the only arrays of type uint64."""
    if positions.dtype.kind == "u" and positions.dtype.itemsize == 8:
        raise EmbodiedError(
            f"{path}: {key} holds checksums, from which nothing can be learned"
        )


def _batch_type(dtype: np.dtype) -> np.dtype:
    """Returns the type that numbers have in a batch, given their type in the file."""
    # images are uint8, masks bool; both stay as they are
    if dtype == np.uint8 or dtype.kind == "b":
        return dtype
    return np.dtype(np.float32 if dtype.kind == "f" else np.int64)
