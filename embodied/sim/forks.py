"""What a forked process must leave alone: things whose threads stayed in the parent.

A fork copies memory, not threads. A thread pool that was made before it waits in the
child for ever, and so does its destructor.
"""

from __future__ import annotations

import ctypes
import functools
import os
import weakref
from typing import Protocol

# how to start processes instead, for the errors of those that were forked
ADVICE = (
    "start processes by spawn or forkserver: gymnasium.make_vec(..., "
    "vectorization_mode='async', vector_kwargs={'context': 'spawn'}), "
    "SubprocVecEnv(..., start_method='spawn'), multiprocessing.get_context('spawn')"
)


class OwnerOfThreads(Protocol):
    """Something that is of no use in a process that is forked from this one."""

    def after_fork(self) -> None:
        """Is called in the child, before anything else there."""


def tell_after_fork(owner: OwnerOfThreads) -> None:
    """Calls the owner's `after_fork` in each forked child, as long as the owner lives."""
    _owners().add(owner)


def never_free(thing: object) -> None:
    """Keeps an object alive until the process has ended, so that no destructor runs."""
    # a reference too many: not even the interpreter's end brings the count to zero
    ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))


@functools.cache
def _owners() -> weakref.WeakSet[OwnerOfThreads]:
    """Returns the owners of this process; from the first call on, forks tell them."""
    owners: weakref.WeakSet[OwnerOfThreads] = weakref.WeakSet()

    def tell_all() -> None:
        for owner in list(owners):
            owner.after_fork()

    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=tell_all)
    return owners
