"""The device under the engine `warp`: whether it can do the work, whose stream it
follows, what its memory holds.
"""

from __future__ import annotations

import ctypes
import dataclasses
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

from embodied.errors import EmbodiedError

# of drivers: from then on a CUDA graph may hold the solver's loops
LEAST_CUDA = (12, 4)
TRY_WITHOUT = "device 'cpu' tries it without a GPU, slowly"
BYTES_A_GB = 1e9
LOG_ERROR = 40  # of Warp's levels


def choose_device(warp: Any, name: str) -> str:
    """Warp's name of the device "cuda" or "cpu". Raises EmbodiedError that says why a
    GPU cannot be used.
    """
    warp.config.log_level = LOG_ERROR  # it tells of each kernel that it loads
    if name == "cuda" and not has_driver():  # before Warp complains in its own words
        raise EmbodiedError(
            f"no CUDA device: the engine 'warp' needs an NVIDIA GPU and its driver; {TRY_WITHOUT}"
        )
    warp.init()
    if name != "cuda":
        return name
    _check_driver(warp.get_cuda_driver_version(), warp.get_cuda_toolkit_version())
    if not warp.is_cuda_available():
        raise EmbodiedError(
            f"no CUDA device: there is a driver, but no NVIDIA GPU that it offers; {TRY_WITHOUT}"
        )
    _check_torch()
    return "cuda:0"


def has_driver() -> bool:
    """Whether an NVIDIA driver is installed."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _check_driver(
    found: tuple[int, int] | None, built_for: tuple[int, int] | None
) -> None:
    """Before Warp is asked for devices: with a driver for an older CUDA than it is
    built for it sees none.
    """
    if found is None:  # as where a driver lies without a GPU
        return
    if built_for is None:
        raise EmbodiedError(
            f"this build of Warp has no CUDA: install warp-lang from PyPI; {TRY_WITHOUT}"
        )
    least = max(LEAST_CUDA, (built_for[0], 0))
    if found < least:
        raise EmbodiedError(
            f"the NVIDIA driver is for CUDA {found[0]}.{found[1]}, the engine 'warp' needs CUDA {least[0]}.{least[1]} "
            f"or newer: update it, or install a Warp that is built for CUDA {found[0]}"
        )


def _check_torch() -> None:
    import torch

    if torch.version.cuda is None:
        raise EmbodiedError(
            f"torch {torch.__version__} is built without CUDA, and the engine 'warp' shares a GPU with it: install a "
            f"CUDA build of torch; {TRY_WITHOUT}"
        )
    try:
        torch.zeros(1, device="cuda:0")
    except RuntimeError as error:
        first = str(error).partition("\n")[0]
        raise EmbodiedError(
            f"torch {torch.__version__} cannot use the GPU that Warp sees: {first}"
        ) from error


class Streams:
    """Warp's work on the stream on which torch works at the time, so that neither waits
    for the other.
    """

    def __init__(self, warp: Any, device: str) -> None:
        self._warp = warp
        self._device = device

    def current(self) -> Any:
        """Warp's stream that is torch's current one."""
        import torch

        return _warps_stream(self._warp, torch.cuda.current_stream(self._device))

    def follow(self) -> AbstractContextManager[Any]:
        """Within it Warp works on the device, and where that is a GPU on torch's
        current stream.
        """
        if self._device == "cpu":
            context: AbstractContextManager[Any] = self._warp.ScopedDevice(self._device)
        else:
            context = self._warp.ScopedStream(self.current(), sync_enter=False)
        return context

    def capture(self) -> AbstractContextManager[Any]:
        """Within it work on torch's current stream, which must not be the default one,
        becomes its `graph`, undone.

        Calls that are no work, as by which CUDA loads a kernel late or torch gets
        memory, do not break it.
        """
        relaxed = self._warp.CaptureMode.RELAXED
        capture: AbstractContextManager[Any] = self._warp.ScopedCapture(
            stream=self.current(), capture_mode=relaxed
        )
        return capture

    def launch(self, graph: Any) -> None:
        """What was captured, on torch's current stream."""
        self._warp.capture_launch(graph, stream=self.current())


@cache
def _warps_stream(warp: Any, stream: Any) -> Any:
    """Warp's one object of a stream of torch's: it knows captures by it, and forgets
    the stream when it is gone.

    It is never gone, since torch gives the same 32 streams out again and again.
    """
    return warp.stream_from_torch(stream)


def bytes_of(warp: Any, data: Any) -> int:
    """The memory of all arrays in a dataclass and in those within it."""
    values = [getattr(data, field.name) for field in dataclasses.fields(data)]
    inner = sum(
        bytes_of(warp, value) for value in values if dataclasses.is_dataclass(value)
    )
    return inner + sum(
        int(value.capacity) for value in values if isinstance(value, warp.array)
    )


def check_memory(num_worlds: int, bytes_a_world: int, free_bytes: int) -> None:
    """Raises EmbodiedError, saying how many worlds fit, where so many do not."""
    needed = num_worlds * bytes_a_world
    if needed > free_bytes:
        raise EmbodiedError(
            f"{num_worlds} worlds need {needed / BYTES_A_GB:.1f} GB of the GPU's memory, of which "
            f"{free_bytes / BYTES_A_GB:.1f} GB are free: {free_bytes // bytes_a_world} worlds fit"
        )


@contextmanager
def naming_lack_of_memory(num_worlds: int, bytes_a_world: int) -> Iterator[None]:
    """Turns what Warp and torch say when memory runs out into an EmbodiedError."""
    try:
        yield
    except RuntimeError as error:
        if (
            "failed to allocate" not in str(error).lower()
            and "out of memory" not in str(error).lower()
        ):
            raise
        raise EmbodiedError(
            f"the memory of the device is too small for {num_worlds} worlds: they hold "
            f"{num_worlds * bytes_a_world / BYTES_A_GB:.1f} GB and need more while they step. Ask for fewer, e.g. "
            f"{max(num_worlds // 2, 1)}"
        ) from error
