"""Reading HDF5 that may be damaged or foreign: only what lies in the file itself.

HDF5's library raises errors of many kinds for bytes that make no sense, it follows links
to any file, and it gives an array of any size that a file declares. Here the first
become a `DatasetError`, the second are not followed, and the third are refused.
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

# What h5py raises for bytes that make no sense, or for an item of another kind.
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
# HDF5's own numbers: of its H5L_type_t and H5D_layout_t
HARD_LINK = 0
CONTIGUOUS = 1
VIRTUAL = 3
# gzip shrinks data to no less than about 1/1032, so more than this is damage.
LARGEST_EXPANSION = 1100
# An array may declare so much even if less is stored: values that were never written
# are read as a fill value, and take no space.
SMALL_BYTES = 2**20


@contextmanager
def damage_named(place: Path | H5, name: str = "") -> Iterator[None]:
    """Turns what h5py raises within the block into a `DatasetError`.

    Args:
        place: the file, by its path, or the open item that is read.
        name: of what is read below it; empty for itself.
    """
    try:
        yield
    except DAMAGE as error:
        raise _damaged(place, name, error) from error


def _damaged(place: Path | H5, name: str, error: BaseException) -> DatasetError:
    """Returns the error for what cannot be read; h5py is asked for names only now."""
    reason = one_line(error)
    if isinstance(place, Path):
        what = f": {name} cannot be read" if name else ""
        return DatasetError(f"{place} is damaged{what} ({reason})")
    what = f"{place.name}/{name}" if name else f"{place.name}"
    return DatasetError(
        f"{place.file.filename} is damaged: {what} cannot be read ({reason})"
    )


def own_item(group: H5, name: str) -> H5 | None:
    """Returns the group or array of a name; None for what is not followed or not there.

    Links to other files or places, and arrays whose values lie in other files, are not
    followed.
    """
    if not isinstance(group, h5py.Group):
        return None
    # h5py's own way, `group.get(name, getlink=True)`, takes three times as long
    links = group.id.links
    key = name.encode()
    if not links.exists(key) or links.get_info(key).type != HARD_LINK:
        return None
    item = group[name]
    if isinstance(item, h5py.Dataset):
        return None if _lies_elsewhere(item) else item
    return item if isinstance(item, h5py.Group) else None


def _lies_elsewhere(array: H5) -> bool:
    """Returns whether the values of an array lie in other files."""
    how = array.id.get_create_plist()
    layout = how.get_layout()
    if layout == CONTIGUOUS:
        return how.get_external_count() > 0
    return layout == VIRTUAL


def own_group(group: H5, name: str) -> H5 | None:
    """Returns a group right below another one; None for anything else."""
    item = own_item(group, name)
    return item if isinstance(item, h5py.Group) else None


def own_array(group: H5, name: str) -> H5 | None:
    """Returns an array right below a group; None for anything else."""
    item = own_item(group, name)
    return item if isinstance(item, h5py.Dataset) else None


def group_in(group: H5, name: str) -> H5:
    """Returns a group right below another one.

    Raises:
        DatasetError: there is none in this file.
    """
    with damage_named(group, name):
        found = own_group(group, name)
    if found is None:
        raise DatasetError(
            f"{group.file.filename} is damaged: {group.name} has no group {name} of its own"
        )
    return found


def array_in(group: H5, name: str) -> H5:
    """Returns an array right below a group.

    Raises:
        DatasetError: there is none in this file.
    """
    with damage_named(group, name):
        found = own_array(group, name)
    if found is None:
        raise DatasetError(
            f"{group.file.filename} is damaged: {group.name} has no array {name} of its own"
        )
    return found


def arrays_in(group: H5) -> dict[str, H5]:
    """Returns the arrays right below a group, by name; other items are left out."""
    with damage_named(group):
        items = {name: own_array(group, name) for name in group}
    return {name: item for name, item in items.items() if item is not None}


def arrays_below(group: H5) -> dict[str, H5]:
    """Returns all arrays below a group, whose names hold slashes."""
    found: dict[str, H5] = {}

    def keep(name: str | bytes, item: H5) -> None:
        # h5py gives names that are no text as bytes
        if isinstance(name, bytes):
            raise ValueError(f"the name {name!r} is no text")
        if isinstance(item, h5py.Dataset) and not _lies_elsewhere(item):
            np.dtype(item.dtype)  # raises here for a type that makes no sense
            found[name] = item

    with damage_named(group):
        group.visititems(keep)
    return found


def read_attribute(item: H5, name: str) -> Any:
    """Returns an attribute as a text, a plain number or an array.

    Raises:
        KeyError: there is none of that name.
        ValueError: it is a text that is not in UTF-8.
    """
    value = item.attrs[name]
    if isinstance(value, bytes):
        return value.decode()
    return value.item() if isinstance(value, np.generic) else value


def read_array(array: H5, rows: Any = ()) -> np.ndarray:
    """Returns the values of an array, or some of its rows.

    Args:
        array: an open array.
        rows: a number, a slice or a sequence of numbers; () for all values.

    Raises:
        DatasetError: they cannot be read; or the array declares more than the file can
            hold, or than this machine has memory for.
    """
    try:
        wanted = _wanted_bytes(array, rows)
        if wanted > SMALL_BYTES:
            _require_sound_size(array, wanted)
        return np.asarray(array[rows])
    except DAMAGE as error:
        raise _damaged(array, "", error) from error


def _wanted_bytes(array: H5, rows: Any) -> int:
    """Returns how many bytes the values, or some rows (see `read_array`), take."""
    declared = int(array.size or 0) * array.dtype.itemsize
    if not array.ndim or not array.shape[0] or isinstance(rows, tuple):
        return declared
    count = 1  # of rows, where `rows` is a number
    if isinstance(rows, slice):
        count = len(range(*rows.indices(array.shape[0])))
    elif not isinstance(rows, int | np.integer):
        count = len(rows)
    return declared // array.shape[0] * count


def require_sound_size(array: H5) -> None:
    """Raises DatasetError if an array declares more than is stored or can be held."""
    with damage_named(array):
        declared = _wanted_bytes(array, ())
        if declared > SMALL_BYTES:
            _require_sound_size(array, declared)


def _require_sound_size(array: H5, wanted: int) -> None:
    """Raises DatasetError if the bytes that are wanted of an array cannot be there."""
    stored = int(array.id.get_storage_size())
    if wanted > stored * LARGEST_EXPANSION:
        raise DatasetError(
            f"{array.file.filename} is damaged: {array.name} declares {array.shape} "
            f"{array.dtype}, {wanted / 1e9:.3g} GB, but holds {stored} bytes"
        )
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if wanted > memory:
        raise DatasetError(
            f"{array.name} of {array.file.filename} has {wanted / 1e9:.3g} GB, more "
            f"than the {memory / 1e9:.3g} GB of this machine's memory"
        )
