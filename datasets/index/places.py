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
from embodied.datasets.schema import H5, DatasetError
from embodied.errors import EmbodiedError, unknown

# How the rows of an array are stored: one after the other; each compressed by itself
# with gzip; or in a layout that only the HDF5 library can read.
Layout = Literal["contiguous", "gzip", "hdf5"]

# Is called with the number of episodes that were searched since the last call.
OnEpisode = Callable[[int], None]

NUMBERS = "biuf"  # numpy's kinds of number types; a window holds nothing else
NO_PLACE = -1
# Name beginning of the arrays with the state that a replay starts from. They have one
# value per episode, not a row per step.
START = "start/"


@dataclass(frozen=True)
class ArrayPlaces:
    """The positions of one array's rows, for the E episodes of a file.

    Attributes:
        layout: how the rows are stored.
        dtype: the data type of the numbers.
        row_shape: the shape of a row.
        rows: (E,) number of rows per episode.
        offset: (E,) position in the file of the first row, in bytes; empty unless the
            layout is `contiguous`.
        row_offset: (all rows,) position in the file of each row, in bytes; empty unless
            the layout is `gzip`.
        row_size: (all rows,) compressed size of each row in bytes; empty unless the
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
        """The size of an uncompressed row."""
        return self.dtype.itemsize * math.prod(self.row_shape)

    def lie_within(self, count: int, size: int) -> bool:
        """Returns whether all positions are valid in a file.

        An index is read from a file, which may be damaged, so it is checked like any
        other input.

        Args:
            count: number of episodes.
            size: the size of the file, in bytes.
        """
        rows = self.rows
        if len(rows) != count or (rows < 0).any() or min(self.row_shape, default=0) < 0:
            return False
        if self.layout == "contiguous":  # one block per episode
            num_blocks = count
            begins = self.offset
            sizes = rows * self.row_bytes
        elif self.layout == "gzip":  # one block per row
            num_blocks = int(rows.sum())
            begins = self.row_offset
            sizes = self.row_size
        else:  # no positions are stored
            return True

        if not (len(begins) == len(sizes) == num_blocks):
            return False
        ends = begins + sizes
        # `begins <= ends` also finds sums that overflow
        is_ordered = bool((begins >= 0).all() and (begins <= ends).all())
        return is_ordered and bool((ends <= size).all())

    @cached_property
    def first_row(self) -> np.ndarray:
        """(E,) the number of each episode's first row among the rows of all episodes."""
        return np.cumsum(self.rows) - self.rows


def find_all_places(
    file: H5, demos: Sequence[str], on_episode: OnEpisode
) -> dict[str, ArrayPlaces]:
    """Finds the rows of every array that a window could hold.

    Arrays that some episode lacks, or has with another row shape or type, are left out.
    So are the arrays below `start/`, which have no rows over time.

    Args:
        file: an open dataset.
        demos: the names of its episodes.
        on_episode: a function that is called after each episode.

    Returns:
        The name of each array -> the positions of its rows.
    """
    first = h5py.h5g.open(file["data"].id, demos[0].encode())
    keys = [key for key in arrays_below(h5py.Group(first)) if not key.startswith(START)]
    collected = {key: _Collected(file, demos, key) for key in keys}
    for number, demo in enumerate(demos):
        group = h5py.h5g.open(file["data"].id, demo.encode())
        for key, array in list(collected.items()):
            try:
                array.add(number, group)
            except EmbodiedError:
                del collected[key]
        on_episode(1)
    return {key: array.places() for key, array in collected.items()}


def find_places(
    file: H5,
    demos: Sequence[str],
    keys: Sequence[str],
    on_episode: OnEpisode | None = None,
) -> dict[str, ArrayPlaces]:
    """Finds the rows of arrays in all episodes of an open file.

    Args:
        file: an open dataset.
        demos: the names of its episodes.
        keys: the arrays' names within an episode.
        on_episode: a function that is called after each episode.

    Returns:
        The name of each array -> the positions of its rows.

    Raises:
        EmbodiedError: there is no such array; lists those that exist.
        DatasetError: an episode lacks an array, or has it with another row shape or type
            than the first episode; an array is stored in another file; or it does not
            hold numbers.
    """
    collected = [_Collected(file, demos, key) for key in keys]
    # episode by episode, so that each group is opened only once
    for number, demo in enumerate(demos):
        group = h5py.h5g.open(file["data"].id, demo.encode())
        for array in collected:
            array.add(number, group)
        if on_episode is not None:
            on_episode(1)
    return {array.key: array.places() for array in collected}


class _Opened:
    """A low-level HDF5 array with its properties, each of which is read from HDF5 once.

    Attributes:
        array: the array.
        shape: the shape of the array.
        dtype: the data type of one number.
        offset: position of the values in this file; None if they are not stored in one
            piece in this file.
    """

    def __init__(self, array: H5) -> None:
        self.array = array
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype = array.dtype
        self.offset: int | None = array.get_offset()

    @cached_property
    def creation(self) -> H5:
        """The property list with which the array was created."""
        return self.array.get_create_plist()

    @cached_property
    def layout(self) -> int:
        """The storage layout, a value of the HDF5 enumeration H5D_layout_t."""
        if self.offset is not None:
            return int(h5py.h5d.CONTIGUOUS)
        return int(self.creation.get_layout())

    @property
    def lies_elsewhere(self) -> bool:
        """Whether the values lie in other files."""
        # fast path: values with an offset lie in this file
        if self.offset is not None:
            return False
        is_virtual = self.layout == h5py.h5d.VIRTUAL
        return is_virtual or self.creation.get_external_count() > 0


class _Collected:
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

        # the fields of the resulting `ArrayPlaces`
        self._rows = np.zeros(len(demos), np.int64)
        self._offset = np.full(len(demos), NO_PLACE, np.int64)
        self._row_offsets: list[np.ndarray] = []
        self._row_sizes: list[np.ndarray] = []
        self._layouts: set[Layout] = set()

    def add(self, number: int, group: H5) -> None:
        """Adds the array of one episode.

        Args:
            number: the number of the episode.
            group: the group of the episode, a low-level one of h5py.
        """
        array = self._opened(number, group)
        self._check(number, array)
        self._rows[number] = array.shape[0]

        layout = _layout(array)
        if layout == "contiguous":
            offset = array.offset or 0  # None if the array is empty
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
                offsets, sizes = chunks
                self._row_offsets.append(offsets)
                self._row_sizes.append(sizes)

        self._layouts.add(layout)

    def places(self) -> ArrayPlaces:
        """Returns the positions of the rows of all episodes."""
        # Episodes of a file from elsewhere may differ in layout, and a user block at the
        # file's start would shift all positions. HDF5 can read both.
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
            row_shape=self._row,
            rows=self._rows,
            offset=self._offset if layout == "contiguous" else self._offset[:0],
            row_offset=row_offset,
            row_size=row_size,
        )

    def _opened(self, number: int, group: H5) -> _Opened:
        """Opens the low-level array of one episode.

        Raises:
            EmbodiedError: the first episode has no such array; lists those it has.
            DatasetError: only a later episode lacks the array, or the array is in
                another file.
        """
        try:
            array = _Opened(h5py.h5d.open(group, self._name))
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

    def _check(self, number: int, array: _Opened) -> None:
        """Raises DatasetError if row shape or type differ from the first episode's."""
        if not array.shape or array.dtype.kind not in NUMBERS:
            raise DatasetError(
                f"{self._where(number)} has no rows of numbers in {self.key} that a "
                "window could hold"
            )

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

    def keep(name: str, item: H5) -> None:
        """Adds the name of an item that is an array."""
        # a window requests `streams/reward/value` as `streams/reward`
        if isinstance(item, h5py.Dataset):
            names.append(name.removesuffix("/value"))

    file["data"][demos[0]].visititems(keep)
    return names


def _layout(array: _Opened) -> Layout:
    """Returns the layout of one array, by the properties that it was created with."""
    # numbers in another byte order must be converted, which HDF5 does
    if not array.dtype.isnative:
        return "hdf5"
    # an empty array has nothing to read, so any layout will do
    if 0 in array.shape:
        return "contiguous"
    if array.layout == h5py.h5d.CONTIGUOUS:
        # an array that was never written has no position; HDF5 gives its fill value
        return "contiguous" if array.offset is not None else "hdf5"

    # gzip must be the only filter, and each chunk one row
    if array.layout != h5py.h5d.CHUNKED or array.creation.get_nfilters() != 1:
        return "hdf5"
    is_gzip = array.creation.get_filter(0)[0] == h5py.h5z.FILTER_DEFLATE
    is_by_row = array.creation.get_chunk() == (1, *array.shape[1:])
    return "gzip" if is_gzip and is_by_row else "hdf5"


def _chunks(array: _Opened) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns the positions (rows,) and sizes (rows,) of the compressed rows, in bytes.

    None if a row was never written, or was stored uncompressed.
    """
    if array.array.get_num_chunks() != array.shape[0]:
        return None
    offset = np.full(array.shape[0], NO_PLACE, np.int64)
    size = np.zeros(array.shape[0], np.int32)

    def keep(chunk: h5py.h5d.StoreInfo) -> None:
        """Notes where a chunk lies and how long it is; a chunk is one row."""
        # HDF5 sets this mask for a chunk that it stored without compression
        if not chunk.filter_mask:
            row = chunk.chunk_offset[0]
            offset[row] = chunk.byte_offset
            size[row] = chunk.size

    array.array.chunk_iter(keep)
    return None if (offset == NO_PLACE).any() else (offset, size)
