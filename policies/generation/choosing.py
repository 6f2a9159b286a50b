"""Which demonstration, and which of its segments, suits another episode best."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from embodied.policies.generation.library import Library, LibrarySegment, ObjectState

# Two names stand for the same object if their positions are nearer than this.
SAME_M = 0.001
# This is added to a demonstration's difference if other names than in the episode stand
# for the same object. It exceeds every distance, so such a demonstration is the last choice.
OTHER_NAMES_M = 100.0


def choose_demonstration(
    library: Library, object_states: Mapping[str, ObjectState]
) -> list[LibrarySegment]:
    """Returns the segments of the demonstration whose start is most like an episode's.

    Args:
        library: the library of all demonstrations.
        object_states: the objects at the start of the episode, by name.
    """
    best: list[LibrarySegment] = []
    smallest_m = np.inf
    for segments in library.demonstrations:
        start = segments[0].object_states
        names = sorted(
            {segment.anchor for segment in segments}
            | {segment.carried for segment in segments}
        )
        difference_m = sum(
            start[name].difference_m(object_states[name]) for name in names if name
        )
        if _same_objects(start) != _same_objects(object_states):
            difference_m += OTHER_NAMES_M
        if difference_m < smallest_m:
            smallest_m = difference_m
            best = list(segments)
    return best


def nearest(
    library: Library, segment: LibrarySegment, object_states: Mapping[str, ObjectState]
) -> LibrarySegment:
    """Returns the substitute for a segment that suits an episode best."""
    return min(
        library.substitutes(segment),
        key=lambda substitute: substitute.difference_m(object_states),
    )


def _same_objects(object_states: Mapping[str, ObjectState]) -> set[tuple[str, str]]:
    """Returns the pairs of names that stand for the same object."""
    names = sorted(object_states)
    same = set()
    for first in names:
        for second in names:
            offset = object_states[first].pos_w - object_states[second].pos_w
            if first < second and np.linalg.norm(offset) < SAME_M:
                same.add((first, second))
    return same
