"""Safe reading of HDF5 files that may be damaged or come from strangers.

The HDF5 library has three dangers, and this module guards against each:

- It raises many kinds of errors for damaged bytes. Here they all become a `DatasetError`.
- It follows links to any other file. Here such links are not followed.
- It allocates an array of any size that a file declares. Here a size that cannot be true
  is refused.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from embodied.datasets.schema import H5, DatasetError
from embodied.errors import one_line

# The errors that h5py raises for damaged bytes, or for an unexpected kind of item.
DAMAGE = (
    AttributeError,
    IndexError,
    KeyError,
    MemoryError,
    OSError,
    OverflowError,
    RuntimeError,
    TypeError,
    ValueError,
)
HARD_LINK = 0  # of the HDF5 enumeration H5L_type_t: a link to an item of the same file
CONTIGUOUS = 1  # of the HDF5 enumeration H5D_layout_t, how an array is stored
VIRTUAL = 3  # of the same enumeration: a view of other arrays
# gzip shrinks data at most by a factor of about 1032. So an array is damaged if it
# declares more than this many bytes per byte that it takes in the file.
LARGEST_EXPANSION = 1100
# Arrays up to this size are not checked. A sound array may take no space in the file,
# because values that were never written are read as a fill value.
SMALL_BYTES = 2**20


@contextmanager
def damage_named(source: Path | H5, name: str = "") -> Iterator[None]:
    """Turns h5py's errors within the block into a `DatasetError` that names what is read.

    Args:
        source: the path of the file, or the open group or array that is read.
        name: the item that is read within `source`; "" if `source` itself is read.
    """
    try:
        yield
    except DAMAGE as error:
        raise _damaged(source, name, error) from error


def _damaged(source: Path | H5, name: str, error: BaseException) -> DatasetError:
    """Returns the `DatasetError` that names the item that cannot be read.

    Args:
        source: see `damage_named`.
        name: see `damage_named`.
        error: the error that h5py raised.
    """
    reason = one_line(error)
    if isinstance(source, Path):
        detail = f": {name} cannot be read" if name else ""
        return DatasetError(f"{source} is damaged{detail} ({reason})")
    item = f"{source.name}/{name}" if name else f"{source.name}"
    return DatasetError(
        f"{source.file.filename} is damaged: {item} cannot be read ({reason})"
    )


def own_item(group: H5, name: str) -> H5 | None:
    """Returns a group or array that is stored in the group's own file, else None.

    Soft links, links to other files, and arrays whose values lie in other files count as
    missing.

    Args:
        group: an open group.
        name: the name of the item right below the group.
    """
    if not isinstance(group, h5py.Group):
        return None
    # h5py's low-level functions: `group.get(name, getlink=True)` is three times slower
    links = group.id.links
    key = name.encode()
    if not links.exists(key) or links.get_info(key).type != HARD_LINK:
        return None
    item = group[name]
    if isinstance(item, h5py.Dataset):
        return None if _lies_elsewhere(item) else item
    return item if isinstance(item, h5py.Group) else None


def _lies_elsewhere(array: H5) -> bool:
    """Returns whether the values of an array may lie in other files."""
    properties = array.id.get_create_plist()
    layout = properties.get_layout()
    # only contiguous arrays can have external files
    if layout == CONTIGUOUS:
        return properties.get_external_count() > 0
    # the values of a virtual array are views of other arrays, in any file
    return layout == VIRTUAL


def own_group(group: H5, name: str) -> H5 | None:
    """Returns a subgroup that is stored in the group's own file, else None."""
    item = own_item(group, name)
    return item if isinstance(item, h5py.Group) else None


def own_array(group: H5, name: str) -> H5 | None:
    """Returns an array of a group that is stored in the group's own file, else None."""
    item = own_item(group, name)
    return item if isinstance(item, h5py.Dataset) else None


def group_in(group: H5, name: str) -> H5:
    """Returns a subgroup that is stored in the group's own file.

    Raises:
        DatasetError: there is no such group.
    """
    with damage_named(group, name):
        subgroup = own_group(group, name)
    if subgroup is None:
        raise DatasetError(
            f"{group.file.filename} is damaged: {group.name} has no group {name} of its own"
        )
    return subgroup


def array_in(group: H5, name: str) -> H5:
    """Returns an array of a group that is stored in the group's own file.

    Raises:
        DatasetError: there is no such array.
    """
    with damage_named(group, name):
        array = own_array(group, name)
    if array is None:
        raise DatasetError(
            f"{group.file.filename} is damaged: {group.name} has no array {name} of its own"
        )
    return array


def arrays_in(group: H5) -> dict[str, H5]:
    """Returns the arrays right below a group, by name; other items are skipped."""
    with damage_named(group):
        items = {name: own_array(group, name) for name in group}
    return {name: item for name, item in items.items() if item is not None}


def arrays_below(group: H5) -> dict[str, H5]:
    """Returns all arrays below a group, at any depth, by their path within it."""
    arrays: dict[str, H5] = {}

    def add_array(name: str | bytes, item: H5) -> None:
        """Adds an item of the file, if it is an array whose values are in this file."""
        # h5py returns a name as bytes if it is not UTF-8
        if isinstance(name, bytes):
            raise ValueError(f"the name {name!r} is no text")
        if isinstance(item, h5py.Dataset) and not _lies_elsewhere(item):
            np.dtype(item.dtype)  # raises if the type is damaged
            arrays[name] = item

    with damage_named(group):
        group.visititems(add_array)
    return arrays


def read_attribute(item: H5, name: str) -> Any:
    """Returns an attribute of a group or array as a str, a Python number or an array.

    Raises:
        KeyError: there is no attribute of this name.
        ValueError: the attribute is a text that is not UTF-8.
    """
    value = item.attrs[name]
    if isinstance(value, bytes):
        return value.decode()
    if isinstance(value, str):
        value.encode()  # h5py reads bytes that are not UTF-8 as surrogates, without an error
    return value.item() if isinstance(value, np.generic) else value


def read_array(array: H5, rows: Any = ()) -> np.ndarray:
    """Returns the values of an array, or some of its rows.

    Args:
        array: an open array.
        rows: the rows to read, as a number, a slice or a sequence of numbers; () for all
            values.

    Raises:
        DatasetError: the values cannot be read; or they would take more bytes than the
            file can hold, or more than this machine's memory.
    """
    try:
        num_bytes = _num_bytes(array, rows)
        if num_bytes > SMALL_BYTES:
            _require_possible_size(array, num_bytes)
        return np.asarray(array[rows])
    except DAMAGE as error:
        raise _damaged(array, "", error) from error


def _num_bytes(array: H5, rows: Any) -> int:
    """Returns the size in memory of some rows of an array.

    Args:
        array: an open array.
        rows: see `read_array`.
    """
    # `size` is None for an array without values; a tuple stands for all values
    whole_bytes = int(array.size or 0) * array.dtype.itemsize
    if not array.ndim or not array.shape[0] or isinstance(rows, tuple):
        return whole_bytes

    # count the rows, which are all equally large
    if isinstance(rows, slice):
        count = len(range(*rows.indices(array.shape[0])))
    elif isinstance(rows, int | np.integer):
        count = 1
    else:
        count = len(rows)
    return whole_bytes // array.shape[0] * count


def require_sound_size(array: H5) -> None:
    """Raises DatasetError if a whole array cannot be as large as the file declares."""
    with damage_named(array):
        num_bytes = _num_bytes(array, ())
        if num_bytes > SMALL_BYTES:
            _require_possible_size(array, num_bytes)


def _require_possible_size(array: H5, num_bytes: int) -> None:
    """Raises DatasetError if values cannot be stored in the file or held in memory.

    Args:
        array: an open array.
        num_bytes: the size in memory of the values that would be read.
    """
    stored_bytes = int(array.id.get_storage_size())
    if num_bytes > stored_bytes * LARGEST_EXPANSION:
        raise DatasetError(
            f"{array.file.filename} is damaged: {array.name} declares {array.shape} "
            f"{array.dtype}, {num_bytes / 1e9:.3g} GB, but holds {stored_bytes} bytes"
        )
    memory_bytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if num_bytes > memory_bytes:
        raise DatasetError(
            f"{array.name} of {array.file.filename} has {num_bytes / 1e9:.3g} GB, more "
            f"than the {memory_bytes / 1e9:.3g} GB of this machine's memory"
        )
