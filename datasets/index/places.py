"""Where the rows of an array lie in a file, so that they are read without a search.

HDF5 takes some 0.1 ms to find an array and some 0.03 ms to read rows of it. Where the
layout is simple, the position of each row in the file is found once instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import h5py
import numpy as np

from embodied.datasets.guarded import arrays_below
from embodied.datasets.schema import H5, DatasetError
from embodied.errors import EmbodiedError, unknown

# How the rows of an array lie in the file: one after the other; each compressed by
# itself with gzip; or in a way that only the HDF5 library reads.
Layout = Literal["contiguous", "gzip", "hdf5"]

# Is told how many more episodes have been looked at.
OnEpisode = Callable[[int], None]

NUMBERS = "biuf"  # the kinds of types that a window may hold
NO_PLACE = -1
START = "start/"  # begins the names of what a replay starts from


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

    @cached_property
    def row_bytes(self) -> int:
        """The size of a row in memory."""
        return self.dtype.itemsize * math.prod(self.row)

    def lie_within(self, count: int, size: int) -> bool:
        """Returns whether the rows of `count` episodes can lie in a file of `size` bytes.

        What an index says is not believed unseen: it comes from a file, too.
        """
        rows = self.rows
        if len(rows) != count or (rows < 0).any() or min(self.row, default=0) < 0:
            return False
        if self.layout == "contiguous":
            places = self.offset
            ends = self.offset + rows * self.row_bytes
            lengths = {len(self.offset), count}
        elif self.layout == "gzip":
            places = self.row_offset
            ends = self.row_offset + self.row_size
            lengths = {len(self.row_offset), len(self.row_size), int(rows.sum())}
        else:
            return True
        is_inside = bool((places >= 0).all() and (places <= ends).all())
        is_inside = is_inside and bool((ends <= size).all())
        return len(lengths) == 1 and is_inside

    @cached_property
    def first_row(self) -> np.ndarray:
        """(E,) how many rows the episodes before each one have together."""
        return np.cumsum(self.rows) - self.rows


def find_all_places(file: H5, demos: Sequence[str]) -> dict[str, ArrayPlaces]:
    """Finds the rows of every array that a window could hold.

    An array that not all episodes have in one form is left out, and so is what a replay
    starts from.
    """
    first = h5py.h5g.open(file["data"].id, demos[0].encode())
    keys = [key for key in arrays_below(h5py.Group(first)) if not key.startswith(START)]
    collected = {key: _Collected(file, demos, key) for key in keys}
    for number, demo in enumerate(demos):
        group = h5py.h5g.open(file["data"].id, demo.encode())
        for key, one in list(collected.items()):
            try:
                one.add(number, group)
            except EmbodiedError:
                del collected[key]
    return {key: one.places() for key, one in collected.items()}


def find_places(
    file: H5,
    demos: Sequence[str],
    keys: Sequence[str],
    on_episode: OnEpisode | None = None,
) -> dict[str, ArrayPlaces]:
    """Finds the rows of arrays in all episodes of an open file.

    Args:
        file: A dataset.
        demos: The names of its episodes.
        keys: The arrays' names within an episode.
        on_episode: Is called after each episode.

    Returns:
        The name of each array -> where its rows lie.

    Raises:
        EmbodiedError: There is no such array; lists those that exist.
        DatasetError: An episode lacks an array, or has other rows than the first; an
            array leads out of the file; or it does not hold numbers.
    """
    collected = [_Collected(file, demos, key) for key in keys]
    # All arrays of an episode at once: HDF5 then has its group at hand.
    for number, demo in enumerate(demos):
        group = h5py.h5g.open(file["data"].id, demo.encode())
        for one in collected:
            one.add(number, group)
        if on_episode is not None:
            on_episode(1)
    return {one.key: one.places() for one in collected}


class _Opened:
    """A low-level array, and what is asked of it more than once: each answer takes time."""

    def __init__(self, array: H5) -> None:
        self.array = array
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype = array.dtype
        self.creation = array.get_create_plist()
        self.layout: int = self.creation.get_layout()


class _Collected:
    """Collects where the rows of one array lie, episode by episode."""

    def __init__(self, file: H5, demos: Sequence[str], key: str) -> None:
        self.key = key
        self._file = file
        self._file_name = h5py.h5f.get_name(file.id)
        self._size = file.id.get_filesize()
        self._demos = demos
        self._name = key.encode()
        self._dtype = np.dtype(np.uint8)
        self._row: tuple[int, ...] = ()
        self._rows = np.zeros(len(demos), np.int64)
        self._offset = np.full(len(demos), NO_PLACE, np.int64)
        self._row_offsets: list[np.ndarray] = []
        self._row_sizes: list[np.ndarray] = []
        self._layouts: set[Layout] = set()

    def add(self, number: int, group: H5) -> None:
        """Adds the array of an episode, whose low-level group is open."""
        array = self._opened(number, group)
        self._check(number, array)
        self._rows[number] = array.shape[0]

        # where its numbers lie: in one piece, in compressed chunks, or where HDF5 alone
        # finds them
        layout = _layout(array)
        if layout == "contiguous":
            offset = array.array.get_offset() or 0  # None if it has no numbers
            if offset + math.prod(array.shape) * array.dtype.itemsize > self._size:
                raise DatasetError(
                    f"{self._where(number)} is damaged: {self.key} declares "
                    f"{array.shape} {array.dtype}, more than the file holds"
                )
            self._offset[number] = offset
        elif layout == "gzip":
            chunks = _chunks(array)
            if chunks is None:
                layout = "hdf5"
            else:
                self._row_offsets.append(chunks[0])
                self._row_sizes.append(chunks[1])

        self._layouts.add(layout)

    def places(self) -> ArrayPlaces:
        """Returns where the rows of all episodes lie."""
        # All episodes of a file that this package wrote have one layout. A user
        # block would shift the positions in the file, so then HDF5 has to read.
        layout: Layout = "hdf5"
        if len(self._layouts) == 1 and not self._file.userblock_size:
            (layout,) = self._layouts

        row_offset = np.zeros(0, np.int64)
        row_size = np.zeros(0, np.int32)
        if layout == "gzip":
            row_offset = np.concatenate(self._row_offsets)
            row_size = np.concatenate(self._row_sizes)
        return ArrayPlaces(
            layout=layout,
            dtype=self._dtype,
            row=self._row,
            rows=self._rows,
            offset=self._offset if layout == "contiguous" else self._offset[:0],
            row_offset=row_offset,
            row_size=row_size,
        )

    def _opened(self, number: int, group: H5) -> _Opened:
        """Returns the low-level array of an episode; raises if it is not there."""
        try:
            array = _Opened(h5py.h5d.open(group, self._name))
        except (KeyError, ValueError):
            if not number:
                names = _array_names(self._file, self._demos)
                where = f"array in {self._file.filename}"
                raise unknown(where, self.key, names) from None
            raise DatasetError(
                f"{self._where(number)} has no {self.key}, which {self._demos[0]} has: "
                "filter the episodes, or leave the array out"
            ) from None

        # Neither a link nor an array may lead to another file.
        is_linked = array.layout == h5py.h5d.VIRTUAL
        is_linked = is_linked or h5py.h5f.get_name(array.array) != self._file_name
        if is_linked or array.creation.get_external_count():
            raise DatasetError(
                f"{self._file.filename}: {self.key} of {self._demos[number]} leads to "
                "another file, which is never followed"
            )
        return array

    def _check(self, number: int, array: _Opened) -> None:
        """Raises DatasetError unless an array is like that of the first episode."""
        if not array.shape or array.dtype.kind not in NUMBERS:
            raise DatasetError(
                f"{self._where(number)} has no rows of numbers in {self.key} that a "
                "window could hold"
            )

        # the first episode says what the others must be like
        row = array.shape[1:]
        if not number:
            self._dtype = array.dtype
            self._row = row

        if row != self._row or array.dtype != self._dtype:
            raise DatasetError(
                f"{self._where(number)} has {self.key} with rows {row} of "
                f"{array.dtype}; in {self._demos[0]} they are {self._row} of "
                f"{self._dtype}"
            )

    def _where(self, number: int) -> str:
        return f"{self._file.filename}: {self._demos[number]}"


def _array_names(file: H5, demos: Sequence[str]) -> list[str]:
    """Returns the names by which a window may ask for the first episode's arrays."""
    names: list[str] = []

    def keep(name: str, item: H5) -> None:
        if isinstance(item, h5py.Dataset):
            names.append(name.removesuffix("/value"))

    file["data"][demos[0]].visititems(keep)
    return names


def _layout(array: _Opened) -> Layout:
    """Returns how one array lies, by what its creation says."""
    if not array.dtype.isnative:
        return "hdf5"
    if 0 in array.shape:
        return "contiguous"  # there is nothing to read, so any layout will do
    if array.layout == h5py.h5d.CONTIGUOUS:
        is_stored = array.array.get_offset() is not None
        return "contiguous" if is_stored else "hdf5"

    if array.layout != h5py.h5d.CHUNKED or array.creation.get_nfilters() != 1:
        return "hdf5"
    is_gzip = array.creation.get_filter(0)[0] == h5py.h5z.FILTER_DEFLATE
    is_by_row = array.creation.get_chunk() == (1, *array.shape[1:])
    return "gzip" if is_gzip and is_by_row else "hdf5"


def _chunks(array: _Opened) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the position and the size in bytes of each row's compressed chunk.

    None if some row was never written, or is not compressed.
    """
    if array.array.get_num_chunks() != array.shape[0]:
        return None
    offset = np.full(array.shape[0], NO_PLACE, np.int64)
    size = np.zeros(array.shape[0], np.int32)

    def keep(chunk: h5py.h5d.StoreInfo) -> None:
        if not chunk.filter_mask:  # which says that compression was skipped
            row = chunk.chunk_offset[0]
            offset[row] = chunk.byte_offset
            size[row] = chunk.size

    array.array.chunk_iter(keep)
    return None if (offset == NO_PLACE).any() else (offset, size)
