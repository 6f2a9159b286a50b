"""Chooses the demonstration, and the segments, that suit a new episode best."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from embodied.policies.generation.library import Library, LibrarySegment, ObjectState

# Two names may stand for one object: in DrawerTidy "first" and "second" do, if only one
# thing must be put away. Their positions are then nearer to each other than this.
SAME_OBJECT_M = 0.001
# Which names stand for one object may differ between a demonstration and an episode. Then
# this is added to the demonstration's difference. It exceeds every distance in a scene, so
# such a demonstration is chosen only if there is no other.
OTHER_NAMES_M = 100.0


def choose_demonstration(
    library: Library, object_states: Mapping[str, ObjectState]
) -> list[LibrarySegment]:
    """Returns the segments of the demonstration whose start is most like an episode's.

    Args:
        library: the segments of all demonstrations.
        object_states: the objects at the start of the episode, by name.
    """
    best_segments: list[LibrarySegment] = []
    smallest_m = np.inf
    for segments in library.demonstrations:
        demonstrated_states = segments[0].object_states

        # compare only the objects that the demonstration handles; the name "" stands for
        # an empty hand
        anchors = {segment.anchor for segment in segments}
        carried = {segment.carried for segment in segments}
        names = sorted((anchors | carried) - {""})
        difference_m = sum(
            demonstrated_states[name].difference_m(object_states[name])
            for name in names
        )
        if _names_of_one(demonstrated_states) != _names_of_one(object_states):
            difference_m += OTHER_NAMES_M

        if difference_m < smallest_m:
            smallest_m = difference_m
            best_segments = list(segments)
    return best_segments


def nearest_substitute(
    library: Library, segment: LibrarySegment, object_states: Mapping[str, ObjectState]
) -> LibrarySegment:
    """Returns the segment of the same kind whose objects are most like an episode's.

    Args:
        library: the segments of all demonstrations.
        segment: a segment, which may itself be the most similar one.
        object_states: the objects of the episode at this moment, by name.
    """
    return min(
        library.substitutes(segment),
        key=lambda substitute: substitute.difference_m(object_states),
    )


def _names_of_one(object_states: Mapping[str, ObjectState]) -> set[tuple[str, str]]:
    """Returns the pairs of names that stand for one and the same object."""
    names = sorted(object_states)
    pairs = set()
    for first in names:
        for second in names:
            offset_m = object_states[first].pos_w - object_states[second].pos_w
            if first < second and np.linalg.norm(offset_m) < SAME_OBJECT_M:
                pairs.add((first, second))
    return pairs
