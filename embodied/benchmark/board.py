"""Compares policies pairwise and ranks them, with significance tests.

A cell is a policy's episodes in one scenario: task, robot, level, split and timing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import NamedTuple

from embodied.benchmark.contestants import (
    Contestant,
    require_comparable,
    share_seeds,
)
from embodied.benchmark.pooled import (
    Difference,
    Pooled,
    pooled_difference,
    pooled_rate,
    required_pairs,
)
from embodied.benchmark.results import ResultsError
from embodied.benchmark.scenarios import Scenario, ScenarioGroup, scenario_groups
from embodied.benchmark.statistics import CONFIDENCE, holm
from embodied.benchmark.wording import listing

BETTER = "better"
WORSE = "worse"
UNDECIDED = "undecided"
WORTHWHILE = 0.05  # the difference to plan samples for if none was observed


@dataclass(frozen=True)
class Duel:
    """A comparison of two contestants.

    Attributes:
        first: index of the first contestant in `Board.contestants`.
        second: index of the second contestant.
        scope: the scenario or the group of scenarios that is compared; None for all shared
            scenarios together.
        difference: success of the first contestant minus that of the second.
        adjusted_p: p-value by Holm's method, over all comparisons of the same kind.
    """

    first: int
    second: int
    scope: Scenario | ScenarioGroup | None
    difference: Difference
    adjusted_p: float

    @property
    def verdict(self) -> str:
        """BETTER or WORSE, of the first contestant, or UNDECIDED."""
        if self.adjusted_p >= 1 - CONFIDENCE:
            return UNDECIDED
        return BETTER if self.difference.value > 0 else WORSE

    @property
    def winner(self) -> int | None:
        """Index of the contestant that is better; None if it is undecided."""
        if self.verdict == UNDECIDED:
            return None
        return self.first if self.verdict == BETTER else self.second

    @property
    def is_small(self) -> bool:
        """Whether the interval has no difference of WORTHWHILE or more."""
        observed = self.difference
        return max(abs(observed.low), abs(observed.high)) < WORTHWHILE

    @property
    def needed(self) -> int:
        """The number of pairs that would decide the comparison with a power of 80%.

        It assumes that the observed difference is the true one, or WORTHWHILE if none
        was observed.
        """
        observed = self.difference
        effect = abs(observed.value) or WORTHWHILE
        pairs = required_pairs(effect, observed.discordant or WORTHWHILE)
        # pairs that depend on each other count for less
        return round(pairs * observed.design_effect)


@dataclass(frozen=True)
class Standing:
    """A contestant's rank: 1 + the number of contestants that are better."""

    rank: int
    index: int  # index of the contestant in `Board.contestants`
    rate: Pooled  # success over the scenarios that all contestants share


@dataclass(frozen=True)
class Board:
    """A leaderboard.

    Attributes:
        contestants: the compared policies, in the order in which they were given.
        scenarios: the scenarios in which all contestants were measured.
        standings: one for each contestant, best first; ties share a rank.
        duels: each pair of contestants, over all scenarios together.
        group_duels: each pair of contestants in each group of scenarios.
        local_duels: each pair of contestants in each scenario; () for a single scenario.
        notes: sentences on other differences between the results.
    """

    contestants: tuple[Contestant, ...]
    scenarios: tuple[Scenario, ...]
    standings: tuple[Standing, ...]
    duels: tuple[Duel, ...]
    group_duels: tuple[Duel, ...]
    local_duels: tuple[Duel, ...]
    notes: tuple[str, ...]


def make_board(contestants: Sequence[Contestant]) -> Board:
    """Compares all contestants with each other.

    Raises:
        ResultsError: their results differ in suite, tasks, robots, models or seeds; the
            message names the difference.
    """
    for first, second in combinations(contestants, 2):
        require_comparable(first, second)
    scenarios = _shared_scenarios(contestants)
    if not scenarios:
        raise ResultsError(
            "there is no cell in which all of them were measured: compare two at a time"
        )

    pairs = list(combinations(range(len(contestants)), 2))
    keys = [_DuelKey(i, j, None) for i, j in pairs]
    duels = _duels(contestants, keys, scenarios)

    groups = scenario_groups(scenarios)
    keys = [_DuelKey(i, j, group) for i, j in pairs for group in groups]
    group_duels = _duels(contestants, keys, scenarios)

    # with a single scenario, `duels` are already the comparisons in it
    local_duels: list[Duel] = []
    if len(scenarios) > 1:
        keys = [_DuelKey(i, j, scenario) for i, j in pairs for scenario in scenarios]
        local_duels = _duels(contestants, keys, scenarios)

    return Board(
        contestants=tuple(contestants),
        scenarios=tuple(scenarios),
        standings=tuple(_standings(contestants, scenarios, duels)),
        duels=tuple(duels),
        group_duels=tuple(group_duels),
        local_duels=tuple(local_duels),
        notes=tuple(_notes(contestants)),
    )


def _shared_scenarios(contestants: Sequence[Contestant]) -> list[Scenario]:
    """Returns the scenarios in which every two contestants share seeds."""
    first = contestants[0]
    return [
        scenario
        for scenario in first.cells
        if all(share_seeds(a, b, scenario) for a, b in combinations(contestants, 2))
    ]


class _DuelKey(NamedTuple):
    """The contestants and the scope of a `Duel`; see the same fields there."""

    first: int
    second: int
    scope: Scenario | ScenarioGroup | None


def _duels(
    contestants: Sequence[Contestant],
    keys: Iterable[_DuelKey],
    scenarios: Sequence[Scenario],
) -> list[Duel]:
    """Returns the comparisons for some keys, as one family of tests for Holm's method.

    `scenarios` are the scenarios that all contestants share.
    """
    differences: list[tuple[_DuelKey, Difference]] = []
    for key in keys:
        first = contestants[key.first]
        second = contestants[key.second]
        compared = scenarios_in(key.scope, scenarios)
        difference = pooled_difference(
            [(first.cells[scenario], second.cells[scenario]) for scenario in compared]
        )
        assert difference is not None  # all contestants share seeds in `scenarios`
        differences.append((key, difference))

    adjusted = holm([difference.p_value for _, difference in differences])
    return [
        Duel(*key, difference=difference, adjusted_p=adjusted_p)
        for (key, difference), adjusted_p in zip(differences, adjusted, strict=True)
    ]


def scenarios_in(
    scope: Scenario | ScenarioGroup | None, shared: Sequence[Scenario]
) -> Sequence[Scenario]:
    """Returns the scenarios of a duel's scope; None means all shared scenarios."""
    if scope is None:
        return shared
    return [scope] if isinstance(scope, Scenario) else scope.scenarios


def _standings(
    contestants: Sequence[Contestant],
    scenarios: Sequence[Scenario],
    duels: Sequence[Duel],
) -> list[Standing]:
    """Returns the contestants by rank; among equal ranks, by success rate."""
    # the rank of a contestant is 1 + the number of duels that it has lost
    losses = [0] * len(contestants)
    for duel in duels:
        if duel.verdict != UNDECIDED:
            losses[duel.second if duel.verdict == BETTER else duel.first] += 1

    standings = []
    for index, contestant in enumerate(contestants):
        rate = pooled_rate([contestant.cells[scenario] for scenario in scenarios])
        standings.append(Standing(1 + losses[index], index, rate))
    # equal rates differ by rounding errors, and then keep the given order
    return sorted(standings, key=lambda s: (s.rank, -round(s.rate.value, 9)))


def _notes(contestants: Sequence[Contestant]) -> list[str]:
    """Returns sentences on differences that do not forbid a comparison."""
    notes = []
    # contestants with other software or another machine than the first one
    first = contestants[0]
    for other in contestants[1:]:
        a = first.provenance
        b = other.provenance
        # packages whose versions differ
        different = [
            f"{name} {a.versions.get(name, 'none')} against {b.versions.get(name, 'none')}"
            for name in sorted(a.versions.keys() | b.versions.keys())
            if a.versions.get(name) != b.versions.get(name)
        ]

        # the code of a task counts only if both used the task
        for task_with_robot in sorted(a.code.keys() & b.code.keys()):
            if a.code[task_with_robot] != b.code[task_with_robot]:
                different.append(f"the code of {task_with_robot}")

        if a.host.get("processor") != b.host.get("processor"):
            different.append("the processor")

        if different:
            names = f"{first.name} and {other.name}"
            notes.append(f"{names} were measured with other {listing(different)}.")

    # a stopping rule ends cells after different numbers of episodes
    for contestant in contestants:
        rules = {cell.rule for cell in contestant.cells.values() if cell.rule}
        for rule in sorted(rules):
            notes.append(f"{contestant.name} was measured {rule}.")
    return notes
