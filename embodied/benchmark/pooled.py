"""Success rates and differences over several cells, with intervals and tests.

Episodes with the same task, robot and seed start alike at every level, so they are not
independent. They form one cluster: intervals are widened by the design effect (Kish,
Survey Sampling, 1965), and permutation tests flip the sign of whole clusters.
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
from embodied.rollout.rollout import EpisodeResult

BOOTSTRAPS = 1000  # number of resamples of a bootstrap
# number of random permutations, in a permutation test with too many to try all
RESAMPLES = 9999
POWER = 0.8  # probability of detecting a difference that exists
# differences of success rates that are closer than this are equal but for rounding errors
ROUNDING = 1e-12
Key = tuple[str, int]  # a cluster of dependent episodes: (task and robot, seed)


@dataclass(frozen=True)
class Pooled:
    """The mean of several cells' rates, with its 95% interval."""

    value: float
    low: float
    high: float
    cells: int
    episodes: int


@dataclass(frozen=True)
class Difference:
    """The mean difference of two policies' rates, over the same cells.

    Attributes:
        value: first rate minus second rate.
        low: lower limit of its 95% interval.
        high: upper limit.
        p_value: the p-value of the permutation test; for one cell, of McNemar's exact
            test.
        episodes: number of pairs of episodes.
        discordant: share of the pairs in which exactly one of the two succeeded.
        design_effect: factor by which clustering increases the variance of `value`.
        progress: mean difference of the highest progress, with its interval.
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

    The interval is Wilson's, for the effective number of episodes: the number of
    independent, equally weighted episodes that would give the same variance.
    """
    # Episodes of the same task, robot and seed have the same start, so they are not
    # independent: they form a cluster. An episode's weight is its share in the mean: cells
    # weigh the same, whatever their number of episodes.
    clusters: list[Key] = []
    outcomes = []
    shares = []
    for cell in cells:
        for episode in cell.episodes:
            clusters.append((cell.condition.task_with_robot, episode.seed))
            outcomes.append(metric(episode))
            shares.append(1 / (len(cells) * len(cell.episodes)))

    outcome = np.array(outcomes, float)  # (episodes,)
    weight = np.array(shares)  # (episodes,)
    # `np.average` of equal outcomes is exact: a rate of 100% must not read >99%
    rate = float(np.average(outcome, weights=weight))

    # The variance of the mean if all episodes were independent: the variance of an outcome
    # times the sum of the squared weights.
    independent_variance = rate * (1 - rate) * float(weight @ weight)
    residuals = weight * (outcome - rate)
    design_effect = _design_effect(clusters, residuals, independent_variance)

    # Unequal weights and clusters both reduce the effective number of episodes: 1 over the
    # sum of squared weights (Kish), over the design effect.
    effective_episodes = 1 / float(weight @ weight) / design_effect
    low, high = wilson_limits(rate * effective_episodes, effective_episodes)
    # min and max: keep rounding from moving a limit past the rate
    return Pooled(
        value=rate,
        low=min(low, rate),
        high=max(high, rate),
        cells=len(cells),
        episodes=len(outcomes),
    )


def pooled_difference(
    pairs: Sequence[tuple[Cell, Cell]], metric: Metric = success_at_end
) -> Difference | None:
    """Compares two policies on the seeds that they share, in several cells.

    Args:
        pairs: cells of both policies in the same scenario.
        metric: the outcome that is compared.

    Returns:
        The mean difference, each pair of cells with the same weight; None if no seed is
        shared.
    """
    shared = [(a, b, _shared_seeds(a, b)) for a, b in pairs]
    shared = [(a, b, seeds) for a, b, seeds in shared if seeds]
    if not shared:
        return None

    # one element for each pair of episodes
    keys: list[Key] = []
    episode_pairs: list[tuple[EpisodeResult, EpisodeResult]] = []
    weights = []
    for first, second, seeds in shared:
        # seed -> episode, for each of the two cells
        first_episodes = {episode.seed: episode for episode in first.episodes}
        second_episodes = {episode.seed: episode for episode in second.episodes}
        for seed in seeds:
            keys.append((first.condition.task_with_robot, seed))
            episode_pairs.append((first_episodes[seed], second_episodes[seed]))
            weights.append(1 / (len(shared) * len(seeds)))

    return _difference(keys, episode_pairs, np.array(weights), metric)


def _difference(
    keys: Sequence[Key],
    pairs: Sequence[tuple[EpisodeResult, EpisodeResult]],
    weight: np.ndarray,
    metric: Metric,
) -> Difference:
    """Returns the weighted mean difference over pairs of episodes.

    Args:
        keys: the cluster of each pair (E,).
        pairs: episodes of the first and the second policy from the same start (E,).
        weight: the weight of each pair (E,); the weights add up to 1.
        metric: the outcome that is compared.
    """
    a = np.array([metric(first) for first, _ in pairs], float)
    b = np.array([metric(second) for _, second in pairs], float)
    progress = np.array(
        [
            _finite(first.progress_max) - _finite(second.progress_max)
            for first, second in pairs
        ]
    )
    value = float(weight @ (a - b))

    # the variance of the mean difference if all pairs were independent
    pair_variance = float(weight @ (a - b - value) ** 2)
    independent_variance = pair_variance * float(weight @ weight)
    # how much the similarity of pairs within clusters increases that variance
    residuals = weight * (a - b - value)
    design_effect = _design_effect(keys, residuals, independent_variance)

    # Newcombe's interval, from the effective number of pairs in which both, only one or
    # neither of the episodes succeeded
    effective_pairs = 1 / float(weight @ weight) / design_effect
    both = float(weight @ (a * b)) * effective_pairs
    only_a = float(weight @ (a * (1 - b))) * effective_pairs
    only_b = float(weight @ ((1 - a) * b)) * effective_pairs
    neither = max(effective_pairs - both - only_a - only_b, 0.0)
    low, high = newcombe_paired(both, only_a, only_b, neither, CONFIDENCE)
    return Difference(
        value=value,
        low=min(low, value),
        high=max(high, value),
        p_value=_sign_test(_by_cluster(keys, weight * (a - b))),
        episodes=len(keys),
        discordant=float(weight @ np.abs(a - b)),
        design_effect=design_effect,
        progress=mean_with_interval(keys, progress, weight),
    )


def required_pairs(difference: float, discordant: float, power: float = POWER) -> int:
    """Returns how many pairs detect a difference of rates, at 95% confidence.

    Args:
        difference: the difference of the rates, not 0.
        discordant: share of the pairs in which exactly one of the two succeeds; it is
            at least the difference.
        power: probability of detecting the difference.

    The formula is Connor's, Biometrics 43 (1987) 207, for McNemar's test.
    """
    effect = abs(difference)
    share = max(discordant, effect)  # a difference takes as many discordant pairs
    # quantiles of the standard normal distribution: 1.96 at 95%, 0.84 at a power of 0.8
    z_alpha = stats.norm.ppf(1 - (1 - CONFIDENCE) / 2)
    z_power = stats.norm.ppf(power)
    root = z_alpha * math.sqrt(share) + z_power * math.sqrt(share - effect**2)
    return math.ceil((root / effect) ** 2)


def mean_with_interval(
    keys: Sequence[Key], values: np.ndarray, weights: np.ndarray
) -> Estimate:
    """Returns a weighted mean, with an interval from a bootstrap of whole clusters.

    Args:
        keys: the cluster of each value (E,).
        values: the values (E,).
        weights: the weight of each value (E,).
    """
    # per cluster: the weighted sum of its values, and the sum of its weights
    sums = _by_cluster(keys, weights * values)
    cluster_weights = _by_cluster(keys, weights)
    # draw as many clusters with replacement as there are
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    means = []
    for _ in range(BOOTSTRAPS):
        drawn = rng.integers(0, len(sums), len(sums))
        means.append(sums[drawn].sum() / cluster_weights[drawn].sum())

    low, high = np.quantile(means, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    value = float(sums.sum() / cluster_weights.sum())
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def _shared_seeds(first: Cell, second: Cell) -> list[int]:
    """Returns the seeds of the first cell that the second one has, too."""
    second_seeds = {episode.seed for episode in second.episodes}
    return [episode.seed for episode in first.episodes if episode.seed in second_seeds]


def _finite(progress: float) -> float:
    """Returns a progress, or 0 if it is not finite, as `Summary.progress_mean` counts it."""
    return progress if math.isfinite(progress) else 0.0


def _by_cluster(keys: Sequence[Key], values: np.ndarray) -> np.ndarray:
    """Returns (C,) each cluster's sum of the values (E,), in the order of first use."""
    indices = {key: k for k, key in enumerate(dict.fromkeys(keys))}
    return np.bincount([indices[key] for key in keys], values, len(indices))


def _design_effect(
    keys: Sequence[Key], residuals: np.ndarray, independent_variance: float
) -> float:
    """Returns the design effect of the clusters on a weighted mean.

    It is the variance of the mean with clusters, divided by its variance if all episodes
    were independent. It is at least 1, so that clusters never narrow an interval.

    Args:
        keys: the cluster of each episode (E,).
        residuals: weight times deviation from the mean, of each episode (E,).
        independent_variance: variance of the mean of independent episodes; 0 if all
            outcomes are equal.
    """
    if independent_variance <= 0:
        return 1.0
    # add the residuals of a cluster before squaring, because they are correlated
    clustered_variance = float((_by_cluster(keys, residuals) ** 2).sum())
    return max(clustered_variance / independent_variance, 1.0)


def _sign_test(cluster_differences: np.ndarray) -> float:
    """Returns the two-sided p-value of the hypothesis that two policies do not differ.

    If they do not, each cluster's difference is as likely to have the opposite sign. The
    p-value is the probability that random signs give a sum at least as far from 0.

    Args:
        cluster_differences: the sum of the weighted differences in each cluster (C,).
    """
    # a difference of 0 has no sign, so leave it out
    values = cluster_differences[np.abs(cluster_differences) > ROUNDING]
    if not len(values):
        return 1.0

    # If all differences are equally large, as in a single cell, the sum depends only on
    # the number of positive signs: this is McNemar's exact test.
    if np.ptp(np.abs(values)) < ROUNDING:
        positive = int((values > 0).sum())
        return float(stats.binomtest(positive, len(values), 0.5).pvalue)

    # "samples" flips the sign of each value at random
    result = stats.permutation_test(
        (values,),
        np.sum,
        permutation_type="samples",
        vectorized=True,
        n_resamples=RESAMPLES,
        rng=np.random.default_rng(BOOTSTRAP_SEED),
    )
    return float(min(result.pvalue, 1.0))
