"""Where things hang that an episode does not need: weightless, unseen, out of
everything's way.

Not under the floor: whether two geoms may touch cannot differ between worlds on a GPU,
and the floor reaches down for ever.
"""

from __future__ import annotations

import numpy as np

HEIGHT_M = 8.0
GAP_M = 0.8


def parked_w(place: int) -> np.ndarray:
    """(3,) m, of the parking place of a number from 0 on."""
    return np.array([GAP_M * (place % 8), GAP_M * (place // 8), HEIGHT_M])
