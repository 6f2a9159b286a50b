"""Totes, belt and rack keep to physics whatever their size.

An independent computation agrees with what worlds are told.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.envs.props.belt import SURFACE
from embodied.envs.props.rack import SLOTS, Rack, RackSize
from embodied.envs.props.tote import SOLIDS, Totes, ToteSize, add_tote
from embodied.envs.tasks.tote_transfer.scene import BELT, RACK, TOTES
from embodied.envs.worlds import Worlds
from embodied.sim.cpu import CpuEngine
from tests.ground import idle_action, started_worlds
from tests.prop_bench import floor_spec

sizes = st.builds(
    ToteSize,
    length=st.floats(0.2, 0.4),
    width=st.floats(0.15, 0.3),
    height=st.floats(0.08, 0.2),
    mass=st.floats(0.2, 1.0),
)


@dataclass
class ToteBench:
    """One tote on a floor."""

    engine: CpuEngine
    totes: Totes


@pytest.fixture(scope="module")
def bench() -> ToteBench:
    spec = floor_spec()
    add_tote(spec, "tote", (1, 0, 0, 1))
    engine = CpuEngine(spec.compile(), 2, 1)
    return ToteBench(engine, Totes(engine, ("tote",)))


def by_sampling(model: mujoco.MjModel, mass: float) -> tuple[np.ndarray, np.ndarray]:
    """Returns the solids' centre of mass and inertia about it.

    Both are summed over a fine grid of points in each box.
    """
    points = []
    weights = []
    unit = (np.arange(24) + 0.5) / 12 - 1
    grid = np.stack(np.meshgrid(unit, unit, unit, indexing="ij"), axis=-1)
    grid = grid.reshape(-1, 3)

    for solid in SOLIDS:
        geom = model.geom(f"tote_{solid}")
        points.append(geom.pos + grid * geom.size)
        weights.append(np.full(len(grid), np.prod(geom.size) / len(grid)))

    at = np.concatenate(points)
    weight = np.concatenate(weights)
    weight *= mass / weight.sum()
    # Weights are shares of the volume, because all boxes are of one density.
    centre = weight @ at / mass
    r = at - centre
    inertia = (
        np.diag(weight @ np.sum(r * r, axis=1) * np.ones(3))
        - (weight[:, None] * r).T @ r
    )
    return centre, inertia


@settings(max_examples=15)
@given(size=sizes)
def test_a_resized_tote_has_the_mass_and_inertia_of_its_boxes(
    bench: ToteBench, size: ToteSize
) -> None:
    # World 1 is resized; world 0 keeps the nominal tote.
    bench.totes.resize(1, 0, size)
    bench.engine.refresh(np.array([1]))
    model = bench.engine.world_model(1)
    body = model.body("tote")
    centre, inertia = by_sampling(model, size.mass)

    assert body.mass[0] == pytest.approx(size.mass)
    np.testing.assert_allclose(body.ipos, centre, atol=1e-6)
    np.testing.assert_allclose(
        np.diag(body.inertia), inertia, atol=0.004 * np.trace(inertia)
    )
    assert model.body_subtreemass[body.id] == pytest.approx(size.mass)


@given(size=sizes)
def test_a_resized_tote_holds_together_and_has_its_new_size(
    bench: ToteBench, size: ToteSize
) -> None:
    bench.totes.resize(1, 0, size)
    geom_pos, geom_size = (
        bench.engine.model_view(name)[1] for name in ("geom_pos", "geom_size")
    )
    ids = [bench.engine.model.geom(f"tote_{solid}").id for solid in SOLIDS]
    low = (geom_pos - geom_size)[ids]
    high = (geom_pos + geom_size)[ids]
    outer = np.max(high, axis=0) - np.min(low, axis=0)

    np.testing.assert_allclose(outer, [size.length, size.width, size.height], rtol=1e-9)

    base = 0
    # walls stand around the base, touching it, their undersides above the base's
    for wall in range(1, len(ids)):
        gap = np.maximum(low[wall] - high[base], low[base] - high[wall]).max()
        assert abs(gap) < 1e-9 or gap < 0
        assert low[wall][2] > low[base][2] + 1e-3


def test_the_other_world_keeps_its_tote(bench: ToteBench) -> None:
    before = bench.engine.model_view("geom_size")[0].copy()
    bench.totes.resize(1, 0, ToteSize(length=0.25))
    assert (bench.engine.model_view("geom_size")[0] == before).all()
    assert (bench.engine.model_view("geom_size")[1] != before).any()


def test_the_nominal_tote_is_as_compiled(bench: ToteBench) -> None:
    bench.totes.resize(1, 0, ToteSize())
    bench.engine.refresh(np.array([1]))
    varied = bench.engine.world_model(1)
    compiled = bench.engine.model

    # The nominal size must give what the compiler computes, or worlds without variation
    # would differ from the model.
    for field in (
        "geom_pos",
        "geom_size",
        "body_mass",
        "body_inertia",
        "body_ipos",
        "geom_rbound",
    ):
        np.testing.assert_allclose(
            getattr(varied, field), getattr(compiled, field), atol=1e-12, err_msg=field
        )


def test_a_shown_tote_falls_and_a_hidden_one_hangs(bench: ToteBench) -> None:
    bench.engine.reset(np.arange(2))
    for world, present in enumerate((True, False)):
        bench.totes.resize(world, 0, ToteSize())
        bench.totes.place(world, 0, np.array([0, 0, 0.3]), 0.5)
        bench.totes.set_present(world, 0, present)

    bench.engine.refresh(np.arange(2))
    z = bench.engine.view("qpos")[:, 2].copy()
    bench.engine.step(40)  # 0.1 s
    fallen = z - bench.engine.view("qpos")[:, 2]

    assert fallen[0] == pytest.approx(9.81 * 0.1**2 / 2, rel=0.03)
    assert fallen[1] == pytest.approx(0, abs=1e-9)

    bench.engine.step(400)
    # it lies on the floor
    assert bench.engine.view("qpos")[0, 2] == pytest.approx(0, abs=1e-3)
    assert bench.engine.world_data(0).ncon <= 8
    assert bench.engine.world_data(1).ncon == 0


@pytest.mark.parametrize("speed", [0.03, 0.10, 0.15])
def test_the_belt_carries_totes_at_its_speed(speed: float) -> None:
    worlds = started_worlds(4, level="L2", factors={"belt_speed": speed, "yaw": 0.05})
    y = [worlds.model.joint(name).qposadr[0] + 1 for name in TOTES]
    present = worlds.task.memory()["present"].astype(bool)

    # Begin to measure once they ride.
    run(worlds, 0.5)
    before = worlds.engine.view("qpos")[:, y].copy()
    run(worlds, 2.0)
    travelled = worlds.engine.view("qpos")[:, y] - before
    np.testing.assert_allclose(travelled[present], 2.0 * speed, rtol=0.02)
    assert (
        worlds.task.state()[:, worlds.state_layout.slices()["belt_speed"]] == speed
    ).all()


def test_a_belt_at_rest_moves_nothing() -> None:
    worlds = started_worlds(2, level="L1")
    y = [worlds.model.joint(name).qposadr[0] + 1 for name in TOTES]
    run(worlds, 0.3)
    before = worlds.engine.view("qpos")[:, y].copy()
    run(worlds, 2.0)
    assert np.abs(worlds.engine.view("qpos")[:, y] - before).max() < 2e-4


def test_at_level_four_the_belt_changes_its_speed_once_at_the_sampled_time() -> None:
    worlds = started_worlds(4, level="L4")
    sampled = [worlds.variation_of(world) for world in range(4)]
    surface = worlds.model.geom(SURFACE).id

    for step in range(100):
        worlds.step(idle_action(worlds))
        for world in range(4):
            # The speed is set before each step, which has 20 ticks of 1/400 s.
            changed = step * 20 >= int(sampled[world]["event_s"] * 400)
            expected = sampled[world]["belt_speed_after" if changed else "belt_speed"]
            speed = worlds.engine.model_view("geom_surfacevel")[world, surface, 1]
            assert speed == pytest.approx(expected)


def run(worlds: Worlds, seconds: float) -> None:
    for _ in range(round(seconds * worlds.config.control_hz)):
        worlds.step(idle_action(worlds))


@pytest.mark.parametrize("slot", range(len(SLOTS)))
def test_a_tote_set_into_a_slot_stays_there_and_counts(slot: int) -> None:
    worlds = started_worlds(1, level="L1", factors={"slot": slot})
    centre = worlds.task.state()[0, worlds.state_layout.slices()["slot_pos_w"]]
    named = int(worlds.task.memory()["tote"][0])
    at = worlds.model.joint(TOTES[named]).qposadr[0]

    # A little beside and above its place, upright.
    above = centre + np.array([0.004, -0.004, 0.02])
    worlds.engine.view("qpos")[0, at : at + 7] = [*above, 1, 0, 0, 0]
    worlds.engine.refresh(np.array([0]))
    run(worlds, 1.5)
    rest = worlds.engine.view("qpos")[0, at : at + 3]

    np.testing.assert_allclose(rest, centre, atol=0.008)
    assert worlds.task.judge().success[0]
    assert SLOTS[slot] in worlds.instructions[0]


def test_slots_are_where_the_words_say_and_totes_fit() -> None:
    centres = RackSize().slot_centres()
    for name, (x, _, z) in zip(SLOTS, centres, strict=True):
        row, side = name.split()
        assert (row == "lower") == (z < centres[:, 2].mean())
        assert (side == "left") == (x < 0)
    assert RACK.slot_x > 0.31 + 2 * RACK.lip
    assert RACK.slot_y > ToteSize().width + 0.03


def test_a_shifted_rack_takes_its_slots_along() -> None:
    worlds = started_worlds(2, level="L1")
    rack = Rack(worlds.engine, RACK)
    before = [rack.slot_w(np.array([k, k])).copy() for k in range(4)]
    rack.shift(1, np.array([0.03, -0.02]))
    worlds.engine.refresh(np.arange(2))

    # World 0 keeps its rack where it was.
    for k in range(4):
        np.testing.assert_allclose(
            rack.slot_w(np.array([k, k])) - before[k],
            [[0, 0, 0], [0.03, -0.02, 0]],
            atol=1e-12,
        )

    body = worlds.model.body("rack").id
    np.testing.assert_allclose(
        np.diff(worlds.engine.view("xpos")[:, body], axis=0)[0],
        [0.03, -0.02, 0],
        atol=1e-12,
    )


def test_the_scene_at_rest_is_cheap() -> None:
    worlds = started_worlds(4, level="L1")
    run(worlds, 1.0)
    contacts = [worlds.engine.world_data(world).ncon for world in range(4)]
    assert max(contacts) <= 30
    assert BELT.top_z == pytest.approx(worlds.task.state()[0, 2], abs=2e-3)
