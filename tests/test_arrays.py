"""Helpers for arrays whose results must not depend on how the arrays lie in memory."""

import itertools

import numpy as np
import pytest

from embodied.arrays import all_of, any_of, columns, count_of, dot, surely_none


def test_columns_are_slices_where_they_can_be() -> None:
    values = np.arange(12).reshape(2, 6)
    for ids in ([2], [1, 2, 3], [0, 2], [3, 2], [4, 4]):
        np.testing.assert_array_equal(values[:, columns(ids)], values[:, ids])

    assert isinstance(columns([1, 2, 3]), slice)
    assert isinstance(columns([1, 3]), list)


def test_dot_adds_in_one_order_whatever_the_layout() -> None:
    rng = np.random.default_rng(0)
    a, b = rng.standard_normal((2, 64, 7))
    expected = dot(a, b)
    np.testing.assert_allclose(expected, np.sum(a * b, axis=-1), rtol=1e-12)

    # Equal to the last bit: in another memory layout, and row by row.
    by_columns = dot(np.asfortranarray(a), b)
    by_rows = [dot(a[i : i + 1], b[i : i + 1])[0] for i in range(64)]
    np.testing.assert_array_equal(by_columns, expected)
    np.testing.assert_array_equal(by_rows, expected)


@pytest.mark.parametrize("width", [1, 2, 3])
def test_flags_along_a_short_axis(width: int) -> None:
    flags = np.array(list(itertools.product([False, True], repeat=width)))
    np.testing.assert_array_equal(any_of(flags), flags.any(axis=-1))
    np.testing.assert_array_equal(all_of(flags), flags.all(axis=-1))
    np.testing.assert_array_equal(count_of(flags), flags.sum(axis=-1))
    assert count_of(flags).dtype == np.int64


def test_work_is_saved_only_if_all_values_are_known_to_be_zero() -> None:
    assert surely_none(np.zeros((2, 3)))
    assert surely_none(np.zeros(2, bool))
    assert not surely_none(np.array([0.0, np.nan]))
    assert not surely_none(np.array([[False], [True]]))
    assert not surely_none(pytest.importorskip("torch").zeros(2))
