"""Arrays in memory that two processes share, for observations and plans."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.shared_memory import SharedMemory

import numpy as np

from embodied.closing import ClosedOnExit

ALIGNMENT = 64  # bytes; the offset of each array is a multiple of this


@dataclass(frozen=True)
class ArrayLocation:
    """The location of an array in a block of shared memory."""

    name: str
    shape: tuple[int, ...]
    dtype: str  # numpy's name with the byte order, such as "<f8"
    offset: int  # bytes from the start of the block


@dataclass(frozen=True)
class MemoryLayout:
    """A block of shared memory and the arrays in it, for another process to open."""

    block: str  # name of the block in the operating system
    locations: tuple[ArrayLocation, ...]


class SharedArrays(ClosedOnExit):
    """Named arrays in shared memory.

    The process that created them frees them; the other process opens them by their
    layout.

    Attributes:
        layout: the layout of the arrays.
    """

    def __init__(
        self, memory: SharedMemory, layout: MemoryLayout, is_owner: bool
    ) -> None:
        """Makes arrays that view the memory; its owner frees it in the end."""
        self._memory = memory
        self._is_owner = is_owner
        self.layout = layout

        # name -> a view of the memory at the array's offset
        self._arrays: dict[str, np.ndarray] = {
            location.name: np.ndarray(
                location.shape,
                location.dtype,
                buffer=memory.buf,
                offset=location.offset,
            )
            for location in layout.locations
        }

    @classmethod
    def like(cls, arrays: Mapping[str, np.ndarray]) -> SharedArrays:
        """Creates shared arrays of these names, shapes and types, without the values."""
        locations = []
        offset = 0
        for name, value in arrays.items():
            location = ArrayLocation(
                name, value.shape, dtype=value.dtype.str, offset=offset
            )
            locations.append(location)
            # the negations round the division up, so that the next array is aligned
            offset += -(-value.nbytes // ALIGNMENT) * ALIGNMENT
        # the size of a block must not be 0
        memory = SharedMemory(create=True, size=max(offset, 1))
        return cls(memory, MemoryLayout(memory.name, tuple(locations)), is_owner=True)

    @classmethod
    def opened(cls, layout: MemoryLayout) -> SharedArrays:
        """Opens the arrays that another process has created."""
        return cls(SharedMemory(layout.block), layout, is_owner=False)

    def fits(self, arrays: Mapping[str, np.ndarray]) -> bool:
        """Returns whether the shared arrays have these names, shapes and types."""
        shared = {name: (a.shape, a.dtype) for name, a in self._arrays.items()}
        return shared == {name: (a.shape, a.dtype) for name, a in arrays.items()}

    def write(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Copies values into the shared arrays of the same names."""
        for name, shared in self._arrays.items():
            shared[...] = arrays[name]

    def read(self) -> dict[str, np.ndarray]:
        """Returns copies of all arrays."""
        return {name: shared.copy() for name, shared in self._arrays.items()}

    def close(self) -> None:
        """Closes the memory, and frees it if this process created it."""
        self._arrays.clear()
        self._memory.close()
        if self._is_owner:
            self._memory.unlink()
