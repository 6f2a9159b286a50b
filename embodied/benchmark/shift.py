"""Shifts (episodes back to back for a simulated time), and mean time between failures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from scipy import stats

from embodied.benchmark.results import success_at_end
from embodied.benchmark.statistics import CONFIDENCE
from embodied.errors import EmbodiedError
from embodied.rollout.rollout import EpisodeResult

# The first words of the rule's description, by which reports recognise a shift.
SHIFT_RULE = "until a shift"
UNITS_S = {"s": 1.0, "min": 60.0, "h": 3600.0}
# Assumed length of the shortest episodes, which limits the number of episodes in a shift.
SHORTEST_EPISODE_S = 1.0
LONGEST_SHIFT_S = 24 * 3600.0


@dataclass(frozen=True)
class TimeBetweenFailures:
    """The mean simulated time between failures, in s.

    Attributes:
        mean_s: total time over the number of failures; None without failures.
        low_s: lower limit of its 95% interval.
        high_s: upper limit; None without failures.
        failures: number of failed episodes.
    """

    mean_s: float | None
    low_s: float
    high_s: float | None
    failures: int


def time_between_failures(episodes: Sequence[EpisodeResult]) -> TimeBetweenFailures:
    """Returns the mean time between failed episodes.

    A failed episode is one without success at the end. The interval is exact for a
    constant failure rate and a fixed observation time (Epstein & Sobel 1953;
    MIL-HDBK-189C, 5.4): it uses chi-squared distributions with 2 r and 2 r + 2 degrees of
    freedom for r failures.
    """
    total_s = sum(episode.duration_s for episode in episodes)
    failures = sum(not success_at_end(episode) for episode in episodes)
    tail = (1 - CONFIDENCE) / 2  # probability beyond each limit: 0.025

    low_s = 2 * total_s / float(stats.chi2.ppf(1 - tail, 2 * failures + 2))
    if not failures:
        return TimeBetweenFailures(None, low_s, None, 0)
    high_s = 2 * total_s / float(stats.chi2.ppf(tail, 2 * failures))
    return TimeBetweenFailures(total_s / failures, low_s, high_s, failures)


@dataclass(frozen=True)
class Shift:
    """A stopping rule: it ends a measurement when its episodes add up to a given time.

    Attributes:
        length_s: the simulated time that the episodes must fill.
    """

    length_s: float

    @property
    def description(self) -> str:
        return f"{SHIFT_RULE} of {duration_text(self.length_s)} was over"

    @property
    def most_episodes(self) -> int:
        """The most episodes that a shift may hold."""
        return max(1, round(self.length_s / SHORTEST_EPISODE_S))

    def is_met(self, episodes: Sequence[EpisodeResult]) -> bool:
        """Returns whether the episodes fill the shift."""
        return sum(episode.duration_s for episode in episodes) >= self.length_s

    def forecast(self, episodes: Sequence[EpisodeResult]) -> float:
        """Returns how many episodes of the mean duration so far fill the shift."""
        mean_s = sum(episode.duration_s for episode in episodes) / len(episodes)
        return self.length_s / mean_s


def parse_shift(text: str) -> Shift:
    """Returns the shift of a text such as "1h", "90min" or "600s".

    Raises:
        EmbodiedError: the text is no such time, or the time is longer than a day.
    """
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(s|min|h)", text)
    length_s = float(match[1]) * UNITS_S[match[2]] if match else 0.0
    if not 0 < length_s <= LONGEST_SHIFT_S:
        raise EmbodiedError(
            "--shift must be a time with its unit, at most 24h, such as 1h, 90min or "
            f"600s, not {text!r}"
        )
    return Shift(length_s)


def duration_text(duration_s: float) -> str:
    """Returns a duration in its largest unit, e.g. "1 h" or "12 min"."""
    for unit in ("h", "min"):
        if duration_s >= UNITS_S[unit]:
            return f"{duration_s / UNITS_S[unit]:.3g} {unit}"
    return f"{duration_s:.3g} s"


def between_failures_text(mean_time: TimeBetweenFailures) -> str:
    """Returns a mean time between failures in words, e.g. "12 min (6 min to 30 min)"."""
    if mean_time.mean_s is None:
        return f"no failure, at least {duration_text(mean_time.low_s)}"
    limits = (
        f"{duration_text(mean_time.low_s)} to {duration_text(mean_time.high_s or 0)}"
    )
    return f"{duration_text(mean_time.mean_s)} ({limits})"
