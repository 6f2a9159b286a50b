"""What a policy can do, beyond one rate: its abilities, and what is beside success."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.benchmark.board import Contestant
from embodied.benchmark.pooled import Pooled, pooled_difference, pooled_rate
from embodied.benchmark.results import Cell
from embodied.benchmark.shift import TimeBetweenFailures, time_between_failures
from embodied.benchmark.statistics import BOOTSTRAP_SEED, CONFIDENCE, Estimate
from embodied.benchmark.suite import CLASSES, DIMENSIONS
from embodied.rollout.rollout import EpisodeResult

EXPERT = "expert"
RESAMPLES = 1000


@dataclass(frozen=True)
class AbilityRate:
    """The success in all cells that measure an ability."""

    ability: str
    rate: Pooled


@dataclass(frozen=True)
class Beside:
    """What is measured beside success, over the episodes of a cell.

    Attributes:
        units_per_hour: successes per simulated hour, failed episodes included.
        seconds_per_unit: simulated time for each success; None without any.
        share_of_expert: of the expert's units per hour; None where it is not measured.
        information_age_s: the mean age of the plan in use; None without plans.
        contact_force_n: the median episode's peak, and the largest of all.
        collisions_per_hour: how often the robot began to touch what is fixed.
        drops: episodes in which something lay where it should not.
        joint_margin_rad: the smallest distance of a joint from its limit.
        between_failures: the mean simulated time between failed episodes.
        lost_to_delay: of the success without a delay, how much is missing, in shares;
            None where the cell without one was not measured, or is this one.
    """

    units_per_hour: Estimate
    seconds_per_unit: float | None
    share_of_expert: float | None
    information_age_s: float | None
    contact_force_n: tuple[float, float]
    collisions_per_hour: float
    drops: int
    joint_margin_rad: float
    between_failures: TimeBetweenFailures
    lost_to_delay: Estimate | None


def profile(contestant: Contestant) -> list[AbilityRate]:
    """Returns the success in each ability that was measured; classes come first."""
    found = []
    for ability in (*CLASSES, *DIMENSIONS):
        cells = [c for c in contestant.cells.values() if ability in c.abilities]
        if cells:
            found.append(AbilityRate(ability, pooled_rate(cells)))
    return found


def beside_success(
    cell: Cell, expert: Cell | None = None, undelayed: Cell | None = None
) -> Beside:
    """Returns what a cell's episodes tell beside success.

    Args:
        cell: of the policy.
        expert: of the expert in the same place; None where it was not measured.
        undelayed: of the same policy, with plans that arrive at once; None where it was
            not measured, or is the cell itself.
    """
    episodes = cell.episodes
    pace = units_per_hour(episodes)
    experts_pace = units_per_hour(expert.episodes).value if expert else 0.0

    # collisions count per hour, since episodes differ in length
    hours = sum(episode.duration_s for episode in episodes) / 3600

    ages = [e.mean_plan_age_s for e in episodes if e.mean_plan_age_s is not None]
    forces = [episode.peak_contact_force_n for episode in episodes]

    # a pace of 0, of a policy that never succeeds, has no time per success
    return Beside(
        units_per_hour=pace,
        seconds_per_unit=3600 / pace.value if pace.value else None,
        share_of_expert=pace.value / experts_pace if experts_pace else None,
        information_age_s=sum(ages) / len(ages) if ages else None,
        contact_force_n=(float(np.median(forces)), max(forces)),
        collisions_per_hour=sum(e.collisions for e in episodes) / hours if hours else 0,
        drops=sum(episode.dropped > 0 for episode in episodes),
        joint_margin_rad=min(episode.min_joint_margin_rad for episode in episodes),
        between_failures=time_between_failures(episodes),
        lost_to_delay=_lost_to_delay(cell, undelayed),
    )


def _lost_to_delay(cell: Cell, undelayed: Cell | None) -> Estimate | None:
    """Returns how much higher the success is without a delay, on the same seeds."""
    if undelayed is None:
        return None
    found = pooled_difference([(undelayed, cell)])
    return Estimate(found.value, found.low, found.high) if found else None


def units_per_hour(episodes: Sequence[EpisodeResult]) -> Estimate:
    """Returns the successes per simulated hour, with a bootstrap interval."""
    successes = np.array([episode.success_at_end for episode in episodes], float)
    hours = np.array([episode.duration_s for episode in episodes]) / 3600
    if not hours.sum():
        return Estimate(0.0, 0.0, 0.0)

    # whole episodes are drawn: a success and the time that it took belong together
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    rows = rng.integers(0, len(episodes), (RESAMPLES, len(episodes)))
    spent = hours[rows].sum(1)
    rates = successes[rows].sum(1) / np.where(spent > 0, spent, np.inf)
    low, high = np.quantile(rates, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    value = float(successes.sum() / hours.sum())
    return Estimate(value, float(min(low, value)), float(max(high, value)))


def success_by_time(cell: Cell, times_s: Sequence[float]) -> list[float]:
    """Returns the share of all episodes that had succeeded by each of the times.

    An episode counts from its first success on; not at all if that was undone.
    """
    successes_s = [
        episode.time_to_success_s
        for episode in cell.episodes
        if episode.success_at_end and episode.time_to_success_s is not None
    ]
    count = len(cell.episodes)
    return [sum(time <= until for time in successes_s) / count for until in times_s]
