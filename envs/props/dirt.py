"""How dirty each cell of a table's stains is, world by world: what rubbing takes off,
and what is spilled later.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.props.stains import CELLS, STAINS, cell_areas

S = len(STAINS)
FAR_M = 9.0  # beyond any cell
# on a table without stains of a sort all are spared, and none is wiped
NOTHING_M2 = 1e-12


class Dirt:
    """The books of N worlds, all in arrays that a task hands out as its parameters. S
    stains of C cells.
    """

    def __init__(self, xp: Any, num_worlds: int) -> None:
        self._xp = xp
        n = num_worlds
        self._areas = xp.asarray(cell_areas())  # (S, C) m2
        self.books = {
            # m, all x before all y: reductions over cells are then quick
            "cell_xy_w": xp.zeros((n, 2, S, CELLS)),
            "left": xp.zeros((n, S, CELLS)),  # of each cell's dirt, in [0, 1]
            # 1 for cells that were dirty at any time
            "present": xp.zeros((n, S, CELLS)),
            "spill": xp.zeros((n, S, CELLS)),  # 1 for cells that become dirty later
            "rub_m": xp.ones((n, S)),  # of rubbing that wipes a cell off
            "named": xp.zeros((n, S)),  # 1 for stains to wipe, 0 for those to spare
            # dirty area now, cells that are half wiped counting half
            "left_m2": xp.zeros((n, S)),
            # corners of the smallest upright box around the middles of the cells that
            "low_xy_w": xp.zeros((n, 2, S)),
            "high_xy_w": xp.zeros((n, 2, S)),  # are not clean, m; zeros around none
            "wiped": xp.zeros(n),  # share of the named stains' area that is gone
            "spared": xp.ones(n),  # share of the others' that is still there
        }

    def clear(self, world: int) -> None:
        """Takes all dirt off one world's table."""
        for name in ("left", "present", "spill", "named"):
            self.books[name][world] = 0.0

    def lay(
        self, world: int, stain: int, cells_w: np.ndarray, rub_m: float, named: bool
    ) -> None:
        """Says where a stain's cells (C, 2) are in one world, how much rubbing each
        takes, and whether to wipe it.
        """
        books = self.books
        books["cell_xy_w"][world, :, stain] = self._xp.asarray(cells_w.T)
        books["rub_m"][world, stain] = rub_m
        books["named"][world, stain] = float(named)

    def dirty(self, world: int, stain: int, cells: int) -> None:
        """Makes a stain's first `cells` dirty at the start."""
        for name in ("left", "present"):
            self.books[name][world, stain, :cells] = 1.0
        self._survey(slice(world, world + 1))

    def spill_later(self, world: int, stain: int, cells: int) -> None:
        """Makes a stain's first `cells` dirty at the spill."""
        self.books["spill"][world, stain, :cells] = 1.0

    def update(self, under: Array, rubbed_m: Array, spilling: Array) -> Array:
        """Takes off what was rubbed, metres (N,), over the cells `under` (N, S, C)
        bool; then spills what is to be spilled where it is time, (N,) bool. Returns
        what is left (N, S * C).
        """
        xp = self._xp
        books = self.books
        spilled = xp.where(spilling[:, None, None], books["spill"], 0.0)
        left = books["left"] - xp.where(
            under, (rubbed_m[:, None] / books["rub_m"])[:, :, None], 0.0
        )
        books["left"][...] = xp.maximum(xp.where(left > 0, left, 0.0), spilled)
        books["present"][...] = xp.maximum(books["present"], spilled)
        books["spill"][...] = books["spill"] - spilled
        self._survey(slice(None))
        return self.left()

    def left(self) -> Array:
        """(N, S * C) share of each cell's dirt that is left."""
        return self._xp.reshape(self.books["left"], (-1, S * CELLS))

    def _survey(self, rows: slice) -> None:
        """Areas, boxes and shares of some worlds anew."""
        xp = self._xp
        books = self.books
        left = books["left"][rows]
        at = books["cell_xy_w"][rows]
        named = books["named"][rows]
        # (N, S) m2
        now, ever = (
            _sum_of_cells(self._areas * part) for part in (left, books["present"][rows])
        )
        books["left_m2"][rows] = now
        dirty = (left > 0)[:, None]
        some = (now > 0)[:, None]
        books["low_xy_w"][rows] = xp.where(
            some, xp.min(xp.where(dirty, at, FAR_M), axis=3), 0.0
        )
        books["high_xy_w"][rows] = xp.where(
            some, xp.max(xp.where(dirty, at, -FAR_M), axis=3), 0.0
        )
        books["wiped"][rows] = 1 - (dot(named, now) + NOTHING_M2) / (
            dot(named, ever) + NOTHING_M2
        )
        books["spared"][rows] = (dot(1 - named, now) + NOTHING_M2) / (
            dot(1 - named, ever) + NOTHING_M2
        )


def _sum_of_cells(values: Array) -> Array:
    """Over the last axis of C, always in the same order, in fewer steps than one by
    one.
    """
    half = CELLS // 2
    quarter = CELLS // 4
    values = values[..., :half] + values[..., half:]
    values = values[..., :quarter] + values[..., quarter:]
    return values[..., 0] + values[..., 1] + values[..., 2]
