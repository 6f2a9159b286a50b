"""Drawers and household things keep to physics, whatever their sizes and friction."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.envs.props.drawer import (
    DRAWERS,
    HANDLE_HALF_M,
    Drawers,
    DrawersSize,
    add_drawers,
)
from embodied.envs.props.things import SIZES, THINGS, Things, ThingSize, add_thing
from embodied.sim.cpu import CpuEngine
from embodied.sim.physics import apply_defaults

NAMES = tuple(THINGS)
SIZE = DrawersSize()
sizes = st.builds(
    ThingSize, x=st.floats(0.05, 0.1), y=st.floats(0.05, 0.07), z=st.floats(0.04, 0.1)
)
factors = st.floats(0.85, 1.12)


@dataclass
class Bench:
    """Drawers over a floor and one thing of each kind beside them, in two worlds."""

    engine: CpuEngine
    drawers: Drawers
    things: Things

    def renew(self) -> None:
        """Begins both worlds anew.

        All drawers are shut, and things of nominal size lie in a row on the floor.
        """
        self.engine.reset(np.arange(2))
        for world in range(2):
            self.drawers.set(world, np.zeros(3), 4.0)
            # Far enough apart not to touch.
            for k, name in enumerate(NAMES):
                size = SIZES[THINGS[name]]
                self.things.resize(world, k, size)
                self.things.place(
                    world, k, np.array([-0.2 * k, 1.0, size.z / 2]), 0.3 * k
                )
                self.things.set_present(world, k, present=True)

        self.engine.refresh(np.arange(2))

    def of(self, field: str, name: str) -> np.ndarray:
        """(2,) position or speed of a drawer's joint."""
        joint = self.engine.model.joint(f"drawer_{name}")
        return self.engine.view(field)[
            :, int(joint.qposadr[0] if field == "qpos" else joint.dofadr[0])
        ]


@pytest.fixture(scope="module")
def built() -> Bench:
    spec = mujoco.MjSpec()
    # Joints and poses are given in radians.
    spec.compiler.degree = False
    apply_defaults(spec)
    floor = spec.worldbody.add_geom(
        name="floor", type=mujoco.mjtGeom.mjGEOM_PLANE, size=[2, 2, 0.1]
    )
    floor.friction = [0.5, 0.005, 0.0001]
    add_drawers(spec, spec.worldbody.add_body(name="chest"), SIZE)

    for name in NAMES:
        add_thing(spec, name)
    engine = CpuEngine(spec.compile(), 2, 1)
    return Bench(engine, Drawers(engine, SIZE), Things(engine, NAMES))


@pytest.fixture
def bench(built: Bench) -> Bench:
    built.renew()
    return built


def test_a_drawer_left_open_stays_where_it_is(bench: Bench) -> None:
    """Even under a pull of three quarters of its friction."""
    bench.drawers.set(0, np.array([0.05, 0.10, 0.20]), 4.0)
    bench.drawers.set(1, np.array([0.05, 0.10, 0.20]), 4.0)
    bench.engine.refresh(np.arange(2))
    bench.drawers.push(np.array([0, 1]), np.array([3.0, -3.0]))
    bench.engine.step(400 * 5)
    np.testing.assert_allclose(
        bench.drawers.openings(), [[0.05, 0.10, 0.20]] * 2, atol=5e-4
    )
    bench.drawers.push(np.array([0, 1]), np.zeros(2))


@pytest.mark.parametrize("friction_n", [3.0, 5.0])
def test_a_moving_drawer_stops_as_friction_says(
    bench: Bench, friction_n: float
) -> None:
    bench.drawers.set(0, np.array([0.0, 0.01, 0.0]), friction_n)
    bench.engine.refresh(np.arange(2))
    # its armature
    speed = 0.5
    mass = bench.engine.model.body("drawer_middle").mass[0] + 0.05
    bench.of("qvel", "middle")[0] = speed
    bench.engine.step(400)
    travelled = bench.drawers.openings()[0, 1] - 0.01

    assert travelled == pytest.approx(mass * speed**2 / (2 * friction_n), rel=0.08)
    # the other world's stayed
    assert bench.drawers.openings()[1, 1] == pytest.approx(0.0, abs=1e-4)


def test_a_drawer_stops_at_both_ends(bench: Bench) -> None:
    bench.drawers.set(0, np.full(3, 0.18), 4.0)
    bench.engine.refresh(np.arange(2))
    bench.of("qvel", "left")[:] = [0.8, -0.8]
    bench.engine.step(400)
    openings = bench.drawers.openings()[:, 0]

    # it hardly springs back
    np.testing.assert_allclose(openings, [SIZE.travel, 0.0], atol=0.01)

    bench.drawers.push(np.array([0, 0]), np.array([-30.0, 30.0]))
    bench.engine.step(400)
    openings = bench.drawers.openings()[:, 0]

    np.testing.assert_allclose(openings, [SIZE.travel, 0.0], atol=0.003)

    bench.drawers.push(np.array([0, 0]), np.zeros(2))


def test_drawers_stand_where_their_names_say_and_do_not_touch_each_other(
    bench: Bench,
) -> None:
    # from the left of who looks along +x
    assert list(SIZE.y) == sorted(SIZE.y, reverse=True)

    for k, y in enumerate(SIZE.y):
        at = bench.drawers.frame_w(np.array([k, k]))
        np.testing.assert_allclose(at, [[SIZE.x, y, SIZE.floor_z]] * 2, atol=1e-9)
    bench.drawers.set(0, np.array([0.2, 0.0, 0.1]), 4.0)
    bench.engine.refresh(np.arange(2))
    data = bench.engine.world_data(0)
    mujoco.mj_forward(bench.engine.world_model(0), data)
    touching = {
        bench.engine.model.body(bench.engine.model.geom_bodyid[g]).name
        for c in data.contact
        for g in c.geom
    }

    assert not any(name.startswith("drawer") for name in touching)


def test_a_handle_fits_between_open_fingers_and_stands_clear_of_the_front(
    bench: Bench,
) -> None:
    model = bench.engine.model
    for name in DRAWERS:
        handle = model.geom(f"handle_{name}")
        np.testing.assert_allclose(handle.size, HANDLE_HALF_M)
        assert 2 * handle.size[1] < 0.07
        assert handle.pos[0] + handle.size[0] < -0.01
        assert handle.pos[2] + handle.size[2] < SIZE.height  # not above the worktop


def test_a_shifted_chest_takes_its_drawers_along(bench: Bench) -> None:
    before = bench.drawers.frame_w(np.array([2, 2])).copy()
    bench.drawers.shift(1, np.array([0.02, -0.03]))
    bench.engine.refresh(np.arange(2))
    moved = bench.drawers.frame_w(np.array([2, 2])) - before
    np.testing.assert_allclose(
        moved, np.array([[0.0, 0, 0], [0.02, -0.03, 0]]), atol=1e-12
    )
    bench.drawers.shift(1, np.zeros(2))


def test_a_thing_rides_in_its_drawer_and_only_there(bench: Bench) -> None:
    cup = NAMES.index("cup_0")
    inside = np.array(
        [SIZE.x - 0.2 + 0.09, SIZE.y[0], SIZE.floor_z + SIZES["cup"].z / 2]
    )
    for world in range(2):
        bench.drawers.set(world, np.array([0.2, 0.2, 0.2]), 4.0)
        bench.things.place(world, cup, inside, 0.0)
    bench.engine.refresh(np.arange(2))
    bench.engine.step(100)
    expected = np.zeros((3, len(NAMES)), bool)
    expected[0, cup] = True

    assert (bench.drawers.hold(bench.things.positions_w()) == expected).all()

    # Shut the drawer of world 0 gently.
    start = bench.things.positions_w()[0, cup].copy()
    for _ in range(400):
        if bench.of("qpos", "left")[0] > 0.003:
            bench.of("qvel", "left")[0] = -0.25
        bench.engine.step(1)

    bench.engine.step(100)
    moved = bench.things.positions_w()[0, cup] - start

    assert moved[0] == pytest.approx(0.2, abs=0.03)
    # It rode along and still stands; in the other world the drawer stayed open.
    assert abs(moved[2]) < 0.002
    assert bench.drawers.hold(bench.things.positions_w())[0, 0, cup]
    assert bench.things.positions_w()[1, cup, 0] == pytest.approx(inside[0], abs=1e-3)


def test_things_at_rest_stand_still_on_four_corners(bench: Bench) -> None:
    bench.engine.step(200)
    before = bench.things.positions_w().copy()
    bench.engine.step(800)
    np.testing.assert_allclose(bench.things.positions_w(), before, atol=2e-5)
    assert bench.engine.world_data(0).ncon == 4 * len(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_a_thing_that_is_shoved_slides_and_does_not_topple(
    bench: Bench, name: str
) -> None:
    """The slimmest that worlds sample, shoved as hard as they do."""
    k = NAMES.index(name)
    size = SIZES[THINGS[name]].scaled(girth=0.92, height=1.06, mass=0.2)
    bench.things.resize(0, k, size)
    bench.things.place(0, k, np.array([0.5, 1.3, size.z / 2]), 0.0)
    bench.engine.refresh(np.arange(2))
    bench.engine.step(40)

    # 0.2 kg at 7.8 m/s2, obliquely, for 0.2 s.
    start = bench.things.positions_w()[0, k].copy()
    push_n = 0.2 * 7.8 * np.array([0.88, 0.48])
    bench.things.push(np.array([k, k]), np.array([push_n, [0, 0]]))
    bench.engine.step(80)
    bench.things.push(np.array([k, k]), np.zeros((2, 2)))
    bench.engine.step(400)
    moved = bench.things.positions_w()[0, k] - start

    assert 0.04 < np.hypot(*moved[:2]) < 0.16
    assert bench.things.pose_of(np.array([k, k]))[1][0, 8] > 0.99


@settings(max_examples=20)
@given(
    name=st.sampled_from(NAMES), girth=factors, height=factors, mass=st.floats(0.1, 0.5)
)
def test_a_resized_thing_has_its_new_size_and_mass(
    built: Bench, name: str, girth: float, height: float, mass: float
) -> None:
    k = NAMES.index(name)
    size = SIZES[THINGS[name]].scaled(girth, height, mass)
    built.things.resize(1, k, size)
    built.engine.refresh(np.array([1]))
    model = built.engine.world_model(1)

    assert model.body(name).mass[0] == pytest.approx(mass)

    # The first solid reaches from the middle to the top, over the whole girth.
    solid = model.geom(f"{name}_part_0")
    is_round = solid.type[0] == mujoco.mjtGeom.mjGEOM_CYLINDER
    half_z = solid.size[1] if is_round else solid.size[2]

    assert 2 * solid.size[0] == pytest.approx(size.x)
    assert solid.pos[2] + half_z == pytest.approx(size.z / 2)  # its top

    # Some solid reaches down to the bottom.
    lowest = min(
        g.pos[2] - (g.size[1] if g.type[0] == 5 else g.size[2])
        for g in solids(model, name)
    )
    assert lowest == pytest.approx(-size.z / 2)

    inertia = np.sort(model.body(name).inertia)
    np.testing.assert_allclose(inertia, np.sort(by_sampling(size, is_round)), rtol=0.02)


def solids(model: mujoco.MjModel, name: str) -> list[Any]:
    geoms = [model.geom(i) for i in range(model.ngeom)]
    return [g for g in geoms if g.name.startswith(f"{name}_part_") and g.contype[0]]


def by_sampling(size: ThingSize, is_round: bool) -> np.ndarray:
    """(3,) kg m2 of evenly spread mass, from a grid of points."""
    unit = (np.arange(40) + 0.5) / 20 - 1
    at = np.stack(np.meshgrid(unit, unit, unit, indexing="ij"), axis=-1).reshape(-1, 3)
    if is_round:
        at = at[at[:, 0] ** 2 + at[:, 1] ** 2 <= 1]
    squares = (at * np.array([size.x, size.y, size.z]) / 2) ** 2
    return size.mass * np.mean(squares.sum(axis=1, keepdims=True) - squares, axis=0)


def test_what_takes_no_part_hangs_unseen(bench: Bench) -> None:
    # In the air, where anything present would fall.
    bench.things.place(0, 0, np.array([0.0, 0.0, 3.0]), 0.0)
    bench.things.set_present(0, 0, present=False)
    bench.engine.refresh(np.arange(2))
    bench.engine.step(400)

    assert bench.things.positions_w()[0, 0, 2] == pytest.approx(3.0, abs=1e-6)

    model = bench.engine.world_model(0)
    assert all(
        model.geom(i).rgba[3] == 0
        for i in range(model.ngeom)
        if model.geom(i).name.startswith(f"{NAMES[0]}_")
    )


def test_paint_changes_a_thing_in_one_world(bench: Bench) -> None:
    for k in range(len(NAMES)):
        bench.things.paint(0, k, (0.1, 0.2, 0.3))
        bench.things.paint(1, k, (0.8, 0.2, 0.3))

    # Some parts of a thing keep their own colours in both worlds.
    rgba = bench.engine.model_view("geom_rgba")
    for name in NAMES:
        geoms = [
            i
            for i in range(bench.engine.model.ngeom)
            if bench.engine.model.geom(i).name.startswith(f"{name}_")
        ]
        assert any(np.allclose(rgba[0, i, :3], (0.1, 0.2, 0.3)) for i in geoms)
        assert not any(np.allclose(rgba[1, i, :3], (0.1, 0.2, 0.3)) for i in geoms)
