"""Physical quantities of the worlds, each computed once for each of their states.

A task gives its quantities names in a class of facts. Its state, its judgement and its
rewards read them, and none of them computes anything twice:

    class Facts:
        def __init__(self, cube: FreeBody, hand: Hand) -> None: ...

        @quantity
        def height_m(self) -> Array:
            return self._cube.pos_w()[:, 2]

    facts = PerState(engine, lambda: Facts(cube, hand))
    facts().height_m
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from embodied.core import Array
from embodied.sim.engine import Engine

F = TypeVar("F")


class quantity:  # noqa: N801  (used as a decorator, like `property`)
    """A method without arguments whose value is computed when it is first read."""

    def __init__(self, compute: Callable[[Any], Array]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, facts: Any, owner: type) -> Array:
        if facts is None:
            return self
        value = self._compute(facts)
        facts.__dict__[self._name] = value  # from now on found before this descriptor
        return value


class PerState(Generic[F]):
    """Facts of the present state of an engine: called, it makes them anew only after
    the state has changed.
    """

    def __init__(self, engine: Engine, make_facts: Callable[[], F]) -> None:
        self._engine = engine
        self._make_facts = make_facts
        self._version = -1
        self._facts: F

    def __call__(self) -> F:
        version = self._engine.version
        if version != self._version:
            self._facts = self._make_facts()
            self._version = version
        return self._facts
