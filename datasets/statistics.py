"""Statistics of a dataset's arrays, for normalising observations and actions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from embodied.datasets.reader import Dataset
from embodied.datasets.running_statistics import (
    PictureStatistics,
    Statistics,
    VectorStatistics,
)
from embodied.datasets.schema import (
    DEPTH_SUFFIX,
    IMAGE_SUFFIX,
    SEGMENTATION_SUFFIX,
    DatasetError,
)
from embodied.errors import unknown

# Arrays of indices, times, checksums or flags, whose mean is meaningless.
NOT_MEASURED_GROUPS = ("plans/", "start/")
NOT_MEASURED = ("streams/checksum/value", "frame_tick", "image_tick", "dones")
TICKS_SUFFIX = "/t"


@dataclass(frozen=True)
class ArrayStatistics:
    """Statistics of an array over all rows of some episodes.

    Attributes:
        key: the array's name within an episode.
        count: the number of rows in the statistics; of images, the number of images.
        left_out: the number of rows with NaN or infinity, which are left out.
        mean: one number per column, as in all attributes below; of images one per colour
            channel, in [0, 255].
        std: the standard deviation of the population.
        min: the smallest value.
        max: the largest value.
        q01: the 0.01 quantile.
        q99: the 0.99 quantile.
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
    """Returns the names of an episode's arrays with meaningful statistics."""
    return [
        key
        for key in dataset.keys(number)
        if not key.startswith(NOT_MEASURED_GROUPS)
        and not key.endswith(TICKS_SUFFIX)
        and not key.endswith(SEGMENTATION_SUFFIX)
        and key not in NOT_MEASURED
    ]


def statistics(
    dataset: Dataset,
    numbers: Sequence[int],
    keys: Sequence[str] | None = None,
    on_key: Callable[[int], None] | None = None,
) -> list[ArrayStatistics]:
    """Returns the statistics of arrays over all rows of some episodes.

    Quantiles are exact for images, and for up to `running_statistics.MAX_KEPT_ROWS` rows
    of other arrays. Of more rows, they are computed from an evenly spaced sample.

    Args:
        dataset: the dataset to read.
        numbers: the numbers of the episodes.
        keys: the names of arrays; by default all `measured_keys` of the first episode.
        on_key: a function that is called with 1 after each array.

    Raises:
        DatasetError: `numbers` is empty; an array does not hold numbers; its row width
            differs between episodes; or its numbers are too large for statistics.
        EmbodiedError: there is no such array; the message lists the arrays.
    """
    if not numbers:
        raise DatasetError(f"{dataset.path}: no episode to measure")

    # array by array, so that only one array's values are in memory
    known = measured_keys(dataset, numbers[0])
    statistics = []
    for key in known if keys is None else keys:
        if key not in known:
            raise unknown("array", key, known)
        if key.endswith(IMAGE_SUFFIX):
            statistics.append(_picture_statistics(dataset, numbers, key))
        else:
            statistics.append(_vector_statistics(dataset, numbers, key))
        if on_key is not None:
            on_key(1)
    return statistics


def _vector_statistics(
    dataset: Dataset, numbers: Sequence[int], key: str
) -> ArrayStatistics:
    """Returns the statistics of an array, one figure per column.

    Rows with several axes are flattened. In depth images each pixel counts as a row with
    one column. Arguments and errors are those of `statistics`.
    """
    collected: VectorStatistics | None = None
    widths = set()
    left_out = 0
    for number in numbers:
        array = dataset.read(number, key)
        # numpy's kinds of floats, integers, unsigned integers and bools
        if not array.ndim or array.dtype.kind not in "fiub":
            raise DatasetError(f"{dataset.path}: {key} holds no rows of numbers")
        num_rows = array.size if key.endswith(DEPTH_SUFFIX) else len(array)
        # `max`, because an array may have no rows
        width = array.size // max(num_rows, 1)
        rows = array.reshape(num_rows, width)
        widths.add(rows.shape[1])
        if len(widths) > 1:
            raise DatasetError(
                f"{dataset.path}: {key} has rows of {sorted(widths)} numbers in "
                "different episodes"
            )

        is_finite = np.isfinite(rows).all(axis=1)
        left_out += int((~is_finite).sum())
        if is_finite.any():
            name = f"{dataset.path}: {key}"
            collected = collected or VectorStatistics(name, rows.shape[1])
            collected.add(rows[is_finite])

    if collected is None:
        raise DatasetError(f"{dataset.path}: {key} has no row of finite numbers")
    return array_statistics(key, collected.result(), left_out)


def _picture_statistics(
    dataset: Dataset, numbers: Sequence[int], key: str
) -> ArrayStatistics:
    """Returns the statistics of each colour channel over all pixels of all images.

    Arguments and errors are those of `statistics`.
    """
    collected = PictureStatistics()
    for number in numbers:
        pictures = dataset.read(number, key)
        if pictures.dtype != np.uint8 or pictures.shape[3:] != (3,):
            raise DatasetError(
                f"{dataset.path}: {key} holds {pictures.shape} {pictures.dtype}, no "
                "pictures"
            )
        collected.add(pictures)
    return array_statistics(key, collected.result(), left_out=0)


def array_statistics(key: str, result: Statistics, left_out: int) -> ArrayStatistics:
    """Converts the result of running statistics to an `ArrayStatistics`.

    Args:
        key: the array's name.
        result: the result of `VectorStatistics` or `PictureStatistics`.
        left_out: the number of rows with NaN or infinity.
    """

    def columns(name: str) -> tuple[float, ...]:
        """Returns one of the statistics as a tuple with one number per column."""
        return tuple(float(value) for value in result[name])

    return ArrayStatistics(
        key=key,
        count=int(result["count"][0]),
        left_out=left_out,
        mean=columns("mean"),
        std=columns("std"),
        min=columns("min"),
        max=columns("max"),
        q01=columns("q01"),
        q99=columns("q99"),
    )
