"""The index of a dataset file: which episodes it has, and where their rows lie.

To find the arrays of 20,000 episodes in a file takes a minute. So it is done once, and
kept in `FILE.index` beside the file. The index holds nothing else than what the file
says: it may be deleted, and is made anew when the file has changed.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import h5py
import numpy as np

from embodied.datasets.guarded import damage_named
from embodied.datasets.h5_files import new_file, open_to_read
from embodied.datasets.opening import demo_names, open_file, stored_masks
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import H5, DatasetError
from embodied.datasets.windows.clock import Clock, clock_of
from embodied.datasets.windows.places import (
    ArrayPlaces,
    Layout,
    OnEpisode,
    find_places,
)
from embodied.datasets.windows.rows import (
    FileOnDisk,
    Stamp,
    StoredRows,
    rows_on_disk,
)
from embodied.errors import EmbodiedError
from embodied.files import WriteError

INDEX_SUFFIX = ".index"
INDEX_VERSION = 1
ALL = "all"  # every episode, like a mask


@dataclass
class FileIndex:
    """The episodes of a file in the order of their numbers, and their rows.

    Attributes:
        stamp: of the file.
        demos: the names of the episodes (E,).
        sentences: the instructions of the file.
        instruction: (E,) index into `sentences`.
        masks: name -> numbers of episodes.
        places: name of an array -> where its rows lie, as far as it was asked for.
        clocks: name of an array of ticks, such as `frame_tick` -> when its rows were.
    """

    stamp: Stamp
    demos: tuple[str, ...]
    sentences: tuple[str, ...]
    instruction: np.ndarray
    masks: Mapping[str, np.ndarray]
    places: dict[str, ArrayPlaces] = field(default_factory=dict)
    clocks: dict[str, Clock] = field(default_factory=dict)

    def chosen(self, path: Path, mask: str) -> np.ndarray:
        """Returns the numbers of the episodes in a mask; raises if there are none."""
        if mask == ALL:
            return np.arange(len(self.demos))
        numbers = self.masks.get(mask, np.zeros(0, np.int64))
        if not len(numbers):
            sizes = {name: len(these) for name, these in self.masks.items()}
            raise EmbodiedError(
                f"no episode of {path} is in a mask {mask!r}: choose one of {sizes}, or "
                f"{ALL!r}"
            )
        return numbers


def open_index(
    path: Path,
    arrays: Sequence[str],
    clocks: Sequence[str],
    on_episode: OnEpisode | None = None,
    keep: bool = True,
) -> FileIndex:
    """Returns the index of a file, from beside it as far as it is there.

    What is found anew is written there, if it is to be kept and the folder can be written.

    Args:
        path: of the dataset.
        arrays: names of the arrays whose places are needed.
        clocks: names of the arrays of ticks that are needed.
        on_episode: is called after each episode, where something is not in the index.
        keep: whether to write what is found anew.

    Raises:
        DatasetError: the file is not a dataset, or its episodes do not fit together.
        EmbodiedError: there is no such array.
    """
    try:
        stamp = Stamp.of(path.stat())
    except OSError:
        with open_file(path):  # says what is wrong
            raise
    index = _read(path, stamp)
    if index is None:
        index = _of_episodes(path, stamp)

    missing = [key for key in arrays if key not in index.places]
    missing_clocks = [key for key in clocks if key not in index.clocks]
    if missing or missing_clocks:
        keys = list(dict.fromkeys([*missing, *missing_clocks]))
        with open_file(path) as file, damage_named(path):
            found = find_places(file, index.demos, keys, on_episode)
        index.places.update({key: found[key] for key in missing})
        for key in missing_clocks:
            index.clocks[key] = _clock(path, index, key, found[key])
        if keep:
            _write(path, index)
    return index


def stored_rows(file: FileOnDisk, index: FileIndex, key: str) -> StoredRows:
    """Returns the rows of an array of a file, which its index has."""
    return rows_on_disk(file, index.places[key], key, index.demos)


def _of_episodes(path: Path, stamp: Stamp) -> FileIndex:
    """Returns the index of a file in which no array was looked for yet."""
    with open_file(path) as file, damage_named(path):
        demos = demo_names(file)
        if not demos:
            raise DatasetError(f"{path} has no episodes to learn from")
        masks = stored_masks(file, demos)
        sentences: dict[str, int] = {}
        instruction = []
        data = file["data"]
        for demo in demos:
            sentence = data[demo].attrs.get("instruction", "")
            instruction.append(sentences.setdefault(sentence, len(sentences)))

    if masks is None:
        with Dataset(path) as dataset:
            masks = {name: dataset.mask(name) for name in dataset.masks}
    return FileIndex(
        stamp=stamp,
        demos=tuple(demos),
        sentences=tuple(sentences),
        instruction=np.array(instruction, np.int64),
        masks={name: np.array(these, np.int64) for name, these in masks.items()},
    )


def _clock(path: Path, index: FileIndex, key: str, places: ArrayPlaces) -> Clock:
    """Reads ticks; raises DatasetError if they do not rise, or an episode has none."""
    if places.row or places.dtype.kind not in "iu":
        raise DatasetError(f"{path}: {key} must hold a whole number in each row")
    empty = np.flatnonzero(places.rows == 0)
    if len(empty):
        raise DatasetError(f"{path}: {index.demos[empty[0]]} has no row of {key}")

    file = FileOnDisk(path, index.stamp)
    source = rows_on_disk(file, places, key, index.demos)
    ticks = source.all_rows(np.arange(len(index.demos))).astype(np.int64)
    file.close()

    # Plans may be made of one and the same picture; all other rows have their own tick.
    owner = np.repeat(np.arange(len(places.rows)), places.rows)
    least = 0 if key.startswith("plans/") else 1
    falls = (np.diff(ticks) < least) & (np.diff(owner) == 0)
    if falls.any():
        demo = index.demos[owner[np.argmax(falls)]]
        raise DatasetError(f"{path}: the ticks of {key} in {demo} do not rise")
    return clock_of(places.rows, ticks)


def index_path(path: Path) -> Path:
    """Returns where the index of a file is kept."""
    return path.with_name(f"{path.name}{INDEX_SUFFIX}")


def _write(path: Path, index: FileIndex) -> None:
    """Keeps an index beside its file, unless the folder cannot be written."""
    target = index_path(path)
    temporary = target.with_name(f"{target.name}.writing.{os.getpid()}")
    try:
        with new_file(target, temporary) as new:
            _write_to(new.h5, index)
    except WriteError:
        return


def _write_to(file: H5, index: FileIndex) -> None:
    """Writes an index; arrays' names hold slashes, so their groups lie in others."""
    file.attrs["index_version"] = INDEX_VERSION
    file.attrs["size"] = index.stamp.size
    file.attrs["mtime_ns"] = index.stamp.mtime_ns
    file["sentences"] = np.frombuffer(json.dumps(index.sentences).encode(), np.uint8)
    file["demos"] = np.array([demo.encode() for demo in index.demos])
    file["instruction"] = index.instruction
    for name, numbers in index.masks.items():
        file[f"masks/{name}"] = numbers

    for key, places in index.places.items():
        group = file.create_group(f"places/{key}")
        group.attrs["key"] = key
        group.attrs["layout"] = places.layout
        group.attrs["dtype"] = places.dtype.str
        group.attrs["row"] = np.array(places.row, np.int64)
        for name in ("rows", "offset", "row_offset", "row_size"):
            group[name] = getattr(places, name)
    for key, clock in index.clocks.items():
        group = file.create_group(f"clocks/{key}")
        group.attrs["key"] = key
        for name in ("rows", "first", "step", "ticks"):
            group[name] = getattr(clock, name)


def _read(path: Path, stamp: Stamp) -> FileIndex | None:
    """Returns what is kept beside a file; None if it is missing, old or damaged."""
    try:
        with open_to_read(index_path(path)) as file:
            kept = Stamp(int(file.attrs["size"]), int(file.attrs["mtime_ns"]))
            if file.attrs["index_version"] != INDEX_VERSION or kept != stamp:
                return None
            return _read_from(file, stamp)
    except (OSError, KeyError, ValueError, TypeError, RuntimeError):
        return None


def _read_from(file: H5, stamp: Stamp) -> FileIndex:
    """Returns what `_write_to` wrote; raises if it is damaged."""
    index = FileIndex(
        stamp=stamp,
        demos=tuple(demo.decode() for demo in file["demos"][()]),
        sentences=tuple(json.loads(file["sentences"][()].tobytes())),
        instruction=file["instruction"][()],
        masks={name: array[()] for name, array in file["masks"].items()},
    )

    def keep(_: str, item: H5) -> None:
        # groups without a key are only the way to others
        if not isinstance(item, h5py.Group) or "key" not in item.attrs:
            return
        arrays: dict[str, Any] = {name: array[()] for name, array in item.items()}
        key = item.attrs["key"]
        if "step" in arrays:  # which only clocks have
            index.clocks[key] = Clock(**arrays)
            return
        layout: Layout = item.attrs["layout"]
        if layout not in get_args(Layout):
            raise ValueError(f"no layout {layout}")
        row = tuple(int(width) for width in item.attrs["row"])
        dtype = np.dtype(item.attrs["dtype"])
        index.places[key] = ArrayPlaces(layout=layout, dtype=dtype, row=row, **arrays)

    file.visititems(keep)
    return index
