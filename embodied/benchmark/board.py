"""Compares policies pairwise and ranks them, with significance tests.

A cell is a policy's episodes in one scenario: task, robot, level, split and timing.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path
from typing import NamedTuple

from embodied.benchmark.pooled import (
    Difference,
    Pooled,
    pooled_difference,
    pooled_rate,
    required_pairs,
)
from embodied.benchmark.results import Cell, Provenance, ResultsError
from embodied.benchmark.results_file import read_results
from embodied.benchmark.scenarios import Scenario, cells_by_scenario
from embodied.benchmark.statistics import CONFIDENCE, holm
from embodied.benchmark.wording import listing

RESULTS = "results.json"
BETTER = "better"
WORSE = "worse"
UNDECIDED = "undecided"
WORTHWHILE = 0.05  # the difference to plan samples for if none was observed


@dataclass(frozen=True)
class Contestant:
    """A policy with all of its cells in one results file.

    Attributes:
        name: unique among the contestants.
        provenance: the provenance of the policy's results.
        cells: scenario -> its cell.
    """

    name: str
    provenance: Provenance
    cells: dict[Scenario, Cell]

    @property
    def suite(self) -> str:
        """Name and version of the suite, e.g. "levels 2"; "" for none."""
        suite = self.provenance.suite
        return f"{suite['name']} {suite['version']}" if suite else ""

    @property
    def short(self) -> bool:
        """Whether fewer episodes were run than the suite's protocol demands."""
        suite = self.provenance.suite
        return bool(suite) and suite["episodes"] < suite["protocol"]["episodes"]


@dataclass(frozen=True)
class Duel:
    """A comparison of two contestants.

    Attributes:
        first: index of the first contestant in `Board.contestants`.
        second: index of the second contestant.
        scenario: the scenario that is compared; None for all shared scenarios together.
        difference: success of the first contestant minus that of the second.
        adjusted_p: p-value by Holm's method, over all comparisons of the same kind.
    """

    first: int
    second: int
    scenario: Scenario | None
    difference: Difference
    adjusted_p: float

    @property
    def verdict(self) -> str:
        """BETTER or WORSE, of the first contestant, or UNDECIDED."""
        if self.adjusted_p >= 1 - CONFIDENCE:
            return UNDECIDED
        return BETTER if self.difference.value > 0 else WORSE

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
        local_duels: each pair of contestants in each scenario; () for a single scenario.
        notes: sentences on other differences between the results.
    """

    contestants: tuple[Contestant, ...]
    scenarios: tuple[Scenario, ...]
    standings: tuple[Standing, ...]
    duels: tuple[Duel, ...]
    local_duels: tuple[Duel, ...]
    notes: tuple[str, ...]


def read_contestants(sources: Sequence[str]) -> list[Contestant]:
    """Returns the policies of some results files, under unique names.

    Args:
        sources: paths of results files or their folders; FOLDER:POLICY for one policy.

    Raises:
        ResultsError: there are no such results, or no such policy in them.
    """
    pairs = [(source, contestant) for source in sources for contestant in _read(source)]

    # a policy that is in two files gets the file as part of its name
    names = [contestant.name for _, contestant in pairs]
    contestants = []
    for source, contestant in pairs:
        name = contestant.name
        if names.count(name) > 1:
            name = f"{name} ({source.partition(':')[0]})"
        contestants.append(replace(contestant, name=name))
    return contestants


def _read(source: str) -> list[Contestant]:
    """Returns the policies of one source, see `read_contestants`."""
    # FOLDER:POLICY names one policy; else all policies of the file are wanted
    path = Path(source)
    wanted = ""
    if not path.exists() and ":" in source:
        folder, _, wanted = source.rpartition(":")
        path = Path(folder)
    if path.is_dir():
        path = path / RESULTS

    results = read_results(path)
    policies = dict.fromkeys(cell.condition.policy for cell in results.cells)
    if not policies:
        raise ResultsError(f"{path} holds no finished cell")
    if wanted and wanted not in policies:
        raise ResultsError(f"{path} has no policy {wanted!r}: {', '.join(policies)}")

    contestants = []
    for policy in [wanted] if wanted else policies:
        cells = cells_by_scenario(
            cell for cell in results.cells if cell.condition.policy == policy
        )
        contestants.append(Contestant(policy, results.provenance, cells))
    return contestants


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
        local_duels=tuple(local_duels),
        notes=tuple(_notes(contestants)),
    )


def require_comparable(first: Contestant, second: Contestant) -> None:
    """Raises ResultsError, which names a difference, unless both may be compared."""
    mismatch = next(_mismatches(first, second), None)
    if mismatch is not None:
        raise ResultsError(
            f"{first.name} and {second.name} don't compare: they differ in "
            f"{mismatch.what}, {mismatch.first} against {mismatch.second}"
        )


class _Mismatch(NamedTuple):
    """A difference that forbids a comparison."""

    what: str
    first: str  # the value for the first contestant
    second: str  # the value for the second contestant


def _mismatches(first: Contestant, second: Contestant) -> Iterator[_Mismatch]:
    """Yields the differences that forbid a comparison, the most general first."""
    a = first.provenance
    b = second.provenance

    # The suite and its protocol. The number of episodes that were run may differ: it
    # changes the width of intervals, but not what was measured.
    if first.suite != second.suite:
        yield _Mismatch("suite", first.suite or "none", second.suite or "none")
    for name, value in a.suite.items():
        if name != "episodes" and b.suite.get(name) != value:
            # the values are not named, because they may be long lists
            yield _Mismatch(f"the {name} of suite {first.suite}", "one", "another")

    # If no scenario is shared, name the attributes of which they share no value.
    if not first.cells.keys() & second.cells.keys():
        for name in ("task", "robot", "level", "split", "stage", "timing"):
            firsts = _values(first, name)
            seconds = _values(second, name)
            if not set(firsts) & set(seconds):
                yield _Mismatch(name, listing(firsts), listing(seconds))
        yield _Mismatch(
            "all cells", _first_scenario_text(first), _first_scenario_text(second)
        )

    # robots and models, then seeds
    yield from _model_mismatches(a, b)
    if not any(_share_seeds(first, second, scenario) for scenario in first.cells):
        yield _Mismatch("seeds", _seeds(first), _seeds(second))


def _model_mismatches(a: Provenance, b: Provenance) -> Iterator[_Mismatch]:
    """Yields robots and models that have the same name but other hashes."""
    # only robots that were read from files have a hash
    hash_a = a.metadata.get("robot_hash")
    hash_b = b.metadata.get("robot_hash")
    if a.robot == b.robot and hash_a and hash_b and hash_a != hash_b:
        yield _Mismatch(f"the content of robot {a.robot}", hash_a[:12], hash_b[:12])

    for name in sorted(a.models.keys() & b.models.keys()):  # each "task robot"
        sha_a = a.models[name]
        sha_b = b.models[name]
        if sha_a != sha_b:
            yield _Mismatch(f"the model of {name}", sha_a[:8], sha_b[:8])


def _values(contestant: Contestant, name: str) -> list[str]:
    """Returns the distinct values of an attribute of a contestant's scenarios."""
    values = dict.fromkeys(
        getattr(scenario, name) or "none" for scenario in contestant.cells
    )
    return list(values)


def _first_scenario_text(contestant: Contestant) -> str:
    return f"{next(iter(contestant.cells)).description!r} and the like"


def _share_seeds(first: Contestant, second: Contestant, scenario: Scenario) -> bool:
    """Returns whether both were measured in a scenario with at least one shared seed."""
    if scenario not in second.cells:
        return False
    a = first.cells[scenario].condition.seeds
    b = second.cells[scenario].condition.seeds
    return max(a.start, b.start) < min(a.stop, b.stop)


def _seeds(contestant: Contestant) -> str:
    seeds = next(iter(contestant.cells.values())).condition.seeds
    return f"{seeds.start} to {seeds.stop - 1}"


def _shared_scenarios(contestants: Sequence[Contestant]) -> list[Scenario]:
    """Returns the scenarios in which every two contestants share seeds."""
    first = contestants[0]
    return [
        scenario
        for scenario in first.cells
        if all(_share_seeds(a, b, scenario) for a, b in combinations(contestants, 2))
    ]


class _DuelKey(NamedTuple):
    """The contestants and the scenario of a `Duel`; see the same fields there."""

    first: int
    second: int
    scenario: Scenario | None


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
        compared = scenarios if key.scenario is None else [key.scenario]
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
    return sorted(standings, key=lambda s: (s.rank, -s.rate.value))


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
