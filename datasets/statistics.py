"""Statistics of a dataset's arrays, to normalise what a policy sees and does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from embodied.datasets.reader import Dataset
from embodied.datasets.schema import IMAGE_SUFFIX, DatasetError
from embodied.errors import unknown

QUANTILES = {"q01": 0.01, "q99": 0.99}
LEVELS = 256  # of a picture's colours
# What is an index, a time, a checksum or a flag has no mean worth knowing.
NOT_MEASURED_GROUPS = ("plans/", "start/")
NOT_MEASURED = ("streams/checksum/value", "frame_tick", "image_tick", "dones")
TICKS_SUFFIX = "/t"


@dataclass(frozen=True)
class ArrayStatistics:
    """Statistics of an array over all rows of some episodes.

    Attributes:
        key: its name within an episode.
        count: the rows that were counted.
        left_out: rows that hold a number that is not finite.
        mean: like all that follow of each column; pictures of each colour, in [0, 255].
        std: standard deviation, of the population.
        min: smallest.
        max: largest.
        q01: quantile 0.01.
        q99: quantile 0.99.
    """

    key: str
    count: int
    left_out: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    min: tuple[float, ...]
    max: tuple[float, ...]
    q01: tuple[float, ...]
    q99: tuple[float, ...]


def measured_keys(dataset: Dataset, number: int) -> list[str]:
    """Returns the names of an episode's arrays that statistics make sense of."""
    return [
        key
        for key in dataset.keys(number)
        if not key.startswith(NOT_MEASURED_GROUPS)
        and not key.endswith(TICKS_SUFFIX)
        and key not in NOT_MEASURED
    ]


def statistics(
    dataset: Dataset,
    numbers: Sequence[int],
    keys: Sequence[str] | None = None,
    on_key: Callable[[int], None] | None = None,
) -> list[ArrayStatistics]:
    """Returns the statistics of arrays over all rows of some episodes.

    Quantiles are exact: of one array at a time, all rows are in memory; of pictures,
    which would not fit, the number of pixels at each level.

    Args:
        dataset: to read.
        numbers: of the episodes.
        keys: names of arrays; by default all `measured_keys` of the first episode.
        on_key: is called after each array.

    Raises:
        DatasetError: there is no episode; or a row is wider in one than in another.
        EmbodiedError: there is no such array; lists those that exist.
    """
    if not numbers:
        raise DatasetError(f"{dataset.path}: no episode to measure")

    known = measured_keys(dataset, numbers[0])
    found = []
    for key in known if keys is None else keys:
        if key not in known:
            raise unknown("array", key, known)
        if key.endswith(IMAGE_SUFFIX):
            found.append(_of_pictures(dataset, numbers, key))
        else:
            found.append(_of_rows(dataset, numbers, key))
        if on_key is not None:
            on_key(1)
    return found


def _of_rows(dataset: Dataset, numbers: Sequence[int], key: str) -> ArrayStatistics:
    """Returns the statistics of each of the C columns of an array."""
    parts = [_rows(dataset, number, key) for number in numbers]
    widths = {part.shape[1] for part in parts}
    if len(widths) > 1:
        raise DatasetError(
            f"{dataset.path}: {key} has rows of {sorted(widths)} numbers in different "
            "episodes"
        )

    rows = np.concatenate(parts)  # (R, C)
    finite = np.isfinite(rows).all(axis=1)
    left_out = int((~finite).sum())
    rows = rows[finite].astype(np.float64)
    if not len(rows):
        raise DatasetError(f"{dataset.path}: {key} has no row of finite numbers")

    low, high = np.quantile(rows, list(QUANTILES.values()), axis=0)
    return ArrayStatistics(
        key=key,
        count=len(rows),
        left_out=left_out,
        mean=_numbers(rows.mean(axis=0)),
        std=_numbers(rows.std(axis=0)),
        min=_numbers(rows.min(axis=0)),
        max=_numbers(rows.max(axis=0)),
        q01=_numbers(low),
        q99=_numbers(high),
    )


def _rows(dataset: Dataset, number: int, key: str) -> np.ndarray:
    """Returns an episode's array with each row flat, (R, C)."""
    array = dataset.read(number, key)
    return array.reshape(len(array), -1)


def _of_pictures(dataset: Dataset, numbers: Sequence[int], key: str) -> ArrayStatistics:
    """Returns the statistics of each colour, of all pixels of all pictures."""
    counts: np.ndarray | None = None  # (C, LEVELS) how many pixels have each level
    pictures = 0
    for number in numbers:
        images = dataset.read(number, key)
        pictures += len(images)
        colours = images.reshape(-1, images.shape[-1])
        counted = [np.bincount(colour, minlength=LEVELS) for colour in colours.T]
        counts = np.stack(counted) if counts is None else counts + np.stack(counted)
    if counts is None or not pictures:
        raise DatasetError(f"{dataset.path}: {key} has no picture")

    levels = np.arange(LEVELS)
    total = counts.sum(axis=1)
    mean = counts @ levels / total
    mean_square = counts @ levels**2 / total

    # A quantile is the first level up to which that share of the pixels lies.
    cumulated = np.cumsum(counts, axis=1) / total[:, None]
    quantiles = [
        [float(np.searchsorted(share, quantile)) for share in cumulated]
        for quantile in QUANTILES.values()
    ]
    return ArrayStatistics(
        key=key,
        count=pictures,
        left_out=0,
        mean=_numbers(mean),
        std=_numbers(np.sqrt(np.maximum(mean_square - mean**2, 0))),
        min=tuple(float(levels[row > 0].min()) for row in counts),
        max=tuple(float(levels[row > 0].max()) for row in counts),
        q01=tuple(quantiles[0]),
        q99=tuple(quantiles[1]),
    )


def _numbers(row: np.ndarray) -> tuple[float, ...]:
    return tuple(float(value) for value in row)
