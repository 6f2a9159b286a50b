"""The position in the file of each row of an array.

HDF5 takes about 0.1 ms to open an array and 0.03 ms to read rows of it. For arrays in a
simple layout the positions of the rows are looked up once, so that later reads need no
HDF5 calls.
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
from embodied.datasets.index.stored_array import StoredArray
from embodied.datasets.schema import H5, DatasetError
from embodied.errors import EmbodiedError, unknown

# How the rows of an array are stored: one after the other; each compressed by itself
# with gzip; or in a layout that only the HDF5 library can read.
Layout = Literal["contiguous", "gzip", "hdf5"]

# A function that is called with the number of episodes searched since the last call.
OnEpisode = Callable[[int], None]

# numpy's kinds of types that a window may contain: bool, int, unsigned int, float
NUMBERS = "biuf"
NO_POSITION = -1  # stands for the position of a row that was not stored
# Name beginning of the arrays with the state from which a replay starts. They have one
# value per episode, not a row per step.
START = "start/"


@dataclass(frozen=True)
class RowPositions:
    """The positions of one array's rows, for the E episodes of a file.

    Attributes:
        layout: how the rows are stored.
        dtype: the data type of the numbers.
        row_shape: the shape of a row.
        rows: (E,) the number of rows in each episode.
        offset: (E,) the position in the file of each episode's first row, in bytes; empty
            unless the layout is `contiguous`.
        row_offset: (all rows,) the position in the file of each row, in bytes, episode by
            episode; empty unless the layout is `gzip`.
        row_size: (all rows,) the compressed size of each row in bytes; empty unless the
            layout is `gzip`.
    """

    layout: Layout
    dtype: np.dtype
    row_shape: tuple[int, ...]
    rows: np.ndarray
    offset: np.ndarray
    row_offset: np.ndarray
    row_size: np.ndarray

    @cached_property
    def row_bytes(self) -> int:
        """The size of an uncompressed row in bytes."""
        return self.dtype.itemsize * math.prod(self.row_shape)

    def are_within(self, count: int, size: int) -> bool:
        """Returns whether all positions lie within a file of a given size.

        Positions that were stored in a file are checked, because it may be damaged.

        Args:
            count: the number of episodes in the file.
            size: the size of the file in bytes.
        """
        rows = self.rows
        if len(rows) != count or (rows < 0).any() or min(self.row_shape, default=0) < 0:
            return False
        if self.layout == "contiguous":  # the rows of an episode form one block
            num_blocks = count
            begins = self.offset
            sizes = rows * self.row_bytes
        elif self.layout == "gzip":  # each row is a block
            num_blocks = int(rows.sum())
            begins = self.row_offset
            sizes = self.row_size
        else:  # layout `hdf5`: HDF5 finds the rows, so there are no positions to check
            return True

        if not (len(begins) == len(sizes) == num_blocks):
            return False
        ends = begins + sizes
        # `begins <= ends` is false where a size is negative or the sum overflows
        is_ordered = bool((begins >= 0).all() and (begins <= ends).all())
        return is_ordered and bool((ends <= size).all())

    @cached_property
    def first_row(self) -> np.ndarray:
        """(E,) the index of each episode's first row in `row_offset` and `row_size`."""
        return np.cumsum(self.rows) - self.rows


def find_all_row_positions(
    file: H5, demos: Sequence[str], on_episode: OnEpisode
) -> dict[str, RowPositions]:
    """Finds the row positions of every array that a window could contain.

    Arrays that some episode lacks, or has with another row shape or type, are left out.
    So are the arrays below `start/`, because they have no rows over time.

    Args:
        file: an open dataset.
        demos: the names of its episodes.
        on_episode: a function that is called after each episode.

    Returns:
        The name of each array -> the positions of its rows.
    """
    first = h5py.h5g.open(file["data"].id, demos[0].encode())
    keys = [key for key in arrays_below(h5py.Group(first)) if not key.startswith(START)]
    collectors = {key: _PositionCollector(file, demos, key) for key in keys}
    for number, demo in enumerate(demos):
        group = h5py.h5g.open(file["data"].id, demo.encode())
        # a copy of the items, because arrays are deleted from `collectors` meanwhile
        for key, collector in list(collectors.items()):
            try:
                collector.add(number, group)
            except EmbodiedError:
                del collectors[key]  # left out, see above
        on_episode(1)
    return {key: collector.positions() for key, collector in collectors.items()}


def find_row_positions(
    file: H5,
    demos: Sequence[str],
    keys: Sequence[str],
    on_episode: OnEpisode | None = None,
) -> dict[str, RowPositions]:
    """Finds the row positions of some arrays in all episodes of an open file.

    Args:
        file: an open dataset.
        demos: the names of its episodes.
        keys: the arrays' names within an episode.
        on_episode: a function that is called after each episode.

    Returns:
        The name of each array -> the positions of its rows.

    Raises:
        EmbodiedError: there is no such array; the message lists the arrays.
        DatasetError: an episode lacks an array, or has it with another row shape or type
            than the first episode; an array is stored in another file; or it does not
            hold numbers.
    """
    collectors = [_PositionCollector(file, demos, key) for key in keys]
    # episode by episode, so that each group is opened only once
    for number, demo in enumerate(demos):
        group = h5py.h5g.open(file["data"].id, demo.encode())
        for collector in collectors:
            collector.add(number, group)
        if on_episode is not None:
            on_episode(1)
    return {collector.key: collector.positions() for collector in collectors}


class _PositionCollector:
    """Collects the positions of one array's rows, episode by episode.

    Args:
        file: an open dataset.
        demos: the names of its episodes.
        key: the array's name within an episode.
    """

    def __init__(self, file: H5, demos: Sequence[str], key: str) -> None:
        """Begins with no episodes; the first one determines type and shape of the rows."""
        self.key = key
        self._file = file
        self._file_name = h5py.h5f.get_name(file.id)
        self._size = file.id.get_filesize()
        self._demos = demos
        self._name = key.encode()

        # type and row shape, which the first episode determines
        self._dtype = np.dtype(np.uint8)
        self._row: tuple[int, ...] = ()

        # the fields of the resulting `RowPositions`
        self._rows = np.zeros(len(demos), np.int64)
        self._offset = np.full(len(demos), NO_POSITION, np.int64)
        self._row_offsets: list[np.ndarray] = []
        self._row_sizes: list[np.ndarray] = []
        self._layouts: set[Layout] = set()

    def add(self, number: int, group: H5) -> None:
        """Adds the row positions of the array in one episode.

        Args:
            number: the number of the episode.
            group: the group of the episode, an object of h5py's low-level interface.
        """
        array = self._open(number, group)
        self._check(number, array)
        self._rows[number] = array.shape[0]

        layout = _layout(array)
        if layout == "contiguous":
            offset = array.offset or 0  # HDF5 gives an empty array no offset
            if offset + math.prod(array.shape) * array.dtype.itemsize > self._size:
                raise DatasetError(
                    f"{self._where(number)} is damaged: {self.key} declares "
                    f"{array.shape} {array.dtype}, more than the file holds"
                )
            self._offset[number] = offset
        elif layout == "gzip":
            chunks = _row_chunks(array)
            if chunks is None:  # only HDF5 can read these rows
                layout = "hdf5"
            else:
                offsets, sizes = chunks
                self._row_offsets.append(offsets)
                self._row_sizes.append(sizes)

        self._layouts.add(layout)

    def positions(self) -> RowPositions:
        """Returns the positions of the rows of all episodes."""
        # In a file of another tool, episodes may differ in layout, and a user block (bytes
        # before HDF5's own) would shift all positions. Only HDF5 can read such rows.
        layout: Layout = "hdf5"
        if len(self._layouts) == 1 and not self._file.userblock_size:
            (layout,) = self._layouts

        row_offset = np.zeros(0, np.int64)
        row_size = np.zeros(0, np.int32)
        if layout == "gzip":
            row_offset = np.concatenate(self._row_offsets)
            row_size = np.concatenate(self._row_sizes)
        return RowPositions(
            layout=layout,
            dtype=self._dtype,
            row_shape=self._row,
            rows=self._rows,
            offset=self._offset if layout == "contiguous" else self._offset[:0],
            row_offset=row_offset,
            row_size=row_size,
        )

    def _open(self, number: int, group: H5) -> StoredArray:
        """Opens the array in one episode; see `add` for the arguments.

        Raises:
            EmbodiedError: the first episode has no such array; the message lists its arrays.
            DatasetError: only a later episode lacks the array, or the array is in
                another file.
        """
        try:
            array = StoredArray(h5py.h5d.open(group, self._name))
        except (KeyError, ValueError):
            if number == 0:
                names = _array_names(self._file, self._demos)
                where = f"array in {self._file.filename}"
                raise unknown(where, self.key, names) from None
            raise DatasetError(
                f"{self._where(number)} has no {self.key}, which {self._demos[0]} has: "
                "filter the episodes, or leave the array out"
            ) from None

        # Neither a link nor an array may lead to another file.
        is_linked = h5py.h5f.get_name(array.array) != self._file_name
        if is_linked or array.lies_elsewhere:
            raise DatasetError(
                f"{self._file.filename}: {self.key} of {self._demos[number]} leads to "
                "another file, which is never followed"
            )
        return array

    def _check(self, number: int, array: StoredArray) -> None:
        """Raises DatasetError unless an array has the rows of the first episode's array."""
        if not array.shape or array.dtype.kind not in NUMBERS:
            raise DatasetError(
                f"{self._where(number)} has no rows of numbers in {self.key} that a "
                "window could hold"
            )

        # the first episode determines type and shape of the rows
        row = array.shape[1:]
        if number == 0:
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
    """Returns the names of the first episode's arrays, as a window may request them."""
    names: list[str] = []

    def add_array(name: str, item: H5) -> None:
        # a window requests `streams/reward/value` as `streams/reward`
        if isinstance(item, h5py.Dataset):
            names.append(name.removesuffix("/value"))

    file["data"][demos[0]].visititems(add_array)
    return names


def _layout(array: StoredArray) -> Layout:
    """Returns how the rows of an array are stored."""
    # HDF5 converts numbers whose byte order is not this machine's
    if not array.dtype.isnative:
        return "hdf5"
    # an empty array has nothing to read; `contiguous` needs no positions of its rows
    if 0 in array.shape:
        return "contiguous"
    if array.layout == h5py.h5d.CONTIGUOUS:
        # an array that was never written has no position; HDF5 returns its fill value
        return "contiguous" if array.offset is not None else "hdf5"

    # rows can be read without HDF5 if gzip is the only filter, and each chunk is one row
    if array.layout != h5py.h5d.CHUNKED or array.creation.get_nfilters() != 1:
        return "hdf5"
    is_gzip = array.creation.get_filter(0)[0] == h5py.h5z.FILTER_DEFLATE
    is_by_row = array.creation.get_chunk() == (1, *array.shape[1:])
    return "gzip" if is_gzip and is_by_row else "hdf5"


def _row_chunks(array: StoredArray) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the positions (rows,) and sizes (rows,) of compressed rows, in bytes.

    Each row of the array must be a chunk. The result is None if a row was never written,
    or was stored uncompressed.
    """
    if array.array.get_num_chunks() != array.shape[0]:
        return None
    offset = np.full(array.shape[0], NO_POSITION, np.int64)
    size = np.zeros(array.shape[0], np.int32)

    def set_row(chunk: h5py.h5d.StoreInfo) -> None:
        """Sets position and size of the row that is stored in a chunk."""
        # HDF5 sets a bit of this mask for a chunk that was stored without compression
        if not chunk.filter_mask:
            row = chunk.chunk_offset[0]
            offset[row] = chunk.byte_offset
            size[row] = chunk.size

    array.array.chunk_iter(set_row)
    return None if (offset == NO_POSITION).any() else (offset, size)
