"""The walks of people along closed loops, each as a table of positions over time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from embodied.envs.props.person_shape import STRIDE_M

# The table of a walk has this many rows, evenly spaced over one turn around the loop, and
# one more for the end.
SAMPLES = 160
# A loop is smoothed by a moving average over this length, which rounds its corners.
ROUNDING_M = 0.7
# The time in which a person stops or starts to walk.
STOPPING_S = 0.6
STEP_M = 0.02  # between the points of a loop from which its table is computed
# Columns of the table of a walk: position in m; half the yaw in rad, because quaternions
# are computed from half angles; the number of strides since the start; and the size of
# the steps, from 0 for standing to 1 for walking.
X, Y, HALF_YAW, STRIDES, AMPLITUDE = range(5)
NEVER_S = 1e9


@dataclass(frozen=True)
class Walk:
    """A person's way around a closed loop.

    Attributes:
        corners: (x, y) of the loop's corners in the world, m.
        speed_m_s: the walking speed.
        start_s: how long the person has walked from the first corner when the episode
            begins.
        right_m: how far to the right of the loop the person walks.
        pause_at: where on the loop the person pauses in every turn, as a share of the
            loop's length.
        pause_s: how long each pause lasts; 0 for a person who never pauses.
        halt_s: the time in the episode at which the person stops abruptly, once;
            NEVER_S for never. `People.future_positions_w` does not foresee this halt.
        halted_s: how long the halt lasts.
    """

    corners: tuple[tuple[float, float], ...]
    speed_m_s: float
    start_s: float = 0.0
    right_m: float = 0.0
    pause_at: float = 0.5
    pause_s: float = 0.0
    halt_s: float = NEVER_S
    halted_s: float = 0.0

    def samples(self) -> tuple[np.ndarray, float]:
        """Returns the table of the walk, (SAMPLES + 1, 5), and the time of one turn in s.

        The columns are X to AMPLITUDE above. The table begins at the first corner.
        """
        # the table depends neither on the start nor on the halt, so the cache need not
        # tell such walks apart
        return _samples(replace(self, start_s=0.0, halt_s=NEVER_S, halted_s=0.0))

    def starting(self, share: float) -> Walk:
        """Returns this walk, started at a share of its period."""
        _, period_s = self.samples()
        return replace(self, start_s=share * period_s)


@lru_cache(maxsize=64)
def _samples(walk: Walk) -> tuple[np.ndarray, float]:
    """Computes the result of `Walk.samples`.

    The array is read-only, because all callers share it.
    """
    corners = np.array(walk.corners, float)
    points = _rounded(_dense(_shifted(corners, walk.right_m)))
    ends = np.concatenate([points, points[:1]])  # closed: the first point again
    steps = np.linalg.norm(np.diff(ends, axis=0), axis=1)
    # distances along the loop from the first point to each of `ends`, m
    along = np.concatenate([[0.0], np.cumsum(steps)])
    length = along[-1]

    walking_s = length / walk.speed_m_s
    period_s = walking_s + walk.pause_s
    time_s = np.linspace(0.0, period_s, SAMPLES + 1)
    walked_s, share = _walked(time_s, walk.pause_at * walking_s, walk.pause_s)
    distance_m = walked_s * walk.speed_m_s  # (SAMPLES + 1,) walked along the loop
    xy = _points_along(ends, along, distance_m)

    # a person looks along the line between points of the loop 0.15 m behind and ahead
    ahead = _points_along(ends, along, (distance_m + 0.15) % length)
    behind = _points_along(ends, along, (distance_m - 0.15) % length)
    forwards = ahead - behind
    yaw = np.unwrap(np.arctan2(forwards[:, 1], forwards[:, 0]))
    # a whole number of strides per turn, so that the next turn continues the gait
    strides = distance_m / length * max(1, round(length / STRIDE_M))
    rows = np.stack([xy[:, 0], xy[:, 1], yaw / 2, strides, share], axis=1)
    rows.flags.writeable = False
    return rows, float(period_s)


def _walked(
    time_s: np.ndarray, stop_s: float, pause_s: float
) -> tuple[np.ndarray, np.ndarray]:
    """Returns how far a person has walked, and how fast, at times around a pause.

    The speed falls linearly to 0 around `stop_s` and rises again after `pause_s`, each
    within STOPPING_S.

    Args:
        time_s: (T,) times since the start.
        stop_s: when the pause begins.
        pause_s: the length of the pause; 0 for no pause.

    Returns:
        The time (T,) in which the person would cover the same distance at full speed, s;
        and the present speed as a share (T,) of the full speed.
    """
    share = np.ones_like(time_s)
    walked_s = time_s
    if pause_s == 0:
        return walked_s, share
    # From the full speed, subtract a ramp that rises from 0 to 1 at the stop, and add such
    # a ramp again at the end of the pause; `since_s` is the time since a ramp's middle.
    for sign, since_s in ((-1, time_s - stop_s), (1, time_s - stop_s - pause_s)):
        ramp = np.clip(since_s / STOPPING_S + 0.5, 0.0, 1.0)
        share = share + sign * ramp
        # the integral of the ramp over time
        ramp_s = STOPPING_S / 2 * ramp**2 + np.maximum(since_s - STOPPING_S / 2, 0.0)
        walked_s = walked_s + sign * ramp_s
    return walked_s, share


def meeting_m(one: Walk, other: Walk, during_s: float) -> float:
    """Returns the least distance of two people from each other in an episode, m.

    Halts are not considered.

    Args:
        one: the walk of one person.
        other: the walk of the other person.
        during_s: the length of the episode.
    """
    time_s = np.arange(0.0, during_s, 0.2)  # (T,) in the episode, every 0.2 s
    positions: list[np.ndarray] = []  # (2, T) m each
    for walk in (one, other):
        table, period_s = walk.samples()
        # at the start of the episode the person has walked for `start_s` already
        turns = (time_s + walk.start_s) / period_s
        row = (turns - np.floor(turns)) * SAMPLES  # (T,) rows of the table, fractional
        xy = [np.interp(row, np.arange(SAMPLES + 1), table[:, axis]) for axis in (X, Y)]
        positions.append(np.stack(xy))
    return float(np.linalg.norm(positions[0] - positions[1], axis=0).min())


def _shifted(corners: np.ndarray, right_m: float) -> np.ndarray:
    """Returns the corners (P, 2) of the parallel loop `right_m` to the right of a loop.

    Args:
        corners: (P, 2) the corners of the loop, m.
        right_m: the distance between the loops.
    """
    edge = np.roll(corners, -1, axis=0) - corners  # from each corner to the next
    edge /= np.linalg.norm(edge, axis=1, keepdims=True)
    # unit vectors to the right of the edge that starts at each corner, and of the edge
    # that ends there
    right = np.stack([edge[:, 1], -edge[:, 0]], axis=1)
    before = np.roll(right, 1, axis=0)
    # the shifted corner is right_m from both edges, as at a mitre joint
    scale = 1 + np.sum(before * right, axis=1, keepdims=True)
    return corners + right_m * (before + right) / scale


def _dense(corners: np.ndarray) -> np.ndarray:
    """Returns points (n, 2) about STEP_M apart on the loop with corners (P, 2)."""
    points = []
    for start, end in zip(corners, np.roll(corners, -1, axis=0), strict=True):
        count = max(1, round(np.linalg.norm(end - start) / STEP_M))
        points.append(start + (end - start) * np.arange(count)[:, None] / count)
    return np.concatenate(points)


def _rounded(points: np.ndarray) -> np.ndarray:
    """Returns a loop (n, 2) with round corners: the moving average over ROUNDING_M."""
    reach = round(ROUNDING_M / STEP_M / 2)  # points on either side of each point
    total = np.zeros_like(points)
    for shift in range(-reach, reach + 1):
        total += np.roll(points, shift, axis=0)
    return total / (2 * reach + 1)


def _points_along(
    ends: np.ndarray, along: np.ndarray, distance_m: np.ndarray
) -> np.ndarray:
    """Returns the points (T, 2) m at some distances along a loop.

    Args:
        ends: (n, 2) points on the loop; the last is the first again.
        along: (n,) m, the distance of each of these points along the loop.
        distance_m: (T,) the distances of the points to return.
    """
    xy = [np.interp(distance_m, along, ends[:, axis]) for axis in (0, 1)]
    return np.stack(xy, axis=1)
