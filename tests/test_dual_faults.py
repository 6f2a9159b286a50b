"""What may go wrong in the dual system: losses, freezes, stale plans, and wrong use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from embodied.core import Array, Observation, Payload
from embodied.errors import EmbodiedError
from embodied.policies.channel import Freeze
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from tests.dual_fakes import FakeController, FakePlanner, FakeWorlds, delays, simulate

# Losses and freezes
# --------------------------------------------------------------------------------------


def test_dropped_plans_are_reported_and_never_shown() -> None:
    config = DualSystemConfig(planner_hz=30, drop=0.4, latency=delays(down_ms=20))

    log = simulate(config, seconds=20)

    seq, *_, arrived = log.times().T
    assert 0.3 < np.mean(arrived == -1) < 0.5
    arrived_in_time = (arrived >= 0) & (arrived < 400 * 20)
    shown = set(log.controller.shown_seqs[:, 0]) - {-1}
    assert shown == set(seq[arrived_in_time])


def test_when_every_plan_is_lost_the_body_never_moves() -> None:
    log = simulate(DualSystemConfig(drop=1))

    assert (log.times()[:, 4] == -1).all()
    rest = [0, 0, 1]
    np.testing.assert_array_equal(log.actions, np.tile(rest, (800, 1, 1)))
    assert np.isnan(log.system.mean_plan_age_s(0))
    assert np.isfinite(log.controller.ages_s).all()


def test_a_frozen_planner_neither_starts_nor_finishes() -> None:
    freeze = Freeze(duration_s=0.5, start_s=1.1)  # ticks 440 to 640

    # 40 ticks of computing: the plan of tick 400 is done as the freeze begins.
    latency = delays(compute_ms=100)
    log = simulate(DualSystemConfig(planner_hz=8, freeze=freeze, latency=latency))
    expected = [
        [350, 350, 390],
        [400, 400, 440],
        [600, 640, 680],
    ]
    np.testing.assert_array_equal(log.times()[7:10, 1:4], expected)

    # 41 ticks: one tick of work is left for after the freeze.
    latency = delays(compute_ms=102.5)
    log = simulate(DualSystemConfig(planner_hz=8, freeze=freeze, latency=latency))
    expected = [
        [400, 400, 641],
        [600, 641, 682],
    ]
    np.testing.assert_array_equal(log.times()[8:10, 1:4], expected)


# The safe stop
# --------------------------------------------------------------------------------------


def test_a_stale_plan_stops_the_body_in_time_and_a_fresh_one_sets_it_going() -> None:
    freeze = Freeze(duration_s=2, start_s=1)  # ticks 400 to 1200
    config = DualSystemConfig(freeze=freeze, stale_after_s=0.5, max_action_rate=10)

    log = simulate(config, seconds=5)
    ticks = log.ticks
    motion = log.actions[:, 0, :2]
    gripper = log.actions[:, 0, 2]
    speed = np.abs(motion).max(axis=1)

    # It moves until 0.5 s after the last frame before the freeze.
    frame = log.times()[:, 1]
    stale_tick = frame[frame < 400].max() + 200
    assert speed[(ticks > 100) & (ticks <= stale_tick)].min() > 0.2

    # |action| <= 1 ramps down at 10 per second: it takes 0.1 s.
    stopped = (ticks > stale_tick + 0.1 * 400) & (ticks < 1200)
    assert stopped.sum() > 200
    np.testing.assert_array_equal(motion[stopped], 0)
    np.testing.assert_array_equal(gripper[ticks < 1200], -1)  # holds on

    # It goes on after the freeze, and never jumped.
    assert speed[ticks > 1200 + 80].min() > 0.2
    assert np.abs(np.diff(motion, axis=0)).max() <= 10 / 200 + 1e-6


def test_an_absolute_mode_stops_at_its_hold_action() -> None:
    hold = np.float32([[0.25, -0.5, 0.75]])
    worlds = FakeWorlds(1)
    # All plans are lost, so the controller never has one to follow.
    system = DualSystem(
        FakePlanner(),
        FakeController(),
        DualSystemConfig(drop=1),
        hold_action=lambda observation: hold,
    )

    system.reset(np.arange(1), worlds.observe(), [0])
    for _ in range(5):
        np.testing.assert_array_equal(system.act(worlds.observe()), hold)


def test_nan_passes_through_and_the_other_worlds_do_not_notice() -> None:
    clean = actions_of_three_worlds(poisoned_from_step=None)
    poisoned = actions_of_three_worlds(poisoned_from_step=100)

    np.testing.assert_array_equal(poisoned[:, [0, 2]], clean[:, [0, 2]])
    np.testing.assert_array_equal(poisoned[:100, 1], clean[:100, 1])
    assert np.isnan(poisoned[100:, 1]).all()


def actions_of_three_worlds(poisoned_from_step: int | None) -> np.ndarray:
    """Actions (200, 3, 3); the controller's for world 1 are nan from some step on."""
    # Delays of all three kinds, so that plans are under way when the fault comes.
    controller = FakeController()
    config = DualSystemConfig(latency=delays(10, 20, 10))
    system = DualSystem(FakePlanner(), controller, config)
    worlds = FakeWorlds(3)
    worlds.reset(np.arange(3), [0, 1, 2])
    system.reset(np.arange(3), worlds.observe(), [0, 1, 2])

    actions = []
    for step in range(200):
        if step == poisoned_from_step:
            controller.poison = lambda action: action[1].fill(np.nan)
        action = system.act(worlds.observe())
        actions.append(action)
        worlds.advance(action)
    return np.array(actions)


# Wrong use
# --------------------------------------------------------------------------------------


def test_worlds_reset_without_the_policy_are_noticed() -> None:
    log = simulate(DualSystemConfig(), seconds=1)
    worlds = FakeWorlds(1)

    with pytest.raises(ValueError, match="world 0 went back"):
        log.system.act(worlds.observe())


def test_a_planner_that_forgets_worlds_is_an_error() -> None:
    class Lazy(FakePlanner):
        def plan(self, observation: Observation, ids: Array) -> Payload:
            return super().plan(observation.rows(np.array([0])), ids[:1])

    system = DualSystem(Lazy(), FakeController())
    worlds = FakeWorlds(2)
    system.reset(np.arange(2), worlds.observe(), [0, 1])

    with pytest.raises(EmbodiedError, match="for 2 worlds .* not of shape"):
        system.act(worlds.observe())


def test_cameras_without_the_time_of_their_frame_are_an_error() -> None:
    system = DualSystem(FakePlanner(), FakeController(cameras=("front",)))
    worlds = FakeWorlds(1, camera=False)
    system.reset(np.arange(1), worlds.observe(), [0])

    with pytest.raises(ValueError, match="pixels_tick"):
        system.act(worlds.observe())


@pytest.mark.parametrize(
    ("values", "match"),
    [
        ({"planner_hz": 0}, "rate"),
        ({"planner_hz": 500}, "rate"),
        ({"drop": 1.5}, "drop"),
        ({"drop": float("nan")}, "drop"),
        ({"mailbox": "lifo"}, "unknown mailbox mode 'lifo'.*fifo, latest, predictive"),
        ({"stale_after_s": 0}, "stale_after_s"),
        ({"max_action_rate": float("inf")}, "max_action_rate"),
    ],
)
def test_a_config_that_makes_no_sense_is_refused(
    values: dict[str, Any], match: str
) -> None:
    with pytest.raises(EmbodiedError, match=match):
        DualSystemConfig(**values)
