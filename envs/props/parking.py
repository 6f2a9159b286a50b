"""Parking places, high overhead, for things that take no part in an episode.

Parked things are weightless and invisible. They cannot be parked below the floor, because
its plane collides with everything below it, and on a GPU a world cannot have collision
filters that differ from those of other worlds.
"""

from __future__ import annotations

import numpy as np

HEIGHT_M = 8.0
GAP_M = 0.8
PLACES_PER_ROW = 8


def parked_w(place: int) -> np.ndarray:
    """Returns the position (3,) m of a parking place, numbered from 0."""
    row, column = divmod(place, PLACES_PER_ROW)
    return np.array([GAP_M * column, GAP_M * row, HEIGHT_M])
