"""Keeps the constants of task code on the device.

Task code uses Python lists as indices and as tables of numbers. With torch,
`x[:, [0, 3]]` and `xp.asarray([1.0, 2.0])` copy such a list from the host each time,
which waits for the device and cannot be captured in a CUDA graph. Within
`DeviceConstants` each is copied once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

_INDEXING = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)
# `as_tensor` is not among them: Warp uses it to make views of live arrays
_CONSTRUCTORS = (torch.asarray, torch.tensor)
_HOST_TYPES = (bool, int, float, np.generic, np.ndarray)


class DeviceConstants(TorchFunctionMode):
    """A context in which each constant of the host is copied to the device only once.

    Equal values give the same tensor each time, so nothing may write into it. While
    `sealed` no copy can be made, so a constant that is met for the first time is an
    error.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.sealed = False
        self._kept: dict[tuple[Any, ...], torch.Tensor] = {}

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Does what `func` does; torch calls this for its functions in the context."""
        kwargs = kwargs or {}
        # the index is the second argument, of reads and of writes
        if func in _INDEXING:
            args = (args[0], self._index(args[1]), *args[2:])
        elif func in _CONSTRUCTORS and len(args) == 1 and _is_of_host(args[0]):
            return self._constant(args[0], kwargs.get("dtype"))
        # torch's own solver waits for the device
        elif func is torch.linalg.solve:
            return solve_definite(*args)
        return func(*args, **kwargs)

    def _index(self, index: Any) -> Any:
        """Returns an index in which kept tensors stand for lists and numpy arrays."""
        if isinstance(index, tuple):
            return tuple(self._index(part) for part in index)
        if isinstance(index, list | np.ndarray) and _is_of_host(index):
            return self._constant(index, None)
        return index

    def _constant(self, values: Any, dtype: torch.dtype | None) -> torch.Tensor:
        """Returns the kept tensor of these values, which is made when first met.

        Raises:
            RuntimeError: they are met for the first time while `sealed`.
        """
        host = np.asarray(values)

        # as torch does, give Python's floats the default type, and arrays their own
        is_of_python = isinstance(values, float | list | tuple)
        if dtype is None and is_of_python and host.dtype == np.float64:
            dtype = torch.get_default_dtype()

        key = (host.tobytes(), host.shape, host.dtype.str, dtype)
        if key not in self._kept:
            if self.sealed:
                raise RuntimeError(
                    f"{values!r} would have to be copied from the host within a captured step"
                )
            # without this the call would come back to `__torch_function__`
            with torch._C.DisableTorchFunction():
                self._kept[key] = torch.tensor(host, dtype=dtype, device=self.device)
        return self._kept[key]


def solve_definite(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Solves symmetric positive definite systems, by elimination without pivoting.

    Unlike `torch.linalg.solve` it does not wait for the device to report errors.

    Args:
        matrix: (N, K, K).
        right: (N, K, M), the right-hand sides.

    Returns:
        The solutions, (N, K, M).
    """
    size = matrix.shape[-1]
    rows = torch.cat([matrix, right], dim=-1)  # (N, K, K + M)
    # scale row k so that its element k is 1, and subtract it from all others
    for k in range(size):
        pivot = rows[:, k] / rows[:, k, k, None]
        factor = rows[:, :, k, None].clone()
        factor[:, k] = 0.0
        rows = rows - factor * pivot[:, None]
        rows[:, k] = pivot
    return rows[:, :, size:]


def _is_of_host(values: Any) -> bool:
    """Returns whether nothing in `values` is a tensor."""
    if isinstance(values, list | tuple):
        return all(_is_of_host(value) for value in values)
    return isinstance(values, _HOST_TYPES)
