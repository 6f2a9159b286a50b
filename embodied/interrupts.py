"""Ctrl-C that waits until what must not be cut in two is done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class CtrlCKept:
    """Remembers that Ctrl-C was pressed."""

    def __init__(self) -> None:
        self._is_pressed = False

    def note(self, *_: object) -> None:
        """Is called, with signal and frame, instead of Python's own handler."""
        self._is_pressed = True

    def check(self) -> None:
        """Raises KeyboardInterrupt if Ctrl-C was pressed."""
        if self._is_pressed:
            raise KeyboardInterrupt


@contextmanager
def ctrl_c_kept() -> Iterator[CtrlCKept]:
    """Keeps Ctrl-C from interrupting a block; it counts when the block ends."""
    kept = CtrlCKept()
    # Python handles signals in the main thread only. Processes that ignore Ctrl-C go
    # on to do so: their handler is a constant, which cannot be called.
    handler = signal.getsignal(signal.SIGINT)
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not (in_main_thread and callable(handler)):
        yield kept
        return

    signal.signal(signal.SIGINT, kept.note)
    try:
        yield kept
    finally:
        signal.signal(signal.SIGINT, handler)
    kept.check()
