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
from embodied.datasets.index.places import ArrayPlaces, OnEpisode
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
        keys: name of an array in a window -> its name in the file.
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

        at = ticks_key(window.at)
        clocks = dict.fromkeys([at, *map(ticks_key, self.keys.values())])
        arrays = dict.fromkeys(self.keys.values())
        index = open_index(path, list(arrays), list(clocks), on_episode)
        with open_file(path) as file:
            self.metadata: Mapping[str, Any] = read_header(file).metadata

        self.sentences = index.sentences
        self.episodes = index.chosen(path, mask)
        self.stamp = index.stamp
        self._instruction = index.instruction
        self._at = at
        self._clocks = {key: index.clocks[key] for key in clocks}
        self._places = {key: index.places[key] for key in arrays}
        self._check(index.demos)
        self._demos = index.demos

        # windows are numbered episode by episode
        counts = self._clocks[at].rows[self.episodes]
        self._ends = np.cumsum(counts)
        self._starts = self._ends - counts

        self._file = FileOnDisk(path, index.stamp)
        self._stored: dict[str, StoredRows] = {
            key: stored_rows(self._file, index, key) for key in self._places
        }
        self._rows: dict[str, Rows] = dict(self._stored)

    def __len__(self) -> int:
        return int(self._ends[-1])

    def close(self) -> None:
        """Closes the file; the next use opens it again."""
        self._file.close()

    def row(self, name: str) -> tuple[int, ...]:
        """Returns the shape of a row of an array."""
        return self._places[self.keys[name]].row_shape

    def dtype(self, name: str) -> np.dtype:
        """Returns the type that an array has in a batch."""
        return _batch_type(self._places[self.keys[name]].dtype)

    def memory_bytes(self, name: str) -> int:
        """Returns the size in memory of an array, over all rows of the chosen episodes."""
        places = self._places[self.keys[name]]
        return int(places.rows[self.episodes].sum()) * places.row_bytes

    def load(self, name: str) -> None:
        """Reads an array into memory: all rows of the chosen episodes."""
        key = self.keys[name]
        self._rows[key] = MemoryRows(
            self._stored[key], self._places[key], self.episodes
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
        wrong = _first_not_finite(values)
        if wrong is not None:
            # from the row among all rows to the episode, and the row within it
            counts = self._places[key].rows[episodes]
            owner = np.repeat(np.arange(len(episodes)), counts)[wrong[0]]
            row = wrong[0] - int(counts[:owner].sum())
            raise self._not_finite(key, episodes[owner], row)
        return values

    def batch(self, numbers: np.ndarray, age: np.ndarray) -> Arrays:
        """Returns n windows.

        Args:
            numbers: (n,) numbers of the windows in this file.
            age: (n,) in [0, 1), the age of each window's plan within
                `Window.plan_age_s`: 0 stands for the smallest age, 1 for the largest.
        """
        # (n,) each window's episode, its row there, and the tick of its moment
        chosen = np.searchsorted(self._ends, numbers, side="right")
        episode = self.episodes[chosen]
        row = numbers - self._starts[chosen]
        tick = self._clocks[self._at].ticks_at(episode, row)

        arrays: Arrays = {
            "episode": episode,
            "tick": tick,
            "instruction": self._instruction[episode],
        }
        for name, rows in self._window.rows.items():
            # (n,) the newest row of the array at that moment, from which rows count
            newest = row
            if ticks_key(name) != self._at:
                newest = self._clocks[ticks_key(name)].newest_rows(episode, tick)
            wanted = newest[:, None] + np.arange(rows.start, rows.stop, rows.step)
            # rows beyond the episode are padded with its first or last row
            last = self._places[self.keys[name]].rows[episode] - 1
            existing = np.clip(wanted, 0, last[:, None])
            arrays[name] = self._take(name, episode, existing)
            arrays[f"{name}{IS_PAD}"] = wanted != existing

        if self._window.plan_age_s is not None:
            arrays |= self._plans(episode, tick, age)
        return arrays

    def _plans(self, episode: np.ndarray, tick: np.ndarray, age: np.ndarray) -> Arrays:
        """Returns the plan of each window: the newest one of at least the wanted age.

        If no plan is that old, it is the episode's first plan. The returned `plan_age_s`
        is the plan's actual age.

        Args:
            episode: (n,) numbers of episodes.
            tick: (n,) the moments of the windows.
            age: (n,) in [0, 1), see `batch`.
        """
        smallest_s, largest_s = self._window.plan_age_s or (0, 0)
        wanted_s = smallest_s + age * (largest_s - smallest_s)
        latest_tick = np.floor(tick - wanted_s * PHYSICS_HZ).astype(np.int64)
        clock = self._clocks[PLAN_TICKS]
        row = clock.newest_rows(episode, latest_tick)

        actual_s = (tick - clock.ticks_at(episode, row)) / PHYSICS_HZ
        plans: Arrays = {"plan_age_s": actual_s.astype(np.float32)}
        for name in self.keys:
            if name.startswith(PLAN):
                plans[name] = self._take(name, episode, row[:, None])[:, 0]
        return plans

    def _take(self, name: str, episode: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns (n, c, ...) rows of an array.

        Args:
            name: the name of the array.
            episode: (n,) numbers of episodes.
            rows: (n, c) rows within them.

        Raises:
            DatasetError: a number is not finite.
        """
        key = self.keys[name]
        values = self._rows[key].take(episode, rows)
        wrong = _first_not_finite(values)
        if wrong is not None:
            window, number = wrong[:2]  # the first two axes, n and c
            raise self._not_finite(key, episode[window], rows[window, number])
        return values.astype(_batch_type(values.dtype), copy=False)

    def _not_finite(self, key: str, episode: int, row: int) -> DatasetError:
        """Returns the error for a row with NaN or infinity."""
        return DatasetError(
            f"{self.path}: row {row} of {key} in {self._demos[episode]} holds a number "
            "that is not finite: leave the episode out with `embodied data filter`"
        )

    def _check(self, demos: tuple[str, ...]) -> None:
        """Raises DatasetError if an array has another number of rows than timestamps."""
        for key, places in self._places.items():
            ticks = ticks_key(key)
            clock: Clock = self._clocks[ticks]
            wrong = np.flatnonzero(places.rows != clock.rows)
            if len(wrong):
                episode = wrong[0]
                raise DatasetError(
                    f"{self.path}: {key} of {demos[episode]} has "
                    f"{places.rows[episode]} rows, but {ticks} has "
                    f"{clock.rows[episode]}"
                )
            _check_type(self.path, key, places)


def _keys(window: Window) -> dict[str, str]:
    """Returns name of an array in a window -> its name in the file."""
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


def _check_type(path: Path, key: str, places: ArrayPlaces) -> None:
    """Raises EmbodiedError for checksums, the only arrays of type uint64."""
    if places.dtype.kind == "u" and places.dtype.itemsize == 8:
        raise EmbodiedError(
            f"{path}: {key} holds checksums, from which nothing can be learned"
        )


def _batch_type(dtype: np.dtype) -> np.dtype:
    """Returns the type in a batch of numbers that have a type in the file."""
    if dtype == np.uint8 or dtype.kind == "b":
        return dtype
    return np.dtype(np.float32 if dtype.kind == "f" else np.int64)
