"""Where things hang that an episode does not need: overhead, out of everything's way.

They are weightless and unseen there. They are not under the floor, because it reaches
down for ever, and whether two geoms may touch cannot differ between worlds on a GPU.
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
