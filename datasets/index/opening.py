"""Opening the index of a dataset: from its seal, from `FILE.index`, or by building it.

The index of a file without a seal is kept in `FILE.index` beside it. That is a cache: it
may be deleted, and is built again when the dataset has changed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from embodied import files
from embodied.datasets.guarded import damage_named
from embodied.datasets.index.file_index import (
    FileIndex,
    Stamp,
    packed_arrays,
    unpacked,
)
from embodied.datasets.index.finding import find_index, find_missing
from embodied.datasets.index.packed import Packed, write_packed
from embodied.datasets.index.places import OnEpisode
from embodied.datasets.index.rows import FileOnDisk, StoredRows, rows_on_disk
from embodied.datasets.index.seal import sealed
from embodied.datasets.opening import open_file

INDEX_SUFFIX = ".index"
INDEX_VERSION = 2


def open_index(
    path: Path,
    arrays: Sequence[str],
    clocks: Sequence[str],
    on_episode: OnEpisode | None = None,
    keep: bool = True,
) -> FileIndex:
    """Returns the index of a dataset, with the places and clocks of some arrays.

    Args:
        path: the path of the dataset.
        arrays: names of the arrays whose places are needed.
        clocks: names of the arrays of ticks whose clocks are needed.
        on_episode: a function that is called after each episode that had to be
            searched, because a needed array was not in the index.
        keep: whether to write an index that was built or completed to `FILE.index`. A
            read-only folder is no error.

    Raises:
        DatasetError: the file is not a dataset, or episodes differ in an array's form.
        EmbodiedError: there is no such array.
    """
    try:
        stamp = Stamp.of(path.stat())
    except OSError:
        # `open_file` raises a DatasetError that says more
        with open_file(path):
            raise
    with open_file(path) as file, damage_named(path):
        seal = sealed(path, file)
    index = seal.index(stamp, arrays, clocks) if seal is not None else None
    if index is None:
        index = _read(path, stamp) or find_index(path, stamp)

    is_changed = find_missing(path, index, arrays, clocks, on_episode)
    # a sealed file's index is at its end already
    if is_changed and keep and seal is None:
        _write(path, index)
    return index


def stored_rows(file: FileOnDisk, index: FileIndex, key: str) -> StoredRows:
    """Returns the rows of an array of a file, which its index must have."""
    return rows_on_disk(file, index.places[key], key, index.demos)


def index_path(path: Path) -> Path:
    """Returns the path at which the index of a file without a seal is kept."""
    return path.with_name(f"{path.name}{INDEX_SUFFIX}")


def _write(path: Path, index: FileIndex) -> None:
    """Writes an index beside its dataset, unless the folder cannot be written."""
    target = index_path(path)
    temporary = target.with_name(f"{target.name}.writing.{os.getpid()}")
    arrays, notes = packed_arrays(index)
    notes |= {
        "index_version": INDEX_VERSION,
        "size": index.stamp.size,
        "mtime_ns": index.stamp.mtime_ns,
    }
    # without the cache the next opening is only slower
    try:
        with files.replacing(target, temporary), temporary.open("wb") as file:
            write_packed(file, arrays, notes)
    except (OSError, files.WriteError):
        return


def _read(path: Path, stamp: Stamp) -> FileIndex | None:
    """Returns the index kept beside a dataset; None if missing, outdated or damaged."""
    try:
        packed = Packed(index_path(path))
        kept = Stamp(packed.notes["size"], packed.notes["mtime_ns"])
        if packed.notes["index_version"] != INDEX_VERSION or kept != stamp:
            return None
        return unpacked(packed, stamp, stamp.size)
    except (OSError, KeyError, ValueError, TypeError):
        return None
