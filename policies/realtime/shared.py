"""Arrays that two processes share: observations one way, plans the other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from embodied.closing import ClosedOnExit

ALIGNMENT = 64  # bytes, at which each array begins


@dataclass(frozen=True)
class Place:
    """Where an array lies in a block of shared memory."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    offset: int


@dataclass(frozen=True)
class Plot:
    """A block of shared memory and the arrays in it, as another process finds them."""

    block: str  # its name in the operating system
    places: tuple[Place, ...]


class SharedArrays(ClosedOnExit):
    """Named arrays in shared memory.

    Whoever has made them frees them; the other process opens them by their plot.
    """

    def __init__(self, memory: SharedMemory, plot: Plot, is_owner: bool) -> None:
        self._memory = memory
        self._is_owner = is_owner
        self.plot = plot
        self._arrays: dict[str, np.ndarray] = {
            place.name: np.ndarray(
                place.shape, place.dtype, buffer=memory.buf, offset=place.offset
            )
            for place in plot.places
        }

    @classmethod
    def like(cls, arrays: Mapping[str, np.ndarray]) -> SharedArrays:
        """Returns new shared arrays of these shapes and types, without the values."""
        places = []
        offset = 0
        for name, value in arrays.items():
            places.append(Place(name, value.shape, value.dtype.str, offset))
            # rounded up, so that the next array begins aligned
            offset += -(-value.nbytes // ALIGNMENT) * ALIGNMENT
        # no block may be empty
        memory = SharedMemory(create=True, size=max(offset, 1))
        return cls(memory, Plot(memory.name, tuple(places)), is_owner=True)

    @classmethod
    def opened(cls, plot: Plot) -> SharedArrays:
        """Returns the arrays that another process has made."""
        return cls(SharedMemory(plot.block), plot, is_owner=False)

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copies values into the arrays of their names."""
        for name, own in self._arrays.items():
            own[...] = arrays[name]

    def read(self) -> dict[str, np.ndarray]:
        """Returns copies of all arrays."""
        return {name: own.copy() for name, own in self._arrays.items()}

    def close(self) -> None:
        """Lets go of the memory; its owner frees it."""
        self._arrays.clear()
        self._memory.close()
        if self._is_owner:
            self._memory.unlink()
