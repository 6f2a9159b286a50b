"""The shaping function of all tasks' rewards."""

from __future__ import annotations

from embodied.arrays import array_namespace
from embodied.core import Array

LOG_OF_A_TENTH = -2.302585  # the natural logarithm of 0.1


def tolerance(value: Array, bound: float, margin: float) -> Array:
    """Returns a reward that is 1 for |value| <= bound and falls smoothly to 0 beyond it.

    The tail is a Gaussian with the value 0.1 at bound + margin, so that a reward has a
    slope far from its goal, too.

    Args:
        value: Errors, an array of any shape.
        bound: The largest error with the reward 1, in the unit of `value`.
        margin: The distance beyond the bound at which the reward is 0.1; positive.

    Returns:
        Rewards in [0, 1], an array of the shape of `value`.
    """
    xp = array_namespace(value)
    excess = xp.maximum(xp.abs(value) - bound, 0.0)
    margins = excess / margin  # in units of the margin
    return xp.exp(LOG_OF_A_TENTH * margins * margins)
