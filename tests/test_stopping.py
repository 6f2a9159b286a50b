"""Rules that stop a cell: never more often wrong than they say, and the same whoever
shares the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from types import SimpleNamespace

import numpy as np
import pytest

from embodied.benchmark.evaluation import measure
from embodied.benchmark.statistics import wilson_limits
from embodied.benchmark.stopping import LOOK, Against, Until, log_e_value
from embodied.benchmark.trials import Trial
from embodied.errors import EmbodiedError
from embodied.rollout.rollout import EpisodeResult
from embodied.rollout.shards import quiet_stage
from tests.episode_results import episode_result
from tests.results_fakes import fake_cell

NULLS = 10_000
EPISODES = 300


def outcomes(rng: np.random.Generator, first: float, second: float, both: float):
    """Pairs (2, NULLS, EPISODES) of these rates, which succeed together at `both`."""
    u = rng.random((NULLS, EPISODES), np.float32)
    a = u < first
    b = (u < both) | ((u >= first) & (u < first + second - both))
    return a, b


def evidence(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The evidence after each episode, (NULLS, EPISODES)."""
    only_a = np.cumsum(a & ~b, 1, np.int16)
    only_b = np.cumsum(~a & b, 1, np.int16)
    # each pair of counts once
    counts = np.arange(EPISODES + 1)
    table = log_e_value(counts[:, None], counts[None, :])
    return table[only_a, only_b]


@pytest.mark.parametrize(("rate", "both"), [(0.5, 0.0), (0.5, 0.4), (0.9, 0.85)])
def test_equal_policies_are_seldom_told_apart_however_often_one_looks(
    rate: float, both: float
) -> None:
    a, b = outcomes(np.random.default_rng(1), rate, rate, both)

    # asked after every episode, more often than the command does
    false = (evidence(a, b) >= -np.log(0.05)).any(1).mean()
    assert false <= 0.05

    # a fixed test asked as often would be wrong far more often
    some = slice(None, NULLS // 10)
    excess = np.cumsum(1 * a[some] - b[some], 1)
    pairs = np.maximum(np.cumsum(a[some] != b[some], 1), 1)
    naive = (np.abs(excess) / np.sqrt(pairs) > 1.96)[:, 20:].any(1).mean()
    assert naive > 0.15


def test_different_policies_are_told_apart_and_early() -> None:
    a, b = outcomes(np.random.default_rng(2), 0.9, 0.7, 0.65)
    a = a[:1000]
    b = b[:1000]
    found = evidence(a, b) >= -np.log(0.05)
    assert found.any(1).mean() > 0.99
    assert np.median(found.argmax(1)) < 120


@pytest.mark.parametrize("rate", [0.3, 0.97])
def test_an_interval_that_stopped_a_cell_still_covers(rate: float) -> None:
    rng = np.random.default_rng(3)
    target = 0.06
    successes = np.cumsum(rng.random((1000, 400)) < rate, 1)
    counts = np.arange(LOOK, 401, LOOK)

    # the limits at each look depend on the number of successes alone
    covered = 0
    for row in successes[:, counts - 1]:
        for hits, count in zip(row.tolist(), counts.tolist(), strict=True):
            low, high = limits(hits, count)
            if (high - low) / 2 <= target:
                break
        covered += low <= rate <= high
    assert covered / 1000 > 0.92


LIMITS: dict[tuple[int, int], tuple[float, float]] = {}


def limits(successes: int, episodes: int) -> tuple[float, float]:
    key = (successes, episodes)
    if key not in LIMITS:
        LIMITS[key] = wilson_limits(successes, episodes)
    return LIMITS[key]


def test_how_many_episodes_an_interval_will_take_is_estimated() -> None:
    episodes = [episode_result(seed, seed % 3 > 0) for seed in range(1000)]
    rule = Until(0.03)
    enough = next(n for n in range(10, 1000, 10) if rule.is_met(episodes[:n]))
    for shown in (60, 200, enough):
        assert rule.forecast(episodes[:shown]) == pytest.approx(enough, rel=0.1)


def test_what_cannot_be_decided_is_given_up() -> None:
    other = dict.fromkeys(range(40), True)
    rule = Against("other", other)
    equal = [episode_result(seed, True) for seed in range(40)]
    # with 4 episodes left, even if all differ, the evidence is too weak
    assert not rule.is_met(equal[:30])
    assert rule.is_met(equal[:36])

    worse = [episode_result(seed, False) for seed in range(40)]
    assert rule.is_met(worse[:10])
    assert rule.forecast(worse[:5]) == 40
    assert "told apart from other" in rule.description


@pytest.mark.parametrize("width", [0.0, -1.0, 0.5, 3.0])
def test_a_width_that_no_interval_has_is_refused(width: float) -> None:
    with pytest.raises(EmbodiedError, match=r"--until.*e\.g\. 0\.03 for 3 points"):
        Until(width)


class FakeWorkers:
    """Gives episodes whose outcome depends on the seed alone."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.run_seeds: list[int] = []

    def run(
        self, work: object, seeds: Sequence[int], on_report, at_once: int
    ) -> list[EpisodeResult]:
        self.run_seeds += seeds
        results = [episode_result(seed, seed % 3 > 0) for seed in seeds]
        for result in results:
            on_report(result)
        return results


@pytest.mark.parametrize(
    "rule", [Until(0.1), Against("b", {s: s % 2 > 0 for s in range(400)}), None]
)
def test_where_a_cell_stops_does_not_depend_on_who_works(rule) -> None:
    condition = fake_cell("+" * 400).condition
    cells = []
    for count, num_envs in ((1, 1), (3, 16), (64, 16)):
        workers = FakeWorkers(count)
        trial = Trial(SimpleNamespace(num_envs=num_envs), condition, "a")
        cells.append(measure(trial, workers, quiet_stage, rule=rule))
        assert len(workers.run_seeds) == len(set(workers.run_seeds)) <= 400
    lengths = {len(cell.episodes) for cell in cells}
    assert len(lengths) == 1
    assert {cell.episodes for cell in map(without_time, cells)} == {
        without_time(cells[0]).episodes
    }
    if rule is not None:
        assert lengths.pop() < 400
        assert cells[0].rule == rule.description


def without_time(cell):
    return SimpleNamespace(episodes=tuple(map(repr, cell.episodes)))
