"""Checks of diversity: unusual starts, repeated paths, and coverage of the variables."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from embodied.datasets.audit.context import Context
from embodied.datasets.audit.facts import EpisodeSummary, SetFacts
from embodied.datasets.audit.findings import Finding
from embodied.datasets.audit.thresholds import Thresholds
from embodied.datasets.audit.view import View
from embodied.datasets.schema import Header
from embodied.envs.registry import get_task, task_names
from embodied.envs.variation import Choice, Interval, Range

# An interval is divided into this many equal parts to count which of them are covered.
PARTS = 10
# A variable's coverage is judged only if at least this many values were drawn.
LEAST_DRAWS = 10
# A start whose `SetFacts.isolation` is smaller is the same as another start.
REPEATED_ISOLATION = 1e-6
# Coverage lists at most this many sentences.
SHOWN_SENTENCES = 12


@dataclass(frozen=True)
class Coverage:
    """How much of a variable's range the episodes of a dataset cover.

    A range is a list of values, or an interval that is divided into equal parts.

    Attributes:
        name: the name of the variable.
        unit: the unit of its values.
        counts: (label, number of draws) of each value or part.
        covered: the number of values or parts that were drawn at least once.
        expected: the number of values or parts that the same number of random draws
            covers on average; 0 if no coverage is expected, as for sentences.
    """

    name: str
    unit: str
    counts: tuple[tuple[str, int], ...]
    covered: int
    expected: float

    def is_thin(self, share: float) -> bool:
        """Returns whether less than a share of the expected coverage was reached."""
        draws = sum(count for _, count in self.counts)
        return draws >= LEAST_DRAWS and self.covered < share * self.expected


def find_strange_start(view: View, context: Context) -> list[Finding]:
    """Finds starts that are far from all other starts."""
    facts = context.facts
    limits = context.limits
    isolation = facts.isolation.get(view.demo, 0.0)
    if facts.count < limits.least_episodes or isolation < limits.isolation_times:
        return []
    message = f"its start is {isolation:.1f} times as far from the nearest other start as usual"
    return [Finding("strange_start", "REVIEW", message)]


def find_twin(view: View, context: Context) -> list[Finding]:
    """Finds episodes with nearly the same path as an earlier episode."""
    twin = context.facts.twins.get(view.demo)
    if twin is None:
        return []
    earlier, difference = twin
    message = f"it repeats the path of {earlier}, within {difference:.2%} of the range"
    return [Finding("twin", "REVIEW", message)]


def range_coverage(
    header: Header | None, summaries: Sequence[EpisodeSummary]
) -> list[Coverage]:
    """Returns how much of each variable's range the episodes cover, sentences last.

    The ranges are known only for registered tasks. For a file from elsewhere, or of a
    task that is not installed, only the sentences are counted.

    Args:
        header: the header of a dataset of ours; None for a file from elsewhere.
        summaries: one summary per episode.
    """
    sentences = _coverage_of_sentences(summaries)
    task = header.metadata["task"] if header else ""
    if header is None or task not in task_names():
        return sentences

    coverages = []
    config = header.metadata["config"]
    fixed_variables = config.get("factors", {})
    for variable in get_task(task).table:
        # skip a variable to which the config gave one value for all episodes
        if variable.name in fixed_variables:
            continue

        sampled_from = variable.range(config["level"], config["split"])
        draws = _draws(variable.name, summaries)
        histogram = _histogram(sampled_from, draws)
        # skip a variable that was not drawn, or whose range is a single value
        if histogram is None:
            continue
        coverages.append(
            Coverage(
                name=variable.name,
                unit=variable.unit,
                counts=histogram.counts,
                covered=sum(count > 0 for _, count in histogram.counts),
                expected=histogram.expected,
            )
        )
    return coverages + sentences


def _coverage_of_sentences(summaries: Sequence[EpisodeSummary]) -> list[Coverage]:
    """Returns a list with the coverage of the instructions; [] if there are none."""
    counts = Counter(
        summary.instruction for summary in summaries if summary.instruction
    )
    if not counts:
        return []
    coverage = Coverage(
        name="instruction",
        unit="",
        counts=tuple(counts.most_common(SHOWN_SENTENCES)),
        covered=len(counts),
        # sentences are not a range, so no number of them is expected
        expected=0.0,
    )
    return [coverage]


def find_gaps(
    coverages: Sequence[Coverage], facts: SetFacts, limits: Thresholds
) -> list[Finding]:
    """Finds variables that are covered too little, and too many repeated starts."""
    # one finding per variable that is covered too little
    findings = []
    for coverage in coverages:
        if not coverage.is_thin(limits.coverage_share):
            continue
        draws = sum(count for _, count in coverage.counts)
        message = (
            f"{coverage.name} covers {coverage.covered} of {len(coverage.counts)} parts "
            f"of its range; {draws} draws should cover {coverage.expected:.1f}"
        )
        findings.append(Finding("coverage", "REVIEW", message))

    # and one finding on all repeated starts
    repeated = sum(
        isolation < REPEATED_ISOLATION for isolation in facts.isolation.values()
    )
    if repeated > limits.repeated_starts_share * max(facts.count, 1):
        message = f"{repeated} of {facts.count} episodes start where another one does"
        findings.append(Finding("coverage", "REVIEW", message))
    return findings


def _draws(name: str, summaries: Sequence[EpisodeSummary]) -> list[Any]:
    """Returns the values that a variable had in the episodes, in one flat list.

    An episode's value may be a list, such as one value per object, whose entries count
    one by one. A value that is a mapping is left out, because it lies on no range.
    """
    draws: list[Any] = []
    for summary in summaries:
        value = summary.variation.get(name)
        if isinstance(value, list):
            draws += value
        elif value is not None and not isinstance(value, Mapping):
            draws.append(value)
    return draws


class _Histogram(NamedTuple):
    """The draws of a variable, counted by the parts of its range.

    Attributes:
        counts: (label, number of draws) of each part.
        expected: the number of parts that the same number of random draws covers on
            average.
    """

    counts: tuple[tuple[str, int], ...]
    expected: float


def _histogram(sampled_from: Range, draws: Sequence[Any]) -> _Histogram | None:
    """Counts the draws of a variable by value, or by part of an interval.

    The result is None if there are no draws, or if the range has a single value.

    Args:
        sampled_from: the values or the interval that the variable was drawn from.
        draws: the values that were drawn.
    """
    if not draws:
        return None
    if isinstance(sampled_from, Choice):
        if len(sampled_from.values) < 2:
            return None
        draw_counts = Counter(str(draw) for draw in draws)
        # without duplicates, which a range of values may contain
        labels = list(dict.fromkeys(str(value) for value in sampled_from.values))
        counts = tuple((label, draw_counts.get(label, 0)) for label in labels)
        return _Histogram(counts, _expected_parts(len(counts), len(draws)))
    return _interval_histogram(sampled_from, draws)


def _interval_histogram(
    sampled_from: Interval, draws: Sequence[Any]
) -> _Histogram | None:
    """Counts the numbers among the draws by the `PARTS` parts of an interval.

    The result is None if there are no numbers, or if the interval is a single value.
    """
    numbers = [float(draw) for draw in draws if isinstance(draw, int | float)]
    if not numbers or sampled_from.high <= sampled_from.low:
        return None

    # a task may shift a drawn value beyond the interval, so it is widened for all values
    low = min(sampled_from.low, *numbers)
    high = max(sampled_from.high, *numbers)
    counts, edges = np.histogram(numbers, PARTS, (low, high))
    # each part is labelled with its lower edge
    labels = [f"{edge:.3g}" for edge in edges[:-1]]
    labelled_counts = tuple(zip(labels, counts.tolist(), strict=True))
    return _Histogram(labelled_counts, _expected_parts(PARTS, len(numbers)))


def _expected_parts(parts: int, draws: int) -> float:
    """Returns how many parts are drawn at least once, on average, by uniform draws.

    One draw misses a given part with probability 1 - 1/parts.
    """
    return parts * (1 - (1 - 1 / parts) ** draws)
