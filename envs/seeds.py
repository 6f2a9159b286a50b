"""Seeds that worlds take."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.errors import EmbodiedError

LIMIT = 2**63


def checked_seed(seed: Any) -> int:
    """The seed as Python's own number. Raises EmbodiedError unless it is a whole one
    from 0 to 2**63 - 1.
    """
    if not isinstance(seed, int | np.integer) or not 0 <= seed < LIMIT:
        raise EmbodiedError(
            f"a seed must be a whole number from 0 to 2**63 - 1, not {seed!r}"
        )
    return int(seed)
