"""Each array's rows and bytes in all episodes of a dataset together.

They are stored in the seal, because visiting every array of 20,000 episodes takes
minutes. No values are read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import h5py

from embodied.datasets.descriptions import describe
from embodied.datasets.guarded import damage_named
from embodied.datasets.index.stored_array import StoredArray
from embodied.datasets.schema import H5

# The group of varied model fields: its many small arrays are listed as one entry.
VARIED = "start/fields"


@dataclass(frozen=True)
class ArrayTotal:
    """An array of the episodes, such as `obs/agent_pos`.

    Attributes:
        key: the array's name within an episode; `start/fields` for all varied fields.
        dtype: the data type of the numbers; "" for `start/fields`, which has several.
        row: the shape of one row in the first episode that has the array.
        rows: the number of rows in all episodes together.
        unit: the unit of the numbers; "1" for numbers without a unit, "" if unknown.
        size_bytes: the size on the disk in all episodes together.
    """

    key: str
    dtype: str
    row: tuple[int, ...]
    rows: int
    unit: str
    size_bytes: int


def array_totals(demos: Iterable[H5]) -> tuple[ArrayTotal, ...]:
    """Returns one entry per array name, with rows and sizes summed over all episodes.

    Args:
        demos: the groups of the episodes. Each group is read completely before the next
            group is taken, so the groups may be opened one at a time.

    Raises:
        DatasetError: a group or an array is damaged.
    """
    totals: dict[str, ArrayTotal] = {}
    for demo in demos:
        with damage_named(demo):
            for key, array in _stored_arrays(demo):
                name = VARIED if key.startswith(f"{VARIED}/") else key
                # the first episode with this array gives the type, row and unit
                total = totals.get(name) or _first_total(name, array)
                totals[name] = replace(
                    total,
                    rows=total.rows + _num_rows(name, array),
                    size_bytes=total.size_bytes + int(array.array.get_storage_size()),
                )
    return tuple(totals.values())


def totals_to_json(totals: Sequence[ArrayTotal]) -> list[dict[str, Any]]:
    """Returns the totals as JSON values, from which `totals_from_json` returns them."""
    return [asdict(total) for total in totals]


def totals_from_json(stored: Any) -> tuple[ArrayTotal, ...]:
    """Returns the totals from their JSON values; undoes `totals_to_json`.

    Raises:
        ValueError: a value has a wrong type, or is less than 0.
        KeyError: an entry is missing.
        TypeError: the values are not a list of mappings.
    """
    totals = []
    for values in stored:
        row = tuple(values["row"])
        counts = (*row, values["rows"], values["size_bytes"])
        texts = (values["key"], values["dtype"], values["unit"])

        # `type`, since `isinstance` would accept a bool as an int
        if not all(type(count) is int and count >= 0 for count in counts):
            raise ValueError("a count of rows or bytes is no whole number")
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("the name, type or unit of an array is no text")

        totals.append(
            ArrayTotal(
                key=values["key"],
                dtype=values["dtype"],
                row=row,
                rows=values["rows"],
                unit=values["unit"],
                size_bytes=values["size_bytes"],
            )
        )
    return tuple(totals)


def _stored_arrays(demo: H5) -> Iterable[tuple[str, StoredArray]]:
    """Yields (name within the episode, array) of all arrays that are in this file."""
    keys: list[bytes] = []

    def keep(key: bytes, info: Any) -> None:
        """Keeps the name of an item that is an array."""
        if info.type == h5py.h5o.TYPE_DATASET:
            keys.append(key)

    # the low-level functions take a fifth of the time of `visititems`
    h5py.h5o.visit(demo.id, keep, info=True)
    for key in keys:
        array = StoredArray(h5py.h5d.open(demo.id, key))
        if not array.lies_elsewhere:
            yield key.decode(), array


def _first_total(name: str, array: StoredArray) -> ArrayTotal:
    """Returns the entry of an array before any of its rows is counted."""
    if name == VARIED:
        return ArrayTotal(
            key=VARIED, dtype="", row=(), rows=0, unit="as MuJoCo has it", size_bytes=0
        )
    return ArrayTotal(
        key=name,
        dtype=str(array.dtype),
        row=tuple(array.shape[1:]),
        rows=0,
        unit=_unit(name, h5py.Dataset(array.array)),
        size_bytes=0,
    )


def _num_rows(name: str, array: StoredArray) -> int:
    """Returns the number of rows of an array; an array without axes has one.

    The varied fields have several shapes, so their rows are not counted.
    """
    if name == VARIED:
        return 0
    return array.shape[0] if array.shape else 1


def _unit(key: str, array: H5) -> str:
    """Returns the unit stored with an array, else the schema's, else ""."""
    stored: Any = array.attrs.get("unit")
    if isinstance(stored, bytes):
        return stored.decode(errors="replace")
    if isinstance(stored, str):
        return stored
    described = describe(key)
    return described.unit if described else ""
