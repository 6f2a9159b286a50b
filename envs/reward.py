"""The one shaper that every reward is made of."""

from __future__ import annotations

from embodied.arrays import array_namespace
from embodied.core import Array

LOG_OF_A_TENTH = -2.302585


def tolerance(value: Array, bound: float, margin: float) -> Array:
    """Returns 1 where |value| <= bound; it falls smoothly to 0.1 at bound + margin and
    on towards 0.

    The long tail is a Gaussian, so that there is a slope far away, too.

    Args:
        value: Of any shape.
        bound: In the unit of the value.
        margin: In the same unit; must be positive.
    """
    xp = array_namespace(value)
    beyond = xp.abs(value) - bound
    # the positive part, in cheaper calls than `clip`
    excess = (beyond + xp.abs(beyond)) / (2 * margin)
    return xp.exp(LOG_OF_A_TENTH * excess * excess)
