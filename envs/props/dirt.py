"""The dirt in each cell of a table's stains, world by world.

Rubbing takes dirt off, and more may be spilled later.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.props.stains import CELLS, STAINS, cell_areas

S = len(STAINS)
FAR_M = 9.0  # larger than any coordinate of a cell
# Added to both areas of a ratio, so that the ratio of two zero areas is 1. So the spared
# share is 1 if there are no stains to spare, and the wiped share is 0 if there are none
# to wipe.
NO_AREA_M2 = 1e-12


class Dirt:
    """The dirt of S stains of C cells in N worlds.

    All values are in `arrays`, which the task's `memory()` includes, so that datasets
    store them with the start of an episode.

    Args:
        xp: the array module, numpy or torch by way of `array_api_compat`.
        num_worlds: N.
    """

    def __init__(self, xp: Any, num_worlds: int) -> None:
        """Begins with clean stains."""
        self._xp = xp
        n = num_worlds
        self._areas = xp.asarray(cell_areas())  # (S, C) m2
        self.arrays = {
            # the cells' centres, m; with x and y before the cells, because tests of all
            # cells are faster on contiguous coordinates
            "cell_xy_w": xp.zeros((n, 2, S, CELLS)),
            # the share of each cell's dirt that remains, in [0, 1]
            "left": xp.zeros((n, S, CELLS)),
            # 1 for cells that are or were dirty
            "present": xp.zeros((n, S, CELLS)),
            # 1 for cells that become dirty with the spill
            "spill": xp.zeros((n, S, CELLS)),
            # the distance of rubbing that cleans a cell, m
            "rub_m": xp.ones((n, S)),
            # 1 for stains that the instruction says to wipe, 0 for stains to spare
            "named": xp.zeros((n, S)),
            # the dirty area; a cell that is half clean counts half
            "left_m2": xp.zeros((n, S)),
            # the axis-aligned bounding box of the centres of the dirty cells, m; zeros
            # if all cells are clean
            "low_xy_w": xp.zeros((n, 2, S)),
            "high_xy_w": xp.zeros((n, 2, S)),
            # the share of the named stains' area that has been wiped off
            "wiped": xp.zeros(n),
            # the share of the other stains' area that remains
            "spared": xp.ones(n),
        }

    def clear(self, world: int) -> None:
        """Removes all dirt from one world's table."""
        for name in ("left", "present", "spill", "named"):
            self.arrays[name][world] = 0.0

    def lay(
        self, world: int, stain: int, cells_w: np.ndarray, rub_m: float, named: bool
    ) -> None:
        """Sets the position and the properties of one world's stain.

        Args:
            world: index of the world.
            stain: index of the stain.
            cells_w: the centres (C, 2) of the stain's cells in the world, m.
            rub_m: the distance of rubbing that cleans a cell, m.
            named: whether the instruction says to wipe the stain.
        """
        arrays = self.arrays
        arrays["cell_xy_w"][world, :, stain] = self._xp.asarray(cells_w.T)
        arrays["rub_m"][world, stain] = rub_m
        arrays["named"][world, stain] = float(named)

    def dirty(self, world: int, stain: int, cells: int) -> None:
        """Makes the first `cells` cells of a world's stain dirty from the episode's start."""
        for name in ("left", "present"):
            self.arrays[name][world, stain, :cells] = 1.0
        self._survey(slice(world, world + 1))

    def spill_later(self, world: int, stain: int, cells: int) -> None:
        """Makes the first `cells` cells of a world's stain dirty when the spill comes.

        `update` says when the spill comes.
        """
        self.arrays["spill"][world, stain, :cells] = 1.0

    def update(self, is_under_pad: Array, rubbed_m: Array, spilling: Array) -> Array:
        """Removes dirt under the pad, then adds the spill where it is due.

        Args:
            is_under_pad: (N, S, C) bool, whether the pad rubbed each cell.
            rubbed_m: (N,) m, the distance that the pad moved while it rubbed.
            spilling: (N,) bool, whether the spill comes now in each world.

        Returns:
            The share (N, S * C) of each cell's dirt that remains.
        """
        xp = self._xp
        arrays = self.arrays
        # (N, S, 1) the share of a cell's dirt that this distance removes
        removed = (rubbed_m[:, None] / arrays["rub_m"])[:, :, None]
        remaining = arrays["left"] - xp.where(is_under_pad, removed, 0.0)
        spilled = xp.where(spilling[:, None, None], arrays["spill"], 0.0)

        not_negative = xp.where(remaining > 0, remaining, 0.0)
        arrays["left"][...] = xp.maximum(not_negative, spilled)
        arrays["present"][...] = xp.maximum(arrays["present"], spilled)
        arrays["spill"][...] = arrays["spill"] - spilled
        self._survey(slice(None))
        return self.remaining()

    def remaining(self) -> Array:
        """Returns the share (N, S * C) of each cell's dirt that remains."""
        return self._xp.reshape(self.arrays["left"], (-1, S * CELLS))

    def _survey(self, worlds: slice) -> None:
        """Updates areas, bounding boxes and shares after a change of the dirt.

        Args:
            worlds: the slice of the n worlds to update.
        """
        xp = self._xp
        arrays = self.arrays
        remaining = arrays["left"][worlds]
        cells = arrays["cell_xy_w"][worlds]
        named = arrays["named"][worlds]

        # areas (n, S) in m2: dirty now, and dirty at some time in the episode
        area = _sum_of_cells(self._areas * remaining)
        area_ever = _sum_of_cells(self._areas * arrays["present"][worlds])
        arrays["left_m2"][worlds] = area

        # the bounding box (n, 2, S) of the dirty cells; zeros if none is dirty
        is_dirty = (remaining > 0)[:, None]
        has_dirty = (area > 0)[:, None]
        low = xp.min(xp.where(is_dirty, cells, FAR_M), axis=3)
        high = xp.max(xp.where(is_dirty, cells, -FAR_M), axis=3)
        arrays["low_xy_w"][worlds] = xp.where(has_dirty, low, 0.0)
        arrays["high_xy_w"][worlds] = xp.where(has_dirty, high, 0.0)

        # the share of the named stains that is wiped off, and the share of the other stains
        # that remains
        others = 1 - named
        arrays["wiped"][worlds] = 1 - _ratio(dot(named, area), dot(named, area_ever))
        arrays["spared"][worlds] = _ratio(dot(others, area), dot(others, area_ever))


def _ratio(area: Array, whole: Array) -> Array:
    """Returns the ratio (N,) of `area` to `whole`, which is 1 if both are 0."""
    return (area + NO_AREA_M2) / (whole + NO_AREA_M2)


def _sum_of_cells(values: Array) -> Array:
    """Returns the sum over the last axis, the C = 12 cells, in a fixed order.

    With a fixed order, each world's sum is bit for bit the same, whether the sums are for
    one world or for many. Halving the axis twice, from 12 cells to 3, takes fewer
    operations than adding cell by cell.
    """
    half = CELLS // 2
    quarter = CELLS // 4
    values = values[..., :half] + values[..., half:]
    values = values[..., :quarter] + values[..., quarter:]
    return values[..., 0] + values[..., 1] + values[..., 2]
