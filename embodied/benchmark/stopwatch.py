"""Stopwatches: the processor time and the wall time of functions."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


class Stopwatch:
    """Adds up this thread's processor time in a function.

    Attributes:
        call: the function, with its time measured.
        seconds: total time of all calls so far.
    """

    call: Callable[..., Any]

    def __init__(self, function: Callable[..., Any]) -> None:
        """Wraps the function; it is measured when `call` is called in its place."""
        self.seconds = 0.0

        def call(*arguments: Any) -> Any:
            start_s = time.thread_time()  # processor time of this thread
            result = function(*arguments)
            self.seconds += time.thread_time() - start_s
            return result

        self.call = call


def thread_seconds(work: Callable[[], object]) -> float:
    """Returns the processor time of this thread for a call of `work`, in s."""
    start_s = time.thread_time()
    work()
    return time.thread_time() - start_s


def wall_seconds(work: Callable[[], object]) -> float:
    """Returns the wall time of a call of `work`, in s."""
    start_s = time.perf_counter()
    work()
    return time.perf_counter() - start_s
