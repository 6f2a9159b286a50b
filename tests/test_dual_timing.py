"""When the dual system makes plans and shows them, against timelines made by hand."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

import numpy as np
import pytest

from embodied.policies.dual_system import DualSystemConfig
from tests.dual_fakes import FakeWorlds, delays, simulate

PERIOD_8HZ = 50  # ticks


@pytest.mark.parametrize("rate_hz", [7, 8, 9, 30])
@pytest.mark.parametrize("control_hz", [400, 200, 50])
def test_plans_are_made_at_the_first_control_step_at_or_after_their_exact_time(
    rate_hz: int, control_hz: int
) -> None:
    seconds = 10
    step = 400 // control_hz
    exact = [Fraction(400 * k, rate_hz) for k in range(seconds * rate_hz)]
    expected = [ceil(tick / step) * step for tick in exact]
    expected = [tick for tick in expected if tick < 400 * seconds]

    log = simulate(DualSystemConfig(planner_hz=rate_hz), seconds, control_hz)

    seq, *ticks = log.times().T
    np.testing.assert_array_equal(seq, np.arange(len(expected)))
    # Without latency frame = start = done = arrived.
    for column in ticks:
        np.testing.assert_array_equal(column, expected)


def test_a_planner_faster_than_the_controller_plans_once_per_step() -> None:
    log = simulate(DualSystemConfig(planner_hz=100), control_hz=20)

    np.testing.assert_array_equal(log.times()[:, 1], log.ticks)


def test_without_latency_the_plan_of_an_observation_is_usable_at_once() -> None:
    log = simulate(DualSystemConfig(planner_hz=8))

    newest_capture = log.ticks // PERIOD_8HZ * PERIOD_8HZ
    np.testing.assert_array_equal(log.controller.seen_ticks[:, 0], newest_capture)
    np.testing.assert_array_equal(log.ages_s(), (log.ticks % PERIOD_8HZ) / 400)


def test_age_is_latency_plus_phase() -> None:
    # 8 + 24 + 8 = 40 ticks
    latency = delays(up_ms=20, compute_ms=60, down_ms=20)

    log = simulate(DualSystemConfig(planner_hz=8, latency=latency))

    # The controller sees the newest plan whose arrival, 40 ticks after its capture, is
    # past.
    with_plan = log.ticks >= 40
    ticks = log.ticks[with_plan]
    frame = (ticks - 40) // PERIOD_8HZ * PERIOD_8HZ
    ages_s = log.ages_s()[with_plan]
    np.testing.assert_array_equal(ages_s, (ticks - frame) / 400)
    assert ages_s.min() == 40 / 400
    assert ages_s.max() == 88 / 400  # one control step before the next plan
    assert log.system.mean_plan_age_s(0) == pytest.approx(ages_s.mean(), rel=1e-12)

    first_plans = [
        [0, 0, 8, 32, 40],
        [1, 50, 58, 82, 90],
        [2, 100, 108, 132, 140],
    ]
    np.testing.assert_array_equal(log.times()[:3], first_plans)


def test_compute_longer_than_the_period_blocks_the_planner() -> None:
    # 110 ticks, against a period of 50
    config = DualSystemConfig(planner_hz=8, latency=delays(compute_ms=275))

    log = simulate(config)

    _, frame, start, done, _ = log.times()[:4].T
    # The plans come back to back, at 3.6 Hz, ...
    np.testing.assert_array_equal(start, [0, 110, 220, 330])
    np.testing.assert_array_equal(done, [110, 220, 330, 440])
    # ... each from the newest observation that was there.
    np.testing.assert_array_equal(frame, [0, 100, 200, 300])
    observed = [int(observation.tick[0]) for _, observation in log.planner.calls[:4]]
    assert observed == [0, 100, 200, 300]


def test_transport_longer_than_the_period_does_not_block_the_planner() -> None:
    # 200 ticks up and 400 down, against a period of 50
    config = DualSystemConfig(planner_hz=8, latency=delays(up_ms=500, down_ms=1000))

    log = simulate(config)

    _, frame, start, done, arrived = log.times().T
    np.testing.assert_array_equal(np.diff(frame), PERIOD_8HZ)  # still 8 Hz
    np.testing.assert_array_equal(start - frame, 200)
    np.testing.assert_array_equal(arrived - done, 400)

    with_plan = log.ticks >= 600
    newest_arrived = (log.ticks[with_plan] - 600) // PERIOD_8HZ * PERIOD_8HZ
    assert (log.controller.shown_seqs[~with_plan] == -1).all()
    np.testing.assert_array_equal(
        log.controller.seen_ticks[with_plan, 0], newest_arrived
    )


def test_the_planner_sees_all_of_the_observation_as_it_was() -> None:
    config = DualSystemConfig(planner_hz=9, latency=delays(110, 90, 10))
    log = simulate(config, camera=True, seeds=(3, 4))

    # The observations of the same actions, once more.
    worlds = FakeWorlds(2, camera=True)
    worlds.reset(np.arange(2), (3, 4))
    history = []
    for action in log.actions:
        history.append(worlds.observe())
        worlds.advance(action)

    assert len(log.planner.calls) > 30
    for ids, observation in log.planner.calls:
        step = int(observation.tick[0]) // worlds.ticks_per_step
        expected = history[step].rows(ids)
        for name in ("tick", "agent_pos", "environment_state", "pixels_tick"):
            np.testing.assert_array_equal(
                getattr(observation, name), getattr(expected, name)
            )
        assert observation.instruction == expected.instruction
        assert list(observation.pixels) == ["front"]
        np.testing.assert_array_equal(
            observation.pixels["front"], expected.pixels["front"]
        )


def test_with_cameras_a_plan_is_as_old_as_its_image() -> None:
    config = DualSystemConfig(planner_hz=8, latency=delays(compute_ms=50))  # 20 ticks

    log = simulate(config, camera=True)

    times = log.times()
    _, frame, start, _, _ = times.T
    captured = np.arange(len(times)) * PERIOD_8HZ
    newest_frame = captured // 40 * 40  # of the 10 Hz camera
    np.testing.assert_array_equal(frame, newest_frame)
    np.testing.assert_array_equal(start, captured)

    # The age counts from the image, not from the moment when it was sent.
    with_plan = log.ticks >= 20
    shown = log.controller.shown_seqs[with_plan, 0]
    expected_s = (log.ticks[with_plan] - frame[shown]) / 400
    np.testing.assert_array_equal(log.ages_s()[with_plan], expected_s)


def test_worlds_that_are_due_are_planned_in_one_call() -> None:
    config = DualSystemConfig(planner_hz=8, latency=delays(50, 50, 50))

    log = simulate(config, seeds=range(16))

    assert [len(ids) for ids, _ in log.planner.calls] == [16] * 32
    assert len(log.plans) == 32
