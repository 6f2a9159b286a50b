"""What the episodes of a set have in common: what each one of them is measured by."""

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

# The path of an episode is compared at so many moments, evenly spread over its length.
PATH_POINTS = 24
# Pictures of each camera that a mean picture is made of.
SAMPLED_PICTURES = 4
# A number that differs by less than this between episodes does not vary, in rad or m.
LEAST_SPREAD = 1e-6

# Arrays in which an element that stands still may be a dead sensor or command.
SENSED = ("obs/", "actions", "streams/agent_pos/", "streams/action/")
# Not these of them: an object that nobody touches stands still without a fault.
THINGS = ("environment_state", "object")


@dataclass(frozen=True)
class Brief:
    """What is kept of an episode to compare it with the others.

    Attributes:
        demo: the name of its group.
        duration_s: of its frames.
        instruction: the sentence.
        variation: what was sampled, by variable; empty where the file does not tell.
        start: (P,) what the robot sensed first; (0,) if unknown.
        path: (PATH_POINTS, J) where it was; (0, 0) if unknown.
        step: (J,) the farthest that each joint moves from a row to the next.
        moves: by path of an array, (K,) bool, which elements ever change.
        pictures: by camera, (h, w, C) the mean of a few pictures in small.
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
    """What the episodes of a set have in common.

    Attributes:
        count: how many episodes.
        median_duration_s: of an episode.
        step: (J,) how far each joint moves per row at most, in the median episode.
        moving_share: by path of an array, (K,) in how many of the episodes, of 1, each
            element changes.
        pictures: by camera, (h, w, C) the median over episodes of their mean pictures.
        own_pictures: by demo and camera, (h, w, C) the mean picture of one episode.
        isolation: by demo, how far its start is from the nearest other one, in units of
            the median of that; empty where nothing tells the starts.
        twins: by demo, an earlier one that went the same way, and the largest distance
            between the two, as a share of the set's range.
    """

    count: int
    median_duration_s: float
    step: np.ndarray
    moving_share: Mapping[str, np.ndarray]
    pictures: Mapping[str, np.ndarray]
    own_pictures: Mapping[str, Mapping[str, np.ndarray]]
    isolation: Mapping[str, float] = field(default_factory=dict)
    twins: Mapping[str, tuple[str, float]] = field(default_factory=dict)


def brief_of(view: View, demo: H5) -> Brief:
    """Returns what is kept of an episode to compare it with the others.

    Args:
        view: the episode, without pictures.
        demo: its group, of which a few pictures are read.
    """
    positions = view.positions
    step = np.zeros(0)
    path = np.zeros((0, 0))
    if len(positions) > 1 and np.isfinite(positions).all():
        step = np.abs(np.diff(positions, axis=0)).max(axis=0)
        rows = np.linspace(0, len(positions) - 1, PATH_POINTS).round().astype(int)
        path = positions[rows]

    return Brief(
        demo=view.demo,
        duration_s=view.duration_s,
        instruction=view.instruction,
        variation=view.meta.variation if view.meta else {},
        start=_start_of(view),
        path=path,
        step=step,
        moves=_moves(view),
        pictures=_mean_pictures(demo),
    )


def set_facts(briefs: Sequence[Brief], twin_distance: float) -> SetFacts:
    """Returns what these episodes have in common.

    Args:
        briefs: of all episodes.
        twin_distance: paths that are never farther apart are twins, as a share of the
            set's range.
    """
    durations = [brief.duration_s for brief in briefs]
    steps = _same_width([brief.step for brief in briefs])
    cameras = {camera for brief in briefs for camera in brief.pictures}
    pictures = {}
    for camera in cameras:
        shown = [b.pictures[camera] for b in briefs if camera in b.pictures]
        alike = [picture for picture in shown if picture.shape == shown[0].shape]
        pictures[camera] = np.median(alike, axis=0)

    return SetFacts(
        count=len(briefs),
        median_duration_s=float(np.median(durations)) if durations else 0.0,
        step=np.median(steps, axis=0) if len(steps) else np.zeros(0),
        moving_share=_moving_share(briefs),
        pictures=pictures,
        own_pictures={brief.demo: brief.pictures for brief in briefs},
        isolation=_isolation(briefs),
        twins=find_twins(briefs, twin_distance),
    )


def _start_of(view: View) -> np.ndarray:
    """Returns what the robot sensed first; (0,) if unknown or not finite."""
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
    """Returns which elements (K,) of each sensed array ever change, by its path."""
    moves = {}
    for path, rows in view.arrays.items():
        is_sensed = path.startswith(SENSED) and not path.endswith(("/t", *THINGS))
        if is_sensed and rows.ndim == 2 and len(rows):
            moves[path] = (rows != rows[:1]).any(axis=0)
    return moves


def _mean_pictures(demo: H5) -> dict[str, np.ndarray]:
    """Returns the mean of a few pictures of each camera, in small.

    What cannot be read is left out here: `read_view` names it.
    """
    means = {}
    with suppress(DatasetError):
        for camera, path in picture_paths(demo).items():
            item = demo[path]
            if len(item):
                rows = np.linspace(0, len(item) - 1, SAMPLED_PICTURES).astype(int)
                frames = np.stack([read_array(item, int(row)) for row in rows])
                means[camera] = shrink(frames).mean(axis=0)
    return means


def _moving_share(briefs: Sequence[Brief]) -> dict[str, np.ndarray]:
    """Returns in which share of the episodes each element (K,) changes, by path."""
    by_path: dict[str, list[np.ndarray]] = {}
    for brief in briefs:
        for path, moves in brief.moves.items():
            by_path.setdefault(path, []).append(moves)

    shares = {}
    for path, rows in by_path.items():
        alike = _same_width(rows)
        if alike:
            shares[path] = np.mean(alike, axis=0)
    return shares


def _same_width(rows: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns those rows that have the shape which most of them have."""
    shapes = [row.shape for row in rows if row.size]
    if not shapes:
        return []
    commonest = max(set(shapes), key=shapes.count)
    return [row for row in rows if row.shape == commonest]


def _isolation(briefs: Sequence[Brief]) -> dict[str, float]:
    """Returns, by demo, how far its start is from the nearest other start.

    In units of the median of these distances; empty for fewer than 3 starts, or where
    they do not vary.
    """
    alike = _same_width([brief.start for brief in briefs])
    if len(alike) < 3:
        return {}
    width = alike[0].shape
    known = [brief for brief in briefs if brief.start.shape == width]

    # Scale each element by its spread between the quartiles, which one stray start does
    # not change; elements that do not vary are left out.
    starts = np.stack([brief.start for brief in known])
    middle = np.median(starts, axis=0)
    low, high = np.percentile(starts, [25, 75], axis=0)
    varying = (high - low) > LEAST_SPREAD
    if not varying.any():
        return {}
    scaled = (starts - middle)[:, varying] / (high - low)[varying]

    # 2 nearest: the first is the start itself
    distances = KDTree(scaled).query(scaled, k=2)[0][:, 1]
    median = float(np.median(distances))
    if median == 0:
        return {}
    shares = (distances / median).tolist()
    return {brief.demo: share for brief, share in zip(known, shares, strict=True)}


def find_twins(
    briefs: Sequence[Brief], distance: float
) -> dict[str, tuple[str, float]]:
    """Returns, by demo, an earlier one that went the same way, and how far apart.

    Two paths as close as `distance` everywhere are at most that far apart in each single
    number. So the paths are sorted by one number, and only neighbours are compared.
    """
    alike = _same_width([brief.path for brief in briefs])
    if len(alike) < 2:
        return {}
    known = [i for i, b in enumerate(briefs) if b.path.shape == alike[0].shape]
    paths = np.stack([briefs[i].path for i in known])  # (n, PATH_POINTS, J)
    extent = np.ptp(paths, axis=(0, 1))
    extent = np.where(extent > LEAST_SPREAD, extent, 1.0)  # (J,), never 0
    scaled = (paths / extent).reshape(len(paths), -1)

    # the number that tells them apart best
    key = scaled[:, int(np.argmax(scaled.std(axis=0)))]
    order = np.argsort(key, kind="stable")
    twins: dict[str, tuple[str, float]] = {}
    for place, one in enumerate(order.tolist()):
        for other in _within(order, key, place, distance):
            apart = float(np.abs(scaled[one] - scaled[other]).max())
            if apart <= distance:
                first, second = sorted((known[one], known[other]))
                twins.setdefault(briefs[second].demo, (briefs[first].demo, apart))
    return twins


def _within(
    order: np.ndarray, key: np.ndarray, place: int, distance: float
) -> Iterable[int]:
    """Yields those after a place in the order whose key is as near as `distance`."""
    for later in order[place + 1 :].tolist():
        if key[later] - key[order[place]] > distance:
            return
        yield later
