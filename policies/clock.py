"""Rates on the physics clock: when the k-th event of a rate happens, in whole ticks."""

from __future__ import annotations

import math
from fractions import Fraction

from embodied.core import PHYSICS_HZ, Array
from embodied.errors import EmbodiedError


class Clock:
    """A rate whose events fall on ticks: event k at the first tick at or after `k *
    PHYSICS_HZ / rate_hz`.

    Each tick is computed from k, never accumulated, so that 7, 8, 9 or 30 Hz never
    drift. Works on ints and on int64 arrays alike. Raises EmbodiedError for a rate that
    is not in (0, PHYSICS_HZ].
    """

    def __init__(self, rate_hz: float) -> None:
        if not math.isfinite(rate_hz) or not 0 < rate_hz <= PHYSICS_HZ:
            raise EmbodiedError(
                f"a rate must be above 0 and at most {PHYSICS_HZ} Hz (one event a tick), not {rate_hz}"
            )
        rate = Fraction(rate_hz).limit_denominator(1000)  # 29.97 is 2997/100 again
        self._ticks = PHYSICS_HZ * rate.denominator
        self._events = rate.numerator

    @property
    def period_ticks(self) -> int:
        """Whole ticks between two events, rounded down: a queue served at this pace
        keeps up with the rate.
        """
        return self._ticks // self._events

    def tick(self, event: Array) -> Array:
        """The tick of an event, counted from 0."""
        return -(-event * self._ticks // self._events)

    def event(self, tick: Array) -> Array:
        """The first event at or after a tick."""
        return (tick - 1) * self._events // self._ticks + 1

    def next_tick(self, tick: Array) -> Array:
        """The tick of the first event after a tick; events in between that nobody could
        take are skipped.
        """
        done = tick * self._events // self._ticks  # the last event that has happened
        return ((done + 1) * self._ticks + self._events - 1) // self._events
