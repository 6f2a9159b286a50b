"""Statistics over all episodes of a dataset, which each episode is compared with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.spatial import KDTree

from embodied.datasets.audit.view import (
    View,
    picture_paths,
    shrink,
)
from embodied.datasets.guarded import read_array
from embodied.datasets.schema import H5, DatasetError

# Paths are compared at this many moments, evenly spread over each episode.
PATH_POINTS = 24
# A camera's mean image is computed from this many of its images.
SAMPLED_PICTURES = 4
# An element whose values spread less than this over the episodes is constant, in rad or m.
LEAST_SPREAD = 1e-6
# Fewer starts than this have no usual distance to compare with.
LEAST_STARTS = 3

# Name beginnings of the arrays in which a constant element may be a dead sensor or
# command.
SENSED = ("obs/", "actions", "streams/agent_pos/", "streams/action/")
# Name endings of the exceptions: an object that nobody touches stands still rightly.
THINGS = ("environment_state", "object")


@dataclass(frozen=True)
class EpisodeSummary:
    """The features of one episode by which it is compared with the others.

    Attributes:
        demo: the name of its group in the file.
        duration_s: its duration, from its frames.
        instruction: its sentence.
        variation: variable -> sampled value; empty if the file does not store it.
        start: (P,) the first reading of the proprioception; (0,) if unknown.
        path: (PATH_POINTS, J) the joint positions over time; (0, 0) if unknown.
        step: (J,) each joint's largest change from one row to the next; (0,) if unknown.
        moves: path of an array -> (K,) bool, whether each element ever changes.
        pictures: camera -> (h, w, C) the mean of a few of its images, reduced in size.
    """

    demo: str
    duration_s: float
    instruction: str
    variation: Mapping[str, Any]
    start: np.ndarray
    path: np.ndarray
    step: np.ndarray
    moves: Mapping[str, np.ndarray]
    pictures: Mapping[str, np.ndarray]


@dataclass(frozen=True)
class SetFacts:
    """Statistics over all episodes of a dataset.

    Attributes:
        count: number of episodes.
        median_duration_s: the median of their durations.
        step: (J,) the median of each joint's largest change from one row to the next;
            (0,) if unknown.
        moving_share: path of an array -> (K,) the share of episodes, from 0 to 1, in
            which each element changes.
        pictures: camera -> (h, w, C) the median over episodes of their mean images.
        own_pictures: demo -> camera -> (h, w, C) the mean image of one episode.
        isolation: demo -> distance of its start from the nearest other start, divided by
            the median of these distances; empty if the starts cannot be compared.
        twins: demo -> an earlier demo with nearly the same path, and the largest
            distance between the two paths as a share of the range of all paths.
    """

    count: int
    median_duration_s: float
    step: np.ndarray
    moving_share: Mapping[str, np.ndarray]
    pictures: Mapping[str, np.ndarray]
    own_pictures: Mapping[str, Mapping[str, np.ndarray]]
    isolation: Mapping[str, float] = field(default_factory=dict)
    twins: Mapping[str, tuple[str, float]] = field(default_factory=dict)


def episode_summary(view: View, demo: H5) -> EpisodeSummary:
    """Returns the features of an episode by which it is compared with the others.

    Args:
        view: the episode, without its images.
        demo: its group, from which a few images are read.
    """
    positions = view.positions
    step = np.zeros(0)
    path = np.zeros((0, 0))
    if len(positions) > 1 and np.isfinite(positions).all():
        step = np.abs(np.diff(positions, axis=0)).max(axis=0)
        rows = np.linspace(0, len(positions) - 1, PATH_POINTS).round().astype(int)
        path = positions[rows]

    return EpisodeSummary(
        demo=view.demo,
        duration_s=view.duration_s,
        instruction=view.instruction,
        variation=view.meta.variation if view.meta else {},
        start=_first_proprioception(view),
        path=path,
        step=step,
        moves=_moves(view),
        pictures=_mean_pictures(demo),
    )


def set_facts(summaries: Sequence[EpisodeSummary], twin_distance: float) -> SetFacts:
    """Returns the statistics over all episodes.

    Args:
        summaries: one per episode.
        twin_distance: two paths that are never farther apart than this are twins; as a
            share of the range of all paths.
    """
    durations = [summary.duration_s for summary in summaries]
    steps = _of_commonest_shape([summary.step for summary in summaries])
    cameras = {camera for summary in summaries for camera in summary.pictures}
    pictures = {}
    for camera in cameras:
        shown = [
            summary.pictures[camera]
            for summary in summaries
            if camera in summary.pictures
        ]
        # images of another size than the first episode's cannot be compared
        comparable = [image for image in shown if image.shape == shown[0].shape]
        pictures[camera] = np.median(comparable, axis=0)

    return SetFacts(
        count=len(summaries),
        median_duration_s=float(np.median(durations)) if durations else 0.0,
        step=np.median(steps, axis=0) if len(steps) else np.zeros(0),
        moving_share=_moving_share(summaries),
        pictures=pictures,
        own_pictures={summary.demo: summary.pictures for summary in summaries},
        isolation=_isolation(summaries),
        twins=find_twins(summaries, twin_distance),
    )


def _first_proprioception(view: View) -> np.ndarray:
    """Returns (P,) the first reading of the proprioception; (0,) if unknown.

    A file from elsewhere may have joint positions only, which then stand for it. A
    reading that is not finite counts as unknown.
    """
    for path in ("obs/agent_pos", "streams/agent_pos/value"):
        rows = view.arrays.get(path)
        if rows is not None and rows.ndim == 2 and len(rows):
            first = rows[0].astype(np.float64)
            return first if np.isfinite(first).all() else np.zeros(0)
    positions = view.positions
    if len(positions) and np.isfinite(positions[0]).all():
        return positions[0]
    return np.zeros(0)


def _moves(view: View) -> dict[str, np.ndarray]:
    """Returns path -> (K,) bool, whether each element of a sensed array ever changes."""
    moves = {}
    for path, rows in view.arrays.items():
        is_sensed = path.startswith(SENSED) and not path.endswith(("/t", *THINGS))
        if is_sensed and rows.ndim == 2 and len(rows):
            moves[path] = (rows != rows[:1]).any(axis=0)
    return moves


def _mean_pictures(demo: H5) -> dict[str, np.ndarray]:
    """Returns camera -> (h, w, C) the mean of a few of its images, reduced in size.

    A camera is left out if one of these images is damaged, or if it has none. That is no
    error here: `read_view` reports damaged images.
    """
    means = {}
    for camera, path in picture_paths(demo).items():
        item = demo[path]
        if not len(item):
            continue
        rows = np.linspace(0, len(item) - 1, SAMPLED_PICTURES).astype(int)
        with suppress(DatasetError):
            frames = np.stack([read_array(item, int(row)) for row in rows])
            means[camera] = shrink(frames).mean(axis=0)
    return means


def _moving_share(summaries: Sequence[EpisodeSummary]) -> dict[str, np.ndarray]:
    """Returns path -> (K,) the share of episodes in which each element changes."""
    by_path: dict[str, list[np.ndarray]] = {}
    for summary in summaries:
        for path, moves in summary.moves.items():
            by_path.setdefault(path, []).append(moves)

    shares = {}
    for path, rows in by_path.items():
        comparable = _of_commonest_shape(rows)
        if comparable:
            shares[path] = np.mean(comparable, axis=0)
    return shares


def _of_commonest_shape(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the arrays that have the most frequent shape; empty arrays don't count.

    Episodes in a file from elsewhere may differ in shape, and only arrays of one shape
    can be compared.
    """
    shapes = [array.shape for array in arrays if array.size]
    if not shapes:
        return []
    commonest = max(set(shapes), key=shapes.count)
    return [array for array in arrays if array.shape == commonest]


def _isolation(summaries: Sequence[EpisodeSummary]) -> dict[str, float]:
    """Returns demo -> how isolated its start is: 1 is usual, larger is farther away.

    Isolation is the distance to the nearest other start, divided by the median of these
    distances. It is empty for fewer than `LEAST_STARTS` starts, and if most of them are
    equal.
    """
    candidates = _of_commonest_shape([summary.start for summary in summaries])
    if len(candidates) < LEAST_STARTS:
        return {}
    shape = candidates[0].shape
    comparable = [summary for summary in summaries if summary.start.shape == shape]

    # Scale each element by its interquartile range, which one stray start does not
    # change. Elements without one do not vary between the starts, so they are left out.
    starts = np.stack([summary.start for summary in comparable])  # (n, P)
    middle = np.median(starts, axis=0)
    low, high = np.percentile(starts, [25, 75], axis=0)
    varies = (high - low) > LEAST_SPREAD
    if not varies.any():
        return {}
    scaled = (starts - middle)[:, varies] / (high - low)[varies]

    # of the 2 nearest points, the first is the start itself
    distances = KDTree(scaled).query(scaled, k=2)[0][:, 1]  # (n,)
    usual = float(np.median(distances))
    # more than half of the starts repeat another one: there is no usual distance
    if usual == 0:
        return {}
    return {
        summary.demo: float(multiple)
        for summary, multiple in zip(comparable, distances / usual, strict=True)
    }


def find_twins(
    summaries: Sequence[EpisodeSummary], distance: float
) -> dict[str, tuple[str, float]]:
    """Finds episodes whose path is nearly the same as that of an earlier episode.

    Twin paths differ by at most `distance` in every coordinate, so also in the one by
    which the paths are sorted here. Only neighbours in this order need to be compared.

    Args:
        summaries: one per episode.
        distance: the largest difference of two twins, as a share of the range of all
            paths.

    Returns:
        The demo of each twin -> an earlier demo that it repeats, and the largest
        difference of the two paths, as a share of the range.
    """
    candidates = _of_commonest_shape([summary.path for summary in summaries])
    if len(candidates) < 2:
        return {}
    shape = candidates[0].shape
    comparable = [summary for summary in summaries if summary.path.shape == shape]

    # scale each joint by its range over all paths; a constant one stays as it is
    paths = np.stack([summary.path for summary in comparable])  # (n, PATH_POINTS, J)
    extent = np.ptp(paths, axis=(0, 1))  # (J,)
    extent = np.where(extent > LEAST_SPREAD, extent, 1.0)
    scaled = (paths / extent).reshape(len(paths), -1)  # (n, PATH_POINTS * J)

    # sort by the coordinate that varies most, since it leaves the fewest neighbours
    key = scaled[:, int(np.argmax(scaled.std(axis=0)))]
    order = np.argsort(key, kind="stable")
    twins: dict[str, tuple[str, float]] = {}
    for position, current in enumerate(order.tolist()):
        for other in _neighbours(order, key, position, distance):
            difference = float(np.abs(scaled[current] - scaled[other]).max())
            if difference <= distance:
                first, second = sorted((current, other))
                twin = (comparable[first].demo, difference)
                twins.setdefault(comparable[second].demo, twin)
    return twins


def _neighbours(
    order: np.ndarray, key: np.ndarray, position: int, distance: float
) -> Iterable[int]:
    """Yields the paths that follow a position in the order, up to a difference of the key.

    Args:
        order: (n,) numbers of the paths, sorted by their keys.
        key: (n,) the key of each path, by its number.
        position: the position in the order, from 0.
        distance: the largest difference of the two keys.
    """
    for later in order[position + 1 :].tolist():
        if key[later] - key[order[position]] > distance:
            return
        yield later
