"""Which demonstration, and which of its segments, suits another episode best."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from embodied.policies.generation.library import Library, Sight, Way

# Objects that are nearer to each other than this are one object under two names.
SAME_M = 0.001
# What it counts if other names than in the demonstration are one object: more than any
# distance does.
NOT_ALIKE_M = 100.0


def choose_demonstration(library: Library, sights: Mapping[str, Sight]) -> list[Way]:
    """Returns the segments of the demonstration whose start is most like an episode's.

    Args:
        library: the library of all demonstrations.
        sights: the objects at the start of the episode.
    """
    best: list[Way] = []
    least = np.inf
    for ways in library.demonstrations:
        start = ways[0].sights
        names = sorted({way.anchor for way in ways} | {way.carried for way in ways})
        unlike = sum(start[name].unlike(sights[name]) for name in names if name)
        if _same(start) != _same(sights):
            unlike += NOT_ALIKE_M
        if unlike < least:
            least = unlike
            best = list(ways)
    return best


def nearest(library: Library, way: Way, sights: Mapping[str, Sight]) -> Way:
    """Returns the segment that may stand in for one, and suits an episode best."""
    return min(library.stand_ins(way), key=lambda one: one.unlike(sights))


def _same(sights: Mapping[str, Sight]) -> set[tuple[str, str]]:
    """Returns the pairs of names that stand for one object."""
    names = sorted(sights)
    same = set()
    for first in names:
        for second in names:
            away = sights[first].pos_w - sights[second].pos_w
            if first < second and np.linalg.norm(away) < SAME_M:
                same.add((first, second))
    return same
