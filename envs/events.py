"""What happens to the worlds within an episode, at level L4: pushes and changes, by
each world's own clock.
"""

from __future__ import annotations

import numpy as np

from embodied.core import Array, seconds_to_ticks

PUSH_S = 0.2
PUSH_TICKS = seconds_to_ticks(PUSH_S)
NEVER = 1 << 40  # a tick that no episode reaches
EVENT_STREAM = 0x4C34  # of random numbers, apart from those of a table's variables


def event_rng(seed: int, stream: int = EVENT_STREAM) -> np.random.Generator:
    """The random numbers of one episode's events."""
    return np.random.default_rng((seed, stream))


def horizontal_force(force_n: float, angle: float) -> tuple[float, float]:
    """Components along x and y, in N, of a force that points `angle` rad from x."""
    return float(force_n * np.cos(angle)), float(force_n * np.sin(angle))


def is_during(tick: Array, start_tick: Array, duration_ticks: int) -> Array:
    """(N,) bool, whether something that began at `start_tick` (N,) still goes on."""
    return (tick >= start_tick) & (tick < start_tick + duration_ticks)
