"""Where the expert of DrawerTidy sets things down: in the drawer or on the counter."""

from __future__ import annotations

from typing import Any

from embodied.arrays import norm
from embodied.core import Array
from embodied.envs.tasks.drawer_tidy.expert_facts import ExpertFacts
from embodied.envs.tasks.drawer_tidy.scene import DRAWERS_SIZE

# Candidate spots in the drawer, in its frame: one x, and several y in order of
# preference.
SPOT_X_M = 0.088
SPOTS_Y_M = (0.050, -0.050, 0.028, -0.028, 0.0)
# A spot in the drawer is free if no other thing is within this distance.
SPOT_ROOM_M = 0.085
# Candidate spots for putting a thing back on the counter, in order of preference.
COUNTER_XY_W = (
    (-0.04, 0.54),
    (0.085, 0.54),
    (0.21, 0.54),
    (0.335, 0.54),
    (0.02, 0.66),
    (0.15, 0.66),
    (0.27, 0.63),
)
# A spot on the counter is free if no other thing is within this distance, which leaves
# room for the open fingers.
COUNTER_ROOM_M = 0.11


def spot_in_drawer(xp: Any, facts: ExpertFacts) -> Array:
    """Returns a spot (n, 3) m on the drawer's floor with room for one more thing."""
    spots = [facts.drawer + xp.asarray([SPOT_X_M, y, 0.0]) for y in SPOTS_Y_M]
    return _first_free(
        xp, xp.stack(spots, axis=1), others=facts.others, enough_m=SPOT_ROOM_M
    )


def spot_on_counter(xp: Any, facts: ExpertFacts) -> Array:
    """Returns a spot (n, 3) m on the counter with room for one more thing."""
    spots = xp.asarray([(x, y, DRAWERS_SIZE.top_z) for x, y in COUNTER_XY_W])  # (S, 3)
    spots = xp.broadcast_to(spots, (facts.opening.shape[0], *spots.shape))
    return _first_free(xp, spots, others=facts.others, enough_m=COUNTER_ROOM_M)


def _first_free(xp: Any, spots: Array, others: Array, enough_m: float) -> Array:
    """Returns the first free spot (n, 3) m; if none is free, the spot with most room.

    Args:
        xp: The array namespace.
        spots: (n, S, 3) m, the candidate spots in order of preference.
        others: (n, K, 3) m, positions of the things around.
        enough_m: A spot is free if its horizontal distance to each thing is at least
            this.
    """
    gap = spots[:, :, None, :2] - others[:, None, :, :2]  # (n, S, K, 2)
    room = xp.min(norm(gap), axis=2)  # (n, S)
    # clipping gives all free spots the same room, and `argmax` returns the first of equals
    room = xp.minimum(room, xp.full_like(room, enough_m))
    return spots[xp.arange(spots.shape[0]), xp.argmax(room, axis=1)]
