"""How dirty each cell of a table's stains is, world by world: what rubbing takes off, and what is spilled later."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import dot
from embodied.core import Array
from embodied.envs.props.stains import CELLS, STAINS, cell_areas

S = len(STAINS)
FAR_M = 9.0  # beyond any cell
NOTHING_M2 = 1e-12  # on a table without stains of a sort all are spared, and none is wiped


class Dirt:
    """The books of N worlds, all in arrays that a task hands out as its parameters. S stains of C cells."""

    def __init__(self, xp: Any, num_worlds: int) -> None:
        self._xp, n = xp, num_worlds
        self._areas = xp.asarray(cell_areas())  # (S, C) m2
        self.books = {
            "cell_pos_w": xp.zeros((n, S, CELLS, 2)),
            "left": xp.zeros((n, S, CELLS)),  # of each cell's dirt, in [0, 1]
            "present": xp.zeros((n, S, CELLS)),  # 1 for cells that were dirty at any time
            "spill": xp.zeros((n, S, CELLS)),  # 1 for cells that become dirty later
            "rub_m": xp.ones((n, S)),  # of rubbing that wipes a cell off
        }

    def clear(self, world: int) -> None:
        """Takes all dirt off one world's table."""
        for name in ("left", "present", "spill"):
            self.books[name][world] = 0.0

    def lay(self, world: int, stain: int, cells_w: np.ndarray, rub_m: float) -> None:
        """Says where a stain's cells (C, 2) are in one world, and how much rubbing each takes."""
        self.books["cell_pos_w"][world, stain] = self._xp.asarray(cells_w)
        self.books["rub_m"][world, stain] = rub_m

    def dirty(self, world: int, stain: int, cells: int) -> None:
        """Makes a stain's first `cells` dirty at the start."""
        for name in ("left", "present"):
            self.books[name][world, stain, :cells] = 1.0

    def spill_later(self, world: int, stain: int, cells: int) -> None:
        """Makes a stain's first `cells` dirty at the spill."""
        self.books["spill"][world, stain, :cells] = 1.0

    def update(self, under: Array, rubbed_m: Array, spilling: Array) -> Array:
        """Takes off what was rubbed, metres (N,), over the cells `under` (N, S, C) bool; then spills what is to be
        spilled where it is time, (N,) bool. Returns what is left (N, S * C)."""
        xp, books = self._xp, self.books
        spilled = xp.where(spilling[:, None, None], books["spill"], 0.0)
        off = xp.where(under, (rubbed_m[:, None] / books["rub_m"])[:, :, None], 0.0)
        left = books["left"] - off
        left = xp.maximum(xp.where(left > 0, left, 0.0), spilled)
        books["left"][...], books["present"][...] = left, xp.maximum(books["present"], spilled)
        books["spill"][...] = books["spill"] - spilled
        return self.left()

    def left(self) -> Array:
        """(N, S * C) share of each cell's dirt that is left."""
        return self._xp.reshape(self.books["left"], (-1, S * CELLS))

    def areas(self) -> tuple[Array, Array]:
        """Of each stain: the area (N, S) that is left, in m2, and that there ever was."""
        weighted = self._areas * self.books["present"]
        return dot(weighted, self.books["left"]), dot(self._areas, self.books["present"])

    def shares(self, named: Array) -> tuple[Array, Array]:
        """(N,) of the area of the stains with `named` (N, S) 1 the share that is wiped; of the others', with 0, the
        share that is still there."""
        left, ever = self.areas()
        wiped = dot(named, ever - left) / (dot(named, ever) + NOTHING_M2)
        spared = (dot(1 - named, left) + NOTHING_M2) / (dot(1 - named, ever) + NOTHING_M2)
        return wiped, spared

    def boxes_w(self) -> tuple[Array, Array]:
        """Corners (N, S, 2) of the smallest upright box around the middles of each stain's cells that are not clean
        yet, low and high, m; zeros around none."""
        xp, at = self._xp, self.books["cell_pos_w"]
        left = self.books["left"] > 0
        dirty, some = left[..., None], xp.any(left, axis=2)[..., None]
        low = xp.min(xp.where(dirty, at, FAR_M), axis=2)
        high = xp.max(xp.where(dirty, at, -FAR_M), axis=2)
        return xp.where(some, low, 0.0), xp.where(some, high, 0.0)
