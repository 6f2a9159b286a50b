"""Pushes and changes within an episode, at level L4, by each world's own clock."""

from __future__ import annotations

import numpy as np

from embodied.core import Array, seconds_to_ticks

PUSH_S = 0.2
PUSH_TICKS = seconds_to_ticks(PUSH_S)
NEVER = 1 << 40  # a tick that no episode reaches
# The random stream of events, apart from those of a table's variables.
EVENT_STREAM = 0x4C34


def event_rng(seed: int, stream: int = EVENT_STREAM) -> np.random.Generator:
    """Returns the random numbers of one episode's events."""
    return np.random.default_rng((seed, stream))


def horizontal_force(force_n: float, angle: float) -> tuple[float, float]:
    """Returns x and y components, in N, of a force at `angle` rad from the x axis."""
    return float(force_n * np.cos(angle)), float(force_n * np.sin(angle))


def is_during(tick: Array, start_tick: Array, duration_ticks: int) -> Array:
    """Returns (N,) bool, whether `tick` (N,) is within the duration of an event.

    Args:
        tick: (N,) each world's clock.
        start_tick: (N,) when the event begins.
        duration_ticks: how long it lasts.
    """
    return (tick >= start_tick) & (tick < start_tick + duration_ticks)
