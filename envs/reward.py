"""The one shaper that every reward is made of."""

from __future__ import annotations

from embodied.arrays import array_namespace
from embodied.core import Array


def tolerance(value: Array, bound: float, margin: float) -> Array:
    """1 where |value| <= bound, falling smoothly to 0.1 at bound + margin and on
    towards 0.

    The long tail is a Gaussian, so that far starts still feel a slope. `margin` must be
    positive.
    """
    xp = array_namespace(value)
    beyond = xp.abs(value) - bound
    # the positive part, in fewer and cheaper calls than `clip`
    excess = (beyond + xp.abs(beyond)) / (2 * margin)
    return xp.exp(-2.302585 * excess * excess)
