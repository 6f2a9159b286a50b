"""Rates and differences over several cells: for one cell they are the known ones, and
episodes that start alike are not counted as independent.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from embodied.benchmark.pooled import pooled_difference, pooled_rate, required_pairs
from embodied.benchmark.results import compare, rate
from tests.results_fakes import fake_cell

PAIRS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=60)


@given(PAIRS)
def test_one_cell_is_as_it_was(pairs: list[tuple[bool, bool]]) -> None:
    first = fake_cell([a for a, _ in pairs])
    second = fake_cell([b for _, b in pairs], policy="b")
    pooled = pooled_rate([first])
    alone = rate(first)
    assert (pooled.value, pooled.low, pooled.high) == pytest.approx(
        (alone.value, alone.low, alone.high), abs=1e-6
    )

    difference = pooled_difference([(first, second)])
    known = compare(first, second)
    assert difference.p_value == pytest.approx(known.p_value)
    assert difference.value == pytest.approx(known.difference, abs=1e-9)
    assert (difference.low, difference.high) == pytest.approx(
        (known.low, known.high), abs=1e-6
    )


def test_policies_that_always_succeed_have_exactly_all() -> None:
    for episodes in range(1, 60):
        cells = [fake_cell([True] * episodes, level=level) for level in ("L1", "L2")]
        assert pooled_rate(cells).value == 1.0


def test_the_same_episodes_twice_tell_nothing_new() -> None:
    rng = np.random.default_rng(0)
    own = rng.random(80) < 0.8
    other = rng.random(80) < 0.6
    levels = ("L2", "L3", "L4")
    cells = [fake_cell(own, level=level) for level in levels]
    pairs = [
        (cell, fake_cell(other, "b", level=level))
        for cell, level in zip(cells, levels, strict=True)
    ]

    # alike in all cells, so the interval stays as wide as that of one
    one = pooled_rate(cells[:1])
    three = pooled_rate(cells)
    assert (three.low, three.high) == pytest.approx((one.low, one.high), abs=0.002)
    alone = pooled_difference(pairs[:1])
    together = pooled_difference(pairs)
    assert together.design_effect == pytest.approx(3, rel=0.05)
    assert (together.low, together.high) == pytest.approx(
        (alone.low, alone.high), abs=0.005
    )
    assert together.p_value == pytest.approx(alone.p_value)

    # other tasks are other draws: there the interval narrows
    tasks = [fake_cell(own, task=task, first_seed=0) for task in "xyz"]
    several = pooled_rate(tasks)
    assert several.high - several.low < 0.7 * (one.high - one.low)


@pytest.mark.slow
def test_equal_policies_with_shared_seeds_are_seldom_called_different() -> None:
    rng = np.random.default_rng(1)
    wrong = 0
    for _ in range(300):
        # how hard a start is holds at both levels
        hard = rng.random(30)
        pairs = []
        for level in ("L2", "L3"):
            outcomes = [(0.5 * hard + 0.5 * rng.random(30)) < 0.6 for _ in "ab"]
            a, b = (
                fake_cell(row, name, level=level)
                for row, name in zip(outcomes, "ab", strict=True)
            )
            pairs.append((a, b))
        wrong += pooled_difference(pairs).p_value < 0.05
    assert wrong / 300 <= 0.07


@pytest.mark.parametrize(("difference", "discordant"), [(0.1, 0.2), (0.05, 0.3)])
def test_the_pairs_that_it_takes_do_decide(
    difference: float, discordant: float
) -> None:
    num = required_pairs(difference, discordant)
    rng = np.random.default_rng(2)
    only_a = (discordant + difference) / 2
    counts = rng.multinomial(num, [only_a, discordant - only_a, 1 - discordant], 4000)
    from scipy.stats import binom

    smaller = np.minimum(counts[:, 0], counts[:, 1])
    p_values = 2 * binom.cdf(smaller, counts[:, 0] + counts[:, 1], 0.5)
    # Connor's formula is a little short for the exact test
    assert 0.72 < (p_values < 0.05).mean() < 0.85


def test_cells_without_shared_seeds_have_no_difference() -> None:
    assert pooled_difference([(fake_cell("++"), fake_cell("++", first_seed=9))]) is None
