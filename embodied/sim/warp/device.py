"""The device of the engine `warp`: checks of driver and memory, and CUDA streams."""

from __future__ import annotations

import ctypes
import dataclasses
import os
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import Any

from embodied.errors import EmbodiedError
from embodied.sim.forks import ADVICE

# The first version of CUDA with loops in CUDA graphs, which the solver needs.
LEAST_CUDA = (12, 4)
TRY_WITHOUT = "to try it without a GPU, slowly, use the device 'cpu'"
BYTES_PER_GB = 1e9
LOG_ERROR = 40  # a log level of Warp


def choose_device(warp: Any, name: str) -> str:
    """Returns Warp's name of the device "cuda" or "cpu".

    Raises:
        EmbodiedError: the GPU cannot be used; the text says why.
    """
    warp.config.log_level = LOG_ERROR  # otherwise Warp prints each kernel that it loads

    # checked before `warp.init`, which has less helpful errors
    if name == "cuda" and not has_driver():
        raise EmbodiedError(
            f"no CUDA device: the engine 'warp' needs an NVIDIA GPU and its driver; {TRY_WITHOUT}"
        )
    if name == "cuda" and _process_of_cuda() != os.getpid():
        raise EmbodiedError(
            "the GPU cannot be used in this process: it was forked from one that used "
            f"it already; {ADVICE}"
        )
    warp.init()
    if name != "cuda":
        return name

    _check_driver(warp.get_cuda_driver_version(), warp.get_cuda_toolkit_version())
    if not warp.is_cuda_available():
        raise EmbodiedError(
            f"no CUDA device: there is an NVIDIA driver, but it finds no GPU; {TRY_WITHOUT}"
        )
    _check_torch()
    return "cuda:0"


@cache
def _process_of_cuda() -> int:
    """Returns the id of the process that first called this function.

    A forked process gets the id of its parent, too, and cannot use CUDA then.
    """
    return os.getpid()


def has_driver() -> bool:
    """Returns whether an NVIDIA driver is installed."""
    try:
        ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return False
    return True


def _check_driver(
    installed: tuple[int, int] | None, built_for: tuple[int, int] | None
) -> None:
    """Raises EmbodiedError for a driver that is too old for this build of Warp.

    Call it before Warp lists its devices: with such a driver the list is empty.

    Args:
        installed: the CUDA version of the driver; None for a driver without a GPU.
        built_for: the CUDA version that Warp is built for; None for a build without
            CUDA.
    """
    if installed is None:
        return
    if built_for is None:
        raise EmbodiedError(
            f"this build of Warp has no CUDA: install warp-lang from PyPI; {TRY_WITHOUT}"
        )
    # a build of Warp runs with drivers of the same or a later major version of CUDA
    least = max(LEAST_CUDA, (built_for[0], 0))
    if installed < least:
        raise EmbodiedError(
            f"the NVIDIA driver is for CUDA {installed[0]}.{installed[1]}, the engine 'warp' needs CUDA "
            f"{least[0]}.{least[1]} or newer: update it, or install a Warp that is built for CUDA {installed[0]}"
        )


def _check_torch() -> None:
    """Raises EmbodiedError if torch cannot use the GPU."""
    import torch

    if torch.version.cuda is None:
        raise EmbodiedError(
            f"torch {torch.__version__} is built without CUDA, and the engine 'warp' shares a GPU with it: install a "
            f"CUDA build of torch; {TRY_WITHOUT}"
        )
    try:
        torch.zeros(1, device="cuda:0")
    except RuntimeError as error:
        first_line = str(error).partition("\n")[0]
        raise EmbodiedError(
            f"torch {torch.__version__} cannot use the GPU that Warp sees: {first_line}"
        ) from error


class Streams:
    """Runs Warp on torch's current CUDA stream, so neither must wait for the other.

    The CPU device has no streams.
    """

    def __init__(self, warp: Any, device: str) -> None:
        self._warp = warp
        self._device = device

    def current(self) -> Any:
        """Returns torch's current stream as a Warp object."""
        import torch

        return _warp_stream(self._warp, torch.cuda.current_stream(self._device))

    def follow(self) -> AbstractContextManager[Any]:
        """Returns a context in which Warp uses the device; on a GPU, torch's stream."""
        if self._device == "cpu":
            context: AbstractContextManager[Any] = self._warp.ScopedDevice(self._device)
        else:
            context = self._warp.ScopedStream(self.current(), sync_enter=False)
        return context

    def capture(self) -> AbstractContextManager[Any]:
        """Returns a context that records the GPU work within it as its `graph`.

        The work is not done yet. Torch's current stream must not be the default one.
        The capture mode allows other CUDA calls, such as loading a kernel or allocating
        torch's memory.
        """
        relaxed = self._warp.CaptureMode.RELAXED
        capture: AbstractContextManager[Any] = self._warp.ScopedCapture(
            stream=self.current(), capture_mode=relaxed
        )
        return capture

    def launch(self, graph: Any) -> None:
        """Launches a captured graph on torch's current stream."""
        self._warp.capture_launch(graph, stream=self.current())


@cache
def _warp_stream(warp: Any, stream: Any) -> Any:
    """Returns the Warp object of a torch stream, always the same one.

    Warp identifies captures by this object, and unregisters the stream when the object is
    freed. So the cache keeps it alive. The cache stays small, because torch reuses the
    same 32 streams.
    """
    return warp.stream_from_torch(stream)


def bytes_of(warp: Any, data: Any) -> int:
    """Returns the total bytes of all Warp arrays in a dataclass, nested ones included."""
    total = 0
    for field in dataclasses.fields(data):
        value = getattr(data, field.name)
        if dataclasses.is_dataclass(value):
            total += bytes_of(warp, value)
        elif isinstance(value, warp.array):
            total += int(value.capacity)
    return total


def check_memory(num_worlds: int, bytes_per_world: int, free_bytes: int) -> None:
    """Raises EmbodiedError, which says how many worlds would fit, if these do not."""
    needed = num_worlds * bytes_per_world
    if needed > free_bytes:
        raise EmbodiedError(
            f"{num_worlds} worlds need {needed / BYTES_PER_GB:.1f} GB of the GPU's memory, of which "
            f"{free_bytes / BYTES_PER_GB:.1f} GB are free: {free_bytes // bytes_per_world} worlds would fit"
        )


@contextmanager
def explaining_out_of_memory(num_worlds: int, bytes_per_world: int) -> Iterator[None]:
    """Turns out-of-memory errors of Warp and torch into an EmbodiedError."""
    try:
        yield
    except RuntimeError as error:
        text = str(error).lower()
        if "failed to allocate" not in text and "out of memory" not in text:
            raise
        held_gb = num_worlds * bytes_per_world / BYTES_PER_GB
        raise EmbodiedError(
            f"the memory of the device is too small for {num_worlds} worlds: they hold "
            f"{held_gb:.1f} GB, and need more while they step. Ask for fewer, e.g. {max(num_worlds // 2, 1)}"
        ) from error
