"""Normalising the arrays of windows, and undoing it."""

from __future__ import annotations

from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from embodied.datasets.schema import IMAGE_SUFFIX
from embodied.datasets.statistics import ArrayStatistics
from embodied.datasets.windows.dataset import Batch, Windows
from embodied.datasets.windows.statistics import window_statistics
from embodied.errors import unknown

# How a column is scaled: to mean 0 and standard deviation 1; its smallest and largest
# value to -1 and 1; or its 0.01 and 0.99 quantiles to -1 and 1.
Scale = Literal["deviation", "limits", "quantiles"]
# A column whose divisor would be smaller is shifted, but not divided, because dividing
# would magnify rounding errors; its values stay close to 0.
LEAST_FACTOR = 1e-6


class Normaliser(torch.nn.Module):
    """Normalises the floats of a batch, by the statistics of each window's robot.

        normaliser = Normaliser(windows)
        batch = normaliser(batch)
        actions = normaliser.undo("actions", policy(batch), batch["robot"])

    As a submodule of the policy it moves to the policy's device, and is stored with the
    policy's weights. Images become floats in [0, 1] with channels first. All other arrays
    stay as they are.
    """

    def __init__(self, windows: Windows, scale: Scale = "deviation") -> None:
        """Reads the statistics stored beside the datasets, or computes them now.

        Args:
            windows: the windows to normalise.
            scale: how columns are scaled.

        Raises:
            DatasetError: see `window_statistics`.
            EmbodiedError: there is no such scale.
        """
        super().__init__()
        if scale not in get_args(Scale):
            raise unknown("scale", scale, get_args(Scale))

        robots = window_statistics(windows)
        self._names = tuple(robots[0])
        for name in self._names:
            # Columns that a robot does not have are padding. Offset 0 and factor 1 leave
            # their zeros as they are.
            offset = np.zeros((len(robots), *windows.row(name)), np.float32)
            factor = np.ones_like(offset)
            for robot, parts in enumerate(windows.parts_by_robot()):
                # padding is at the end of a row, so the robot's own columns come first
                row = parts[0].row(name)
                columns: Any = (robot, *map(slice, row))
                own_offset, own_factor = _offset_and_factor(robots[robot][name], scale)
                offset[columns] = own_offset.reshape(row)
                factor[columns] = own_factor.reshape(row)
            self.register_buffer(f"{name}/offset", torch.from_numpy(offset))
            self.register_buffer(f"{name}/factor", torch.from_numpy(factor))

    def forward(self, batch: Batch) -> Batch:
        """Returns a batch with normalised floats, and with images as floats in [0, 1]."""
        # normalise the arrays that have statistics, each by its window's robot
        scaled = dict(batch)
        for name in self._names:
            if name in batch:
                offset, factor = self._offset_and_factor_of(
                    name, batch[name], batch["robot"]
                )
                scaled[name] = (batch[name] - offset) / factor
        # images: from (..., H, W, 3) uint8 to (..., 3, H, W) floats
        for name, values in batch.items():
            if name.endswith(IMAGE_SUFFIX):
                scaled[name] = values.movedim(-1, -3) / 255
        return scaled

    def undo(self, name: str, values: Tensor, robot: Tensor) -> Tensor:
        """Returns normalised values of an array in their original units.

        Args:
            name: the name of the array.
            values: (n, ..., *row), normalised.
            robot: (n,) index into `Windows.robots`.
        """
        offset, factor = self._offset_and_factor_of(name, values, robot)
        return values * factor + offset

    def _offset_and_factor_of(
        self, name: str, values: Tensor, robot: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Returns offset and factor of each window, shaped to broadcast with its values.

        Args:
            name: the name of the array.
            values: (n, ..., *row) the values of n windows.
            robot: (n,) index into `Windows.robots`.
        """
        offset_and_factor = []
        for kind in ("offset", "factor"):
            rows = self.get_buffer(f"{name}/{kind}")[robot]  # (n, *row)
            # insert axes of length 1 between n and the row
            num_missing_axes = values.ndim - rows.ndim
            shape = (len(rows), *[1] * num_missing_axes, *rows.shape[1:])
            offset_and_factor.append(rows.reshape(shape))
        return offset_and_factor[0], offset_and_factor[1]


def _offset_and_factor(
    statistics: ArrayStatistics, scale: Scale
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the offset that normalising subtracts from each column, and the divisor.

    Args:
        statistics: the statistics of one robot's array.
        scale: how columns are scaled.
    """
    # deviations become a mean of 0 and a standard deviation of 1; a range becomes [-1, 1]
    if scale == "deviation":
        offset = np.array(statistics.mean)
        factor = np.array(statistics.std)
    else:
        low = np.array(statistics.min if scale == "limits" else statistics.q01)
        high = np.array(statistics.max if scale == "limits" else statistics.q99)
        offset = (low + high) / 2
        factor = (high - low) / 2
    # nearly constant columns are not divided, see LEAST_FACTOR
    return offset, np.where(factor > LEAST_FACTOR, factor, 1.0)
