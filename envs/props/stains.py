"""Stains on a table: blobs of cells, each a flat mesh that fades as it is wiped."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from embodied.arrays import columns
from embodied.core import Array
from embodied.envs.props.shapes import Mesh, Vector, add_visual_mesh, upright
from embodied.sim.engine import Engine


@dataclass(frozen=True)
class Ring:
    """A ring of cells in a blob."""

    inner: float  # inner edge, as a share of the blob's radius
    outer: float  # outer edge
    cells: int  # number of cells


RINGS = (Ring(0.0, 0.36, 2), Ring(0.36, 0.68, 4), Ring(0.68, 1.0, 6))
CELLS = sum(ring.cells for ring in RINGS)
SMALL_CELLS = RINGS[0].cells + RINGS[1].cells  # a small stain has only the inner rings
# Number of vertices around a blob's outline.
STEPS_AROUND = 24
# Neighbouring cells overlap by this distance, so that the table does not show between
# them.
OVERLAP_M = 0.0005
ABOVE_TABLE_M = 0.0008
# The alpha (opacity) of a fully dirty cell, and of a cell that is almost clean. A clean
# cell's is 0.
FRESH_ALPHA = 1.0
FAINT_ALPHA = 0.25
CLEAN_RGBA = (0.3, 0.2, 0.1, 0)
# Waves of a blob's outline: (waves per circumference, amplitude as a share of the
# radius).
WAVES = ((2, 0.11), (3, 0.09), (5, 0.06), (8, 0.035))

Cell = tuple[np.ndarray, np.ndarray]  # vertices (n, 2) in m, faces (m, 3)


@dataclass(frozen=True)
class Blob:
    """The outline of a stain."""

    radius: float  # m, mean radius
    seed: int  # seed of the random waves of the outline

    def outline(self, angle: np.ndarray) -> np.ndarray:
        """Returns the radius, m, at each angle, rad: the mean radius plus the waves."""
        rng = np.random.default_rng(self.seed)
        swing = np.zeros_like(angle)
        # each wave has a random part of its amplitude, and a random phase
        for waves, amplitude in WAVES:
            swing += (
                rng.uniform(0.3, 1.0)
                * amplitude
                * np.cos(waves * angle + rng.uniform(0, 2 * np.pi))
            )
        return self.radius * (1 + swing)


BLOBS = (Blob(0.050, 1), Blob(0.043, 5), Blob(0.047, 9), Blob(0.040, 12))
STAINS = tuple(f"stain_{k}" for k in range(len(BLOBS)))


def add_stains(spec: mujoco.MjSpec, table: mujoco.MjsBody) -> None:
    """Adds the stains to a table, invisible until a world makes them dirty.

    Each stain is a body, which worlds place. Each cell of a stain is a geom.
    """
    spec.add_material(
        name="stain", rgba=[0.3, 0.2, 0.1, 1], specular=0.5, shininess=0.8
    )
    for name, blob in zip(STAINS, BLOBS, strict=True):
        body = table.add_body(name=name)
        for k, (flat, faces) in enumerate(_cells(blob, OVERLAP_M)):
            # from the flat cell (n, 2) to vertices (n, 3) just above the table
            z = np.full((len(flat), 1), ABOVE_TABLE_M)
            mesh: Mesh = (np.concatenate([flat, z], axis=1), faces)
            geom = add_visual_mesh(spec, body, f"{name}_{k}", mesh)
            geom.material = "stain"
            geom.rgba = list(CLEAN_RGBA)


def cell_middles() -> np.ndarray:
    """Returns the centroids (S, C, 2) of the C cells of S stains in their frames, m."""
    return np.array(
        [[_middle_and_area(cell)[0] for cell in _cells(blob)] for blob in BLOBS]
    )


def cell_areas() -> np.ndarray:
    """Returns the areas (S, C) of the C cells of S stains, m2."""
    return np.array(
        [[_middle_and_area(cell)[1] for cell in _cells(blob)] for blob in BLOBS]
    )


def _cells(blob: Blob, overlap_m: float = 0.0) -> list[Cell]:
    """Returns the CELLS cells of a blob, ring by ring from the centre outwards.

    Args:
        blob: the outline.
        overlap_m: by how much cells overlap their neighbours.
    """
    return [
        _cell(blob, ring, k, overlap_m) for ring in RINGS for k in range(ring.cells)
    ]


def _cell(blob: Blob, ring: Ring, k: int, overlap_m: float) -> Cell:
    """Returns the `k`-th cell of a ring, seen from above, enlarged by `overlap_m`.

    A cell is the part of the ring between two angles, with `steps` steps between them.

    Args:
        blob: the outline of the stain.
        ring: the ring that the cell is part of.
        k: the index of the cell in the ring.
        overlap_m: by how much the cell overlaps its neighbours.
    """
    steps = STEPS_AROUND // ring.cells
    angle = 2 * np.pi * (k * steps + np.arange(steps + 1)) / STEPS_AROUND
    radius = blob.outline(angle)
    # the overlap, both as a share of the radius and as an angle
    overlap = overlap_m / blob.radius
    angle = angle + np.linspace(-overlap, overlap, steps + 1)

    # the vertices of the inner arc, then those of the outer arc: shares of the rays (n, 2)
    # from the blob's centre to its outline
    ray = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    inner_arc = max(ring.inner - overlap, 0.0) * ray
    outer_arc = (ring.outer + overlap) * ray
    vertices = np.concatenate([inner_arc, outer_arc])

    # two triangles per step, between vertices of the inner arc and those of the outer
    # arc; one in the central ring, whose inner arc is a single point
    inner = np.arange(steps)
    outer = inner + steps + 1  # the inner arc has steps + 1 vertices
    faces = np.stack([inner, outer, outer + 1], axis=1)
    if ring.inner > 0:
        second_triangle = np.stack([inner, outer + 1, inner + 1], axis=1)
        faces = np.concatenate([faces, second_triangle])
    return vertices, faces


def _middle_and_area(cell: Cell) -> tuple[np.ndarray, float]:
    """Returns a cell's centroid (2,) in m, and its area in m2."""
    vertices, faces = cell
    # the three corners of each triangle, (m, 2) each
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    # the triangles' areas (m,): half the cross product of two edges
    ab = b - a
    ac = c - a
    area = (ab[:, 0] * ac[:, 1] - ab[:, 1] * ac[:, 0]) / 2
    # the mean of the triangles' centroids (a + b + c) / 3, weighted by area
    centroid = area @ (a + b + c) / 3 / area.sum()
    return centroid, float(area.sum())


class Stains:
    """The stains of N worlds: S blobs of C cells."""

    def __init__(self, engine: Engine) -> None:
        """Finds the stains in the model."""
        self._engine = engine
        model = engine.model
        self._bodies = [model.body(name).id for name in STAINS]
        self._geoms = [
            model.geom(f"{name}_{k}").id for name in STAINS for k in range(CELLS)
        ]
        self._columns = columns(self._geoms)
        self._middles = cell_middles()
        # the first call for a field gives each world its own values of the field
        for field in ("body_pos", "body_quat", "geom_rgba"):
            engine.model_view(field)

    def place(self, world: int, stain: int, pos: Vector, yaw: float) -> np.ndarray:
        """Places one world's stain on the table.

        Args:
            world: the index of the world.
            stain: the index of the stain in STAINS.
            pos: (x, y) of the stain's middle in the table's frame, m.
            yaw: the stain's yaw, rad.

        Returns:
            The centroids (C, 2) of the stain's cells in the table's frame, m.
        """
        body = self._bodies[stain]
        self._engine.model_view("body_pos")[world, body] = (*pos, 0.0)
        self._engine.model_view("body_quat")[world, body] = upright(yaw)

        cos = np.cos(yaw)
        sin = np.sin(yaw)
        # the transposed rotation matrix, because points are rows
        rotation_t = np.array([(cos, sin), (-sin, cos)])
        return np.asarray(pos) + self._middles[stain] @ rotation_t

    def paint(self, world: int, stain: int, rgb: Vector) -> None:
        """Colours one world's stain."""
        geoms = self._geoms[stain * CELLS : (stain + 1) * CELLS]
        self._engine.model_view("geom_rgba")[world, geoms, :3] = rgb

    def show(self, remaining: Array) -> None:
        """Sets the alpha of each cell from its dirt.

        Args:
            remaining: (N, S * C) the share of each cell's dirt that remains, in [0, 1].
        """
        xp = self._engine.xp
        rgba = self._engine.model_view("geom_rgba")
        faded = FAINT_ALPHA + (FRESH_ALPHA - FAINT_ALPHA) * remaining
        alpha = xp.where(remaining > 0, faded, 0.0)
        rgba[:, self._columns, 3] = xp.astype(alpha, rgba.dtype)
