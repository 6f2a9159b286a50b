"""The one reward shaper."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from embodied.envs.reward import tolerance

amount = st.floats(1e-3, 1e3)
values = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=8).map(np.array)


@given(values, amount, amount)
def test_it_is_a_share_and_symmetric(
    value: np.ndarray, bound: float, margin: float
) -> None:
    reward = tolerance(value, bound, margin)
    assert ((reward >= 0) & (reward <= 1)).all()
    assert (reward == tolerance(-value, bound, margin)).all()


@given(st.floats(0, 1), amount, amount)
def test_it_is_one_exactly_within_the_bound(
    share: float, bound: float, margin: float
) -> None:
    assert tolerance(np.array([share * bound]), bound, margin)[0] == 1.0


@given(amount, amount)
def test_it_is_a_tenth_at_the_margin(bound: float, margin: float) -> None:
    assert tolerance(np.array([bound + margin]), bound, margin)[0] == pytest.approx(
        0.1, rel=1e-6
    )


@given(amount, amount, st.lists(st.floats(0, 3), min_size=2, max_size=8))
def test_it_falls_with_distance(
    bound: float, margin: float, shares: list[float]
) -> None:
    distance = bound + margin * np.sort(shares)
    assert (np.diff(tolerance(distance, bound, margin)) <= 1e-12).all()


def test_far_starts_still_feel_a_slope() -> None:
    near, far = tolerance(np.array([2.0, 2.001]), 0.1, 1.0)
    assert near - far > 1e-8


@given(values, amount, amount)
def test_torch_gives_the_same(value: np.ndarray, bound: float, margin: float) -> None:
    result = tolerance(torch.tensor(value), bound, margin)
    np.testing.assert_allclose(
        result.numpy(), tolerance(value, bound, margin), rtol=1e-9, atol=1e-300
    )
