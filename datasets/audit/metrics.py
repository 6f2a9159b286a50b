"""Measures of motion and of delays, over plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

# A joint slower than this counts as still, in rad/s or m/s.
STILL_PER_S = 0.01
# A scene counts as still if no element of its state changes faster than this per second.
WORLD_STILL_PER_S = 0.02
# `lag` tries lags up to this length.
LONGEST_LAG_S = 1.0
# `roughness` compares speeds over steps of at least this duration.
ROUGHNESS_STEP_S = 0.02


@dataclass(frozen=True)
class Stretch:
    """A range of rows, from `first` to `last` inclusive."""

    first: int
    last: int

    @property
    def rows(self) -> int:
        """The number of rows."""
        return self.last - self.first + 1


def longest_stretch(flags: np.ndarray) -> Stretch | None:
    """Returns the longest run of True in flags (T,) bool; None if none is True."""
    return max(stretches(flags), key=lambda stretch: stretch.rows, default=None)


def stretches(flags: np.ndarray) -> list[Stretch]:
    """Returns all runs of True in flags (T,) bool, in order."""
    # 1 where a run begins, -1 behind its end; zeros at both ends close every run
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    firsts = np.flatnonzero(edges == 1).tolist()
    lasts = (np.flatnonzero(edges == -1) - 1).tolist()
    return [Stretch(first, last) for first, last in zip(firsts, lasts, strict=True)]


def is_still(positions: np.ndarray, hz: float) -> np.ndarray:
    """Returns (T - 1,) bool, whether all joints are still from each row to the next.

    Args:
        positions: (T, J) the positions of the joints, in rad or m.
        hz: the number of rows per second.
    """
    speed = np.abs(np.diff(positions, axis=0)) * hz
    fastest: np.ndarray = speed.max(axis=1, initial=0)
    return fastest < STILL_PER_S


def is_world_still(states: np.ndarray, hz: float) -> np.ndarray:
    """Returns (F - 1,) bool, whether the scene is still from each state to the next.

    Args:
        states: (F, D) physics states; the first element is the time, which is ignored.
        hz: the number of states per second.
    """
    speed = np.abs(np.diff(states[:, 1:], axis=0)) * hz
    # `initial` is the result for states that consist of the time only
    fastest: np.ndarray = speed.max(axis=1, initial=0)
    return fastest < WORLD_STILL_PER_S


def sudden_steps(positions: np.ndarray) -> np.ndarray:
    """Returns (T - 1, J) how much each step differs from its most similar neighbour.

    A step is the difference from one row to the next. In a fast movement the steps before
    and after a step have about the same size. A jump, or a single wrong reading, differs
    from both.

    Args:
        positions: (T, J) the positions of the joints.
    """
    steps = np.diff(positions, axis=0)
    padded = np.pad(steps, ((1, 1), (0, 0)), mode="edge")
    before = np.abs(steps - padded[:-2])
    after = np.abs(steps - padded[2:])
    # the first and the last step have one neighbour only
    before[:1] = after[:1]
    after[-1:] = before[-1:]
    return np.minimum(before, after)


def roughness(positions: np.ndarray, hz: float) -> float:
    """Returns how uneven a movement is: 0 if smooth, sqrt(3) = 1.7 for pure noise.

    The roughness of a joint is the RMS change of its speed from step to step, divided by
    its RMS speed. The result is the median over the joints that move, so that a single
    joint that is stopped by a contact does not count as noise.

    Args:
        positions: (T, J) the positions of the joints, in rad or m.
        hz: the number of rows per second.
    """
    rows_per_step = max(1, round(ROUGHNESS_STEP_S * hz))
    speed = np.diff(positions[::rows_per_step], axis=0)  # per step, not per second
    # a few steps do not show whether a movement is smooth
    if len(speed) < 4:
        return 0.0

    rms_speed = np.sqrt((speed**2).mean(axis=0))  # (J,)
    steps_per_s = hz / rows_per_step
    is_moving = rms_speed * steps_per_s > STILL_PER_S
    if not is_moving.any():
        return 0.0
    rms_change = np.sqrt((np.diff(speed, axis=0) ** 2).mean(axis=0))
    return float(np.median(rms_change[is_moving] / rms_speed[is_moving]))


class Lag(NamedTuple):
    """How late one signal follows another, and how well they fit.

    Attributes:
        lag_s: the time by which the effect follows the cause; negative if the effect
            comes first.
        correlation: the correlation of the two signals, if the effect is shifted back by
            the lag.
        correlation_at_0: the correlation of the two signals without a shift.
    """

    lag_s: float
    correlation: float
    correlation_at_0: float


def lag(cause: np.ndarray, effect: np.ndarray, hz: float) -> Lag:
    """Returns the lag at which two signals are correlated best.

    Lags up to `LONGEST_LAG_S`, and up to a quarter of the signals' length, are tried. If a
    quarter is less than one row, lag and correlations are 0.

    Args:
        cause: (T,) the signal that should come first.
        effect: (T,) the signal that should follow, at the same times.
        hz: the number of rows per second.
    """
    rows = min(len(cause), len(effect))
    largest_shift = min(int(LONGEST_LAG_S * hz), rows // 4)
    if largest_shift < 1:
        return Lag(lag_s=0.0, correlation=0.0, correlation_at_0=0.0)

    # a positive shift compares the cause with an effect that many rows later
    correlations = []
    for shift in range(-largest_shift, largest_shift + 1):
        early = cause[max(0, -shift) : rows - max(0, shift)]
        late = effect[max(0, shift) : rows - max(0, -shift)]
        correlations.append(correlation(early, late))
    # entry `largest_shift` of the correlations is the one without a shift
    best = int(np.argmax(correlations))
    return Lag(
        lag_s=(best - largest_shift) / hz,
        correlation=correlations[best],
        correlation_at_0=correlations[largest_shift],
    )


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Returns Pearson's correlation of two signals (T,); 0 if one is constant."""
    one = one - one.mean()
    other = other - other.mean()
    norm = float(np.sqrt((one**2).sum() * (other**2).sum()))
    # a constant signal has a norm of 0, apart from rounding
    return float((one * other).sum() / norm) if norm > 1e-12 else 0.0


def rate_of_change(rows: np.ndarray) -> np.ndarray:
    """Returns (T - 1,) the mean absolute change from each row (T, ...) to the next."""
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    return np.abs(np.diff(flat, axis=0)).mean(axis=1)
