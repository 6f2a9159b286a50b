"""An HDF5 array, opened by the low-level functions of h5py, which are quick."""

from __future__ import annotations

from functools import cached_property

import h5py
import numpy as np

from embodied.datasets.schema import H5


class StoredArray:
    """A low-level HDF5 array with its properties, each of which is read from HDF5 once.

    Attributes:
        array: the array, an object of h5py's low-level interface.
        shape: the shape of the array.
        dtype: the data type of one number.
        offset: the position of the values in this file, in bytes; None if the values are
            not stored in one piece in this file.
    """

    def __init__(self, array: H5) -> None:
        self.array = array
        self.shape: tuple[int, ...] = array.shape
        self.dtype: np.dtype = array.dtype
        self.offset: int | None = array.get_offset()

    @cached_property
    def creation(self) -> H5:
        """The property list with which the array was created."""
        return self.array.get_create_plist()

    @cached_property
    def layout(self) -> int:
        """The storage layout, a value of the HDF5 enumeration H5D_layout_t."""
        if self.offset is not None:
            return int(h5py.h5d.CONTIGUOUS)
        return int(self.creation.get_layout())

    @property
    def lies_elsewhere(self) -> bool:
        """Whether the values lie in other files."""
        # values with an offset lie in this file; the checks below are slower
        if self.offset is not None:
            return False
        is_virtual = self.layout == h5py.h5d.VIRTUAL
        return is_virtual or self.creation.get_external_count() > 0
