"""Names of objects in instructions, when several of them look alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def first_distinct(values: Sequence[Any], count: int) -> list[Any]:
    """Returns the first `count` different values, repeated in turn if there are fewer."""
    different = list(dict.fromkeys(values))
    return [different[k % len(different)] for k in range(count)]


def sampled_colours(
    values: Sequence[str], count: int, first_two_alike: bool
) -> list[str]:
    """Returns colours of `count` things, all different if there are enough colours.

    Args:
        values: Sampled colours, of which some may occur several times.
        count: The number of things.
        first_two_alike: Whether the second thing has the colour of the first instead.
    """
    colours = first_distinct(values, count)
    if first_two_alike:
        colours[1] = colours[0]
    return colours


def colour_name(colours: Sequence[str], index: int, qualifier: str) -> str:
    """Returns the words for one thing's colour, such as "red" or "left red".

    Args:
        colours: The colours of all things.
        index: The index of the thing.
        qualifier: The word that is added if other things have the same colour.
    """
    colour = colours[index]
    is_unique = colours.count(colour) == 1
    return colour if is_unique else f"{qualifier} {colour}"
