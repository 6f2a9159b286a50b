"""Checks and clips the actions that users and policies give."""

from __future__ import annotations

import numpy as np

from embodied.core import Array
from embodied.errors import EmbodiedError


def as_actions(
    actions: Array, num_worlds: int, labels: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns actions in [-1, 1], and which rows were not finite.

    Args:
        actions: (N, A). Values beyond [-1, 1] are clipped, and a row with a NaN or inf
            becomes 0.
        num_worlds: N.
        labels: names of the A elements.

    Returns:
        (N, A) float64; and (N,) bool, True for rows that were not finite, or None if
        all rows were finite.

    Raises:
        EmbodiedError: the actions have another shape.
    """
    actions = np.asarray(actions, dtype=np.float64)
    expected = (num_worlds, len(labels))
    if actions.shape != expected:
        raise EmbodiedError(
            f"actions of shape {actions.shape}, expected {expected}: "
            f"one row per world with ({', '.join(labels)})"
        )

    bad = None
    if not np.isfinite(actions).all():
        bad = ~np.isfinite(actions).all(axis=1)
        actions = np.where(bad[:, None], 0.0, actions)
    return np.minimum(np.maximum(actions, -1.0), 1.0), bad
