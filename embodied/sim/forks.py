"""Protects forked processes from objects with threads in their parent.

A fork copies memory, but not threads. In the child, a thread pool from before the fork
waits for ever, and so does its destructor.
"""

from __future__ import annotations

import ctypes
import functools
import os
import weakref
from typing import Protocol

# Advice on starting processes, for error messages in a forked process.
ADVICE = (
    "start processes by spawn or forkserver: gymnasium.make_vec(..., "
    "vectorization_mode='async', vector_kwargs={'context': 'spawn'}), "
    "SubprocVecEnv(..., start_method='spawn'), multiprocessing.get_context('spawn')"
)


class OwnerOfThreads(Protocol):
    """An object with threads, which is unusable in a forked child."""

    def after_fork(self) -> None:
        """Is called first in each forked child."""


def tell_after_fork(owner: OwnerOfThreads) -> None:
    """Lets the owner's `after_fork` be called in each forked child while it exists."""
    _owners().add(owner)


def never_free(thing: object) -> None:
    """Keeps an object alive until the process has ended, so its destructor never runs."""
    # with an extra reference, the count stays above zero even at the interpreter's end
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


@functools.cache
def _owners() -> weakref.WeakSet[OwnerOfThreads]:
    """Returns the owners in this process; the first call registers the fork handler."""
    owners: weakref.WeakSet[OwnerOfThreads] = weakref.WeakSet()

    def tell_all() -> None:
        for owner in list(owners):
            owner.after_fork()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=tell_all)
    return owners
