"""Encodes numbers as words of three digits, which language models can write.

RT-2 (arXiv 2307.15818) and RT-1 (arXiv 2212.06817) divide the range of each number evenly
into 256 bins, and their models write the number of the bin. Their numbers are changes of
a pose. Goals have wider ranges, so there are more bins here, as many as three digits can
distinguish; docs/vlm_planner.md measures the effect.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from embodied.core import Array

MAX_BINS = 1000  # three digits


@dataclass(frozen=True)
class Bins:
    """A range that is divided evenly, with a bin at each of its ends.

    Bin k stands for the number `low` + k (`high` - `low`) / (`count` - 1). So both ends of
    the range are exact, and other numbers have an error of at most half a step.

    Attributes:
        low: the number of the first bin.
        high: the number of the last bin.
        count: the number of bins.
        is_circle: whether the first bin comes after the last, as with angles.
    """

    low: float
    high: float
    count: int = MAX_BINS
    is_circle: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The words of all bins, which have the same length."""
        return tuple(f"{k:03d}" for k in range(self.count))

    @property
    def step(self) -> float:
        """The difference of the numbers of two neighbouring bins."""
        return (self.high - self.low) / (self.count - 1)

    def value(self, index: Array) -> np.ndarray:
        """Returns the numbers that bins stand for, in an array of the same shape."""
        return self.low + np.asarray(index, np.float64) * self.step

    def index(self, value: Array) -> np.ndarray:
        """Returns the bin nearest to each number; numbers out of range get the bin at its end."""
        nearest = np.rint((np.asarray(value) - self.low) / self.step).astype(np.int64)
        if self.is_circle:
            return nearest % self.count
        return np.clip(nearest, 0, self.count - 1)


def angle_bins(count: int) -> Bins:
    """Returns `count` bins of angles in rad, evenly spaced on the whole circle.

    The last one is a step before pi, because pi is the same angle as -pi, the first one.
    """
    step = 2 * np.pi / count
    return Bins(-np.pi, np.pi - step, count, is_circle=True)
