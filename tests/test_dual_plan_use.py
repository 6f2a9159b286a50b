"""What an episode tells of its plans: their age, the stops, the jumps between them."""

from __future__ import annotations

import numpy as np
import pytest

from embodied.policies.channel import Interruption
from embodied.policies.dual_system import DualSystem, DualSystemConfig
from embodied.policies.plan_counts import PlanCounts
from embodied.rollout.plan_use import PlanUse
from tests.dual_chunks import chunk_system
from tests.dual_fakes import FakeWorlds, delays, simulate


@pytest.mark.parametrize("delay_ms", [0, 250, 1400])
@pytest.mark.parametrize("freeze_s", [0, 2])
def test_ages_and_stops_are_those_of_the_steps(
    delay_ms: float, freeze_s: float
) -> None:
    freeze = Interruption(freeze_s, 1.0 if freeze_s else None)
    config = DualSystemConfig(latency=delays(down_ms=delay_ms), freeze=freeze)
    log = simulate(config, seconds=6)

    ages_s = log.ages_s()
    has_plan = log.controller.shown_seqs[:, 0] >= 0
    use = log.system.plan_use(0)
    assert use.mean_age_s == pytest.approx(ages_s[has_plan].mean(), rel=1e-12)
    assert use.stale_share == (ages_s > config.stale_after_s).mean()
    assert (use.stale_share > 0) == bool(delay_ms or freeze_s)


def played(seconds: float, system: DualSystem) -> PlanUse:
    """Returns the plans' figures after so long in a world."""
    worlds = FakeWorlds(1)
    ids = np.arange(1)
    worlds.reset(ids, [0])
    system.reset(ids, worlds.observe(), [0])
    for _ in range(int(200 * seconds)):
        worlds.advance(system.act(worlds.observe()))
    return system.plan_use(0)


@pytest.mark.parametrize("bridge", ["hold", "rtc"])
@pytest.mark.parametrize("size", [0.0, 0.1, 0.4])
def test_a_jump_is_what_plans_disagree_by(size: float, bridge: str) -> None:
    def alternating(times_s: np.ndarray, made_s: np.ndarray) -> np.ndarray:
        sign = np.where(np.round(made_s * 8) % 2, 1, -1)
        return size * sign * np.ones_like(times_s)

    # faster than the robot may follow: the wish counts, not what is left of it
    config = DualSystemConfig(bridge=bridge, latency=delays(250), max_action_rate=1)
    jump = played(3, chunk_system(alternating, config)).plan_jump
    assert jump is not None
    if bridge == "hold":
        assert jump == pytest.approx(2 * size)
    else:  # fades from one plan into the next
        assert jump <= size


def test_without_a_second_plan_there_is_no_jump() -> None:
    config = DualSystemConfig(planner_hz=1)
    assert played(0.9, chunk_system(lambda t, made_s: 0 * t, config)).plan_jump is None
    assert played(1.1, chunk_system(lambda t, made_s: 0 * t, config)).plan_jump == 0


def test_grippers_may_jump_and_worlds_are_apart() -> None:
    counts = PlanCounts(2, gripper_elements=(-1,))
    rest = np.zeros((2, 3))
    for seq, wanted in (
        ([0, 0], rest),
        ([1, 0], [[0.0, 0.5, 1.0], [0.9, 0.9, 0.9]]),
        ([2, 1], [[0.0, 0.4, -1.0], [0.9, 0.6, 0.9]]),
    ):
        counts.show(np.array(seq))
        counts.add(np.array(wanted), np.zeros(2, np.int64), np.zeros(2, bool))
    assert counts.plan_use(0).plan_jump == pytest.approx((0.5 + 0.1) / 2)
    assert counts.plan_use(1).plan_jump == pytest.approx(0.3)

    # a new episode knows nothing of the old one
    counts.reset(np.array([0]))
    assert counts.plan_use(0) == PlanUse(None, 0.0, None)
    assert counts.plan_use(1).plan_jump == pytest.approx(0.3)
