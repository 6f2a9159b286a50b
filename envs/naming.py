"""How instructions name one of several things that look alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def first_distinct(values: Sequence[Any], count: int) -> list[Any]:
    """The first `count` different values; from the front again where there are fewer."""
    different = list(dict.fromkeys(values))
    return [different[k % len(different)] for k in range(count)]


def sampled_colours(
    values: Sequence[str], count: int, first_two_alike: bool
) -> list[str]:
    """Colours of `count` things, all different but for the first two where asked for."""
    colours = first_distinct(values, count)
    if first_two_alike:
        colours[1] = colours[0]
    return colours


def colour_name(colours: Sequence[str], index: int, qualifier: str) -> str:
    """The colour of one thing, after a qualifier where other things have it too."""
    colour = colours[index]
    is_unique = colours.count(colour) == 1
    return colour if is_unique else f"{qualifier} {colour}"
