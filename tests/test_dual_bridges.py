"""What every bridge keeps to, and what each of them does."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embodied.errors import EmbodiedError
from embodied.plan import Payload
from embodied.policies.bridges.bridge import Arrival, Setting
from embodied.policies.bridges.ensemble import CHUNKS, DECAY
from embodied.policies.bridges.hold import Hold
from embodied.policies.bridges.registry import BRIDGES, find_bridge, make_bridge
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.latency import LogNormal, PlanLatency
from tests.dual_chunks import CHUNK_HZ, STEPS, ChunkPlanner, chunk_system, play
from tests.dual_fakes import FakeController, FakePlanner, FakeWorlds, delays

LONGEST_BRIDGE = 60  # lines of code
LATE = delays(up_ms=50, compute_ms=20, down_ms=100)

each_bridge = pytest.mark.parametrize("name", BRIDGES)


def agreed(times_s: np.ndarray, made_s: np.ndarray) -> np.ndarray:
    """All plans say the same of a moment."""
    return 0.3 * np.sin(times_s)


def moody(times_s: np.ndarray, made_s: np.ndarray) -> np.ndarray:
    """Every other plan says the opposite."""
    sign = np.where(np.round(made_s * 8) % 2, 1, -1)
    return sign * np.full(times_s.shape, 0.4)


def system_with(
    name: str, intention: Callable[..., np.ndarray] = moody, **changes: object
) -> DualSystem:
    values = {"latency": LATE, "max_action_rate": 1000.0, **changes}
    return chunk_system(intention, DualSystemConfig(bridge=name, **values))  # type: ignore[arg-type]


# The contract
# --------------------------------------------------------------------------------------


@each_bridge
def test_chunks_that_agree_are_played_as_they_are(name: str) -> None:
    held = play(system_with("hold", agreed), steps=500)
    bridged = play(system_with(name, agreed), steps=500)
    # a row of one chunk lies between two of another
    np.testing.assert_allclose(bridged, held, atol=0.3 / CHUNK_HZ + 0.01)


@each_bridge
def test_actions_are_finite_and_in_range_under_jitter_and_losses(name: str) -> None:
    system = system_with(
        name, latency=PlanLatency(downlink=LogNormal(150, 0.6)), drop=0.3
    )
    actions = play(system, steps=600, num_worlds=3)
    assert np.isfinite(actions).all()
    assert np.abs(actions).max() <= 1


@each_bridge
def test_a_world_does_not_notice_the_others(name: str) -> None:
    latency = PlanLatency(downlink=LogNormal(150, 0.6))
    among = play(system_with(name, latency=latency), steps=400, num_worlds=3)
    alone = play(system_with(name, latency=latency), steps=400)
    np.testing.assert_array_equal(alone[:, 0], among[:, 0])


@each_bridge
def test_a_new_episode_remembers_nothing(name: str) -> None:
    system = system_with(name)
    first = play(system, steps=300)
    np.testing.assert_array_equal(play(system, steps=300), first)


@each_bridge
def test_a_bridge_is_short(name: str) -> None:
    make = find_bridge(name)
    assert inspect.isclass(make)
    source = Path(inspect.getfile(make)).read_text(encoding="utf-8")
    tree = ast.parse(source)
    lines = set()
    for node in ast.walk(tree):
        is_text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.stmt) and not is_text:
            ends = node.lineno if hasattr(node, "body") else node.end_lineno
            lines |= set(range(node.lineno, (ends or node.lineno) + 1))
    assert len(lines) < LONGEST_BRIDGE


@each_bridge
def test_what_does_nothing_for_a_controller_is_refused(name: str) -> None:
    config = DualSystemConfig(bridge=name)
    if name == "hold":
        DualSystem(FakePlanner(), FakeController(), config)
        return
    with pytest.raises(EmbodiedError, match="works on chunk of plans|are speeds"):
        DualSystem(FakePlanner(), FakeController(), config)


# What each does
# --------------------------------------------------------------------------------------


def largest_jump(name: str) -> float:
    actions = play(system_with(name), steps=600)[100:, 0, 0]
    return float(np.abs(np.diff(actions)).max())


@pytest.mark.parametrize("name", ["ensemble", "rtc"])
def test_chunks_that_disagree_meet_without_a_jump(name: str) -> None:
    assert largest_jump("hold") == pytest.approx(0.8)
    assert largest_jump(name) < 0.4


def arrival(shift_rows: int, waited_rows: int, is_first: bool = False) -> Arrival:
    """A chunk of ones that comes while a chunk of zeros is played."""
    plan = Payload.empty(1, ChunkPlanner.plan_shape)
    ones = replace(plan, chunk=np.ones_like(plan.chunk), chunk_hz=np.array([CHUNK_HZ]))
    zeros = replace(plan, chunk_hz=np.array([CHUNK_HZ]))
    row_ticks = int(400 / CHUNK_HZ)
    frame = 1000 + shift_rows * row_ticks
    return Arrival(
        ids=np.array([0]),
        now=np.array([frame + waited_rows * row_ticks]),
        plan=ones,
        tick_frame=np.array([frame]),
        shown=zeros,
        shown_frame=np.array([1000]),
        is_first=np.array([is_first]),
    )


@pytest.mark.parametrize(("shift", "waited"), [(6, 0), (6, 13), (12, 5), (39, 3)])
def test_rtc_has_the_papers_soft_mask(shift: int, waited: int) -> None:
    bridge = make_bridge("rtc", Setting(1, 200))

    merged = bridge.merge(arrival(shift, waited)).chunk[0, :, 0]

    # equation 5 of arXiv 2506.07339, row by row; s rows are new, d are over. Only the end
    # is another: the paper's H - s, but no later than s rows after those that are over.
    horizon = STEPS
    over = min(waited, horizon - shift)
    end = min(horizon - shift, over + shift)
    for row in range(horizon):
        share = (end - row) / (end - over + 1)
        weight = share * np.expm1(share) / np.expm1(1)
        if row < over:
            weight = 1.0
        elif row >= end:
            weight = 0.0
        assert merged[row] == pytest.approx(1 - weight, abs=1e-6)


@each_bridge
def test_the_first_chunk_is_played_as_it_is(name: str) -> None:
    setting = Setting(1, 200, *_interface_and_reader())
    bridge = make_bridge(name, setting)
    first = arrival(5, 5, is_first=True)
    np.testing.assert_array_equal(bridge.merge(first).chunk, first.plan.chunk)


def _interface_and_reader() -> tuple[object, object]:
    system = system_with("residual")
    return system._interface, system._coordinates


def test_ensemble_has_acts_weights() -> None:
    bridge = make_bridge("ensemble", Setting(1, 200))
    hz = int(400 / CHUNK_HZ)
    shift = 3  # rows from chunk to chunk
    values = np.arange(1.0, CHUNKS + 3)  # more than are remembered
    for k, value in enumerate(values):
        new = arrival(k * shift, 0)
        plan = replace(new.plan, chunk=np.full_like(new.plan.chunk, value))
        merged = bridge.merge(replace(new, plan=plan)).chunk[0, :, 0]

    for row in range(STEPS):
        # the chunk that came k before the last one is at its row `row + k * shift`
        ages = [k for k in range(CHUNKS) if row + k * shift < STEPS]
        said = [values[-1 - k] for k in reversed(ages)]
        # numbered from the oldest that is known
        weights = [np.exp(-DECAY * (CHUNKS - 1 - k)) for k in reversed(ages)]
        assert merged[row] == pytest.approx(np.average(said, weights=weights), rel=1e-5)
    assert hz == 8


def test_the_residual_leads_back_to_the_path_that_a_shove_leaves() -> None:
    def rest(times_s: np.ndarray, made_s: np.ndarray) -> np.ndarray:
        return np.zeros(times_s.shape)

    left = {}
    for name in ("hold", "residual"):
        # one plan at the start, and no other
        system = system_with(name, rest, latency=delays(), planner_hz=0.5)
        worlds = FakeWorlds(1)
        system.reset(np.arange(1), worlds.observe(), [0])
        for step in range(250):
            if step == 50:
                worlds.x += 0.05
            worlds.advance(system.act(worlds.observe()))
        left[name] = float(worlds.x[0])
    assert left["hold"] == pytest.approx(0.05)
    assert abs(left["residual"]) < 0.005


# Wrong use
# --------------------------------------------------------------------------------------


def test_residual_needs_speeds() -> None:
    config = DualSystemConfig(bridge="residual")
    with pytest.raises(EmbodiedError, match="needs actions that are speeds"):
        chunk_system(agreed, config, mode="joint")


class NoBridge:
    """Lacks what a bridge has."""

    def __init__(self, setting: Setting) -> None:
        self.kinds = ("chunk",)


class Broken(Hold):
    """Cannot be made."""

    def __init__(self, setting: Setting) -> None:
        raise RuntimeError("no weights")


@pytest.mark.parametrize(
    ("attribute", "match"),
    [
        (NoBridge.__name__, "without reset, merge, correct: derive it from"),
        (Broken.__name__, r"Broken raised RuntimeError: no weights"),
        ("Missing", "has no 'Missing'"),
    ],
)
def test_a_bridge_of_ones_own_that_is_none(attribute: str, match: str) -> None:
    with pytest.raises(EmbodiedError, match=match):
        make_bridge(f"tests.test_dual_bridges:{attribute}", Setting(1, 200))
