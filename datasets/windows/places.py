"""Where the rows of an array lie in a file, so that they are read without a search.

HDF5 takes some 0.1 ms to find an array and some 0.03 ms to read rows of it. Where the
layout is simple, the position of each row in the file is found once instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import h5py
import numpy as np

from embodied.datasets.schema import H5, DatasetError
from embodied.errors import unknown

# How the rows of an array lie in the file: one after the other; each compressed by
# itself with gzip; or in a way that only the HDF5 library reads.
Layout = Literal["contiguous", "gzip", "hdf5"]

NUMBERS = "biuf"  # the kinds of types that a window may hold
NO_PLACE = -1


@dataclass(frozen=True)
class ArrayPlaces:
    """Where the rows of one array lie, for the E episodes of a file.

    Attributes:
        layout: how they lie.
        dtype: of the numbers.
        row: shape of a row.
        rows: (E,) how many an episode has.
        offset: (E,) where the first row lies in the file; layout `contiguous` only.
        row_offset: (all rows,) where each row lies; layout `gzip` only.
        row_size: (all rows,) its compressed bytes; layout `gzip` only.
    """

    layout: Layout
    dtype: np.dtype
    row: tuple[int, ...]
    rows: np.ndarray
    offset: np.ndarray
    row_offset: np.ndarray
    row_size: np.ndarray

    @property
    def row_bytes(self) -> int:
        """The size of a row in memory."""
        return self.dtype.itemsize * int(np.prod(self.row, dtype=np.int64))

    @cached_property
    def first_row(self) -> np.ndarray:
        """(E,) the rows of all episodes before each."""
        return np.cumsum(self.rows) - self.rows


def find_places(file: H5, demos: Sequence[str], key: str) -> ArrayPlaces:
    """Finds the rows of an array in all episodes of an open file.

    Args:
        file: A dataset.
        demos: The names of its episodes.
        key: The array's name within an episode.

    Raises:
        EmbodiedError: There is no such array; lists those that exist.
        DatasetError: An episode lacks it, or has other rows than the first; it leads out
            of the file; or it does not hold numbers.
    """
    arrays = _Arrays(file, demos, key)
    rows = np.zeros(len(demos), np.int64)
    offset = np.full(len(demos), NO_PLACE, np.int64)
    row_offsets: list[np.ndarray] = []
    row_sizes: list[np.ndarray] = []
    layouts: set[Layout] = set()

    for number in range(len(demos)):
        array = arrays.open(number)
        rows[number] = array.shape[0]
        layout = _layout(array)
        if layout == "contiguous":
            offset[number] = array.get_offset() or 0  # None if it has no numbers
        elif layout == "gzip":
            chunks = _chunks(array)
            if chunks is None:
                layout = "hdf5"
            else:
                row_offsets.append(chunks[0])
                row_sizes.append(chunks[1])
        layouts.add(layout)

    # All episodes of a file that this package wrote have one layout.
    common = layouts.pop() if len(layouts) == 1 else "hdf5"
    if file.userblock_size:
        common = "hdf5"
    is_gzip = common == "gzip"
    return ArrayPlaces(
        layout=common,
        dtype=arrays.dtype,
        row=arrays.row,
        rows=rows,
        offset=offset if common == "contiguous" else offset[:0],
        row_offset=np.concatenate(row_offsets) if is_gzip else np.zeros(0, np.int64),
        row_size=np.concatenate(row_sizes) if is_gzip else np.zeros(0, np.int32),
    )


class _Arrays:
    """One array of each episode, opened one after the other, and compared."""

    def __init__(self, file: H5, demos: Sequence[str], key: str) -> None:
        self._file = file
        self._data = file["data"].id
        self._file_name = h5py.h5f.get_name(self._data)
        self._demos = demos
        self._key = key
        first = self._opened(demos[0])
        if first is None:
            raise unknown(f"array in {file.filename}", key, _array_names(file, demos))
        if not first.shape or first.dtype.kind not in NUMBERS:
            raise DatasetError(
                f"{file.filename}: {key} has no rows of numbers that a window could hold"
            )
        self.dtype = first.dtype
        self.row = tuple(first.shape[1:])

    def open(self, number: int) -> H5:
        """Returns the array of an episode; raises DatasetError if it does not fit."""
        demo = self._demos[number]
        array = self._opened(demo)
        where = f"{self._file.filename}: {demo}"
        if array is None:
            raise DatasetError(
                f"{where} has no {self._key}, which {self._demos[0]} has: filter the "
                "episodes, or leave the array out"
            )

        row = tuple(array.shape[1:])
        if not array.shape or row != self.row or array.dtype != self.dtype:
            raise DatasetError(
                f"{where} has {self._key} with rows {row} of {array.dtype}; in "
                f"{self._demos[0]} they are {self.row} of {self.dtype}"
            )
        return array

    def _opened(self, demo: str) -> H5:
        """Returns the low-level array of a demo; None if it has none."""
        name = f"{demo}/{self._key}".encode()
        try:
            array = h5py.h5d.open(self._data, name)
        except (KeyError, ValueError):
            return None

        # Neither a link nor an array may lead to another file.
        creation = array.get_create_plist()
        is_virtual = creation.get_layout() == h5py.h5d.VIRTUAL
        is_elsewhere = h5py.h5f.get_name(array) != self._file_name
        if is_virtual or is_elsewhere or creation.get_external_count():
            raise DatasetError(
                f"{self._file.filename}: {self._key} of {demo} leads to another file, "
                "which is never followed"
            )
        return array


def _array_names(file: H5, demos: Sequence[str]) -> list[str]:
    names: list[str] = []

    def keep(name: str, item: H5) -> None:
        if isinstance(item, h5py.Dataset):
            names.append(name.removesuffix("/value"))

    file["data"][demos[0]].visititems(keep)
    return names


def _layout(array: H5) -> Layout:
    """Returns how one array lies, by what its creation says."""
    if not array.dtype.isnative:
        return "hdf5"
    creation = array.get_create_plist()
    layout = creation.get_layout()
    if 0 in array.shape or array.get_offset() is not None:
        return "contiguous"

    if layout != h5py.h5d.CHUNKED or creation.get_nfilters() != 1:
        return "hdf5"
    is_gzip = creation.get_filter(0)[0] == h5py.h5z.FILTER_DEFLATE
    is_by_row = creation.get_chunk() == (1, *array.shape[1:])
    return "gzip" if is_gzip and is_by_row else "hdf5"


def _chunks(array: H5) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns where each row's chunk lies and its bytes; None if a row has no such."""
    offset = np.full(array.shape[0], NO_PLACE, np.int64)
    size = np.zeros(array.shape[0], np.int32)

    def keep(chunk: h5py.h5d.StoreInfo) -> None:
        if not chunk.filter_mask:
            row = chunk.chunk_offset[0]
            offset[row] = chunk.byte_offset
            size[row] = chunk.size

    array.chunk_iter(keep)
    return None if (offset == NO_PLACE).any() else (offset, size)
