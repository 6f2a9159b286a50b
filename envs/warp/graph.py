"""Captures a step of worlds on a GPU as one CUDA graph.

One launch of the graph replaces about a thousand kernel launches.
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
    """Records work on a device, so that it can be launched repeatedly."""

    def warm_up(self, work: Work) -> Tensors:
        """Does the work once, so that objects made at the first use exist."""

    def capture(self, work: Work) -> tuple[Launch, Tensors]:
        """Records the work without doing it.

        Returns:
            A function that launches it, and the tensors that will have its results.
        """


class StepGraph:
    """Wraps a function on a device in a CUDA graph.

    The first call runs the function, to warm up. The second call captures it as a graph
    and launches that. Later calls launch the graph.

    Args:
        function: takes one tensor and returns several. It must do the same work each
            time: no Python code may depend on a tensor's values, and state must be
            written in place.
        shape: the shape of its argument.
        device: the function's device.
        recorder: captures the graph; None without CUDA, then every call runs the
            function.
    """

    def __init__(
        self,
        function: Callable[[torch.Tensor], Tensors],
        shape: tuple[int, ...],
        device: torch.device,
        recorder: Recorder | None,
    ) -> None:
        """Prepares the input; the graph is made at the second call."""
        self._function = function
        self._device = device
        self._recorder = recorder

        # a graph always reads its input from the same memory
        self._input = torch.zeros(shape, device=device)
        self._constants = DeviceConstants(device)

        # set by the second call
        self._launch: Launch | None = None
        self._outputs: Tensors = ()
        self._warm = False

    @property
    def captured(self) -> bool:
        """Whether the graph exists, so that calls launch it."""
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
        """Calls the function on the input buffer."""
        with self._constants, self._device:
            return self._function(self._input)

    def _capture(self, recorder: Recorder) -> None:
        """Captures the work and launches it.

        If that fails, this call and later ones run the function without a graph.
        """
        self._constants.sealed = True
        try:
            launch, outputs = recorder.capture(self._work)
            launch()  # the first launch allocates memory, so it may fail, too

        # Nothing was computed yet, so the work can still be done. Warp raises bare
        # exceptions, so all are caught.
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
    """Records CUDA graphs, on a stream of its own.

    Warp makes the capture, because torch's own `torch.cuda.graph` would fail: it
    identifies its allocations by the capture's id, and the solver's loops
    (`capture_while`) pause the capture, which changes the id. Here a separate memory
    pool collects the allocations of this thread.
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
        """Records the work as a graph, see `Recorder`."""
        # torch's allocations in the capture use the pool, which this object keeps alive
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
        """Makes our stream torch's current one, synchronised with the caller's stream.

        Ours first waits for the caller's; afterwards the caller's waits for ours.
        """
        callers = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(callers)
        with torch.cuda.stream(self._stream):
            yield
        callers.wait_stream(self._stream)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Disables garbage collection; freeing objects would break a capture."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
