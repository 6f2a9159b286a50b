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
FAR_M = 9.0  # a coordinate beyond any cell's
# Added to both areas of a ratio. So where there are no stains to spare, all of them are
# spared, and where there are none to wipe, none is wiped.
NO_AREA_M2 = 1e-12


class Dirt:
    """The dirt of S stains of C cells in N worlds.

    All of it is in `arrays`, which the task's `memory()` returns among its own: so a
    dataset stores it with the start of an episode. `_w` is the world frame.

    Args:
        xp: the array module, numpy or torch by way of `array_api_compat`.
        num_worlds: N.
    """

    def __init__(self, xp: Any, num_worlds: int) -> None:
        self._xp = xp
        n = num_worlds
        self._areas = xp.asarray(cell_areas())  # (S, C) m2
        self.arrays = {
            # the cells' middles, m; all x before all y, for quick sums over cells
            "cell_xy_w": xp.zeros((n, 2, S, CELLS)),
            # the share of each cell's dirt that is left, in [0, 1]
            "left": xp.zeros((n, S, CELLS)),
            # 1 for cells that were dirty at any time
            "present": xp.zeros((n, S, CELLS)),
            # 1 for cells that become dirty later
            "spill": xp.zeros((n, S, CELLS)),
            # metres of rubbing that wipe a cell off
            "rub_m": xp.ones((n, S)),
            # 1 for stains to wipe, 0 for those to spare
            "named": xp.zeros((n, S)),
            # dirty area now; a cell that is half wiped counts half
            "left_m2": xp.zeros((n, S)),
            # the corners of the smallest upright box around the middles of the cells
            # that are not clean, m; zeros around none
            "low_xy_w": xp.zeros((n, 2, S)),
            "high_xy_w": xp.zeros((n, 2, S)),
            # the share of the named stains' area that is gone
            "wiped": xp.zeros(n),
            # the share of the other stains' area that is still there
            "spared": xp.ones(n),
        }

    def clear(self, world: int) -> None:
        """Takes all dirt off one world's table."""
        for name in ("left", "present", "spill", "named"):
            self.arrays[name][world] = 0.0

    def lay(
        self, world: int, stain: int, cells_w: np.ndarray, rub_m: float, named: bool
    ) -> None:
        """Sets where one world's stain is, and how it wears and counts.

        Args:
            world: the world.
            stain: the stain.
            cells_w: the middles (C, 2) of its cells, m.
            rub_m: the metres of rubbing that each cell takes.
            named: whether the stain is to be wiped.
        """
        arrays = self.arrays
        arrays["cell_xy_w"][world, :, stain] = self._xp.asarray(cells_w.T)
        arrays["rub_m"][world, stain] = rub_m
        arrays["named"][world, stain] = float(named)

    def dirty(self, world: int, stain: int, cells: int) -> None:
        """Makes a stain's first `cells` cells dirty, at the start of an episode."""
        for name in ("left", "present"):
            self.arrays[name][world, stain, :cells] = 1.0
        self._survey(slice(world, world + 1))

    def spill_later(self, world: int, stain: int, cells: int) -> None:
        """Sets a stain's first `cells` cells to become dirty when `update` spills."""
        self.arrays["spill"][world, stain, :cells] = 1.0

    def update(self, under: Array, rubbed_m: Array, spilling: Array) -> Array:
        """Takes off what was rubbed, then spills what is to be spilled.

        Args:
            under: which cells were rubbed, (N, S, C) bool.
            rubbed_m: how far, (N,) m.
            spilling: the worlds in which it is time to spill, (N,) bool.

        Returns:
            The share (N, S * C) of each cell's dirt that is left.
        """
        xp = self._xp
        arrays = self.arrays
        # the share (N, S, 1) of a whole cell's dirt that so much rubbing takes off
        share = (rubbed_m[:, None] / arrays["rub_m"])[:, :, None]
        left = arrays["left"] - xp.where(under, share, 0.0)
        spilled = xp.where(spilling[:, None, None], arrays["spill"], 0.0)

        arrays["left"][...] = xp.maximum(xp.where(left > 0, left, 0.0), spilled)
        arrays["present"][...] = xp.maximum(arrays["present"], spilled)
        arrays["spill"][...] = arrays["spill"] - spilled
        self._survey(slice(None))
        return self.left()

    def left(self) -> Array:
        """Returns the share (N, S * C) of each cell's dirt that is left."""
        return self._xp.reshape(self.arrays["left"], (-1, S * CELLS))

    def _survey(self, rows: slice) -> None:
        """Updates areas, boxes and shares of some worlds after a change of dirt.

        Args:
            rows: the worlds, n of them.
        """
        xp = self._xp
        arrays = self.arrays
        left = arrays["left"][rows]
        cells = arrays["cell_xy_w"][rows]
        named = arrays["named"][rows]

        # areas (n, S) in m2: dirty now, and dirty at any time
        area = _sum_of_cells(self._areas * left)
        area_ever = _sum_of_cells(self._areas * arrays["present"][rows])
        arrays["left_m2"][rows] = area

        # the box (n, 2, S) around the middles of what is dirty; zeros where nothing is
        dirty = (left > 0)[:, None]
        any_dirty = (area > 0)[:, None]
        low = xp.min(xp.where(dirty, cells, FAR_M), axis=3)
        high = xp.max(xp.where(dirty, cells, -FAR_M), axis=3)
        arrays["low_xy_w"][rows] = xp.where(any_dirty, low, 0.0)
        arrays["high_xy_w"][rows] = xp.where(any_dirty, high, 0.0)

        # the shares of what is to be wiped, and of what is not
        others = 1 - named
        arrays["wiped"][rows] = 1 - _ratio(dot(named, area), dot(named, area_ever))
        arrays["spared"][rows] = _ratio(dot(others, area), dot(others, area_ever))


def _ratio(area: Array, whole: Array) -> Array:
    """Returns the share (N,) that `area` is of `whole`, which is 1 where both are 0."""
    return (area + NO_AREA_M2) / (whole + NO_AREA_M2)


def _sum_of_cells(values: Array) -> Array:
    """Returns the sum over the last axis of C = 12 cells, always in the same order.

    So each world's sum is the same bit for bit whatever worlds are summed beside it.
    Halving the axis twice, to three, takes fewer operations than adding cell by cell.
    """
    half = CELLS // 2
    quarter = CELLS // 4
    values = values[..., :half] + values[..., half:]
    values = values[..., :quarter] + values[..., quarter:]
    return values[..., 0] + values[..., 1] + values[..., 2]
