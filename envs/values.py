"""Checks the types of values in a user's task, regardless of annotations."""

from __future__ import annotations

import math
from numbers import Real


def is_phrase(value: object) -> bool:
    """Returns whether a value is a text that is not blank."""
    return isinstance(value, str) and bool(value.strip())


def is_number(value: object) -> bool:
    """Returns whether a value is a finite number, of Python or NumPy."""
    if isinstance(value, bool) or not isinstance(value, Real):
        return False
    return math.isfinite(value)
