"""Events within an episode, such as pushes, at level L4."""

from __future__ import annotations

import numpy as np

from embodied.core import PHYSICS_HZ, Array, seconds_to_ticks

PUSH_S = 0.2
PUSH_TICKS = seconds_to_ticks(PUSH_S)
NEVER = 1 << 40  # a tick that no episode reaches
# The key of the random stream of events, which differs from those of a table's variables
# ("L4" in ASCII).
EVENT_STREAM = 0x4C34


def event_rng(seed: int, stream: int = EVENT_STREAM) -> np.random.Generator:
    """Returns the random number generator for the events of one episode."""
    return np.random.default_rng((seed, stream))


def event_tick_at(time_s: float) -> int:
    """Returns the time of an event, or a delay before it, in physics ticks.

    Times are drawn from ranges, so they lie between ticks. They are rounded down.
    """
    return int(time_s * PHYSICS_HZ)


def horizontal_force(force_n: float, angle: float) -> tuple[float, float]:
    """Returns x and y components, in N, of a force at `angle` rad from the x axis."""
    return float(force_n * np.cos(angle)), float(force_n * np.sin(angle))


def is_during(tick: Array, start_tick: Array, duration_ticks: int) -> Array:
    """Returns (N,) bool, whether an event is going on in each world.

    Args:
        tick: (N,) the time of each world's episode, in physics steps.
        start_tick: (N,) the tick at which the event begins.
        duration_ticks: the duration of the event.
    """
    return (tick >= start_tick) & (tick < start_tick + duration_ticks)
