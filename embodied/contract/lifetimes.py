"""Contract on lifetimes: worlds are freed when nothing refers to them."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from contextlib import contextmanager

from embodied.contract.case import Case, random_actions, require


def worlds_are_freed_once_nothing_refers_to_them(case: Case) -> None:
    """Steps a world and lets go of it, with Python's garbage collector switched off.

    An object that refers to itself, such as a task that keeps a lambda with `self` in
    it, is freed only when the collector happens to run. Until then it holds its
    simulation: 20 MB of memory and more for each world, which add up over an
    evaluation of many cells.
    """
    worlds = case.worlds(1)
    worlds.step(random_actions(worlds, 1)[0])
    engine = weakref.ref(worlds.engine)
    with _without_collector():
        worlds.close()
        del worlds
        # a weak reference returns None once its object is freed
        require(engine() is None, "something that refers to itself keeps the engine")


@contextmanager
def _without_collector() -> Iterator[None]:
    """Disables garbage collection within the context."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
