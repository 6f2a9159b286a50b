"""Defers Ctrl-C until a critical block is finished."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager


class CtrlCKept:
    """Remembers that Ctrl-C was pressed."""

    def __init__(self) -> None:
        self.is_pressed = False

    def note(self, *_: object) -> None:
        """Replaces Python's signal handler, which gets a signal and a frame."""
        self.is_pressed = True

    def check(self) -> None:
        """Raises KeyboardInterrupt if Ctrl-C was pressed."""
        if self.is_pressed:
            raise KeyboardInterrupt


@contextmanager
def ctrl_c_kept() -> Iterator[CtrlCKept]:
    """Defers Ctrl-C within a `with` block: KeyboardInterrupt is raised at its end.

    The block can also raise it earlier, by `CtrlCKept.check`.
    """
    kept = CtrlCKept()
    # Python handles signals in the main thread only. A process that ignores Ctrl-C, whose
    # handler is a constant and not callable, keeps ignoring Ctrl-C.
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
