"""Events of a rate on the tick clock."""

from fractions import Fraction
from math import ceil

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.errors import EmbodiedError
from embodied.policies.clock import Clock

unhurried = settings(deadline=None)  # machines may be busy

ODD_RATES = st.fractions(Fraction(1, 2), 400, max_denominator=1000)
RATES = st.one_of(st.integers(1, 400).map(Fraction), ODD_RATES)


@pytest.mark.parametrize(
    ("rate_hz", "ticks"),
    [
        (7, [0, 58, 115, 172, 229, 286, 343, 400]),
        (8, [0, 50, 100, 150, 200, 250, 300, 350, 400]),
        (9, [0, 45, 89, 134, 178, 223, 267, 312, 356, 400]),
        (30, [0, 14, 27, 40, 54, 67, 80]),
        (400, [0, 1, 2, 3]),
        (2.5, [0, 160, 320]),
    ],
)
def test_events_fall_on_the_ticks_computed_by_hand(
    rate_hz: float, ticks: list[int]
) -> None:
    clock = Clock(rate_hz)
    events = range(len(ticks))

    assert [clock.tick(event) for event in events] == ticks
    np.testing.assert_array_equal(clock.tick(np.array(events)), ticks)


@unhurried
@given(rate=RATES, event=st.integers(0, 10**9))
def test_an_event_is_at_the_first_tick_at_or_after_its_exact_time(
    rate: Fraction, event: int
) -> None:
    exact = Fraction(event * 400) / rate

    assert Clock(float(rate)).tick(event) == ceil(exact)


@unhurried
@given(rate=RATES, tick=st.integers(0, 10**9))
def test_event_and_next_tick_agree_with_tick(rate: Fraction, tick: int) -> None:
    clock = Clock(float(rate))

    # `event` is the first at or after the tick.
    event = clock.event(tick)
    assert clock.tick(event) >= tick
    assert event == 0 or clock.tick(event - 1) < tick

    # `next_tick` is of the first event after the tick, for arrays too.
    next_tick = clock.next_tick(tick)
    assert next_tick > tick
    assert next_tick == clock.tick(clock.event(tick + 1))
    assert clock.next_tick(np.array([tick]))[0] == next_tick


@unhurried
@given(rate=RATES)
def test_the_period_never_falls_behind_the_rate(rate: Fraction) -> None:
    clock = Clock(float(rate))

    assert clock.period_ticks <= 400 / rate < clock.period_ticks + 1


@pytest.mark.parametrize("rate_hz", [0, -8, 401, float("nan"), float("inf")])
def test_impossible_rates_are_refused(rate_hz: float) -> None:
    with pytest.raises(EmbodiedError, match="400 Hz"):
        Clock(rate_hz)
