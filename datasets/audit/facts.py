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

# The name beginnings of the arrays of sensor readings and commands. In them, a constant
# element may be a dead sensor or command.
SENSED = ("obs/", "actions", "streams/agent_pos/", "streams/action/")
# The name endings of exceptions: the states of objects, which stay constant if nobody
# touches the object.
OBJECT_STATES = ("environment_state", "object")


@dataclass(frozen=True)
class EpisodeSummary:
    """The features by which an episode is compared with the other episodes.

    Attributes:
        demo: the name of the episode's group in the file.
        duration_s: the duration of the episode, from its number of frames.
        instruction: the instruction of the episode.
        variation: the sampled value of each variable, by the variable's name; empty if the
            file does not store values.
        start: (P,) the first reading of the proprioception; (0,) if unknown.
        path: (PATH_POINTS, J) the joint positions over time; (0, 0) if unknown.
        step: (J,) each joint's largest change from one row to the next; (0,) if unknown.
        moves: the name of an array -> (K,) bool, whether each element ever changes.
        pictures: the name of a camera -> (h, w, C) the mean of a few of its images, which
            are reduced in size.
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
        count: the number of episodes.
        median_duration_s: the median duration of the episodes.
        step: (J,) the median over episodes of each joint's largest change from one row
            to the next; (0,) if unknown.
        moving_share: the name of an array -> (K,) the share of episodes, from 0 to 1, in
            which each element changes.
        pictures: the name of a camera -> (h, w, C) the median over the episodes of the
            camera's mean images.
        own_pictures: the name of a demo -> the name of a camera -> (h, w, C) the camera's
            mean image in this episode.
        isolation: the name of a demo -> the distance of its start from the nearest other
            start, divided by the median of these distances; empty if the starts cannot be
            compared.
        twins: the name of a demo -> an earlier demo with nearly the same path, and the largest
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
    """Returns the features by which an episode is compared with the other episodes.

    Args:
        view: the episode, without its images.
        demo: the group of the episode, from which a few images are read.
    """
    # without joint positions, steps and path stay unknown: empty
    positions = view.positions  # (T, J)
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
        summaries: one summary per episode.
        twin_distance: two episodes are twins if their paths are never farther apart than
            this share of the range of all paths.
    """
    durations = [summary.duration_s for summary in summaries]
    steps = _of_commonest_shape([summary.step for summary in summaries])

    # the usual image of each camera, to recognise swapped cameras
    cameras = {camera for summary in summaries for camera in summary.pictures}
    pictures = {}
    for camera in cameras:
        images = [
            summary.pictures[camera]
            for summary in summaries
            if camera in summary.pictures
        ]
        # images of another size than the first episode's cannot be compared
        comparable = [image for image in images if image.shape == images[0].shape]
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

    A file from elsewhere may have joint positions only, which are used instead. A reading
    that is not finite counts as unknown.
    """
    # the first of these arrays that the file has
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
    """Returns which elements of sensor readings and commands ever change.

    The result is: name of an array -> (K,) bool.
    """
    moves = {}
    for path, rows in view.arrays.items():
        # neither the ticks of streams nor the states of objects come from the robot
        is_exception = path.endswith(("/t", *OBJECT_STATES))
        is_sensed = path.startswith(SENSED) and not is_exception
        if is_sensed and rows.ndim == 2 and len(rows):
            moves[path] = (rows != rows[:1]).any(axis=0)
    return moves


def _mean_pictures(demo: H5) -> dict[str, np.ndarray]:
    """Returns camera -> (h, w, C) the mean of a few of its images, reduced in size.

    A camera without images is left out, and so is a camera with a damaged image, because
    `read_view` reports damaged images.
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
    """Returns the share of episodes in which each element changes.

    The result is: name of an array -> (K,) from 0 to 1.
    """
    moves_of_path: dict[str, list[np.ndarray]] = {}
    for summary in summaries:
        for path, moves in summary.moves.items():
            moves_of_path.setdefault(path, []).append(moves)

    shares = {}
    for path, rows in moves_of_path.items():
        comparable = _of_commonest_shape(rows)
        if comparable:
            shares[path] = np.mean(comparable, axis=0)
    return shares


def _of_commonest_shape(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the arrays that have the most frequent shape; empty arrays don't count.

    Arrays of episodes from elsewhere may differ in shape, and only arrays of one shape can
    be compared.
    """
    shapes = [array.shape for array in arrays if array.size]
    if not shapes:
        return []
    commonest = max(set(shapes), key=shapes.count)
    return [array for array in arrays if array.shape == commonest]


def _isolation(summaries: Sequence[EpisodeSummary]) -> dict[str, float]:
    """Returns the name of each demo -> the isolation of the episode's start.

    Isolation is the distance to the nearest other start, divided by the median of these
    distances, so 1 is the usual value. The result is empty if there are fewer than
    `LEAST_STARTS` starts, or if most starts are equal.
    """
    candidates = _of_commonest_shape([summary.start for summary in summaries])
    if len(candidates) < LEAST_STARTS:
        return {}
    shape = candidates[0].shape
    comparable = [summary for summary in summaries if summary.start.shape == shape]

    # Scale each element by its interquartile range, which a single unusual start does not
    # change. Elements whose range is 0 do not vary, so they are left out.
    starts = np.stack([summary.start for summary in comparable])  # (n, P)
    middle = np.median(starts, axis=0)
    low, high = np.percentile(starts, [25, 75], axis=0)  # the quartiles, (P,) each
    varies = (high - low) > LEAST_SPREAD
    if not varies.any():
        return {}
    scaled = (starts - middle)[:, varies] / (high - low)[varies]

    # of the 2 points nearest to each start, the first is the start itself
    nearest_two, _ = KDTree(scaled).query(scaled, k=2)  # (n, 2)
    distances = nearest_two[:, 1]
    usual_distance = float(np.median(distances))
    # if most starts repeat another start, there is no usual distance
    if usual_distance == 0:
        return {}
    isolations = distances / usual_distance
    return {
        summary.demo: float(isolation)
        for summary, isolation in zip(comparable, isolations, strict=True)
    }


def find_twins(
    summaries: Sequence[EpisodeSummary], distance: float
) -> dict[str, tuple[str, float]]:
    """Finds episodes whose path is nearly the same as an earlier episode's path.

    The paths of twins differ by at most `distance` in every coordinate. So the paths are
    sorted by one coordinate, and only paths that are close to each other in this order
    are compared.

    Args:
        summaries: one summary per episode.
        distance: the largest difference of the paths of twins, as a share of the range
            of all paths.

    Returns:
        The demo of each twin -> the earlier demo that it repeats, and the largest
        difference of the two paths, as a share of the range.
    """
    candidates = _of_commonest_shape([summary.path for summary in summaries])
    if len(candidates) < 2:
        return {}
    shape = candidates[0].shape
    comparable = [summary for summary in summaries if summary.path.shape == shape]

    # scale each joint by its range over all paths; a constant joint stays unscaled
    paths = np.stack([summary.path for summary in comparable])  # (n, PATH_POINTS, J)
    joint_range = np.ptp(paths, axis=(0, 1))  # (J,)
    joint_range = np.where(joint_range > LEAST_SPREAD, joint_range, 1.0)
    scaled = (paths / joint_range).reshape(len(paths), -1)  # (n, PATH_POINTS * J)

    # sort by the coordinate that varies most, because it leaves the fewest neighbours
    key = scaled[:, int(np.argmax(scaled.std(axis=0)))]
    order = np.argsort(key, kind="stable")
    twins: dict[str, tuple[str, float]] = {}
    for position, current in enumerate(order.tolist()):
        for other in _following_neighbours(order, key, position, distance):
            difference = float(np.abs(scaled[current] - scaled[other]).max())
            if difference <= distance:
                first, second = sorted((current, other))
                twin = (comparable[first].demo, difference)
                twins.setdefault(comparable[second].demo, twin)
    return twins


def _following_neighbours(
    order: np.ndarray, key: np.ndarray, position: int, distance: float
) -> Iterable[int]:
    """Yields the numbers of the paths that follow one path in `order` and are near it.

    A path is an episode's joint positions. It is near if its key is within `distance`;
    the first that is not ends the search.

    Args:
        order: (n,) the numbers of the paths, sorted by their keys.
        key: (n,) the key of each path, by the path's number.
        position: where the one path is in `order`, from 0.
        distance: the largest difference between a neighbour's key and the path's key.
    """
    for later in order[position + 1 :].tolist():
        if key[later] - key[order[position]] > distance:
            return
        yield later
