"""Profiles a policy: success in each ability, and measures other than success."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.benchmark.contestants import Contestant
from embodied.benchmark.pooled import Pooled, pooled_difference, pooled_rate
from embodied.benchmark.results import Cell
from embodied.benchmark.shift import TimeBetweenFailures, time_between_failures
from embodied.benchmark.statistics import BOOTSTRAP_SEED, CONFIDENCE, Estimate
from embodied.benchmark.suite import CLASSES, DIMENSIONS
from embodied.rollout.rollout import EpisodeResult

EXPERT = "expert"
RESAMPLES = 1000  # number of resamples of a bootstrap


@dataclass(frozen=True)
class AbilityRate:
    """The success rate over all cells that measure an ability."""

    ability: str
    rate: Pooled


@dataclass(frozen=True)
class OtherMeasures:
    """Measures of a cell other than success.

    Attributes:
        units_per_hour: successes per simulated hour, including time of failed episodes.
        seconds_per_unit: simulated time per success; None without any success.
        share_of_expert: `units_per_hour` over that of the expert; None if the expert was
            not measured.
        information_age_s: mean age of the plan in use, in s; None without plans.
        contact_force_n: (median over episodes of the peak force, largest peak force).
        collisions_per_hour: how often the robot started to touch a fixed object.
        near_misses_per_hour: how often a link of the robot came close to a fixed object,
            but did not touch it; None if this was not counted.
        drops: number of episodes with a dropped object.
        joint_margin_rad: smallest distance of a joint from its limit.
        between_failures: mean simulated time between failed episodes.
        lost_to_delay: success rate without delay minus that of this cell; None if this
            cell has no delay, or if the cell without delay was not measured.
    """

    units_per_hour: Estimate
    seconds_per_unit: float | None
    share_of_expert: float | None
    information_age_s: float | None
    contact_force_n: tuple[float, float]
    collisions_per_hour: float
    near_misses_per_hour: float | None
    drops: int
    joint_margin_rad: float
    between_failures: TimeBetweenFailures
    lost_to_delay: Estimate | None


def profile(contestant: Contestant) -> list[AbilityRate]:
    """Returns the success in each measured ability: classes first, then dimensions."""
    rates = []
    for ability in (*CLASSES, *DIMENSIONS):
        cells = [c for c in contestant.cells.values() if ability in c.abilities]
        if cells:
            rates.append(AbilityRate(ability, pooled_rate(cells)))
    return rates


def other_measures(
    cell: Cell, expert: Cell | None = None, undelayed: Cell | None = None
) -> OtherMeasures:
    """Returns the measures of a cell other than success.

    Args:
        cell: the cell of the policy.
        expert: the expert's cell in the same scenario; None if it was not measured.
        undelayed: the same policy's cell with plans that arrive at once; None if it was
            not measured, or is `cell` itself.
    """
    episodes = cell.episodes
    pace = units_per_hour(episodes)
    expert_pace = units_per_hour(expert.episodes).value if expert else 0.0

    # collisions are counted per hour, because episodes differ in length
    hours = sum(episode.duration_s for episode in episodes) / 3600

    ages = [e.mean_plan_age_s for e in episodes if e.mean_plan_age_s is not None]
    forces = [episode.peak_contact_force_n for episode in episodes]

    return OtherMeasures(
        units_per_hour=pace,
        # None without any success
        seconds_per_unit=3600 / pace.value if pace.value else None,
        share_of_expert=pace.value / expert_pace if expert_pace else None,
        information_age_s=sum(ages) / len(ages) if ages else None,
        contact_force_n=(float(np.median(forces)), max(forces)),
        collisions_per_hour=sum(e.collisions for e in episodes) / hours if hours else 0,
        near_misses_per_hour=_near_misses_per_hour(episodes),
        drops=sum(episode.dropped > 0 for episode in episodes),
        joint_margin_rad=min(episode.min_joint_margin_rad for episode in episodes),
        between_failures=time_between_failures(episodes),
        lost_to_delay=_lost_to_delay(cell, undelayed),
    )


def _near_misses_per_hour(episodes: Sequence[EpisodeResult]) -> float | None:
    """Returns the near misses per simulated hour of the episodes that counted them."""
    counted = [episode for episode in episodes if episode.near_misses is not None]
    hours = sum(episode.duration_s for episode in counted) / 3600
    if not hours:
        return None
    return sum(episode.near_misses or 0 for episode in counted) / hours


def _lost_to_delay(cell: Cell, undelayed: Cell | None) -> Estimate | None:
    """Returns success without delay minus success of the cell, on the shared seeds."""
    if undelayed is None:
        return None
    difference = pooled_difference([(undelayed, cell)])
    if difference is None:
        return None
    return Estimate(difference.value, difference.low, difference.high)


def units_per_hour(episodes: Sequence[EpisodeResult]) -> Estimate:
    """Returns the successes per simulated hour, with a bootstrap interval."""
    successes = np.array([episode.success_at_end for episode in episodes], float)
    hours = np.array([episode.duration_s for episode in episodes]) / 3600
    if not hours.sum():
        return Estimate(0.0, 0.0, 0.0)

    # resample whole episodes, because a success and its duration belong together
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    rows = rng.integers(0, len(episodes), (RESAMPLES, len(episodes)))
    hours_drawn = hours[rows].sum(1)  # 0 if only episodes without duration were drawn
    rates = successes[rows].sum(1) / np.where(hours_drawn > 0, hours_drawn, np.inf)
    low, high = np.quantile(rates, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    value = float(successes.sum() / hours.sum())
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def success_by_time(cell: Cell, times_s: Sequence[float]) -> list[float]:
    """Returns, for each time, the share of episodes that had succeeded by then.

    An episode counts from its first success on; an episode that failed again by its end
    never counts.
    """
    successes_s = [
        episode.time_to_success_s
        for episode in cell.episodes
        if episode.success_at_end and episode.time_to_success_s is not None
    ]
    count = len(cell.episodes)
    return [sum(time <= until for time in successes_s) / count for until in times_s]
