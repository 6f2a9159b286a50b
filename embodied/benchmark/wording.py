"""Formats numbers for people: shares with intervals, p-values, times, sizes."""

from __future__ import annotations

from collections.abc import Sequence

from embodied.benchmark.statistics import Comparison, Rate

MINUS = "\N{MINUS SIGN}"
EN_DASH = "\N{EN DASH}"
# From this number of episodes on, a percentage has a decimal.
MANY_EPISODES = 200


def percent(share: float, episodes: int) -> str:
    """Returns a share with as many digits as the number of episodes justifies.

    It reads "0%" or "100%" only for exactly that share, else "<1%" or ">99%".
    """
    text = _rounded(share, episodes)
    # "0" becomes "<1%", and "0.0" becomes "<0.1%"
    if text.removesuffix(".0") == "0" and share > 0:
        return f"<{text[:-1]}1%"
    if text.removesuffix(".0") == "100" and share < 1:
        return ">99.9%" if "." in text else ">99%"
    return f"{text}%"


def interval(rate: Rate) -> str:
    """Returns the interval of a rate, e.g. "79-92%" (with an en dash)."""
    low = _rounded(rate.low, rate.episodes)
    high = _rounded(rate.high, rate.episodes)
    return f"{low}{EN_DASH}{high}%"


def _rounded(share: float, episodes: int) -> str:
    """Returns a percentage without "%", e.g. "85"; with MANY_EPISODES, e.g. "85.3"."""
    digits = 0 if episodes < MANY_EPISODES else 1
    return f"{share * 100:.{digits}f}"


def signed(share: float) -> str:
    """Returns a difference of shares in percentage points with its sign."""
    rounded = round(share * 100)
    return f"{rounded:+d}".replace("-", MINUS) if rounded else "0"


def difference(comparison: Comparison) -> str:
    """Returns a difference of rates in percentage points, with its interval."""
    low = signed(comparison.low)
    high = signed(comparison.high)
    return f"{signed(comparison.difference)} points (95% interval {low} to {high})"


def p_value(p: float) -> str:
    """Returns a p-value with two or three decimals, e.g. "0.25", "0.034" or "< 0.001"."""
    if p < 0.001:
        return "< 0.001"
    digits = 3 if p < 0.1 else 2
    return f"{p:.{digits}f}"


def duration(seconds: float) -> str:
    """Returns a time in its two largest units, e.g. "3 min 20 s"."""
    if seconds < 60:
        return f"{seconds:.1f} s"

    minutes, seconds_left = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {seconds_left:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def size(size_bytes: int) -> str:
    """Returns a size in its largest unit, e.g. "1.24 MB"."""
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.3g} {unit}"
    return f"{size_bytes} bytes"


def listing(parts: Sequence[str]) -> str:
    """Joins at least one part with commas, and "and" before the last one."""
    *others, last = parts
    return f"{', '.join(others)} and {last}" if others else last
