"""Checks and clips the actions that users and policies give."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.arrays import all_of
from embodied.core import Array
from embodied.errors import EmbodiedError


def as_actions(
    actions: Array, num_worlds: int, labels: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns actions clipped to [-1, 1], and which rows were not finite.

    Args:
        actions: (N, A). A row with a NaN or inf becomes 0.
        num_worlds: the number N of worlds.
        labels: the names of the A elements of an action.

    Returns:
        (N, A) float64; and (N,) bool, True for rows that were not finite, or None if
        all rows were finite.

    Raises:
        EmbodiedError: the actions have another shape, or are not numbers.
    """
    actions = as_numbers(actions)
    expected = (num_worlds, len(labels))
    if actions.shape != expected:
        raise EmbodiedError(
            f"actions of shape {actions.shape}, expected {expected}: "
            f"one row per world with ({', '.join(labels)})"
        )

    is_bad_row = None
    is_finite = np.isfinite(actions)
    if np.count_nonzero(is_finite) < actions.size:
        is_bad_row = ~all_of(is_finite)
        actions = np.where(is_bad_row[:, None], 0.0, actions)
    return np.minimum(np.maximum(actions, -1.0), 1.0), is_bad_row


def as_numbers(actions: Any) -> np.ndarray:
    """Returns actions as an array of float64, which may share memory with `actions`.

    Raises:
        EmbodiedError: the actions are not an array of real numbers.
    """
    try:
        array = np.asarray(actions)
        # the allowed kinds are bool, integer, unsigned and float, and objects, which may
        # be convertible to numbers
        if array.dtype.kind not in "biufO":
            raise TypeError(f"not of the type {array.dtype}")
        return array.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise EmbodiedError(
            f"actions must be an array of numbers from -1 to 1, not {_brief(actions)}"
        ) from error


def _brief(value: Any) -> str:
    """Returns the repr of a value if it is short, otherwise only its type."""
    text = repr(value)
    return text if len(text) < 60 and "\n" not in text else f"a {type(value).__name__}"
