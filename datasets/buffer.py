"""A growing record of what N worlds did at each step, from which one world's episode is
cut.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np


class StepBuffer:
    """Preallocated (capacity, N, ...) arrays, a row per step of the whole batch: one
    copy per array and step.

    Steps are counted from the first append and keep their number when old ones are
    dropped.
    """

    def __init__(self, dtypes: Mapping[str, type], capacity: int = 1024) -> None:
        self._dtypes = dict(dtypes)
        self._capacity = capacity
        self._arrays: dict[str, np.ndarray] = {}
        self._first = 0  # number of the oldest step still held
        self.count = 0  # number of the next step

    @property
    def full(self) -> bool:
        """Whether room must be made before the next append."""
        return self.count - self._first == self._capacity

    def append(self, values: Mapping[str, np.ndarray]) -> None:
        """Add a step; `values` has an (N, ...) array for each name."""
        if not self._arrays:
            self._arrays = {
                k: np.empty((self._capacity, *values[k].shape), t)
                for k, t in self._dtypes.items()
            }
        row = self.count - self._first
        for name, array in self._arrays.items():
            array[row] = values[name]
        self.count += 1

    def cut(self, name: str, world: int, start: int, stop: int) -> np.ndarray:
        """A copy of one world's steps start to stop, (stop - start, ...)."""
        return self._arrays[name][
            start - self._first : stop - self._first, world
        ].copy()

    def make_room(self, oldest_needed: int) -> None:
        """Forget the steps before `oldest_needed`, and grow where that frees less than
        half.
        """
        dropped = oldest_needed - self._first
        kept = self._capacity - dropped
        grow = kept > self._capacity // 2
        self._capacity *= 2 if grow else 1
        for name, array in self._arrays.items():
            target = (
                np.empty((self._capacity, *array.shape[1:]), array.dtype)
                if grow
                else array
            )
            target[:kept] = array[dropped : dropped + kept]
            self._arrays[name] = target
        self._first = oldest_needed
