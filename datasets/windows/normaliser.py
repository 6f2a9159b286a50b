"""Brings what windows hold to a common scale, and back."""

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

# What a column comes to: mean 0 and deviation 1; its least and greatest value at -1 and
# 1; or its quantiles 0.01 and 0.99 there.
Scale = Literal["deviation", "limits", "quantiles"]
# A column that varies less than this is not scaled: it becomes 0 or nearly so.
LEAST_SCALE = 1e-6


class Normaliser(torch.nn.Module):
    """Scales the floats of a batch, each robot's by its own statistics.

        normaliser = Normaliser(windows)
        batch = normaliser(batch)
        actions = normaliser.undo("actions", policy(batch), batch["robot"])

    As a module of the policy it moves to the policy's device, and is stored with its
    weights. Pictures come as floats in [0, 1], channels first; all else stays as it is.
    """

    def __init__(self, windows: Windows, scale: Scale = "deviation") -> None:
        """Takes the statistics from beside the datasets, or measures them now.

        Args:
            windows: what is to be scaled.
            scale: what the columns come to.

        Raises:
            DatasetError: as `window_statistics` does.
        """
        super().__init__()
        if scale not in get_args(Scale):
            raise unknown("scale", scale, get_args(Scale))

        robots = window_statistics(windows)
        self._names = tuple(robots[0])
        for name in self._names:
            offset = np.zeros((len(robots), *windows.row(name)), np.float32)
            factor = np.ones_like(offset)  # columns that a robot lacks stay as they are
            for robot, parts in enumerate(windows.parts_by_robot()):
                # a narrower robot's rows lie at the beginning of the widest ones
                row = parts[0].row(name)
                columns: Any = (robot, *map(slice, row))
                own_offset, own_factor = _offset_and_factor(robots[robot][name], scale)
                offset[columns] = own_offset.reshape(row)
                factor[columns] = own_factor.reshape(row)
            self.register_buffer(f"{name}/offset", torch.from_numpy(offset))
            self.register_buffer(f"{name}/factor", torch.from_numpy(factor))

    def forward(self, batch: Batch) -> Batch:
        """Returns a batch with its floats scaled and its pictures as floats."""
        scaled = dict(batch)
        for name in self._names:
            if name in batch:
                offset, factor = self._of(name, batch[name], batch["robot"])
                scaled[name] = (batch[name] - offset) / factor
        for name, values in batch.items():
            if name.endswith(IMAGE_SUFFIX):
                scaled[name] = values.movedim(-1, -3) / 255
        return scaled

    def undo(self, name: str, values: Tensor, robot: Tensor) -> Tensor:
        """Returns scaled values (n, ...) of an array in their own units.

        Args:
            name: of the array.
            values: (n, ..., *row), scaled.
            robot: (n,) index into `Windows.robots`.
        """
        offset, factor = self._of(name, values, robot)
        return values * factor + offset

    def _of(self, name: str, values: Tensor, robot: Tensor) -> tuple[Tensor, Tensor]:
        """Returns offset and factor of each window, to fit values (n, ..., *row)."""
        found = []
        for kind in ("offset", "factor"):
            rows = self.get_buffer(f"{name}/{kind}")[robot]  # (n, *row)
            missing = values.ndim - rows.ndim
            shape = (len(rows), *[1] * missing, *rows.shape[1:])
            found.append(rows.reshape(shape))
        return found[0], found[1]


def _offset_and_factor(
    one: ArrayStatistics, scale: Scale
) -> tuple[np.ndarray, np.ndarray]:
    """Returns what is taken off each column, and what it is divided by."""
    if scale == "deviation":
        offset = np.array(one.mean)
        factor = np.array(one.std)
    else:
        low = np.array(one.min if scale == "limits" else one.q01)
        high = np.array(one.max if scale == "limits" else one.q99)
        offset = (low + high) / 2
        factor = (high - low) / 2
    return offset, np.where(factor > LEAST_SCALE, factor, 1.0)
