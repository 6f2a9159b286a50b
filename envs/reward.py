"""The function that shapes every reward."""

from __future__ import annotations

from embodied.arrays import array_namespace
from embodied.core import Array

LOG_OF_A_TENTH = -2.302585


def tolerance(value: Array, bound: float, margin: float) -> Array:
    """Returns 1 where |value| <= bound, falling smoothly to 0 beyond it.

    The tail is a Gaussian that is 0.1 at bound + margin, so that there is still a slope
    far away.

    Args:
        value: Of any shape.
        bound: In the unit of the value.
        margin: In the same unit; must be positive.

    Returns:
        The shape of `value`, in [0, 1].
    """
    xp = array_namespace(value)
    beyond = xp.abs(value) - bound
    excess = xp.maximum(beyond, 0.0) / margin
    return xp.exp(LOG_OF_A_TENTH * excess * excess)
