"""Caches the constants of task code on the device.

Task code uses Python lists as indices and as tables of numbers. In torch,
`x[:, [0, 3]]` and `xp.asarray([1.0, 2.0])` copy the list from the host at each call.
Such a copy waits for the device, and a CUDA graph cannot capture it. Within
`DeviceConstants` each constant is copied only once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

_INDEXING = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)
# The functions whose results are cached. `as_tensor` is not one of them, because Warp uses
# it to make views of arrays that change.
_CONSTRUCTORS = (torch.asarray, torch.tensor)
_HOST_TYPES = (bool, int, float, np.generic, np.ndarray)


class DeviceConstants(TorchFunctionMode):
    """A context in which each constant of the host is copied to the device only once.

    Equal values give the same tensor each time, so nothing may write to that tensor. While
    `sealed` is true, no copy is possible, so a new constant is an error.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.device = device
        self.sealed = False
        # (bytes, shape and dtype of the values, dtype of the tensor) -> tensor
        self._cached: dict[tuple[Any, ...], torch.Tensor] = {}

    def __torch_function__(
        self,
        func: Any,
        types: Any,
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Calls a torch function `func`, with cached tensors in place of constants.

        Within the context, torch calls this method instead of any of its functions.
        """
        kwargs = kwargs or {}
        # the index is the second argument of reads and of writes
        if func in _INDEXING:
            args = (args[0], self._index(args[1]), *args[2:])
        elif func in _CONSTRUCTORS and len(args) == 1 and _is_of_host(args[0]):
            return self._constant(args[0], kwargs.get("dtype"))
        # torch's own solver waits for the device, so use one that does not
        elif func is torch.linalg.solve:
            return solve_definite(*args)
        return func(*args, **kwargs)

    def _index(self, index: Any) -> Any:
        """Returns an index with lists and numpy arrays replaced by cached tensors."""
        if isinstance(index, tuple):
            return tuple(self._index(part) for part in index)
        if isinstance(index, list | np.ndarray) and _is_of_host(index):
            return self._constant(index, None)
        return index

    def _constant(self, values: Any, dtype: torch.dtype | None) -> torch.Tensor:
        """Returns the cached tensor of some values, which is made at their first use.

        Raises:
            RuntimeError: the tensor is not cached yet while `sealed` is true.
        """
        host_values = np.asarray(values)

        # as in torch, Python's floats get the default dtype, and arrays keep theirs
        is_python_value = isinstance(values, float | list | tuple)
        if dtype is None and is_python_value and host_values.dtype == np.float64:
            dtype = torch.get_default_dtype()

        key = (host_values.tobytes(), host_values.shape, host_values.dtype.str, dtype)
        if key not in self._cached:
            if self.sealed:
                raise RuntimeError(
                    f"{values!r} would have to be copied from the host within a captured step"
                )
            # without this context, torch would call `__torch_function__` again
            with torch._C.DisableTorchFunction():
                self._cached[key] = torch.tensor(
                    host_values, dtype=dtype, device=self.device
                )
        return self._cached[key]


def solve_definite(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Solves symmetric positive definite systems, by elimination without pivoting.

    Unlike `torch.linalg.solve`, it does not wait for the device to report errors.

    Args:
        matrix: (N, K, K), the N matrices.
        right: (N, K, M), the right-hand sides.

    Returns:
        The solutions, (N, K, M).
    """
    size = matrix.shape[-1]
    rows = torch.cat([matrix, right], dim=-1)  # (N, K, K + M)
    # Gauss-Jordan elimination: scale row k so that its element k is 1, and subtract
    # multiples of it from all other rows so that their elements k become 0
    for k in range(size):
        pivot = rows[:, k] / rows[:, k, k, None]
        factor = rows[:, :, k, None].clone()
        factor[:, k] = 0.0
        rows = rows - factor * pivot[:, None]
        rows[:, k] = pivot
    return rows[:, :, size:]


def _is_of_host(values: Any) -> bool:
    """Returns whether `values` is on the host: numbers or numpy arrays, but no tensor."""
    if isinstance(values, list | tuple):
        return all(_is_of_host(value) for value in values)
    return isinstance(values, _HOST_TYPES)
