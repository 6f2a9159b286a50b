"""Stains on a table: blobs of cells that fade one by one as they are wiped. Each cell
is one flat mesh.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.arrays import columns
from embodied.core import Array
from embodied.envs.props.shapes import VISUAL_GROUP, Vector
from embodied.sim.engine import Engine

# of a blob: from, to (share of its radius), cells
RINGS = ((0.0, 0.36, 2), (0.36, 0.68, 4), (0.68, 1.0, 6))
CELLS = sum(cells for *_, cells in RINGS)
SMALL_CELLS = RINGS[0][2] + RINGS[1][2]  # a small stain is the inner rings alone
STEPS = 24  # around a blob
OVERLAP_M = 0.0005  # of cells, so that no table shows between them
ABOVE_M = 0.0008  # the table
# alpha of a whole cell, and of one that is all but gone
FRESH = 1.0
FAINT = 0.25

Mesh = tuple[np.ndarray, np.ndarray]  # vertices (n, 2) in m, faces (m, 3)


@dataclass(frozen=True)
class Blob:
    """A stain's outline: mean radius in m, and how its radius swings around, from a
    seed.
    """

    radius: float
    seed: int

    def outline(self, angle: np.ndarray) -> np.ndarray:
        """Radius at each angle, m."""
        rng = np.random.default_rng(self.seed)
        swing = np.zeros_like(angle)
        for waves, size in ((2, 0.11), (3, 0.09), (5, 0.06), (8, 0.035)):
            swing += (
                rng.uniform(0.3, 1.0)
                * size
                * np.cos(waves * angle + rng.uniform(0, 2 * np.pi))
            )
        return self.radius * (1 + swing)


BLOBS = (Blob(0.050, 1), Blob(0.043, 5), Blob(0.047, 9), Blob(0.040, 12))
STAINS = tuple(f"stain_{k}" for k in range(len(BLOBS)))


def _cell(blob: Blob, ring: tuple[float, float, int], k: int, overlap_m: float) -> Mesh:
    """The `k`-th cell of a ring, seen from above, so much larger on each side."""
    low, high, count = ring
    steps = STEPS // count
    angle = 2 * np.pi * (k * steps + np.arange(steps + 1)) / STEPS
    radius = blob.outline(angle)
    wider = overlap_m / blob.radius
    if count > 1:
        angle = angle + np.linspace(-wider, wider, steps + 1)
    ray = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    first = np.arange(steps)
    beyond = first + steps + 1  # the outer arc's vertices
    outward = np.stack([first, beyond, beyond + 1], axis=1)
    inward = np.stack([first, beyond + 1, first + 1], axis=1)
    vertices = np.concatenate([max(low - wider, 0.0) * ray, (high + wider) * ray])
    return vertices, outward if low == 0 else np.concatenate([outward, inward])


def _cells(blob: Blob, overlap_m: float = 0.0) -> list[Mesh]:
    return [_cell(blob, ring, k, overlap_m) for ring in RINGS for k in range(ring[2])]


def _middle_and_area(cell: Mesh) -> tuple[np.ndarray, float]:
    vertices, faces = cell
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    area = ((b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]) / 2
    return area @ (a + b + c) / 3 / area.sum(), float(area.sum())


def cell_middles() -> np.ndarray:
    """(S, C, 2) middle of each stain's cells in its frame, m."""
    return np.array(
        [[_middle_and_area(cell)[0] for cell in _cells(blob)] for blob in BLOBS]
    )


def cell_areas() -> np.ndarray:
    """(S, C) m2."""
    return np.array(
        [[_middle_and_area(cell)[1] for cell in _cells(blob)] for blob in BLOBS]
    )


def add_stains(spec: mujoco.MjSpec, table: mujoco.MjsBody) -> None:
    """Adds the stains to a table, clean (invisible) until a world says otherwise."""
    spec.add_material(
        name="stain", rgba=[0.3, 0.2, 0.1, 1], specular=0.5, shininess=0.8
    )
    for name, blob in zip(STAINS, BLOBS, strict=True):
        body = table.add_body(name=name)
        for k, (vertices, faces) in enumerate(_cells(blob, OVERLAP_M)):
            flat = np.concatenate(
                [vertices, np.full((len(vertices), 1), ABOVE_M)], axis=1
            )
            mesh = spec.add_mesh(
                name=f"{name}_{k}", uservert=flat.ravel(), userface=faces.ravel()
            )
            mesh.inertia = mujoco.mjtMeshInertia.mjMESH_INERTIA_SHELL
            geom = body.add_geom(
                name=mesh.name,
                type=mujoco.mjtGeom.mjGEOM_MESH,
                meshname=mesh.name,
                material="stain",
            )
            geom.rgba = [0.3, 0.2, 0.1, 0]
            geom.contype = 0
            geom.conaffinity = 0
            geom.group = VISUAL_GROUP
            geom.mass = 0


class Stains:
    """The stains of N worlds: S blobs of C cells."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        model = engine.model
        self._bodies = [model.body(name).id for name in STAINS]
        self._geoms = [
            model.geom(f"{name}_{k}").id for name in STAINS for k in range(CELLS)
        ]
        self._columns = columns(self._geoms)
        self._middles = cell_middles()
        for field in ("body_pos", "body_quat", "geom_rgba"):
            engine.vary(field)

    def place(self, world: int, stain: int, pos: Vector, yaw: float) -> np.ndarray:
        """Puts one world's stain at (x, y) in the table's frame; returns its cells'
        middles (C, 2) in that frame.
        """
        body = self._bodies[stain]
        cos = np.cos(yaw)
        sin = np.sin(yaw)
        self._engine.vary("body_pos")[world, body] = (*pos, 0.0)
        self._engine.vary("body_quat")[world, body] = (
            np.cos(yaw / 2),
            0,
            0,
            np.sin(yaw / 2),
        )
        return np.asarray(pos) + self._middles[stain] @ np.array(
            [(cos, sin), (-sin, cos)]
        )

    def paint(self, world: int, stain: int, rgb: Vector) -> None:
        """Colours one world's stain."""
        geoms = self._geoms[stain * CELLS : (stain + 1) * CELLS]
        self._engine.vary("geom_rgba")[world, geoms, :3] = rgb

    def show(self, left: Array) -> None:
        """Draws what is left (N, S * C), in [0, 1], of all cells."""
        xp = self._engine.xp
        rgba = self._engine.vary("geom_rgba")
        alpha = xp.where(left > 0, FAINT + (FRESH - FAINT) * left, 0.0)
        rgba[:, self._columns, 3] = xp.astype(alpha, rgba.dtype)
