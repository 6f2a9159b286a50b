"""Actions as users and policies give them, made fit for a robot."""

from __future__ import annotations

import numpy as np

from embodied.core import Array
from embodied.errors import EmbodiedError


def as_actions(
    actions: Array, num_worlds: int, labels: tuple[str, ...]
) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns actions that are finite and in [-1, 1], and tells which were not finite.

    Args:
        actions: (N, A); what is beyond [-1, 1] is clipped, and rows with a NaN or inf
            become 0.
        num_worlds: N.
        labels: of the A elements.

    Returns:
        (N, A) float64, and (N,) bool of the rows that were not finite; None where all
        are.

    Raises:
        EmbodiedError: the actions have another shape.
    """
    actions = np.asarray(actions, dtype=np.float64)
    expected = (num_worlds, len(labels))
    if actions.shape != expected:
        raise EmbodiedError(
            f"actions of shape {actions.shape}, expected {expected}: "
            f"one row a world with ({', '.join(labels)})"
        )

    bad = None
    if not np.isfinite(actions).all():
        bad = ~np.isfinite(actions).all(axis=1)
        actions = np.where(bad[:, None], 0.0, actions)
    return np.minimum(np.maximum(actions, -1.0), 1.0), bad
