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
    index_from_packed,
    index_to_packed,
)
from embodied.datasets.index.finding import add_missing, build_index
from embodied.datasets.index.packed import Packed, write_packed
from embodied.datasets.index.row_positions import OnEpisode
from embodied.datasets.index.rows import FileOnDisk, StoredRows, rows_on_disk
from embodied.datasets.index.seal import sealed
from embodied.datasets.opening import open_file

INDEX_SUFFIX = ".index"
# Raised when the format of `FILE.index` changes; files of other versions are rebuilt.
INDEX_VERSION = 2


def open_index(
    path: Path,
    arrays: Sequence[str],
    clocks: Sequence[str],
    on_episode: OnEpisode | None = None,
    keep: bool = True,
) -> FileIndex:
    """Returns the index of a dataset, with the row positions and clocks of some arrays.

    Args:
        path: the path of the dataset.
        arrays: the names of the arrays whose row positions are needed.
        clocks: the names of the arrays of ticks whose clocks are needed.
        on_episode: a function that is called after each episode that had to be
            searched, because a needed array was not in the index.
        keep: whether to write an index that was built or completed to `FILE.index`. In a
            read-only folder nothing is written.

    Raises:
        DatasetError: the file is not a dataset, or episodes differ in an array's row
            shape or type.
        EmbodiedError: there is no such array.
    """
    try:
        stamp = Stamp.of(path.stat())
    except OSError:
        # `open_file` fails, too, with a DatasetError that says more than the OSError
        with open_file(path):
            raise

    # try the seal first, then `FILE.index`; walking the HDF5 groups is the slowest
    with open_file(path) as file, damage_named(path):
        seal = sealed(path, file)
    index = seal.index(stamp, arrays, clocks) if seal is not None else None
    if index is None:
        index = _read_index_file(path, stamp) or build_index(path, stamp)

    is_changed = add_missing(path, index, arrays, clocks, on_episode=on_episode)
    # a sealed dataset needs no `FILE.index`, because its index is in the dataset's file
    if is_changed and keep and seal is None:
        _write_index_file(path, index)
    return index


def stored_rows(file: FileOnDisk, index: FileIndex, key: str) -> StoredRows:
    """Returns a reader of an array's rows in all episodes.

    Args:
        file: the dataset's file.
        index: the index of the file, with the row positions of the array.
        key: the array's name within an episode.
    """
    return rows_on_disk(file, index.positions[key], key, index.demos)


def index_path(path: Path) -> Path:
    """Returns the path at which the index of a file without a seal is kept."""
    return path.with_name(f"{path.name}{INDEX_SUFFIX}")


def _write_index_file(path: Path, index: FileIndex) -> None:
    """Writes an index to `FILE.index` beside its dataset, unless that fails."""
    target = index_path(path)
    temporary = target.with_name(f"{target.name}.writing.{os.getpid()}")
    arrays, metadata = index_to_packed(index)
    metadata |= {
        "index_version": INDEX_VERSION,
        "size": index.stamp.size,
        "mtime_ns": index.stamp.mtime_ns,
    }
    # a failure is no error: without this cache, only the next opening takes longer
    try:
        with files.replacing(target, temporary), temporary.open("wb") as file:
            write_packed(file, arrays, metadata)
    except (OSError, files.WriteError):
        return


def _read_index_file(path: Path, stamp: Stamp) -> FileIndex | None:
    """Returns the index in `FILE.index`; None if it is missing, outdated or damaged.

    Args:
        path: the path of the dataset.
        stamp: the stamp of the dataset; an index of another stamp is outdated.
    """
    try:
        packed = Packed(index_path(path))
        indexed_stamp = Stamp(packed.metadata["size"], packed.metadata["mtime_ns"])
        if packed.metadata["index_version"] != INDEX_VERSION or indexed_stamp != stamp:
            return None
        return index_from_packed(packed, stamp, stamp.size)
    except (OSError, KeyError, ValueError, TypeError):
        return None
