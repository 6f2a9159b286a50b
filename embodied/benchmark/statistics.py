"""Rates with intervals, paired comparisons, and medians.

Intervals are at `CONFIDENCE` unless another level is given. Rates and differences are
shares (0.9, not 90).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import stats

CONFIDENCE = 0.95
RESAMPLES = 2000  # number of resamples of a bootstrap
# a fixed seed, so that the same episodes always give the same interval
BOOTSTRAP_SEED = 20_260


@dataclass(frozen=True)
class Rate:
    """A share of episodes with its Wilson interval."""

    successes: int
    episodes: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.successes / self.episodes


@dataclass(frozen=True)
class Comparison:
    """A paired comparison of two policies on the same starts."""

    # number of starts from which both, one or neither of the policies succeeded
    both: int
    only_first: int
    only_second: int
    neither: int
    difference: float  # first rate minus second rate
    low: float  # limits of its interval
    high: float
    p_value: float  # p-value of McNemar's exact test

    @property
    def episodes(self) -> int:
        return self.both + self.only_first + self.only_second + self.neither


@dataclass(frozen=True)
class Median:
    """The median of a sample, with its quartiles and its bootstrap interval."""

    median: float
    lower_quartile: float
    upper_quartile: float
    low: float | None  # limits of the interval; None for a sample of one value
    high: float | None


@dataclass(frozen=True)
class Estimate:
    """A figure with its bootstrap interval."""

    value: float
    low: float
    high: float


def wilson(successes: int, episodes: int, confidence: float = CONFIDENCE) -> Rate:
    """Returns the rate with its Wilson score interval (Wilson 1927).

    It is also valid at 0% and 100%, and for small samples.

    Raises:
        ValueError: no episodes, or successes outside [0, episodes].
    """
    if episodes < 1:
        raise ValueError(f"a rate needs at least one episode, got {episodes}")
    if not 0 <= successes <= episodes:
        raise ValueError(f"successes must lie in [0, {episodes}], got {successes}")

    low, high = wilson_limits(int(successes), int(episodes), confidence)
    return Rate(int(successes), int(episodes), low, high)


def wilson_limits(
    successes: float, episodes: float, confidence: float = CONFIDENCE
) -> tuple[float, float]:
    """Returns the limits of the Wilson score interval.

    Args:
        successes: number of successes.
        episodes: number of episodes. If episodes depend on each other, it is the
            effective number of independent episodes, which need not be whole.
        confidence: the confidence of the interval.
    """
    value = successes / episodes
    # scipy takes whole numbers only, statsmodels also fractions
    if float(successes).is_integer() and float(episodes).is_integer():
        test = stats.binomtest(int(successes), int(episodes))
        limits: Any = test.proportion_ci(confidence, method="wilson")
    else:
        # imported here, because importing it is slow, and few commands need it
        from statsmodels.stats.proportion import proportion_confint

        alpha = 1 - confidence
        limits = proportion_confint(successes, episodes, alpha, method="wilson")

    # At 0% and 100% one limit equals the rate; keep rounding from moving it past the rate.
    low, high = limits
    return float(min(low, value)), float(max(high, value))


def compare_paired(
    first: Sequence[bool] | np.ndarray,
    second: Sequence[bool] | np.ndarray,
    confidence: float = CONFIDENCE,
) -> Comparison:
    """Compares the outcomes of two policies on the same starts.

    The p-value is that of McNemar's exact test. Its null hypothesis: from a start with
    different outcomes, either policy is equally likely to be the one that succeeds. The
    interval is method 10 of Newcombe, Statistics in Medicine 17 (1998) 2635-2650.

    Args:
        first: outcomes of one policy, (E,) bool.
        second: outcomes of the other, in the same order of starts.
        confidence: the confidence of the interval.

    Raises:
        ValueError: the sequences are empty or differ in length.
    """
    a = np.asarray(first, dtype=bool)
    b = np.asarray(second, dtype=bool)
    if a.shape != b.shape or a.ndim != 1 or not a.size:
        raise ValueError(
            "paired outcomes must be two equal, non-empty rows, "
            f"got shapes {a.shape} and {b.shape}"
        )

    both = int((a & b).sum())
    only_a = int((a & ~b).sum())
    only_b = int((~a & b).sum())
    neither = a.size - both - only_a - only_b
    low, high = newcombe_paired(both, only_a, only_b, neither, confidence)

    # without any differing pair nothing speaks against the null hypothesis
    p_value = 1.0
    if only_a + only_b:
        p_value = float(stats.binomtest(only_a, only_a + only_b, 0.5).pvalue)

    return Comparison(
        both=both,
        only_first=only_a,
        only_second=only_b,
        neither=neither,
        difference=(only_a - only_b) / a.size,
        low=low,
        high=high,
        p_value=p_value,
    )


def newcombe_paired(
    both: float, only_a: float, only_b: float, neither: float, confidence: float
) -> tuple[float, float]:
    """Returns the limits of a difference of paired rates (Newcombe 1998, method 10).

    The arguments `both` to `neither` are numbers of pairs; they need not be whole.
    """
    episodes = both + only_a + only_b + neither
    a_value = (both + only_a) / episodes
    b_value = (both + only_b) / episodes
    a_low, a_high = wilson_limits(both + only_a, episodes, confidence)
    b_low, b_high = wilson_limits(both + only_b, episodes, confidence)
    phi = _correlation(both, only_a, only_b, neither)  # of the two outcomes of a pair
    difference = a_value - b_value

    # The standard deviation of a difference of correlated values, with the distances of
    # the rates from their Wilson limits in place of the standard deviations.
    def half_width(width_a: float, width_b: float) -> float:
        squared = width_a**2 - 2 * phi * width_a * width_b + width_b**2
        return math.sqrt(max(squared, 0.0))

    low = difference - half_width(a_value - a_low, b_high - b_value)
    high = difference + half_width(a_high - a_value, b_value - b_low)
    return max(low, -1.0), min(high, 1.0)


def _correlation(both: float, only_a: float, only_b: float, neither: float) -> float:
    """Returns Newcombe's phi, the correlation of paired outcomes.

    The arguments are the numbers of pairs in which both, only one, or neither of the
    policies succeeded. A continuity correction reduces a positive correlation.
    """
    margins_a = (both + only_a) * (only_b + neither)
    margins_b = (both + only_b) * (only_a + neither)
    margins = margins_a * margins_b
    if not margins:
        return 0.0

    numerator: float = both * neither - only_a * only_b
    if numerator > 0:
        numerator = max(numerator - (both + only_a + only_b + neither) / 2, 0.0)
    return numerator / math.sqrt(margins)


def holm(p_values: Sequence[float]) -> list[float]:
    """Returns p-values adjusted for multiple tests (Holm 1979), in the same order.

    The smallest of m p-values is multiplied by m, the next by m - 1, and so on. No
    adjusted value is below that of a smaller p-value, or above 1.
    """
    if len(p_values) < 2:
        return list(p_values)

    # imported here, because importing it is slow, and few commands need it
    from statsmodels.stats.multitest import multipletests

    result: Any = multipletests(p_values, method="holm")
    adjusted: list[float] = result[1].tolist()
    return adjusted


def median(
    values: Sequence[float] | np.ndarray, confidence: float = CONFIDENCE
) -> Median | None:
    """Returns the median with quartiles and a percentile-bootstrap interval.

    Returns None for an empty sample.
    """
    sample = np.asarray(values, dtype=np.float64)
    if not sample.size:
        return None

    lower, middle, upper = np.quantile(sample, (0.25, 0.5, 0.75)).tolist()
    if sample.size < 2:
        return Median(middle, lower, upper, low=None, high=None)

    # by rounding errors, resampled medians can lie outside the sample: limit them to it
    low, high = _bootstrap_limits(sample, np.median, confidence)
    low = max(low, sample.min())
    high = min(high, sample.max())
    return Median(
        middle, lower, upper, low=float(min(low, middle)), high=float(max(high, middle))
    )


def mean(values: Sequence[float], confidence: float = CONFIDENCE) -> Estimate:
    """Returns the mean with a percentile-bootstrap interval.

    The interval of a sample whose values are all equal, or of one value, is that value.

    Raises:
        ValueError: there are no values.
    """
    sample = np.asarray(values, dtype=np.float64)
    if not sample.size:
        raise ValueError("a mean needs at least one value")

    middle = float(sample.mean())
    if (sample == sample[0]).all():
        return Estimate(middle, middle, middle)
    return Estimate(middle, *_bootstrap_limits(sample, np.mean, confidence))


def _bootstrap_limits(
    sample: np.ndarray, statistic: Callable[..., Any], confidence: float
) -> tuple[float, float]:
    """Returns the percentile-bootstrap interval of a statistic of a sample (n,).

    The same sample always gives the same interval.
    """
    interval = stats.bootstrap(
        (sample,),
        statistic,
        n_resamples=RESAMPLES,
        confidence_level=confidence,
        method="percentile",
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    ).confidence_interval
    return float(interval.low), float(interval.high)
