"""The index of a dataset file as plain data, and its conversion to packed arrays."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import numpy as np

from embodied.datasets.index.clock import Clock
from embodied.datasets.index.packed import Packed, array_to_json, json_to_array
from embodied.datasets.index.row_positions import NUMBERS, Layout, RowPositions
from embodied.errors import EmbodiedError

ALL = "all"  # the name of a mask of all episodes, which is not stored
# The fields of `RowPositions` and of `Clock` that are arrays, and so are stored as arrays.
POSITION_ARRAYS = ("rows", "offset", "row_offset", "row_size")
CLOCK_ARRAYS = ("rows", "first", "step", "ticks")


@dataclass(frozen=True)
class Stamp:
    """A file's size and time of modification; if either differs, the file changed."""

    size: int
    mtime_ns: int

    @classmethod
    def of(cls, state: os.stat_result) -> Stamp:
        """Returns the stamp of a file, from the result of `os.stat` for the file."""
        return cls(size=state.st_size, mtime_ns=state.st_mtime_ns)


@dataclass
class FileIndex:
    """The E episodes of a file, and the positions of their rows in the file.

    Episodes have the numbers 0 to E - 1, by which all fields refer to them.

    Attributes:
        stamp: the size and modification time that the file had when it was indexed.
        demos: (E,) names of the episodes.
        sentences: the different instructions in the file.
        instruction: (E,) index into `sentences` of each episode's instruction.
        masks: the name of a mask -> (m,) numbers of the episodes in the mask.
        positions: the name of an array -> the positions of its rows; only of the arrays
            that were requested so far.
        clocks: the name of an array of ticks, such as `frame_tick` -> the ticks; only of
            the arrays that were requested so far.
    """

    stamp: Stamp
    demos: tuple[str, ...]
    sentences: tuple[str, ...]
    instruction: np.ndarray
    masks: Mapping[str, np.ndarray]
    positions: dict[str, RowPositions] = field(default_factory=dict)
    clocks: dict[str, Clock] = field(default_factory=dict)

    def episodes_in_mask(self, path: Path, mask: str) -> np.ndarray:
        """Returns (m,) the numbers of the episodes in a mask.

        Args:
            path: the path of the file, for the error message.
            mask: the name of the mask, or `ALL`.

        Raises:
            EmbodiedError: there is no such mask, or it is empty.
        """
        if mask == ALL:
            return np.arange(len(self.demos))
        numbers = self.masks.get(mask, np.zeros(0, np.int64))
        if not len(numbers):
            sizes = {name: len(episodes) for name, episodes in self.masks.items()}
            raise EmbodiedError(
                f"no episode of {path} is in a mask {mask!r}: choose one of {sizes}, or "
                f"{ALL!r}"
            )
        return numbers


def index_to_packed(index: FileIndex) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    """Converts an index to the arrays and JSON metadata that `write_packed` stores."""
    arrays = {
        "demos": json_to_array(index.demos),
        "sentences": json_to_array(index.sentences),
        "instruction": index.instruction,
    }
    arrays |= {f"masks/{name}": numbers for name, numbers in index.masks.items()}

    # the positions of each array's rows; the file format calls them places
    metadata: dict[str, Any] = {"places": {}, "clocks": list(index.clocks)}
    for key, positions in index.positions.items():
        metadata["places"][key] = {
            "layout": positions.layout,
            "dtype": positions.dtype.str,
            "row": positions.row_shape,
        }
        for name in POSITION_ARRAYS:
            arrays[f"places/{key}/{name}"] = getattr(positions, name)

    # the ticks at which the rows of each array were recorded
    for key, clock in index.clocks.items():
        for name in CLOCK_ARRAYS:
            arrays[f"clocks/{key}/{name}"] = getattr(clock, name)
    return arrays, metadata


def index_from_packed(
    packed: Packed,
    stamp: Stamp,
    content_size: int,
    arrays: Iterable[str] | None = None,
    clocks: Iterable[str] | None = None,
) -> FileIndex:
    """Returns the index that `index_to_packed` converted and `write_packed` stored.

    Args:
        packed: the stored arrays and metadata.
        stamp: the stamp of the dataset's file.
        content_size: the size of the dataset in bytes, before the index was appended; no
            row may lie beyond it.
        arrays: the names of the arrays whose row positions to load; None for all. Names
            without stored positions are skipped.
        clocks: the names of the arrays of ticks whose clocks to load; None for all. Names
            without a stored clock are skipped.

    Raises:
        ValueError: the index is damaged.
        KeyError: a part of the index is missing.
    """
    metadata = packed.metadata
    index = FileIndex(
        stamp=stamp,
        demos=tuple(array_to_json(packed.array("demos"))),
        sentences=tuple(array_to_json(packed.array("sentences"))),
        instruction=packed.array("instruction"),
        masks=packed.arrays_below("masks"),
    )
    # the index comes from a file, which may be damaged: check all numbers of episodes
    count = len(index.demos)
    masks = list(index.masks.values())
    if len(index.instruction) != count or not _are_indices(masks, count):
        raise ValueError("instructions or masks do not match the number of episodes")
    if not _are_indices([index.instruction], len(index.sentences)):
        raise ValueError("an episode's instruction is not among the sentences")

    # load the row positions and clocks of the requested arrays only
    for key in metadata["places"] if arrays is None else arrays:
        if key in metadata["places"]:
            index.positions[key] = _stored_positions(packed, key, count, content_size)
    for key in metadata["clocks"] if clocks is None else clocks:
        if key in metadata["clocks"]:
            index.clocks[key] = _stored_clock(packed, key, count)
    return index


def _are_indices(arrays: list[np.ndarray], length: int) -> bool:
    """Returns whether all numbers in the arrays index a sequence of a given length."""
    for array in arrays:
        # numpy's kind `i` is signed integers
        if array.dtype.kind != "i":
            return False
        if array.size and not 0 <= array.min() <= array.max() < length:
            return False
    return True


def _stored_positions(
    packed: Packed, key: str, count: int, content_size: int
) -> RowPositions:
    """Reads the positions of an array's rows from a stored index.

    Args:
        packed: the stored index.
        key: the array's name.
        count: the number of episodes in the dataset.
        content_size: the size of the dataset in bytes, without the index.

    Raises:
        ValueError: a position is outside of the dataset, or the array's layout or type
            is not one that an index may contain.
    """
    # the file format calls the positions places
    stored_form = packed.metadata["places"][key]
    layout: Layout = stored_form["layout"]
    if layout not in get_args(Layout):
        raise ValueError(f"there is no layout {layout}")

    dtype = np.dtype(stored_form["dtype"])
    arrays = packed.arrays_below(f"places/{key}")
    positions = RowPositions(
        layout=layout,
        dtype=dtype,
        row_shape=tuple(int(length) for length in stored_form["row"]),
        **{name: arrays[name] for name in POSITION_ARRAYS},
    )
    if dtype.kind not in NUMBERS or not positions.are_within(count, content_size):
        raise ValueError(f"the stored positions of {key} are not valid")
    return positions


def _stored_clock(packed: Packed, key: str, count: int) -> Clock:
    """Reads the clock of an array of ticks from a stored index.

    Args:
        packed: the stored index.
        key: the name of the array of ticks.
        count: the number of episodes in the dataset.

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
