"""Constants of task code, kept on the device.

Task code gives torch lists as indices and tables of numbers: `x[:, [0, 3]]` or
`xp.asarray([1.0, 2.0])` copies them from the host each time, which waits for the device
and cannot be captured in a CUDA graph. Within `DeviceConstants` each is copied once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch.overrides import TorchFunctionMode

_INDEXING = (torch.Tensor.__getitem__, torch.Tensor.__setitem__)
# not `as_tensor`, by which Warp makes views of live arrays
_MAKING = (torch.asarray, torch.tensor)
_NUMBERS = (bool, int, float, np.generic, np.ndarray)


class DeviceConstants(TorchFunctionMode):
    """A context in which constants of the host are taken from the device.

    The same values give the same tensor each time: nothing may write into it. A
    constant that first turns up while `sealed` is an error, for there the copy could
    not be made.
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
        kwargs = kwargs or {}
        if func in _INDEXING:
            args = (args[0], self._index(args[1]), *args[2:])
        elif func in _MAKING and len(args) == 1 and _is_of_host(args[0]):
            return self._constant(args[0], kwargs.get("dtype"))
        elif func is torch.linalg.solve:
            return solve_definite(*args)
        return func(*args, **kwargs)

    def _index(self, index: Any) -> Any:
        if isinstance(index, tuple):
            return tuple(self._index(part) for part in index)
        if isinstance(index, list | np.ndarray) and _is_of_host(index):
            return self._constant(index, None)
        return index

    def _constant(self, values: Any, dtype: torch.dtype | None) -> torch.Tensor:
        host = np.asarray(values)

        # torch gives Python's own numbers its default type
        is_pythons = isinstance(values, float | list | tuple)
        if dtype is None and is_pythons and host.dtype == np.float64:
            dtype = torch.get_default_dtype()

        key = (host.tobytes(), host.shape, host.dtype.str, dtype)
        if key not in self._kept:
            if self.sealed:
                raise RuntimeError(
                    f"{values!r} would have to be copied from the host within a captured step"
                )
            with torch._C.DisableTorchFunction():
                self._kept[key] = torch.tensor(host, dtype=dtype, device=self.device)
        return self._kept[key]


def solve_definite(matrix: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """Solves symmetric positive definite systems, by elimination without pivots.

    `torch.linalg.solve` asks the device how it went.

    Args:
        matrix: (N, K, K).
        right: (N, K, M), right sides.

    Returns:
        (N, K, M).
    """
    size = matrix.shape[-1]
    rows = torch.cat([matrix, right], dim=-1)  # (N, K, K + M)
    for k in range(size):
        pivot = rows[:, k] / rows[:, k, k, None]
        factor = rows[:, :, k, None].clone()
        factor[:, k] = 0.0
        rows = rows - factor * pivot[:, None]
        rows[:, k] = pivot
    return rows[:, :, size:]


def _is_of_host(values: Any) -> bool:
    """Whether nothing in `values` is on a device."""
    if isinstance(values, list | tuple):
        return all(_is_of_host(value) for value in values)
    return isinstance(values, _NUMBERS)
