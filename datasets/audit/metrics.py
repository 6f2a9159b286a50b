"""Measures of movements and of time, over plain arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# A joint slower than this stands still, in rad/s or m/s.
STILL_PER_S = 0.01
# Any number of a state that changes faster belongs to something that moves.
MOVING_PER_S = 0.02
# Lags are looked for up to this long, in s.
LONGEST_LAG_S = 1.0


@dataclass(frozen=True)
class Stretch:
    """Rows `first` to `last`, both included."""

    first: int
    last: int

    @property
    def rows(self) -> int:
        """How many rows it has."""
        return self.last - self.first + 1


def longest_stretch(marked: np.ndarray) -> Stretch | None:
    """Returns the longest run of True in (T,) bool; None without one."""
    return max(stretches(marked), key=lambda stretch: stretch.rows, default=None)


def stretches(marked: np.ndarray) -> list[Stretch]:
    """Returns all runs of True in (T,) bool, in order."""
    edges = np.diff(np.concatenate([[0], marked.astype(np.int8), [0]]))
    firsts = np.flatnonzero(edges == 1).tolist()
    lasts = (np.flatnonzero(edges == -1) - 1).tolist()
    return [Stretch(first, last) for first, last in zip(firsts, lasts, strict=True)]


def is_still(positions: np.ndarray, hz: float) -> np.ndarray:
    """Returns (T - 1,) bool, whether all joints stand still from a row to the next.

    Args:
        positions: (T, J).
        hz: rows per second.
    """
    speed = np.abs(np.diff(positions, axis=0)) * hz
    fastest: np.ndarray = speed.max(axis=1, initial=0)
    return fastest < STILL_PER_S


def is_world_still(states: np.ndarray, hz: float) -> np.ndarray:
    """Returns (F - 1,) bool, whether nothing moves from a state to the next.

    Args:
        states: (F, D); the first number is the time, which is left out.
        hz: states per second.
    """
    fastest: np.ndarray = np.abs(np.diff(states[:, 1:], axis=0)).max(axis=1, initial=0)
    return fastest * hz < MOVING_PER_S


def sudden_steps(positions: np.ndarray) -> np.ndarray:
    """Returns (T - 1, J) how much farther each step goes than both of its neighbours.

    A fast movement has steps alike; a jump, or one wrong reading, stands out.
    """
    steps = np.diff(positions, axis=0)
    padded = np.pad(steps, ((1, 1), (0, 0)), mode="edge")
    before = np.abs(steps - padded[:-2])
    after = np.abs(steps - padded[2:])
    # the first and the last step have one neighbour
    before[:1] = after[:1]
    after[-1:] = before[-1:]
    return np.minimum(before, after)


def roughness(positions: np.ndarray, hz: float) -> float:
    """Returns how uneven a movement is: 0 if smooth, 1.7 (root of 3) for noise alone.

    It is the size of the changes of speed over the size of the speed, from step to step
    of at least 0.02 s, in the median of the joints that move: one that is stopped by
    what it touches is no noise.

    Args:
        positions: (T, J).
        hz: rows per second.
    """
    every = max(1, round(0.02 * hz))
    speed = np.diff(positions[::every], axis=0)  # per step of `every` rows
    if len(speed) < 4:
        return 0.0
    size = np.sqrt((speed**2).mean(axis=0))
    moving = size * (hz / every) > STILL_PER_S
    if not moving.any():
        return 0.0
    change = np.sqrt((np.diff(speed, axis=0) ** 2).mean(axis=0))
    return float(np.median(change[moving] / size[moving]))


def lag(cause: np.ndarray, effect: np.ndarray, hz: float) -> tuple[float, float, float]:
    """Returns by how many seconds one signal follows another, and how alike they are.

    Args:
        cause: (T,).
        effect: (T,) at the same times.
        hz: rows per second.

    Returns:
        The lag in s, negative where the effect comes first; the correlation at this
        lag; and the correlation without a lag. All are 0 for signals that tell nothing.
    """
    rows = min(len(cause), len(effect))
    reach = min(int(LONGEST_LAG_S * hz), rows // 4)
    if reach < 1:
        return 0.0, 0.0, 0.0

    # entry k: how alike they are if the effect is k - reach rows later than the cause
    correlations = []
    for shift in range(-reach, reach + 1):
        early = cause[max(0, -shift) : rows - max(0, shift)]
        late = effect[max(0, shift) : rows - max(0, -shift)]
        correlations.append(correlation(early, late))
    best = int(np.argmax(correlations))
    return (best - reach) / hz, correlations[best], correlations[reach]


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the correlation of two signals (T,); 0 if one of them is constant."""
    one = one - one.mean()
    other = other - other.mean()
    size = float(np.sqrt((one**2).sum() * (other**2).sum()))
    return float((one * other).sum() / size) if size > 1e-12 else 0.0


def rate_of_change(rows: np.ndarray) -> np.ndarray:
    """Returns (T - 1,) how much the rows (T, ...) change from one to the next."""
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    return np.abs(np.diff(flat, axis=0)).mean(axis=1)
