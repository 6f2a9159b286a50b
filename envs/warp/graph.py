"""Captures a control step of worlds on a GPU as one CUDA graph.

One launch of the graph then replaces about a thousand kernel launches.
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
    """Records work on a device, so that the work can be launched repeatedly."""

    def warm_up(self, work: Work) -> Tensors:
        """Does the work once, so that objects which it makes at its first use exist."""

    def capture(self, work: Work) -> tuple[Launch, Tensors]:
        """Records the work without doing it.

        Returns:
            A function that launches the work, and the tensors that will hold the results.
        """


class StepGraph:
    """Wraps a function on a device in a CUDA graph.

    The first call runs the function, to warm up. The second call captures the function as
    a graph and launches the graph. Later calls only launch the graph.

    Args:
        function: The function, which takes one tensor and returns several. It must do the
            same work each time: no Python code may depend on a tensor's values, and state
            must be written in place.
        shape: The shape of the function's argument.
        device: The device on which the function works.
        recorder: Captures the graph. None without CUDA: then every call runs the
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
        """Returns the function's results for `values`.

        The results are copies, because the next call overwrites the graph's outputs.
        """
        self._input.copy_(values)  # the graph reads its input from this memory
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

        If the capture fails, this call and later calls run the function without a graph.
        """
        self._constants.sealed = True
        try:
            launch, outputs = recorder.capture(self._work)
            launch()  # the first launch allocates memory, so it may fail, too

        # Nothing was computed yet, so the work can still be done without a graph. All
        # exceptions are caught, because Warp raises some of the class Exception itself.
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
    """Records CUDA graphs, on a CUDA stream that only this object uses.

    Warp makes the capture, because torch's own `torch.cuda.graph` would fail: it
    identifies its allocations by the capture's id, and the solver's loops
    (`capture_while`) pause the capture, which changes the id. Instead, a separate memory
    pool collects what torch allocates in this thread.
    """

    def __init__(self, streams: Streams, device: torch.device) -> None:
        self._streams = streams
        self._device = device
        self._stream: Any = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._pool = torch.cuda.MemPool()

    def warm_up(self, work: Work) -> Tensors:
        with self._on_own_stream():
            return work()

    def capture(self, work: Work) -> tuple[Launch, Tensors]:
        """Records the work as a graph, as `Recorder` documents."""
        # what torch allocates in the capture is in a pool that this object keeps alive,
        # because each launch of the graph uses the same memory
        own_pool = torch.cuda.use_mem_pool(self._pool, self._device)
        with (
            self._on_own_stream(),
            _without_garbage_collection(),
            own_pool,
            self._streams.capture() as capture,
        ):
            outputs = work()
        return partial(self._streams.launch, capture.graph), outputs

    @contextmanager
    def _on_own_stream(self) -> Iterator[None]:
        """Makes this object's stream torch's current one within the context.

        The stream first waits for the caller's stream; after the context, the caller's
        stream waits for this one.
        """
        callers_stream = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(callers_stream)
        with torch.cuda.stream(self._stream):
            yield
        callers_stream.wait_stream(self._stream)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Disables garbage collection within the context.

    A collection could free memory of the device, which is not allowed during a capture.
    """
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
