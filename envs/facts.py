"""Named physical quantities of the worlds, computed at most once per simulated state.

A task names its quantities in a class of facts. Its privileged state, its judgement and
its rewards all read them, and no quantity is computed twice:

    class Facts:
        def __init__(self, cube: FreeBody, hand: Hand) -> None: ...

        @quantity
        def height_m(self) -> Array:
            return self._cube.pos_w()[:, 2]

    facts = PerState(engine, partial(Facts, cube, hand))
    facts().height_m
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from embodied.core import Array
from embodied.sim.engine import Engine

F = TypeVar("F")


class quantity:  # noqa: N801  (used as a decorator, like `property`)
    """Turns a method into an attribute that is computed when it is first read."""

    def __init__(self, compute: Callable[[Any], Array]) -> None:
        self._compute = compute
        self._name = compute.__name__
        self.__doc__ = compute.__doc__

    def __get__(self, facts: Any, owner: type) -> Array:
        """Returns the quantity of an instance; for the class itself, this descriptor."""
        if facts is None:
            return self
        value = self._compute(facts)
        # later reads find the value in the instance, before this descriptor
        setattr(facts, self._name, value)
        return value


class PerState(Generic[F]):
    """A callable that returns the facts of an engine's present state.

    It makes new facts only after the state has changed.
    """

    def __init__(self, engine: Engine, make_facts: Callable[[], F]) -> None:
        self._engine = engine
        self._make_facts = make_facts
        self._version = -1
        self._facts: F

    def __call__(self) -> F:
        """Returns the facts of the present state."""
        # the engine has another version after each change of its state
        version = self._engine.version
        if version != self._version:
            self._facts = self._make_facts()
            self._version = version
        return self._facts
