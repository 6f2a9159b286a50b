"""Array helpers: quick, and with the same bits for one world as for many."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import array_api_compat
import numpy as np

from embodied.core import Array


def array_namespace(*arrays: Array) -> Any:
    """Returns the namespace of `arrays`, as array_api_compat finds it.

    For numpy it takes a short cut: 0.1 us instead of 5.
    """
    if type(arrays[0]) is np.ndarray:
        return np
    return array_api_compat.array_namespace(*arrays)


def columns(ids: Sequence[int]) -> slice | list[int]:
    """Returns an index of columns: a slice where they are adjacent, else the list.

    A slice gives a view of a numpy array, a list gives a copy.
    """
    ids = [int(i) for i in ids]
    adjacent = all(after == before + 1 for before, after in pairwise(ids))
    return slice(ids[0], ids[-1] + 1) if adjacent else ids


def any_of(flags: Array) -> Array:
    """Returns whether any flag along the last axis is set; quicker than `np.any`."""
    if type(flags) is np.ndarray:
        return np.logical_or.reduce(flags, axis=-1)
    return array_namespace(flags).any(flags, axis=-1)


def all_of(flags: Array) -> Array:
    """Returns whether all flags along the last axis are set; quicker than `np.all`."""
    if type(flags) is np.ndarray:
        return np.logical_and.reduce(flags, axis=-1)
    return array_namespace(flags).all(flags, axis=-1)


def count_of(flags: Array) -> Array:
    """Returns how many flags along the last axis are set, int64; beats `np.sum`."""
    if type(flags) is np.ndarray:
        return np.add.reduce(flags, axis=-1, dtype=np.int64)
    xp = array_namespace(flags)
    return xp.sum(flags, axis=-1, dtype=xp.int64)


def dot(a: Array, b: Array) -> Array:
    """Returns the sum of a * b over the short last axis, always added in one order.

    `vecdot` and `sum` choose their order by memory layout, so that the last bits of a
    world's numbers would depend on how many worlds there are.
    """
    terms = a * b
    result = terms[..., 0]
    for k in range(1, terms.shape[-1]):
        result = result + terms[..., k]
    return result


def largest(values: Array) -> Array:
    """Returns the largest value along the last axis; `np.max` takes twice as long."""
    if type(values) is np.ndarray:
        return np.maximum.reduce(values, axis=-1)
    return array_namespace(values).max(values, axis=-1)


def smallest(values: Array) -> Array:
    """Returns the smallest value along the last axis; `np.min` takes twice as long."""
    if type(values) is np.ndarray:
        return np.minimum.reduce(values, axis=-1)
    return array_namespace(values).min(values, axis=-1)
