"""Names of objects in instructions, when several of them look alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def first_distinct(values: Sequence[Any], count: int) -> list[Any]:
    """Returns the first `count` different values; they repeat if there are too few."""
    different = list(dict.fromkeys(values))
    return [different[k % len(different)] for k in range(count)]


def sampled_colours(
    values: Sequence[str], count: int, first_two_alike: bool
) -> list[str]:
    """Returns colours of `count` things, all different.

    Args:
        values: Sampled colours; some may occur several times.
        count: Number of things.
        first_two_alike: Gives the second thing the colour of the first instead.
    """
    colours = first_distinct(values, count)
    if first_two_alike:
        colours[1] = colours[0]
    return colours


def colour_name(colours: Sequence[str], index: int, qualifier: str) -> str:
    """Returns the colour of one thing, with a qualifier if others have the colour, too.

    For example "red", or "left red".
    """
    colour = colours[index]
    is_unique = colours.count(colour) == 1
    return colour if is_unique else f"{qualifier} {colour}"
