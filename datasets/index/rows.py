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
from embodied.datasets.index.places import ArrayPlaces
from embodied.datasets.opening import open_file
from embodied.datasets.schema import H5, DatasetError

# zlib_ng's type hints declare this class as an instance, which `except` could not take.
DECOMPRESSION_ERROR: Any = zlib_ng.error


class FileOnDisk:
    """A file that each process opens by itself, when it first reads from it.

    Pickling keeps the path, not the open file.
    """

    def __init__(self, path: Path, stamp: Stamp) -> None:
        self.path = path
        self._stamp = stamp
        self._descriptor: int | None = None
        self._hdf5: H5 = None
        self._owner = 0  # the process that opened `_hdf5`, which must not cross a fork

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_descriptor": None, "_hdf5": None, "_closer": None}

    def descriptor(self) -> int:
        """Returns the descriptor of the open file, for reads by position.

        Such reads move no file pointer, so forked processes may share the descriptor.

        Raises:
            DatasetError: the file cannot be opened, or has changed since it was indexed.
        """
        if self._descriptor is None:
            try:
                descriptor = os.open(self.path, os.O_RDONLY)
            except OSError as error:
                raise DatasetError(f"{self.path}: {error.strerror}") from error
            self._closer = weakref.finalize(self, os.close, descriptor)
            if Stamp.of(os.fstat(descriptor)) != self._stamp:
                raise DatasetError(f"{self.path} has changed since it was opened")
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
    """The rows of one array in the episodes of a file."""

    def take(self, episodes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns (n, c, ...), c rows of each of n episodes.

        Args:
            episodes: (n,) numbers of episodes in the file.
            rows: (n, c) rows within each of them, in rising order; some may be equal.
        """


class StoredRows(Rows, Protocol):
    """The rows of one array in all episodes of a file, on the disk."""

    def all_rows(self, episodes: np.ndarray) -> np.ndarray:
        """Returns (all rows, ...), every row of some episodes, concatenated."""


def rows_on_disk(
    file: FileOnDisk, places: ArrayPlaces, key: str, demos: Sequence[str]
) -> StoredRows:
    """Returns the reader for an array's layout.

    Args:
        file: the dataset.
        places: where the array's rows lie in the file.
        key: the array's name within an episode.
        demos: the names of the episodes.
    """
    if places.layout == "contiguous":
        return ContiguousRows(file, places, key, demos)
    if places.layout == "gzip":
        return GzipRows(file, places, key, demos)
    return Hdf5Rows(file, places, key, demos)


class _RowsOnDisk:
    """The base of the readers: their arguments, and the error for a damaged row."""

    def __init__(
        self, file: FileOnDisk, places: ArrayPlaces, key: str, demos: Sequence[str]
    ) -> None:
        self._file = file
        self._places = places
        self._key = key
        self._demos = demos

    def _damage(self, episode: int, row: int) -> DatasetError:
        where = f"row {row} of {self._key} in {self._demos[episode]}"
        return DatasetError(f"{self._file.path} is damaged: {where} cannot be read")


class ContiguousRows(_RowsOnDisk):
    """Rows stored one after the other, so each window takes a single read."""

    def take(self, episodes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns windows of rows, as `Rows.take` says; each window takes one read."""
        places = self._places
        n, c = rows.shape
        taken = np.empty((n, c, *places.row_shape), places.dtype)
        if not places.row_bytes or not taken.size:
            return taken

        # One read per window covers all bytes from its first row to its last. The arrays
        # become lists, because a loop reads numbers from lists many times as fast.
        first = rows[:, 0]
        span = (rows[:, -1] - first + 1).tolist()  # (n,) rows that the read covers
        positions = (places.offset[episodes] + first * places.row_bytes).tolist()
        is_consecutive = (rows == first[:, None] + np.arange(c)).all(axis=1).tolist()
        for window in range(n):
            # consecutive rows are read straight into the result
            if is_consecutive[window]:
                block = taken[window]
                self._read(positions[window], block, episodes[window], first[window])
                continue

            # of others, all rows of the span are read, then the wanted ones picked
            block = np.empty((span[window], *places.row_shape), places.dtype)
            self._read(positions[window], block, episodes[window], first[window])
            taken[window] = block[rows[window] - first[window]]
        return taken

    def all_rows(self, episodes: np.ndarray) -> np.ndarray:
        """Returns (all rows, ...) of some episodes; each episode takes one read."""
        places = self._places
        counts = places.rows[episodes]
        taken = np.empty((counts.sum(), *places.row_shape), places.dtype)
        if not places.row_bytes:
            return taken
        end = 0
        for episode, count in zip(episodes.tolist(), counts.tolist(), strict=True):
            block = taken[end : end + count]
            if count:
                self._read(int(places.offset[episode]), block, episode, 0)
            end += count
        return taken

    def _read(self, position: int, block: np.ndarray, episode: int, row: int) -> None:
        """Fills a block with the bytes from a position on.

        Args:
            position: the position in the file.
            block: the block to fill.
            episode: the episode to name in an error.
            row: the row to name in an error.
        """
        count = os.preadv(self._file.descriptor(), [block.data], position)
        if count != block.nbytes:
            raise self._damage(episode, row)


class GzipRows(_RowsOnDisk):
    """Rows that are compressed one by one, such as images."""

    def take(self, episodes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns windows of rows, as `Rows.take` says; each row is decompressed once."""
        places = self._places
        taken = np.empty((*rows.shape, *places.row_shape), places.dtype)
        flat = taken.reshape(rows.size, math.prod(places.row_shape))
        owners = np.repeat(episodes, rows.shape[1])  # (n * c,) the episode of each row
        # (n * c,) each row's number among the rows of all episodes
        numbers = (places.first_row[owners] + rows.ravel()).tolist()

        # Padding repeats a row, which is decompressed only once.
        first_use: dict[int, int] = {}  # row number -> its index in `flat`
        for index, number in enumerate(numbers):
            earlier = first_use.setdefault(number, index)
            if earlier != index:
                flat[index] = flat[earlier]
                continue
            content = self._read(number)
            if content is None:
                raise self._damage(owners[index], rows.ravel()[index])
            flat[index] = content
        return taken

    def all_rows(self, episodes: np.ndarray) -> np.ndarray:
        """Returns (all rows, ...) of some episodes, as `StoredRows.all_rows` says."""
        counts = self._places.rows[episodes]
        episode_of_row = np.repeat(episodes, counts)  # (all rows,)
        row_in_episode = np.concatenate([np.arange(count) for count in counts])
        # a window of one row for each row
        return self.take(episode_of_row, row_in_episode[:, None])[:, 0]

    def _read(self, number: int) -> np.ndarray | None:
        """Returns the decompressed values of one row; None if it is damaged.

        Args:
            number: the number of the row, among the rows of all episodes.
        """
        places = self._places
        raw = os.pread(
            self._file.descriptor(),
            int(places.row_size[number]),
            int(places.row_offset[number]),
        )

        # damaged bytes either do not decompress, or give another length
        try:
            content = zlib_ng.decompress(raw, bufsize=places.row_bytes)
        except DECOMPRESSION_ERROR:
            return None

        if len(content) != places.row_bytes:
            return None
        return np.frombuffer(content, places.dtype)


class Hdf5Rows(_RowsOnDisk):
    """Rows in any layout, read by the HDF5 library."""

    def take(self, episodes: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Returns windows of rows, as `Rows.take` says; each window is one HDF5 slice."""
        places = self._places
        # in the machine's byte order, which torch needs
        dtype = places.dtype.newbyteorder("=")
        taken = np.empty((*rows.shape, *places.row_shape), dtype)
        for window, episode in enumerate(episodes.tolist()):
            first = int(rows[window, 0])
            block = self._read(episode, first, int(rows[window, -1]) + 1)
            taken[window] = block[rows[window] - first]
        return taken

    def all_rows(self, episodes: np.ndarray) -> np.ndarray:
        """Returns (all rows, ...) of some episodes, as `StoredRows.all_rows` says."""
        blocks = [
            self._read(episode, 0, int(self._places.rows[episode]))
            for episode in episodes.tolist()
        ]
        return np.concatenate(blocks).astype(self._places.dtype.newbyteorder("="))

    def _read(self, episode: int, start: int, stop: int) -> np.ndarray:
        """Returns rows `start` to `stop` of an episode."""
        demo = self._demos[episode]
        with damage_named(self._file.path, f"{self._key} in {demo}"):
            array = self._file.hdf5()[f"data/{demo}/{self._key}"]
        return read_array(array, slice(start, stop))
