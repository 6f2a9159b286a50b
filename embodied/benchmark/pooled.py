"""Rates and differences over several cells, whose episodes may share their seeds.

The same seed of the same task starts alike at every level, so that its episodes are no
independent draws. They are taken together as one cluster: intervals widen by the design
effect, and tests turn whole clusters (Kish, Survey Sampling, 1965).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from embodied.benchmark.results import Cell, Metric, success_at_end
from embodied.benchmark.statistics import (
    BOOTSTRAP_SEED,
    CONFIDENCE,
    Estimate,
    newcombe_paired,
    wilson_limits,
)

BOOTSTRAPS = 1000  # resamples of a bootstrap
RESAMPLES = 9999  # of a permutation test, where not all permutations are tried
POWER = 0.8  # the chance with which a difference is to be found
Key = tuple[str, int]  # of a cluster: task with robot, and seed


@dataclass(frozen=True)
class Pooled:
    """A mean of the rates of several cells, with its interval."""

    value: float
    low: float
    high: float
    cells: int
    episodes: int


@dataclass(frozen=True)
class Difference:
    """Two policies in the same cells: the mean difference of their rates.

    Attributes:
        value: first rate - second rate.
        low: the lower limit of its interval.
        high: the upper limit.
        p_value: of the test that turns clusters (for one cell: McNemar's exact test).
        episodes: the pairs.
        discordant: the share of the pairs in which one of the two alone succeeded.
        design_effect: by how much the clusters widen the interval's square.
        progress: the mean difference of the furthest progress, with its interval.
    """

    value: float
    low: float
    high: float
    p_value: float
    episodes: int
    discordant: float
    design_effect: float
    progress: Estimate


def pooled_rate(cells: Sequence[Cell], metric: Metric = success_at_end) -> Pooled:
    """Returns the mean of the cells' rates, each cell with the same weight.

    The interval is Wilson's, for as many episodes as independent ones would tell as
    much.
    """
    keys: list[Key] = []
    outcomes = []
    weights = []
    for cell in cells:
        for episode in cell.episodes:
            keys.append((cell.condition.place, episode.seed))
            outcomes.append(metric(episode))
            weights.append(1 / (len(cells) * len(cell.episodes)))

    values = np.array(outcomes, float)
    weight = np.array(weights)
    # An average of equal outcomes is exactly that outcome: 100% must not read >99%.
    value = float(np.average(values, weights=weight))
    residuals = weight * (values - value)
    # of the mean, if all episodes were independent
    variance = value * (1 - value) * float(weight @ weight)
    effect = _design_effect(keys, residuals, variance)

    # as many equally weighted episodes tell as much: fewer, where cells are unequal
    alike = 1 / float(weight @ weight)
    low, high = wilson_limits(value * alike / effect, alike / effect)
    return Pooled(value, min(low, value), max(high, value), len(cells), len(values))


def pooled_difference(
    pairs: Sequence[tuple[Cell, Cell]], metric: Metric = success_at_end
) -> Difference | None:
    """Compares two policies over the seeds that they share, in several cells.

    Args:
        pairs: cells of both policies under the same condition.
        metric: what is compared.

    Returns:
        The mean difference, each cell with the same weight; None where no seed is
        shared.
    """
    shared = [(a, b, _shared_seeds(a, b)) for a, b in pairs]
    shared = [(a, b, seeds) for a, b, seeds in shared if seeds]
    if not shared:
        return None

    keys: list[Key] = []
    firsts = []
    seconds = []
    weights = []
    progress = []
    for first, second, seeds in shared:
        own = {episode.seed: episode for episode in first.episodes}
        other = {episode.seed: episode for episode in second.episodes}
        for seed in seeds:
            keys.append((first.condition.place, seed))
            firsts.append(metric(own[seed]))
            seconds.append(metric(other[seed]))
            weights.append(1 / (len(shared) * len(seeds)))
            progress.append(
                _finite(own[seed].progress_max) - _finite(other[seed].progress_max)
            )

    a = np.array(firsts, float)
    b = np.array(seconds, float)
    weight = np.array(weights)
    value = float(weight @ (a - b))
    spread = float(weight @ (a - b - value) ** 2)
    variance = spread * float(weight @ weight)
    effect = _design_effect(keys, weight * (a - b - value), variance)

    # Newcombe's interval for as many independent pairs as would tell as much
    alike = 1 / float(weight @ weight) / effect
    table = [weight @ (a * b), weight @ (a * (1 - b)), weight @ ((1 - a) * b)]
    both, only_a, only_b = (float(share) * alike for share in table)
    neither = max(alike - both - only_a - only_b, 0.0)
    low, high = newcombe_paired(both, only_a, only_b, neither, CONFIDENCE)
    return Difference(
        value=value,
        low=min(low, value),
        high=max(high, value),
        p_value=_sign_test(_by_cluster(keys, weight * (a - b))),
        episodes=len(keys),
        discordant=float(weight @ np.abs(a - b)),
        design_effect=effect,
        progress=mean_with_interval(keys, np.array(progress), weight),
    )


def required_pairs(difference: float, discordant: float, power: float = POWER) -> int:
    """Returns how many pairs tell two rates apart, at 95% confidence.

    Args:
        difference: of the rates.
        discordant: the share of the pairs in which one of the two alone succeeds, at
            least as large as the difference.
        power: the chance of finding the difference.

    The formula is Connor's, Biometrics 43 (1987) 207, for McNemar's test.
    """
    size = abs(difference)
    share = max(discordant, size)
    z_alpha = stats.norm.ppf(1 - (1 - CONFIDENCE) / 2)
    z_power = stats.norm.ppf(power)
    root = z_alpha * math.sqrt(share) + z_power * math.sqrt(share - size**2)
    return math.ceil((root / size) ** 2)


def mean_with_interval(
    keys: Sequence[Key], values: np.ndarray, weights: np.ndarray
) -> Estimate:
    """Returns a weighted mean, with a bootstrap interval over the clusters."""
    sums = _by_cluster(keys, weights * values)
    shares = _by_cluster(keys, weights)
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    means = []
    for _ in range(BOOTSTRAPS):
        drawn = rng.integers(0, len(sums), len(sums))
        means.append(sums[drawn].sum() / shares[drawn].sum())

    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    value = float(sums.sum() / shares.sum())
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def _shared_seeds(first: Cell, second: Cell) -> list[int]:
    """Returns the seeds of the first cell that the second one has, too."""
    others = {episode.seed for episode in second.episodes}
    return [episode.seed for episode in first.episodes if episode.seed in others]


def _finite(progress: float) -> float:
    """Returns a progress, or 0 where it is not a number, as in `Summary`."""
    return progress if math.isfinite(progress) else 0.0


def _by_cluster(keys: Sequence[Key], values: np.ndarray) -> np.ndarray:
    """Returns the sums of values with the same key."""
    places = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    return np.bincount([places[key] for key in keys], values, len(places))


def _design_effect(
    keys: Sequence[Key], residuals: np.ndarray, independent: float
) -> float:
    """Returns how many times the variance is that of independent episodes, at least 1."""
    if independent <= 0:
        return 1.0
    clustered = float((_by_cluster(keys, residuals) ** 2).sum())
    return max(clustered / independent, 1.0)


def _sign_test(clusters: np.ndarray) -> float:
    """Returns how likely so large a sum is when each cluster may have either sign."""
    # clusters in which both did alike change nothing
    values = clusters[np.abs(clusters) > 1e-12]
    if not len(values):
        return 1.0

    # all of one size, as in a single cell: the exact McNemar test
    if np.ptp(np.abs(values)) < 1e-12:
        positive = int((values > 0).sum())
        return float(stats.binomtest(positive, len(values), 0.5).pvalue)

    result = stats.permutation_test(
        (values,),
        np.sum,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    )
    return float(min(result.pvalue, 1.0))
