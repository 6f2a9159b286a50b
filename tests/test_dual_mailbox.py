"""Which of the plans that arrived the controller sees, in each mode of the mailbox."""

from __future__ import annotations

import numpy as np
import pytest

from embodied.core import SKILLS
from embodied.policies.dual_system import DualSystemConfig
from embodied.policies.latency import Latency, LogNormal, PlanLatency, Trace
from embodied.policies.mailbox import MailboxMode
from tests.dual_fakes import GOAL_VEL_W, FakeWorlds, delays, simulate


def test_predictive_moves_the_goal_on_by_its_own_velocity() -> None:
    latency = delays(50, 50, 50)

    still = simulate(DualSystemConfig(latency=latency))
    moved = simulate(DualSystemConfig(latency=latency, mailbox="predictive"))

    ages_s = still.ages_s()
    np.testing.assert_array_equal(moved.ages_s(), ages_s)
    steps_with_plan = 0
    for age_s, one, other in zip(
        ages_s, still.controller.payloads, moved.controller.payloads, strict=True
    ):
        has_plan = other.subtask[0] != SKILLS.index("stop")
        steps_with_plan += has_plan
        # y is left out: it follows the joint, which moves otherwise in the two.
        x_and_z = [0, 2]
        gain = (other.goal_pos_w - one.goal_pos_w)[0, 0, x_and_z]
        expected = np.array(GOAL_VEL_W)[x_and_z] * age_s * has_plan
        np.testing.assert_allclose(gain, expected, atol=1e-9)
    assert steps_with_plan > 700


@pytest.mark.parametrize("downlink", [LogNormal(100, 1.0), Trace([300, 0, 0, 500, 0])])
def test_latest_never_goes_back_though_plans_overtake_each_other(
    downlink: Latency,
) -> None:
    latency = PlanLatency(downlink=downlink)

    log = simulate(DualSystemConfig(planner_hz=30, latency=latency), seconds=20)

    arrived = log.times()[:, 4]
    # Plans do overtake each other, or this would test nothing.
    assert (np.diff(arrived) < 0).sum() > 50
    shown = log.controller.shown_seqs[:, 0]
    assert (np.diff(shown) >= 0).all()
    for tick, seq in zip(log.ticks, shown, strict=True):
        newest = max(np.flatnonzero(arrived <= tick), default=-1)
        assert seq == newest


def test_fifo_shows_all_in_order_of_arrival_each_for_a_period() -> None:
    latency = PlanLatency(downlink=LogNormal(100, 1.0))
    config = DualSystemConfig(planner_hz=7, latency=latency, mailbox="fifo")

    log = simulate(config, seconds=20)

    arrived = log.times()[:, 4]
    assert (np.diff(arrived) < 0).any()  # they do overtake

    shown = log.controller.shown_seqs[:, 0]
    changes = np.flatnonzero(np.diff(shown) != 0) + 1
    order = shown[changes]
    by_arrival = np.lexsort((np.arange(len(arrived)), arrived))
    np.testing.assert_array_equal(order, by_arrival[: len(order)])
    assert len(order) > 120

    # The period is 400 / 7 = 57.1 ticks, seen at control steps (2 ticks) only.
    assert np.diff(log.ticks[changes]).min() >= 57 - 1


def test_fifo_keeps_up_with_a_rate_that_is_no_whole_number_of_ticks() -> None:
    latency = delays(down_ms=50)
    config = DualSystemConfig(planner_hz=7, mailbox="fifo", latency=latency)

    log = simulate(config, seconds=30)

    assert log.ages_s()[-1] <= 0.05 + 1 / 7 + 0.01


@pytest.mark.parametrize("mode", ["latest", "fifo", "predictive"])
def test_a_new_episode_begins_with_an_empty_mailbox(mode: MailboxMode) -> None:
    # At its end one plan is shown and one is on its way, for 240 ticks.
    config = DualSystemConfig(planner_hz=1, mailbox=mode, latency=delays(down_ms=600))
    log = simulate(config, seconds=2.1)

    worlds = FakeWorlds(1)
    log.system.reset(np.array([0]), worlds.observe(), [0])
    for _ in range(150):
        worlds.advance(log.system.act(worlds.observe()))

    shown = log.controller.shown_seqs[-150:, 0]
    ticks = np.arange(150) * worlds.ticks_per_step
    np.testing.assert_array_equal(shown, np.where(ticks < 240, -1, 0))
