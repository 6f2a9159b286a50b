"""Captures a step of worlds on a GPU as one CUDA graph.

Launching it replaces the launches of about a thousand kernels.
"""

from __future__ import annotations

import gc
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import torch

from embodied.envs.warp.constants import DeviceConstants
from embodied.sim.warp.device import Streams

Tensors = tuple[torch.Tensor, ...]
Work = Callable[[], Tensors]
Launch = Callable[[], None]


class Recorder(Protocol):
    """What turns work on a device into something that can be launched again."""

    def warm_up(self, work: Work) -> Tensors:
        """Does the work once, so that whatever is made on first use exists."""

    def capture(self, work: Work) -> tuple[Launch, Tensors]:
        """Records the work without doing it.

        Returns:
            What launches it, and the tensors in which its results will lie.
        """


class StepGraph:
    """A function on a device whose first call runs it and whose second captures it.

    The second call and later ones launch what was captured.

    Args:
        function: takes one tensor and returns several. It must do the same work each
            time: no Python that depends on a tensor's values, and state that is written
            in place only.
        shape: the shape of its argument.
        device: where it works.
        recorder: None without CUDA; the function then runs in every call.
    """

    def __init__(
        self,
        function: Callable[[torch.Tensor], Tensors],
        shape: tuple[int, ...],
        device: torch.device,
        recorder: Recorder | None,
    ) -> None:
        self._function = function
        self._device = device
        self._recorder = recorder

        # a graph reads its input where it was recorded
        self._input = torch.zeros(shape, device=device)
        self._constants = DeviceConstants(device)

        # nothing is recorded before the second call
        self._launch: Launch | None = None
        self._outputs: Tensors = ()
        self._warm = False

    @property
    def captured(self) -> bool:
        """Whether calls are launches of a graph by now."""
        return self._launch is not None

    def __call__(self, values: torch.Tensor) -> Tensors:
        """Returns the function's results for `values`, as copies."""
        self._input.copy_(values)
        if self._launch is not None:
            self._launch()
        elif self._recorder is None:
            self._outputs = self._work()
        elif not self._warm:
            self._outputs = self._recorder.warm_up(self._work)
            self._warm = True
        else:
            self._capture(self._recorder)
        return tuple(output.clone() for output in self._outputs)

    def _work(self) -> Tensors:
        """Calls the function on the input buffer, whose place in memory never changes."""
        with self._constants, self._device:
            return self._function(self._input)

    def _capture(self, recorder: Recorder) -> None:
        """Captures the work and launches it.

        If that fails, the work is done without a graph, now and in later calls.
        """
        self._constants.sealed = True
        try:
            launch, outputs = recorder.capture(self._work)
            launch()  # the first launch needs memory, so it may fail, too

        # Nothing was computed yet, so the work can still be done. All exceptions are
        # caught because Warp raises bare ones.
        except Exception as error:
            warnings.warn(
                f"no CUDA graph of the step, which is now slow: {error}",
                RuntimeWarning,
                stacklevel=3,
            )
            self._recorder = None
        else:
            self._launch = launch
            self._outputs = outputs
        finally:
            self._constants.sealed = False

        if self._launch is None:
            self._outputs = self._work()


class CudaGraphs:
    """Records CUDA graphs, on a stream beside the caller's.

    Warp owns the capture. The solver's loops (`capture_while`) pause it, which changes
    the capture's id, by which torch's own `torch.cuda.graph` finds the allocations that
    belong to it. Here torch finds them by their thread instead, and they lie in a
    memory pool of their own.
    """

    def __init__(self, streams: Streams, device: torch.device) -> None:
        self._streams = streams
        self._device = device
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.MemPool()

    def warm_up(self, work: Work) -> Tensors:
        with self._beside():
            return work()

    def capture(self, work: Work) -> tuple[Launch, Tensors]:
        # what torch allocates within the capture lies in the pool, which lives as long
        # as this object
        own_pool = torch.cuda.use_mem_pool(self._pool, self._device)
        with (
            self._beside(),
            _without_garbage_collection(),
            own_pool,
            self._streams.capture() as capture,
        ):
            outputs = work()
        return partial(self._streams.launch, capture.graph), outputs

    @contextmanager
    def _beside(self) -> Iterator[None]:
        """Makes our stream torch's current one, in order with the caller's stream.

        Ours waits for what the caller's stream still has to do; afterwards the caller's
        waits for ours.
        """
        callers = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(callers)
        with torch.cuda.stream(self._stream):
            yield
        callers.wait_stream(self._stream)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Keeps garbage from being freed within a capture, which would break it."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
