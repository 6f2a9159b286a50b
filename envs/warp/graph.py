"""A step of worlds on a GPU as one CUDA graph, launched instead of some thousand kernels."""

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
        """Does the work once, so that all it needs only once is there."""

    def capture(self, work: Work) -> tuple[Launch, Tensors]:
        """Records the work without doing it.

        Returns:
            What launches it, and the tensors in which its results will lie.
        """


class StepGraph:
    """A function on a device: done once, then captured, then only launched.

    Args:
        function: from one tensor to several. It must do the same work each time: no
            Python that depends on a tensor's values, and state only written in place.
        shape: of its argument.
        device: where it works.
        recorder: None where there is no CUDA; the same code then runs anew each time.
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
        self._input = torch.zeros(shape, device=device)
        self._constants = DeviceConstants(device)
        self._launch: Launch | None = None
        self._outputs: Tensors = ()
        self._warm = False

    @property
    def captured(self) -> bool:
        """Whether calls are launches of a graph by now."""
        return self._launch is not None

    def __call__(self, values: torch.Tensor) -> Tensors:
        """Returns the function of `values`: tensors of the caller's own."""
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
        with self._constants, self._device:
            return self._function(self._input)

    def _capture(self, recorder: Recorder) -> None:
        """Records the work and launches it; where that fails it is only done, now and
        from then on.
        """
        self._constants.sealed = True
        try:
            launch, outputs = recorder.capture(self._work)
            launch()  # makes the graph ready, for which memory may lack

        # Nothing was done yet, so all can still be done. Warp raises bare exceptions.
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
    """Records on a stream beside the caller's.

    Warp owns the capture: the solver's loops (`capture_while`) pause it, which changes
    the number by which torch's own `torch.cuda.graph` knows which allocations belong to
    it. Here they are told by their thread instead, and torch's tensors lie in a memory
    pool of their own.
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
        """Makes our stream torch's current one, after all that the caller's has to do
        and before what it will.
        """
        callers = torch.cuda.current_stream(self._device)
        self._stream.wait_stream(callers)
        with torch.cuda.stream(self._stream):
            yield
        callers.wait_stream(self._stream)


@contextmanager
def _without_garbage_collection() -> Iterator[None]:
    """Keeps what is thrown away during a capture from being freed within it."""
    gc.collect()
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
