"""What kind a value is that an author wrote, whatever its annotation promises."""

from __future__ import annotations

import math
from numbers import Real


def is_phrase(value: object) -> bool:
    """Returns whether a value is a text that says something."""
    return isinstance(value, str) and bool(value.strip())


def is_number(value: object) -> bool:
    """Returns whether a value is a finite number, of Python or NumPy."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return math.isfinite(value)
