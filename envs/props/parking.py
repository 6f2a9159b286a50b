"""Parking places, high overhead, for things that take no part in an episode.

Parked things are weightless and invisible. They cannot be parked below the floor: its
plane collides with everything below it, and on a GPU all worlds have the same collision
filters.
"""

from __future__ import annotations

import numpy as np

HEIGHT_M = 8.0
GAP_M = 0.8
PLACES_PER_ROW = 8


def parked_w(place: int) -> np.ndarray:
    """Returns the position (3,) of a parking place, numbered from 0, m."""
    row, column = divmod(place, PLACES_PER_ROW)
    return np.array([GAP_M * column, GAP_M * row, HEIGHT_M])
