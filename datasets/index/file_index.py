"""The index of a dataset file as plain data, and its conversion to packed arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np

from embodied.datasets.index.clock import Clock
from embodied.datasets.index.packed import Packed, as_bytes, from_bytes
from embodied.datasets.index.places import NUMBERS, ArrayPlaces, Layout
from embodied.errors import EmbodiedError

ALL = "all"  # stands for a mask with every episode
# the arrays among the fields of `ArrayPlaces` and of `Clock`
PLACES_ARRAYS = ("rows", "offset", "row_offset", "row_size")
CLOCK_ARRAYS = ("rows", "first", "step", "ticks")


@dataclass(frozen=True)
class Stamp:
    """A file's size and time of modification; if either differs, the file changed."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, state: os.stat_result) -> Stamp:
        """Returns the stamp of a file whose `stat` result is given."""
        return cls(state.st_size, state.st_mtime_ns)


@dataclass
class FileIndex:
    """The episodes of a file in the order of their numbers, and the places of rows.

    Attributes:
        stamp: the stamp of the file.
        demos: (E,) names of the episodes.
        sentences: the different instructions in the file.
        instruction: (E,) index into `sentences`.
        masks: name -> numbers of episodes.
        places: name of an array -> the positions of its rows; only of the arrays that
            were requested so far.
        clocks: name of an array of ticks, such as `frame_tick` -> those ticks; only of
            the arrays that were requested so far.
    """

    stamp: Stamp
    demos: tuple[str, ...]
    sentences: tuple[str, ...]
    instruction: np.ndarray
    masks: Mapping[str, np.ndarray]
    places: dict[str, ArrayPlaces] = field(default_factory=dict)
    clocks: dict[str, Clock] = field(default_factory=dict)

    def chosen(self, path: Path, mask: str) -> np.ndarray:
        """Returns the numbers of the episodes in a mask.

        Args:
            path: the path of the file, for the error message.
            mask: its name, or `ALL`.

        Raises:
            EmbodiedError: there is no such mask, or it is empty.
        """
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


def packed_arrays(index: FileIndex) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Returns the arrays and notes that `write_packed` stores for an index."""
    arrays = {
        "demos": as_bytes(index.demos),
        "sentences": as_bytes(index.sentences),
        "instruction": index.instruction,
    }
    arrays |= {f"masks/{name}": numbers for name, numbers in index.masks.items()}

    # the positions of each array's rows
    notes: dict[str, Any] = {"places": {}, "clocks": list(index.clocks)}
    for key, places in index.places.items():
        notes["places"][key] = {
            "layout": places.layout,
            "dtype": places.dtype.str,
            "row": places.row_shape,
        }
        for name in PLACES_ARRAYS:
            arrays[f"places/{key}/{name}"] = getattr(places, name)

    # the ticks of each stream
    for key, clock in index.clocks.items():
        for name in CLOCK_ARRAYS:
            arrays[f"clocks/{key}/{name}"] = getattr(clock, name)
    return arrays, notes


def unpacked(
    packed: Packed,
    stamp: Stamp,
    content_size: int,
    arrays: Iterable[str] | None = None,
    clocks: Iterable[str] | None = None,
) -> FileIndex:
    """Returns the index that was stored by `write_packed`.

    Args:
        packed: the stored arrays and notes.
        stamp: the stamp of the dataset's file.
        content_size: the size of the dataset in bytes; no row may lie beyond it.
        arrays: names of the arrays whose places to load; None for all. Arrays without
            stored places are skipped.
        clocks: names of the arrays of ticks whose clocks to load; None for all. Arrays
            without a stored clock are skipped.

    Raises:
        ValueError: the index is damaged.
        KeyError: a part of the index is missing.
    """
    notes = packed.notes
    index = FileIndex(
        stamp=stamp,
        demos=tuple(from_bytes(packed.array("demos"))),
        sentences=tuple(from_bytes(packed.array("sentences"))),
        instruction=packed.array("instruction"),
        masks=packed.arrays_below("masks"),
    )
    count = len(index.demos)
    masks = list(index.masks.values())
    if len(index.instruction) != count or not _are_below(masks, count):
        raise ValueError("instructions or masks do not match the number of episodes")
    if not _are_below([index.instruction], len(index.sentences)):
        raise ValueError("an episode's instruction is not among the sentences")

    for key in notes["places"] if arrays is None else arrays:
        if key in notes["places"]:
            index.places[key] = _places(packed, key, count, content_size)
    for key in notes["clocks"] if clocks is None else clocks:
        if key in notes["clocks"]:
            index.clocks[key] = _clock(packed, key, count)
    return index


def _are_below(arrays: list[np.ndarray], end: int) -> bool:
    """Returns whether all arrays hold whole numbers from 0 to `end` - 1."""
    return all(
        array.dtype.kind == "i"
        and (not array.size or 0 <= array.min() <= array.max() < end)
        for array in arrays
    )


def _places(packed: Packed, key: str, count: int, content_size: int) -> ArrayPlaces:
    """Returns the positions of an array's rows.

    Args:
        packed: the stored index.
        key: the array's name.
        count: number of episodes.
        content_size: the size of the dataset in bytes.

    Raises:
        ValueError: the positions are not valid in such a dataset.
    """
    note = packed.notes["places"][key]
    layout: Layout = note["layout"]
    if layout not in get_args(Layout):
        raise ValueError(f"there is no layout {layout}")

    dtype = np.dtype(note["dtype"])
    arrays = packed.arrays_below(f"places/{key}")
    places = ArrayPlaces(
        layout=layout,
        dtype=dtype,
        row_shape=tuple(int(width) for width in note["row"]),
        **{name: arrays[name] for name in PLACES_ARRAYS},
    )
    if dtype.kind not in NUMBERS or not places.lie_within(count, content_size):
        raise ValueError(f"the stored positions of {key} are not valid")
    return places


def _clock(packed: Packed, key: str, count: int) -> Clock:
    """Returns the clock of an array of ticks.

    Args:
        packed: the stored index.
        key: the array's name.
        count: number of episodes.

    Raises:
        ValueError: the clock's arrays have wrong lengths or values.
    """
    arrays = packed.arrays_below(f"clocks/{key}")
    clock = Clock(**{name: arrays[name] for name in CLOCK_ARRAYS})
    is_valid = len(clock.rows) == len(clock.first) == len(clock.step) == count
    is_valid = is_valid and bool((clock.rows >= 1).all() and (clock.step >= 1).all())
    # `ticks` is empty for evenly spaced rows, else it has one entry per row
    if not is_valid or len(clock.ticks) not in (0, int(clock.rows.sum())):
        raise ValueError(f"the stored ticks of {key} are not valid")
    return clock
