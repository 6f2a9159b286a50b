"""Checks of diversity: strange starts, twins, and what a set covers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from embodied.datasets.audit.context import Context
from embodied.datasets.audit.facts import Brief, SetFacts
from embodied.datasets.audit.findings import Finding
from embodied.datasets.audit.thresholds import Thresholds
from embodied.datasets.audit.view import View
from embodied.datasets.schema import Header
from embodied.envs.registry import get_task, task_names
from embodied.envs.variation import Choice, Interval, Range

# An interval is cut into so many equal parts, of which each is covered or not.
PARTS = 10
# Fewer draws than this say nothing of a variable's coverage.
LEAST_DRAWS = 10
# Starts nearer than this to another one repeat it; in units of the median distance of
# a start from its nearest, as `SetFacts.isolation`.
REPEATED = 1e-6
# So many different sentences are listed.
SHOWN_SENTENCES = 12


@dataclass(frozen=True)
class Coverage:
    """How much of a variable's range a set holds.

    Attributes:
        name: of the variable.
        unit: of its values.
        counts: (label, how many draws) of each value, or part of the interval.
        covered: how many of these values or parts were drawn at least once.
        expected: how many of them that number of draws should cover on average.
    """

    name: str
    unit: str
    counts: tuple[tuple[str, int], ...]
    covered: int
    expected: float

    def is_thin(self, share: float) -> bool:
        """Returns whether it covers less than a share of what its draws should."""
        draws = sum(count for _, count in self.counts)
        return draws >= LEAST_DRAWS and self.covered < share * self.expected


def find_strange_start(view: View, context: Context) -> list[Finding]:
    """Finds starts that are far from all others."""
    facts = context.facts
    limits = context.limits
    share = facts.isolation.get(view.demo, 0.0)
    if facts.count < limits.least_episodes or share < limits.isolation_times:
        return []
    message = f"its start is {share:.1f} times farther from the next one than is usual"
    return [Finding("strange_start", "REVIEW", message)]


def find_twin(view: View, context: Context) -> list[Finding]:
    """Finds episodes that went the way of an earlier one."""
    twin = context.facts.twins.get(view.demo)
    if twin is None:
        return []
    other, apart = twin
    message = f"it goes the way of {other}: at most {apart:.2%} of the range apart"
    return [Finding("twin", "REVIEW", message)]


def coverage_of(header: Header | None, briefs: Sequence[Brief]) -> list[Coverage]:
    """Returns how much of each variable's range the episodes hold.

    It is known for tasks that this package, or an installed one, offers; for others
    only the sentences are counted.
    """
    told = Counter(brief.instruction for brief in briefs if brief.instruction)
    listed = tuple(told.most_common(SHOWN_SENTENCES))
    sentences = Coverage("instruction", "", listed, len(told), 0.0)
    task = header.metadata["task"] if header else ""
    if header is None or task not in task_names():
        return [sentences] if told else []

    covers = []
    config = header.metadata["config"]
    fixed = config.get("factors", {})
    for variable in get_task(task).table:
        if variable.name in fixed:
            continue  # it had one value in all episodes, by the config
        sampled_from = variable.range(config["level"], config["split"])
        draws = _draws(variable.name, briefs)
        cover = _cover(sampled_from, draws)
        if cover is not None:
            counts, expected = cover
            covered = sum(count > 0 for _, count in counts)
            covers.append(
                Coverage(variable.name, variable.unit, counts, covered, expected)
            )
    return [*covers, sentences] if told else covers


def find_gaps(
    covers: Sequence[Coverage], facts: SetFacts, limits: Thresholds
) -> list[Finding]:
    """Finds what a set as a whole leaves out."""
    findings = []
    for cover in covers:
        if not cover.is_thin(limits.coverage_share):
            continue
        draws = sum(count for _, count in cover.counts)
        message = (
            f"{cover.name} covers {cover.covered} of {len(cover.counts)} parts of its "
            f"range; {draws} draws should cover {cover.expected:.1f}"
        )
        findings.append(Finding("coverage", "REVIEW", message))

    repeated = sum(share < REPEATED for share in facts.isolation.values())
    if repeated > limits.repeated_starts_share * max(facts.count, 1):
        message = f"{repeated} of {facts.count} episodes start where another one does"
        findings.append(Finding("coverage", "REVIEW", message))
    return findings


def _draws(name: str, briefs: Sequence[Brief]) -> list[Any]:
    """Returns all values of a variable, those of lists one by one."""
    draws: list[Any] = []
    for brief in briefs:
        value = brief.variation.get(name)
        if isinstance(value, list):
            draws += value
        elif value is not None and not isinstance(value, Mapping):
            draws.append(value)
    return draws


def _cover(
    sampled_from: Range, draws: Sequence[Any]
) -> tuple[tuple[tuple[str, int], ...], float] | None:
    """Returns the draws per part of a range, and how many parts they should cover.

    Both together are None where there is nothing to cover: no draws, or one value only.
    """
    if not draws:
        return None
    if isinstance(sampled_from, Choice):
        if len(sampled_from.values) < 2:
            return None
        seen = Counter(str(draw) for draw in draws)
        labels = list(dict.fromkeys(str(value) for value in sampled_from.values))
        counts = tuple((label, seen.get(label, 0)) for label in labels)
        return counts, _expected(len(counts), len(draws))
    return _interval_cover(sampled_from, draws)


def _interval_cover(
    sampled_from: Interval, draws: Sequence[Any]
) -> tuple[tuple[tuple[str, int], ...], float] | None:
    """Returns the same as `_cover`, for an interval in `PARTS` parts."""
    numbers = [float(draw) for draw in draws if isinstance(draw, int | float)]
    if not numbers or sampled_from.high <= sampled_from.low:
        return None

    # a task may shift what it drew, so the parts reach as far as the values
    low = min(sampled_from.low, *numbers)
    high = max(sampled_from.high, *numbers)
    counts, edges = np.histogram(numbers, PARTS, (low, high))
    labels = [f"{edge:.3g}" for edge in edges[:-1]]
    listed = tuple(zip(labels, counts.tolist(), strict=True))
    return listed, _expected(PARTS, len(numbers))


def _expected(parts: int, draws: int) -> float:
    """Returns how many of equally likely parts so many draws cover on average."""
    return parts * (1 - (1 - 1 / parts) ** draws)
