"""Periodic events on the physics clock: the tick of the k-th event of a rate."""

from __future__ import annotations

import math
from fractions import Fraction

from embodied.core import PHYSICS_HZ, Array
from embodied.errors import EmbodiedError


class Clock:
    """A rate whose events fall on whole ticks.

    Event k happens at the first tick at or after its exact time, k * PHYSICS_HZ /
    rate_hz. The tick is computed from k and never accumulated, so that rates such as 7
    or 30 Hz do not drift. Methods take and return either ints or int64 arrays.

    Args:
        rate_hz: the number of events per second.

    Raises:
        EmbodiedError: the rate is not in (0, PHYSICS_HZ].
    """

    def __init__(self, rate_hz: float) -> None:
        """Keeps the rate as a fraction of whole numbers, for exact arithmetic."""
        if not math.isfinite(rate_hz) or not 0 < rate_hz <= PHYSICS_HZ:
            raise EmbodiedError(
                f"a rate must be above 0 and at most {PHYSICS_HZ} Hz (one event per "
                f"tick), not {rate_hz}"
            )

        # The rate as a fraction: `_events` events in `_ticks` ticks, both integers, so
        # that no rounding occurs. `limit_denominator` turns the float 29.97, which is not
        # exactly 29.97, into 2997/100; 1000 allows for rates with three decimals.
        rate = Fraction(rate_hz).limit_denominator(1000)
        self._ticks = PHYSICS_HZ * rate.denominator
        self._events = rate.numerator

    @property
    def period_ticks(self) -> int:
        """The ticks between two events, rounded down.

        Rounded down, so that a queue served once per `period_ticks` never grows.
        """
        return self._ticks // self._events

    def tick(self, event: Array) -> Array:
        """Returns the tick of an event; events are numbered from 0."""
        # the negations round the division up instead of down
        return -(-event * self._ticks // self._events)

    def event(self, tick: Array) -> Array:
        """Returns the number of the first event at or after a tick."""
        # Exact times are rounded up to ticks, so this is the first event whose exact time
        # is after `tick - 1`.
        return (tick - 1) * self._events // self._ticks + 1

    def next_tick(self, tick: Array) -> Array:
        """Returns the tick of the first event after a tick."""
        return self.tick(self.event(tick + 1))
