"""Reading the rows of one array of a file.

Arrays that are stored contiguously, or compressed row by row, are read by their position
in the file, without the HDF5 library: that is many times as fast, and safe in forked
processes. zlib-ng decompresses in half the time of Python's zlib.
"""

from __future__ import annotations

import math
import os
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from zlib_ng import zlib_ng

from embodied.datasets.guarded import damage_named, read_array
from embodied.datasets.index.file_index import Stamp
from embodied.datasets.index.row_positions import RowPositions
from embodied.datasets.opening import open_file
from embodied.datasets.schema import H5, DatasetError

# zlib_ng's type hints declare this class as an instance, which `except` could not take.
DECOMPRESSION_ERROR: Any = zlib_ng.error


class FileOnDisk:
    """A file that is opened when it is first read from.

    Forked processes share its descriptor, but each opens the file with the HDF5 library
    by itself. Pickling keeps the path, not the open file.
    """

    def __init__(self, path: Path, stamp: Stamp) -> None:
        self.path = path
        self._stamp = stamp
        self._descriptor: int | None = None
        self._hdf5: H5 = None
        # the id of the process that opened `_hdf5`, because HDF5 must not cross a fork
        self._owner = 0

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_descriptor": None, "_hdf5": None, "_closer": None}

    def descriptor(self) -> int:
        """Returns the descriptor of the open file, for reads by position.

        Such reads move no file pointer, so forked processes may share the descriptor.

        Raises:
            DatasetError: the file cannot be opened, or has changed since its index was read.
        """
        if self._descriptor is None:
            try:
                descriptor = os.open(self.path, os.O_RDONLY)
            except OSError as error:
                raise DatasetError(f"{self.path}: {error.strerror}") from error
            if Stamp.of(os.fstat(descriptor)) != self._stamp:
                os.close(descriptor)
                raise DatasetError(f"{self.path} has changed since it was opened")
            self._closer = weakref.finalize(self, os.close, descriptor)
            self._descriptor = descriptor
        return self._descriptor

    def hdf5(self) -> H5:
        """Returns the file, opened by the HDF5 library in this process."""
        if self._hdf5 is None or self._owner != os.getpid():
            self._hdf5 = open_file(self.path)
            self._owner = os.getpid()
        return self._hdf5

    def close(self) -> None:
        """Closes the file; the next use opens it again."""
        if self._descriptor is not None:
            self._closer()
            self._descriptor = None
        if self._hdf5 is not None and self._owner == os.getpid():
            self._hdf5.close()
        self._hdf5 = None


class Rows(Protocol):
    """Reads the rows of one array in the episodes of a file."""

    def take(self, episodes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns (n, c, ...): n windows, each with c rows of one episode.

        Args:
            episodes: (n,) the number of each window's episode in the file.
            rows: (n, c) the numbers of the rows in that episode, in rising order; a row
                may be repeated.
        """


class StoredRows(Rows, Protocol):
    """Reads the rows of one array in all episodes of a file from the disk."""

    def all_rows(self, episodes: np.ndarray) -> np.ndarray:
        """Returns (all rows, ...), every row of some episodes, concatenated.

        Args:
            episodes: (m,) numbers of the episodes.
        """


def rows_on_disk(
    file: FileOnDisk, positions: RowPositions, key: str, demos: Sequence[str]
) -> StoredRows:
    """Returns a reader of an array's rows, of the class for the array's layout.

    Args:
        file: the dataset's file.
        positions: the positions of the array's rows in the file.
        key: the array's name within an episode.
        demos: the names of the episodes.
    """
    if positions.layout == "contiguous":
        return ContiguousRows(file, positions, key, demos)
    if positions.layout == "gzip":
        return GzipRows(file, positions, key, demos)
    return Hdf5Rows(file, positions, key, demos)


class _RowsOnDisk:
    """The base class of the readers; see `rows_on_disk` for the arguments."""

    def __init__(
        self, file: FileOnDisk, positions: RowPositions, key: str, demos: Sequence[str]
    ) -> None:
        self._file = file
        self._positions = positions
        self._key = key
        self._demos = demos

    def _damage_error(self, episode: int, row: int) -> DatasetError:
        """Returns the error for a row that cannot be read."""
        where = f"row {row} of {self._key} in {self._demos[episode]}"
        return DatasetError(f"{self._file.path} is damaged: {where} cannot be read")


class ContiguousRows(_RowsOnDisk):
    """Rows stored one after the other, so each window takes a single read."""

    def take(self, episodes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns (n, c, ...) windows, see `Rows.take`; each window takes one read."""
        positions = self._positions
        n, c = rows.shape
        windows = np.empty((n, c, *positions.row_shape), positions.dtype)
        if not positions.row_bytes or not windows.size:
            return windows

        # One read per window covers all bytes from its first row to its last. Arrays become
        # lists, because a loop reads numbers from lists many times as fast.
        first = rows[:, 0]
        num_covered = (rows[:, -1] - first + 1).tolist()  # (n,) rows that a read covers
        begins = (positions.offset[episodes] + first * positions.row_bytes).tolist()
        is_consecutive = (rows == first[:, None] + np.arange(c)).all(axis=1).tolist()
        for window in range(n):
            # consecutive rows are read directly into the result
            if is_consecutive[window]:
                block = windows[window]
                self._read(begins[window], block, episodes[window], row=first[window])
                continue

            # otherwise all covered rows are read, and the wanted rows are copied
            block = np.empty(
                (num_covered[window], *positions.row_shape), positions.dtype
            )
            self._read(begins[window], block, episodes[window], row=first[window])
            windows[window] = block[rows[window] - first[window]]
        return windows

    def all_rows(self, episodes: np.ndarray) -> np.ndarray:
        """Returns (all rows, ...) of some episodes; each episode takes one read."""
        positions = self._positions
        counts = positions.rows[episodes]
        values = np.empty((counts.sum(), *positions.row_shape), positions.dtype)
        if not positions.row_bytes:
            return values
        end = 0
        for episode, count in zip(episodes.tolist(), counts.tolist(), strict=True):
            block = values[end : end + count]
            if count:
                self._read(int(positions.offset[episode]), block, episode, row=0)
            end += count
        return values

    def _read(self, position: int, block: np.ndarray, episode: int, row: int) -> None:
        """Fills an array with the bytes of the file from a position on.

        Args:
            position: the position in the file, in bytes.
            block: the array to fill.
            episode: the number of the episode that an error names.
            row: the number of the row that an error names.

        Raises:
            DatasetError: the file ends before the array is full.
        """
        num_read = os.preadv(self._file.descriptor(), [block.data], position)
        if num_read != block.nbytes:
            raise self._damage_error(episode, row)


class GzipRows(_RowsOnDisk):
    """Rows that are compressed one by one, such as images."""

    def take(self, episodes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns (n, c, ...) windows, see `Rows.take`; each row is decompressed once."""
        positions = self._positions
        windows = np.empty((*rows.shape, *positions.row_shape), positions.dtype)
        # the same memory, with one row of numbers per row of the array
        flat = windows.reshape(rows.size, math.prod(positions.row_shape))
        # (n * c,) the episode of each row
        episode_of_row = np.repeat(episodes, rows.shape[1])
        # (n * c,) each row's number among the rows of all episodes
        numbers = (positions.first_row[episode_of_row] + rows.ravel()).tolist()

        # A window that is padded repeats a row, which is copied, not decompressed again.
        first_use: dict[int, int] = {}  # row number -> index in `flat` of its first use
        for index, number in enumerate(numbers):
            first_index = first_use.setdefault(number, index)
            if first_index != index:
                flat[index] = flat[first_index]
                continue
            content = self._read(number)
            if content is None:
                raise self._damage_error(episode_of_row[index], rows.ravel()[index])
            flat[index] = content
        return windows

    def all_rows(self, episodes: np.ndarray) -> np.ndarray:
        """Returns (all rows, ...) of some episodes, as `StoredRows.all_rows` says."""
        counts = self._positions.rows[episodes]
        episode_of_row = np.repeat(episodes, counts)  # (all rows,)
        row_in_episode = np.concatenate([np.arange(count) for count in counts])
        # read each row as a window of a single row
        return self.take(episode_of_row, row_in_episode[:, None])[:, 0]

    def _read(self, number: int) -> np.ndarray | None:
        """Returns the decompressed values of one row; None if it is damaged.

        Args:
            number: the number of the row, among the rows of all episodes.
        """
        positions = self._positions
        compressed = os.pread(
            self._file.descriptor(),
            int(positions.row_size[number]),
            int(positions.row_offset[number]),
        )

        # damaged bytes cannot be decompressed, or give another length
        try:
            content = zlib_ng.decompress(compressed, bufsize=positions.row_bytes)
        except DECOMPRESSION_ERROR:
            return None

        if len(content) != positions.row_bytes:
            return None
        return np.frombuffer(content, positions.dtype)


class Hdf5Rows(_RowsOnDisk):
    """Rows in any layout, read by the HDF5 library."""

    def take(self, episodes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns (n, c, ...) windows, see `Rows.take`; each window is one HDF5 slice."""
        positions = self._positions
        # "=" is this machine's byte order, which torch needs
        dtype = positions.dtype.newbyteorder("=")
        windows = np.empty((*rows.shape, *positions.row_shape), dtype)
        for window, episode in enumerate(episodes.tolist()):
            first = int(rows[window, 0])
            last = int(rows[window, -1])
            block = self._read(episode, first, last + 1)
            windows[window] = block[rows[window] - first]
        return windows

    def all_rows(self, episodes: np.ndarray) -> np.ndarray:
        """Returns (all rows, ...) of some episodes, as `StoredRows.all_rows` says."""
        blocks = [
            self._read(episode, 0, int(self._positions.rows[episode]))
            for episode in episodes.tolist()
        ]
        return np.concatenate(blocks).astype(self._positions.dtype.newbyteorder("="))

    def _read(self, episode: int, start: int, stop: int) -> np.ndarray:
        """Returns the rows from `start` to `stop` - 1 of an episode."""
        demo = self._demos[episode]
        with damage_named(self._file.path, f"{self._key} in {demo}"):
            array = self._file.hdf5()[f"data/{demo}/{self._key}"]
        return read_array(array, slice(start, stop))
