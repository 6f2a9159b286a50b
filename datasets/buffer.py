"""A buffer with the latest steps of N worlds, from which episodes are copied."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class StepBuffer:
    """Arrays (capacity, N, ...) with one row per step of all N worlds.

    The arrays are allocated in advance, so that appending a step costs one copy per
    array. Steps are numbered from 0 in the order in which they were appended. A step
    keeps its number when older steps are dropped.

    Attributes:
        count: the number of steps appended so far, which is the number of the next step.
    """

    def __init__(self, dtypes: Mapping[str, type], capacity: int = 1024) -> None:
        self._dtypes = dict(dtypes)
        self._capacity = capacity
        self._arrays: dict[str, np.ndarray] = {}  # name -> (capacity, N, ...)
        self._first = 0  # the number of the oldest step in the buffer
        self.count = 0

    @property
    def full(self) -> bool:
        """Whether `make_room` must be called before the next append."""
        return self.count - self._first == self._capacity

    def append(self, values: Mapping[str, np.ndarray]) -> None:
        """Appends a step.

        Args:
            values: an array (N, ...) for each name of the buffer.
        """
        if not self._arrays:
            for name, dtype in self._dtypes.items():
                shape = (self._capacity, *values[name].shape)
                self._arrays[name] = np.empty(shape, dtype)

        row = self.count - self._first
        for name, array in self._arrays.items():
            array[row] = values[name]
        self.count += 1

    def cut(self, name: str, world: int, start: int, stop: int) -> np.ndarray:
        """Returns a copy of one world's steps `start` to `stop`, (stop - start, ...)."""
        rows = slice(start - self._first, stop - self._first)
        return self._arrays[name][rows, world].copy()

    def make_room(self, oldest_needed: int) -> None:
        """Drops the steps before step number `oldest_needed`.

        If this frees less than half of the capacity, the capacity is doubled, so that
        steps are not moved too often.
        """
        # the buffer is full, so every row holds a step
        dropped = oldest_needed - self._first
        kept = self._capacity - dropped
        must_grow = kept > self._capacity // 2
        if must_grow:
            self._capacity *= 2

        # move the kept rows to the front of the same array, or of a larger one
        for name, array in self._arrays.items():
            target = array
            if must_grow:
                target = np.empty((self._capacity, *array.shape[1:]), array.dtype)
            target[:kept] = array[dropped : dropped + kept]
            self._arrays[name] = target
        self._first = oldest_needed
