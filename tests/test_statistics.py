"""Intervals and tests against published worked examples, and the properties they must
have.
"""

import math
from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.benchmark.statistics import compare_paired, holm, median, wilson

COUNTS = st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))
OUTCOMES = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


def pairs(
    both: int, only_first: int, only_second: int, neither: int
) -> tuple[np.ndarray, np.ndarray]:
    rows = (
        [(1, 1)] * both
        + [(1, 0)] * only_first
        + [(0, 1)] * only_second
        + [(0, 0)] * neither
    )
    table = np.array(rows, dtype=bool)
    return table[:, 0], table[:, 1]


@pytest.mark.parametrize(
    ("successes", "episodes", "low", "high"),
    [
        (0, 10, 0.0, 0.27753),
        (8, 10, 0.49016, 0.94331),
        (10, 10, 0.72247, 1.0),
        # the worked example of Newcombe, Statistics in Medicine 17 (1998) 857
        (81, 263, 0.25525, 0.36621),
        (0, 20, 0.0, 0.16113),  # same source
    ],
)
def test_wilson_known_values(successes, episodes, low, high):
    rate = wilson(successes, episodes)
    assert (rate.low, rate.high) == pytest.approx((low, high), abs=6e-5)
    assert rate.value == successes / episodes


@settings(deadline=None)
@given(COUNTS)
def test_wilson_holds_the_rate_and_stays_a_share(counts):
    successes, episodes = counts
    rate = wilson(successes, episodes)
    assert 0 <= rate.low <= rate.value <= rate.high <= 1
    assert rate.low < rate.high


@settings(deadline=None)
@given(COUNTS)
def test_wilson_mirrors(counts):
    successes, episodes = counts
    rate = wilson(successes, episodes)
    mirror = wilson(episodes - successes, episodes)
    assert (rate.low, rate.high) == pytest.approx(
        (1 - mirror.high, 1 - mirror.low), abs=1e-12
    )


@settings(deadline=None)
@given(COUNTS, st.integers(2, 6))
def test_wilson_narrows_with_more_episodes(counts, times):
    successes, episodes = counts
    one = wilson(successes, episodes)
    many = wilson(successes * times, episodes * times)
    assert many.high - many.low < one.high - one.low


@pytest.mark.parametrize(("successes", "episodes"), [(0, 0), (3, 2), (-1, 5)])
def test_wilson_refuses_what_is_no_rate(successes, episodes):
    with pytest.raises(ValueError, match=r"episode|successes"):
        wilson(successes, episodes)


@pytest.mark.parametrize(
    ("table", "low", "high"),
    [
        # Altman et al., Statistics with Confidence (2000), page 52
        ((14, 5, 0, 22), 0.011, 0.226),
        # Newcombe, Statistics in Medicine 17 (1998) 2635
        ((36, 12, 2, 0), 0.0569, 0.3404),
        # Fagerland et al., Analysis of Contingency Tables (2017), chapter 8
        ((1, 1, 7, 12), -0.507, -0.026),
    ],
)
def test_paired_interval_known_values(table, low, high):
    comparison = compare_paired(*pairs(*table))
    assert (comparison.low, comparison.high) == pytest.approx((low, high), abs=6e-4)
    assert comparison.episodes == sum(table)


def test_mcnemar_is_exact():
    one_sided = sum(math.comb(9, k) for k in (8, 9)) / 2**9
    assert compare_paired(*pairs(40, 8, 1, 3)).p_value == pytest.approx(2 * one_sided)
    assert compare_paired(*pairs(7, 0, 0, 3)).p_value == 1.0


@settings(deadline=None)
@given(OUTCOMES)
def test_paired_comparison_is_antisymmetric(outcomes):
    first = np.array([a for a, _ in outcomes], dtype=bool)
    second = np.array([b for _, b in outcomes], dtype=bool)
    forward = compare_paired(first, second)
    backward = compare_paired(second, first)
    assert forward.p_value == pytest.approx(backward.p_value, rel=1e-12)
    assert forward.difference == -backward.difference
    assert (forward.low, forward.high) == pytest.approx(
        (-backward.high, -backward.low), abs=1e-12
    )

    # the interval holds the difference
    assert -1 <= forward.low <= forward.difference <= forward.high <= 1
    assert forward.difference == pytest.approx(first.mean() - second.mean())


def test_paired_comparison_refuses_unequal_rows():
    with pytest.raises(ValueError, match=r"\(2,\) and \(3,\)"):
        compare_paired([True, False], [True, False, True])
    with pytest.raises(ValueError, match="non-empty"):
        compare_paired([], [])


def test_holm_known_values():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@settings(deadline=None)
@given(st.lists(st.floats(0, 1), max_size=12))
def test_holm_only_raises_p_values(p_values):
    # statsmodels collects garbage at each call, which takes a second in a process with as
    # many objects as one that runs tests
    with patch("gc.collect"):
        adjusted = holm(p_values)
    assert all(
        before <= after <= 1 for before, after in zip(p_values, adjusted, strict=True)
    )


def test_median_of_few():
    assert median([]) is None
    single = median([2.0])
    assert (single.median, single.low, single.high) == (2.0, None, None)
    same = median([3.0] * 5)
    assert (same.median, same.low, same.high) == (3.0, 3.0, 3.0)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0, 100), min_size=2, max_size=60))
def test_median_lies_within_its_interval_and_repeats(values):
    result = median(values)
    assert min(values) <= result.low <= result.median <= result.high <= max(values)
    assert result.lower_quartile <= result.median <= result.upper_quartile
    assert result == median(values)


def test_median_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = [
        (r := median(rng.exponential(size=40))).low <= np.log(2) <= r.high
        for _ in range(120)
    ]
    assert 0.88 <= np.mean(covered) <= 1.0
