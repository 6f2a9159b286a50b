"""Parcels, bins and scanner, each alone.

An independent computation agrees with what worlds are told.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.envs.props.belt import RUBBER, BeltSize, add_belt
from embodied.envs.props.bin import BinPlace, Bins, BinSize, add_bin
from embodied.envs.props.parcel import FACES, Parcels, ParcelSize, add_parcel
from embodied.envs.props.scanner import (
    READ,
    WAITING,
    Scanner,
    ScannerPlace,
    add_scanner,
)
from embodied.sim.cpu import CpuEngine
from tests.prop_bench import floor_spec

BIN = BinSize()
PLACES = (BinPlace("bin_a", 0.6, 0.0, 0.0), BinPlace("bin_b", 0.0, 0.6, 2.0))
PLATE = ScannerPlace(-0.5, 0.2, yaw=0.7)
sizes = st.builds(
    ParcelSize,
    length=st.floats(0.07, 0.15),
    width=st.floats(0.04, 0.07),
    height=st.floats(0.03, 0.07),
    mass=st.floats(0.1, 0.5),
)


@dataclass
class ParcelBench:
    """Two worlds of two parcels, two bins and a scanner on a floor."""

    engine: CpuEngine
    parcels: Parcels
    bins: Bins
    scanner: Scanner


@pytest.fixture(scope="module")
def bench() -> ParcelBench:
    spec = floor_spec()

    for name in ("one", "two"):
        add_parcel(spec, name)
    for place in PLACES:
        add_bin(spec, place, BIN)
    add_scanner(spec, PLATE)
    engine = CpuEngine(spec.compile(), 2, 1)
    return ParcelBench(
        engine,
        Parcels(engine, ("one", "two")),
        Bins(engine, PLACES, BIN),
        Scanner(engine, PLATE),
    )


def begin(bench: ParcelBench) -> None:
    """Nominal parcels far apart in the air, bins and scanner in their places."""
    bench.engine.reset(np.arange(2))
    for world in range(2):
        for k in range(2):
            bench.parcels.resize(world, k, ParcelSize(), FACES[k])
            bench.parcels.set_present(world, k, True)
            bench.parcels.place(world, k, np.array([1.5 * k, -1.5, 1.0]), 0.0)
        bench.bins.shift(world, np.zeros(2))
        bench.scanner.shift(world, np.zeros(2))
        bench.scanner.darken(world)

    bench.engine.refresh(np.arange(2))


@settings(max_examples=20)
@given(size=sizes, face=st.sampled_from(FACES))
def test_a_resized_parcel_weighs_and_turns_as_a_full_box(
    bench: ParcelBench, size: ParcelSize, face: str
) -> None:
    bench.parcels.resize(1, 0, size, face)
    bench.engine.refresh(np.array([1]))
    resized = bench.engine.world_model(1)

    # A box of the same size and mass, as the compiler computes it.
    spec = mujoco.MjSpec()
    half = (size.length / 2, size.width / 2, size.height / 2)
    spec.worldbody.add_body(name="b").add_geom(
        type=mujoco.mjtGeom.mjGEOM_BOX, size=half, mass=size.mass
    )
    computed = spec.compile()
    body = resized.body("one")

    assert body.mass[0] == pytest.approx(size.mass)
    # The compiler gives the largest moment first.
    assert sorted(body.inertia) == pytest.approx(
        sorted(computed.body("b").inertia), rel=1e-9
    )
    assert resized.geom("one_body").size == pytest.approx(half)
    assert resized.geom("one_body").rbound[0] == pytest.approx(np.linalg.norm(half))


@given(size=sizes, face=st.sampled_from(FACES))
def test_what_sticks_on_a_parcel_lies_on_its_outside(
    bench: ParcelBench, size: ParcelSize, face: str
) -> None:
    """The label is on the chosen face and no larger than it; the code is on the label."""
    bench.parcels.resize(1, 0, size, face)
    model = bench.engine.model
    pos = bench.engine.model_view("geom_pos")[1]
    half = bench.engine.model_view("geom_size")[1]
    body, label, code = (
        model.geom(f"one_{part}").id for part in ("body", "label", "code")
    )
    axis = {"top": 2, "end": 0, "bottom": 2}[face]
    out = -1 if face == "bottom" else 1
    others = [k for k in range(3) if k != axis]

    assert pos[label][axis] == pytest.approx(out * half[body][axis])
    assert (half[label][others] < half[body][others]).all()
    # large enough to be seen
    assert (half[label][others] > 0.7 * half[body][others]).all()
    outermost = out * pos[code][axis] + half[code][axis]
    assert outermost > out * pos[label][axis] + half[label][axis]
    assert (np.abs(pos[code]) + half[code] <= np.abs(pos[label]) + half[label] + 1e-9)[
        others
    ].all()
    assert all(
        model.geom(f"one_{part}").contype == 0 for part in ("tape", "label", "code")
    )


def test_the_other_world_keeps_its_parcel(bench: ParcelBench) -> None:
    begin(bench)
    before = {
        field: bench.engine.model_view(field)[0].copy()
        for field in ("geom_size", "geom_rgba", "body_mass")
    }
    bench.parcels.resize(1, 0, ParcelSize(length=0.13, mass=0.4), "end")
    bench.parcels.paint(1, 0, (0.1, 0.2, 0.9), 0.8)

    assert all(
        (bench.engine.model_view(field)[0] == values).all()
        for field, values in before.items()
    )

    # All that is compared has changed in the world that was meant.
    assert all(
        (bench.engine.model_view(field)[1] != values).any()
        for field, values in before.items()
    )


def test_a_shown_parcel_falls_and_a_hidden_one_hangs_unseen(bench: ParcelBench) -> None:
    begin(bench)
    bench.parcels.set_present(0, 1, False)
    bench.engine.refresh(np.arange(2))
    bench.engine.step(40)  # 0.1 s
    fallen = 1.0 - bench.parcels.positions_w()[..., 2]

    # Free fall for 0.1 s, but for the one that is hidden.
    assert fallen[0, 0] == pytest.approx(9.81 * 0.1**2 / 2, rel=0.03)
    assert fallen[0, 1] == pytest.approx(0, abs=1e-9)
    assert fallen[1, 1] == pytest.approx(fallen[0, 0])

    geoms = [
        bench.engine.model.geom(f"two_{part}").id
        for part in ("body", "tape", "label", "code")
    ]
    assert (bench.engine.model_view("geom_rgba")[0, geoms, 3] == 0).all()


def test_parcels_tell_where_they_are(bench: ParcelBench) -> None:
    begin(bench)
    bench.parcels.place(0, 1, np.array([0.3, -1.0, 0.8]), np.pi / 2)
    bench.engine.refresh(np.arange(2))
    bench.parcels.push(np.array([1, 0]), np.array([[0.5, 0.0], [0.0, 0.0]]))
    bench.engine.step(4)

    np.testing.assert_allclose(
        bench.parcels.positions_w()[0, 1], [0.3, -1.0, 0.8], atol=1e-3
    )
    np.testing.assert_allclose(
        bench.parcels.rotations()[0, 1], [[0, -1, 0], [1, 0, 0], [0, 0, 1]], atol=1e-6
    )

    # What 0.5 N and gravity make of its speed in 4 ticks of 2.5 ms.
    push_m_s = 0.5 / ParcelSize().mass * 0.01
    np.testing.assert_allclose(
        bench.parcels.velocities_w()[0, 1],
        [push_m_s, 0, -9.81 * 0.01],
        rtol=0.02,
        atol=1e-9,
    )
    assert bench.parcels.velocities_w()[1, 0, 0] == 0


@given(
    depth=st.floats(-0.2, 0.2),
    width=st.floats(-0.12, 0.12),
    z=st.floats(-0.05, 0.2),
    which=st.integers(0, 1),
)
def test_a_bin_contains_what_is_between_its_walls(
    bench: ParcelBench, depth: float, width: float, z: float, which: int
) -> None:
    bench.bins.shift(0, np.array([0.03, -0.01]))
    # A point in the bin's own directions.
    place = PLACES[which]
    along, across = (
        np.array([np.cos(place.yaw + turn), np.sin(place.yaw + turn)])
        for turn in (0, np.pi / 2)
    )
    xy = np.array([place.x + 0.03, place.y - 0.01]) + depth * along + width * across
    inside = bench.bins.contain(np.tile([[*xy, BIN.floor_z + z]], (2, 1, 1)))[0, 0]
    margins = (
        BIN.depth / 2 - abs(depth),
        BIN.width / 2 - abs(width),
        z + 0.005,
        BIN.height - z,
    )

    # On a wall itself rounding decides.
    if min(map(abs, margins)) > 1e-6:
        assert inside[which] == (min(margins) > 0)

    assert not inside[1 - which]


def test_a_parcel_dropped_into_a_bin_stays_there(bench: ParcelBench) -> None:
    begin(bench)
    # In world 1 they are turned so far that they are too long for the bin's width.
    for k, place in enumerate(PLACES):
        above = np.array([place.x, place.y, BIN.rim_z + 0.05])
        bench.parcels.place(0, k, above, place.yaw)
        bench.parcels.place(1, k, above, place.yaw + 0.9)

    bench.engine.refresh(np.arange(2))
    bench.engine.step(600)

    assert bench.bins.contain(bench.parcels.positions_w())[0].tolist() == [
        [True, False],
        [False, True],
    ]
    assert np.abs(bench.parcels.velocities_w()).max() < 0.02
    np.testing.assert_allclose(
        bench.parcels.positions_w()[0, :, 2],
        BIN.floor_z + ParcelSize().height / 2,
        atol=1e-3,
    )


def test_a_scanner_knows_what_is_over_its_plate_and_holds_it(
    bench: ParcelBench,
) -> None:
    begin(bench)
    for world in range(2):
        bench.scanner.shift(world, np.array([0.02 * world, 0.01]))
        bench.parcels.place(
            world, 0, np.array([PLATE.x, PLATE.y + 0.01, PLATE.top_z + 0.03]), PLATE.yaw
        )

    bench.engine.refresh(np.arange(2))
    bench.engine.step(200)

    # Each world's own shift is added to the place of the plate.
    np.testing.assert_allclose(
        bench.scanner.plate_w(), [[-0.5, 0.21, PLATE.top_z], [-0.48, 0.21, PLATE.top_z]]
    )
    assert bench.scanner.over(bench.parcels.positions_w()).tolist() == [
        [True, False],
        [True, False],
    ]
    assert bench.parcels.positions_w()[0, 0, 2] == pytest.approx(
        PLATE.top_z + 0.025, abs=1e-3
    )

    # Just inside and just outside of the middle of an edge, in the plate's own
    # direction.
    corner = np.array([np.cos(PLATE.yaw), np.sin(PLATE.yaw)]) * PLATE.half
    points = np.array(
        [[[-0.5 + s * corner[0], 0.21 + s * corner[1], 1.0] for s in (0.98, 1.02)]] * 2
    )

    assert bench.scanner.over(points)[0].tolist() == [True, False]


def test_the_scanners_lamp_tells_each_world_its_own(bench: ParcelBench) -> None:
    begin(bench)
    lamp = bench.engine.model.geom("scanner_lamp").id
    bench.scanner.show(np.array([False, True]))
    colours = bench.engine.model_view("geom_rgba")[:, lamp]
    np.testing.assert_allclose(colours, [WAITING, READ])
    bench.scanner.darken(1)
    np.testing.assert_allclose(bench.engine.model_view("geom_rgba")[1, lamp], WAITING)


def test_bins_are_painted_each_in_its_colour(bench: ParcelBench) -> None:
    bench.bins.paint(1, [(1.0, 0.0, 0.0), (0.0, 0.0, 1.0)])
    shells = [bench.engine.model.geom(f"{place.name}_shell_0").id for place in PLACES]
    np.testing.assert_allclose(
        bench.engine.model_view("geom_rgba")[1, shells], [[1, 0, 0, 1], [0, 0, 1, 1]]
    )


def test_a_belt_of_rubber_carries_like_one_of_rollers() -> None:
    """It is drawn otherwise, and that is all."""
    models = []
    for rubber in (False, True):
        spec = mujoco.MjSpec()
        add_belt(spec, BeltSize(rubber=rubber))
        models.append(spec.compile())

    # Bodies, cameras and all that collides are the same; one geom has the colour of
    # rubber.
    rollers, band = models
    assert (rollers.nbody, rollers.ncam) == (band.nbody, band.ncam)

    solids = [
        {tuple(m.geom_size[i]) for i in range(m.ngeom) if m.geom_contype[i]}
        for m in models
    ]
    assert solids[0] == solids[1]
    assert np.isclose(band.geom_rgba, RUBBER).all(axis=1).sum() == 1
    assert not np.isclose(rollers.geom_rgba, RUBBER).all(axis=1).any()
