"""Running statistics: range, mean, standard deviation and quantiles, block by block."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from embodied.datasets.schema import DatasetError

QUANTILES = {"q01": 0.01, "q10": 0.1, "q50": 0.5, "q90": 0.9, "q99": 0.99}
MAX_KEPT_ROWS = 2**18  # at most this many rows are held in memory for the quantiles
LEVELS = 256  # number of values of a uint8 colour channel

# Statistics by name, each an array.
Statistics = dict[str, np.ndarray]


class VectorStatistics:
    """Computes statistics of any number of vectors (d,).

    Quantiles are exact for up to `MAX_KEPT_ROWS` vectors. For more vectors, they are
    computed from an evenly spaced sample.
    """

    def __init__(self, name: str, width: int) -> None:
        """Begins with no vectors.

        Args:
            name: the vectors' name, for errors.
            width: the number d of their elements.
        """
        self._name = name
        self._count = 0
        self._min = np.full(width, np.inf)
        self._max = np.full(width, -np.inf)
        self._mean = np.zeros(width)
        self._squares = np.zeros(width)  # the sum of squared deviations from the mean
        self._sample: list[np.ndarray] = []  # the blocks of vectors for the quantiles
        self._sample_rows = 0  # the number of vectors in these blocks
        # The sample contains the vectors whose numbers, counted over all calls of `add`,
        # are multiples of this stride.
        self._stride = 1

    def add(self, values: np.ndarray) -> None:
        """Adds n vectors, (n, d)."""
        values = values.astype(np.float64)
        self._min = np.minimum(self._min, values.min(axis=0))
        self._max = np.maximum(self._max, values.max(axis=0))

        # Combine mean and squared deviations of the earlier values and of the new values
        # (Chan et al. 1979). This does not need the earlier values themselves.
        total = self._count + len(values)
        # no warnings of an overflow, because `result` refuses it
        with np.errstate(over="ignore", invalid="ignore"):
            mean = values.mean(axis=0)
            shift = mean - self._mean
            self._squares += ((values - mean) ** 2).sum(axis=0)
            self._squares += shift**2 * self._count * len(values) / total
            self._mean = self._mean + shift * len(values) / total

        self._add_to_sample(values)
        self._count = total

    def result(self) -> Statistics:
        """Returns min, max, mean, std (d,), count (1,) and the quantiles (d,).

        Raises:
            DatasetError: the vectors' elements are too large for a mean or a deviation.
        """
        # the square of a number beyond about 1e154 is larger than any float
        if not np.isfinite(self._squares).all():
            largest = max(np.abs(self._min).max(), np.abs(self._max).max())
            raise DatasetError(
                f"{self._name} has numbers up to {largest:.3g}, too large for statistics: "
                "their squares exceed the range of floating-point numbers"
            )

        rows = np.concatenate(self._sample)
        quantiles = np.quantile(rows, list(QUANTILES.values()), axis=0)
        return {
            "min": self._min,
            "max": self._max,
            "mean": self._mean,
            "std": np.sqrt(self._squares / self._count),
            "count": np.array([self._count]),
            **dict(zip(QUANTILES, quantiles, strict=True)),
        }

    def _add_to_sample(self, values: np.ndarray) -> None:
        """Adds every `_stride`-th of the values (n, d) to the sample for the quantiles."""
        # the index of the first value whose number over all calls is a multiple of the
        # stride
        first = -self._count % self._stride
        rows = values[first :: self._stride]
        self._sample.append(rows)
        self._sample_rows += len(rows)
        # if the sample is too large, drop every second vector, and add half as many later
        while self._sample_rows > MAX_KEPT_ROWS:
            self._sample = [np.concatenate(self._sample)[::2]]
            self._sample_rows = len(self._sample[0])
            self._stride *= 2


class PictureStatistics:
    """Computes exact statistics of images, from a histogram of each colour channel."""

    def __init__(self) -> None:
        self._pictures = 0
        # (3, LEVELS) number of pixels, over all images, with a level in a channel
        self._counts = np.zeros((3, LEVELS), np.int64)

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> PictureStatistics:
        """Restores the statistics from their `state`."""
        statistics = cls()
        statistics._pictures = int(state["pictures"])
        statistics._counts = np.array(state["counts"], np.int64)
        return statistics

    def state(self) -> dict[str, Any]:
        """Returns the collected counts as JSON values."""
        return {"pictures": self._pictures, "counts": self._counts.tolist()}

    def join(self, other: PictureStatistics) -> None:
        """Adds the images that other statistics have counted."""
        self._pictures += other._pictures
        self._counts += other._counts

    def add(self, pictures: np.ndarray) -> None:
        """Adds images (n, H, W, 3) uint8."""
        for channel in range(3):
            values = pictures[..., channel].ravel()
            self._counts[channel] += np.bincount(values, minlength=LEVELS)
        self._pictures += len(pictures)

    def result(self) -> Statistics:
        """Returns min, max, mean, std and the quantiles, each (3,) in [0, 255].

        `count` (1,) is the number of images.
        """
        levels = np.arange(LEVELS, dtype=np.float64)
        # (3, LEVELS) the share of a channel's pixels at a level, and at or below the level
        shares = self._counts / self._counts.sum(axis=1, keepdims=True)
        cumulative = np.cumsum(shares, axis=1)
        present = self._counts > 0
        mean = shares @ levels
        deviation = np.sqrt(np.maximum(shares @ levels**2 - mean**2, 0))

        # argmax of bools is the index of the first True
        lowest = present.argmax(axis=1)
        highest = LEVELS - 1 - present[:, ::-1].argmax(axis=1)
        result = {
            "min": levels[lowest],
            "max": levels[highest],
            "mean": mean,
            "std": deviation,
        }
        for name, share in QUANTILES.items():
            # the tolerance 1e-12 covers the rounding errors of the cumulative sum
            reached = cumulative >= share - 1e-12
            result[name] = levels[reached.argmax(axis=1)]

        result["count"] = np.array([self._pictures])
        return result
