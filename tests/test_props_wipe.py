"""Table, pad, stains and dirt, each by itself.

Forces, areas and fading agree with independent computations.
"""

from __future__ import annotations

from dataclasses import dataclass

import array_api_compat.numpy as xp
import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.envs.props.dirt import Dirt
from embodied.envs.props.pad import (
    FOAM_STIFFNESS_N_M,
    GRIP_Z_M,
    HALF_M,
    PLATE_KG,
    SOLE_KG,
    Pad,
    add_mat,
    add_pad,
)
from embodied.envs.props.stains import (
    BLOBS,
    CELLS,
    SMALL_CELLS,
    STAINS,
    Stains,
    add_stains,
    cell_areas,
    cell_middles,
)
from embodied.envs.props.table import TOP, Table, TableSize, add_table
from embodied.sim.cpu import CpuEngine
from embodied.sim.physics import apply_defaults

TABLE = TableSize()
WEIGHT_N = (PLATE_KG + SOLE_KG) * 9.81
MIDDLE_W = np.array([TABLE.x, TABLE.y, TABLE.top_z])


@dataclass
class Bench:
    """Two worlds with a table, its stains and the pad, and no robot."""

    engine: CpuEngine
    table: Table
    pad: Pad
    stains: Stains

    def lay(self, x: float = 0.0, y: float = 0.0, yaw: float = 0.0) -> None:
        self.engine.reset(np.arange(2))
        self.engine.view("xfrc_applied")[...] = 0
        for world in range(2):
            self.table.raise_by(world, 0.0)
            self.pad.place(world, MIDDLE_W + np.array([x, y, 0]), yaw)
        self.engine.refresh(np.arange(2))

    def press(self, force_n: float, seconds: float = 1.0) -> None:
        self.engine.view("xfrc_applied")[
            :, self.engine.model.body("cloth").id, 2
        ] = -force_n
        self.engine.step(int(400 * seconds))


@pytest.fixture(scope="module")
def bench() -> Bench:
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    apply_defaults(spec)
    table = add_table(spec, TABLE)
    add_stains(spec, table)
    add_mat(spec, table)
    add_pad(spec)
    engine = CpuEngine(spec.compile(), 2, 1)
    return Bench(engine, Table(engine, TABLE), Pad(engine), Stains(engine))


def test_a_pad_that_lies_stays_where_it_was_put_on_four_points(bench: Bench) -> None:
    bench.lay(yaw=0.4)
    before = bench.pad.pose()[0].copy()
    bench.engine.step(800)
    assert np.abs(bench.pad.pose()[0] - before).max() < 3e-4
    assert bench.engine.world_data(0).ncon == 4
    np.testing.assert_allclose(bench.pad.force_n(), WEIGHT_N, rtol=0.01)


@pytest.mark.parametrize("force_n", [2.0, 6.0, 12.0])
def test_the_table_feels_what_presses_and_the_foam_gives_way_by_its_stiffness(
    bench: Bench, force_n: float
) -> None:
    bench.lay()
    bench.press(force_n)
    np.testing.assert_allclose(bench.pad.force_n(), WEIGHT_N + force_n, rtol=0.01)
    squeezed = bench.engine.view("qpos")[
        :, bench.engine.model.joint("cloth_sole").qposadr[0]
    ]
    np.testing.assert_allclose(
        squeezed, (PLATE_KG * 9.81 + force_n) / FOAM_STIFFNESS_N_M, rtol=0.02
    )


def test_a_blow_is_measured_though_it_is_over(bench: Bench) -> None:
    """The strongest force of the last 50 ms, not that of the moment."""
    bench.lay()
    bench.press(60.0, 0.01)
    bench.press(0.0, 0.03)
    assert (bench.pad.force_n() > 1.5 * WEIGHT_N).all()
    bench.press(0.0, 1.0)
    np.testing.assert_allclose(bench.pad.force_n(), WEIGHT_N, rtol=0.02)


def test_a_push_slides_the_pad_as_far_as_friction_lets_it(bench: Bench) -> None:
    slid = []
    for friction in (0.4, 0.6):
        bench.lay()
        for world in range(2):
            bench.pad.set_friction(world, friction)
        bench.pad.push(np.array([[1.65, 0.0], [0.0, 0.0]]))
        bench.engine.step(80)
        bench.pad.push(np.zeros((2, 2)))
        bench.engine.step(400)
        moved = bench.pad.pose()[0][:, 0] - TABLE.x
        net = 1.65 - friction * WEIGHT_N
        mass = PLATE_KG + SOLE_KG
        speed = net / mass * 0.2
        expected = speed * 0.2 / 2 + speed**2 / (2 * friction * 9.81)
        assert moved[0] == pytest.approx(expected, rel=0.1)
        assert abs(moved[1]) < 1e-4
        # it did not tip over or turn
        assert bench.pad.pose()[1][0, 0] == pytest.approx(1, abs=0.01)
        slid.append(moved[0])

    assert slid[0] > slid[1]


@given(x=st.floats(-0.1, 0.1), y=st.floats(-0.1, 0.1), yaw=st.floats(-3, 3))
@settings(max_examples=20)
def test_under_is_the_cloths_rectangle(
    bench: Bench, x: float, y: float, yaw: float
) -> None:
    bench.lay(x, y, yaw)
    # (N, s, k, 2)
    points = np.random.default_rng(0).uniform(-0.2, 0.2, (2, 3, 40, 2)) + MIDDLE_W[:2]
    turn = np.array([(np.cos(yaw), -np.sin(yaw)), (np.sin(yaw), np.cos(yaw))])
    local = (points - MIDDLE_W[:2] - (x, y)) @ turn
    expected = (np.abs(local) < HALF_M).all(axis=-1)
    clear = (np.abs(np.abs(local) - HALF_M) > 1e-6).all(axis=-1)

    assert (bench.pad.under(np.moveaxis(points, -1, 1)) == expected)[clear].all()

    grip = bench.pad.grip_w()[0] - bench.pad.pose()[0][0]
    np.testing.assert_allclose(grip, (0, 0, GRIP_Z_M), atol=1e-9)


def test_a_raised_table_takes_its_mat_and_stains_along(bench: Bench) -> None:
    bench.lay()
    bench.table.raise_by(1, 0.02)
    bench.pad.place_mat(1, (0.1, -0.2), 0.3)
    bench.stains.place(1, 0, (0.05, 0.1), 0.0)
    bench.engine.refresh(np.arange(2))
    model = bench.engine.model
    view = bench.engine.view

    # Whatever stands on the table moves with it: the mat, the stains and its top.
    assert bench.table.top_z_w()[1] == pytest.approx(TABLE.top_z + 0.02)
    np.testing.assert_allclose(
        bench.pad.mat_w()[1], MIDDLE_W[:2] + np.array([0.1, -0.2])
    )

    stain = view("xpos")[1, model.body(STAINS[0]).id]
    np.testing.assert_allclose(
        stain, MIDDLE_W + np.array([0.05, 0.1, 0.02]), atol=1e-12
    )

    top = view("geom_xpos")[1, model.geom(TOP).id, 2] + model.geom(TOP).size[2]
    assert top == pytest.approx(TABLE.top_z + 0.02)


def test_cells_fill_their_blobs_without_overlap() -> None:
    angle = (np.arange(20_000) + 0.5) * 2 * np.pi / 20_000
    for blob, areas, middles in zip(BLOBS, cell_areas(), cell_middles(), strict=True):
        outline = np.mean(blob.outline(angle) ** 2) * np.pi
        # of a polygon of 24 corners
        assert areas.sum() == pytest.approx(outline, rel=0.05)
        assert areas[:SMALL_CELLS].sum() == pytest.approx(
            0.68**2 * areas.sum(), rel=1e-6
        )
        assert areas.min() > 0.5 * areas.max() / 2
        gaps = np.linalg.norm(middles[:, None] - middles[None], axis=-1) + np.eye(CELLS)
        assert gaps.min() > 0.01


def test_a_stains_cells_are_shown_at_their_positions(bench: Bench) -> None:
    bench.lay()
    cells = bench.stains.place(0, 2, (0.03, -0.07), 1.1)
    bench.engine.refresh(np.arange(2))
    model = bench.engine.world_model(0)
    data = bench.engine.world_data(0)
    # Place the geoms without a step.
    mujoco.mj_kinematics(model, data)

    for k in range(CELLS):
        geom = model.geom(f"{STAINS[2]}_{k}")
        mesh = model.mesh(int(geom.dataid[0]))
        corners = model.mesh_vert[mesh.vertadr[0] : mesh.vertadr[0] + mesh.vertnum[0]]
        # Corners of the mesh from the middle of the table, in the world's directions.
        corners_w = (
            data.geom_xpos[geom.id]
            + corners @ data.geom_xmat[geom.id].reshape(3, 3).T
            - MIDDLE_W
        )
        assert 0 < corners_w[:, 2].min() <= corners_w[:, 2].max() < 0.001
        low = corners_w[:, :2].min(axis=0)
        high = corners_w[:, :2].max(axis=0)
        inside = (low < cells[k]) & (cells[k] < high)
        assert inside.all()


def test_cells_fade_as_they_are_wiped_and_vanish_when_clean(bench: Bench) -> None:
    # From clean to dirty, cell by cell.
    left = np.linspace(0, 1, len(STAINS) * CELLS) * np.ones((2, 1))
    bench.stains.paint(1, 0, (0.1, 0.2, 0.3))
    bench.stains.show(left)
    ids = [
        bench.engine.model.geom(f"{name}_{k}").id
        for name in STAINS
        for k in range(CELLS)
    ]
    rgba = bench.engine.model_view("geom_rgba")[1, ids]

    assert rgba[0, 3] == 0
    assert (np.diff(rgba[:, 3]) > 0).all()
    np.testing.assert_allclose(rgba[:CELLS, :3], [[0.1, 0.2, 0.3]] * CELLS)


NAMED = (True, False, True)  # of the first three stains


def laid() -> Dirt:
    """Two worlds, stains 0 and 1 dirty, stain 2 to be spilled, 10 cm of rubbing a cell."""
    dirt = Dirt(xp, 2)
    for world in range(2):
        dirt.clear(world)
        for stain, named in enumerate(NAMED):
            dirt.lay(world, stain, cell_middles()[stain] + (0.2 * stain, 0), 0.1, named)
        dirt.dirty(world, 0, CELLS)
        dirt.dirty(world, 1, SMALL_CELLS)
        dirt.spill_later(world, 2, CELLS)
    return dirt


def nowhere() -> np.ndarray:
    return np.zeros((2, len(STAINS), CELLS), bool)


def test_rubbing_takes_dirt_off_under_the_cloth_alone() -> None:
    dirt = laid()
    under = nowhere()
    never = np.zeros(2, bool)
    # The cloth lies on three cells of one stain in world 0.
    under[0, 0, :3] = True
    dirt.update(under, np.array([0.04, 0.04]), never)
    left = dirt.remaining().reshape(2, len(STAINS), CELLS)

    np.testing.assert_allclose(left[0, 0, :3], 0.6)
    assert (left[0, 0, 3:] == 1).all()
    assert (left[1, 0] == 1).all()

    # More is rubbed off than there was.
    dirt.update(under, np.array([0.2, 0.2]), never)
    assert (dirt.remaining().reshape(2, len(STAINS), CELLS)[0, 0, :3] == 0).all()

    # The stain's bounds are now those of the cells that are left.
    low, high = (dirt.arrays[corner][0] for corner in ("low_xy_w", "high_xy_w"))
    rest = dirt.arrays["cell_xy_w"][0, :, 0, 3:]

    np.testing.assert_allclose(
        [low[:, 0], high[:, 0]], [rest.min(axis=1), rest.max(axis=1)]
    )
    # Stains that are not there have no bounds.
    assert (low[:, 2:] == 0).all()


def test_shares_weigh_cells_by_their_area() -> None:
    dirt = laid()
    under = nowhere()
    areas = cell_areas()

    # The second stain is a small one, of fewer cells.
    np.testing.assert_allclose(
        dirt.arrays["left_m2"][0], [areas[0].sum(), areas[1, :SMALL_CELLS].sum(), 0, 0]
    )
    assert (dirt.arrays["wiped"] == 0).all()

    # World 0 is wiped where it should be, world 1 where it should not.
    under[0, 0, :1] = under[1, 1, :1] = True
    dirt.update(under, np.array([0.1, 0.1]), np.zeros(2, bool))

    np.testing.assert_allclose(
        dirt.arrays["wiped"], [areas[0, 0] / areas[0].sum(), 0], atol=1e-9
    )
    np.testing.assert_allclose(
        dirt.arrays["spared"], [1, 1 - areas[1, 0] / areas[1, :SMALL_CELLS].sum()]
    )


def test_a_spill_comes_once_when_it_is_time() -> None:
    dirt = laid()
    under = nowhere()
    areas = cell_areas()
    under[:, 0] = under[:, 2] = True
    dirt.update(under, np.full(2, 0.1), np.zeros(2, bool))

    np.testing.assert_allclose(dirt.arrays["wiped"], 1)

    dirt.update(under, np.zeros(2), np.array([True, False]))
    np.testing.assert_allclose(
        dirt.arrays["wiped"], [areas[0].sum() / areas[[0, 2]].sum(), 1]
    )

    # wiped again, it does not come back
    dirt.update(under, np.full(2, 0.1), np.array([True, False]))
    np.testing.assert_allclose(dirt.arrays["wiped"], 1)


def test_clean_tables_have_nothing_to_spoil() -> None:
    dirt = Dirt(xp, 1)
    dirt.update(nowhere()[:1], np.ones(1), np.ones(1, bool))
    assert dirt.arrays["wiped"][0] == 0
    assert dirt.arrays["spared"][0] == 1
