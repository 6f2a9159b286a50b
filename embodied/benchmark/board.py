"""Several policies beside each other: who is better, where, and how sure that is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

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
# the difference of rates that is looked for where none was observed
WORTHWHILE = 0.05


@dataclass(frozen=True)
class Contestant:
    """A policy with all of its cells in one results file.

    Attributes:
        name: what tells it from the others.
        provenance: of its results.
        cells: one for each scenario.
    """

    name: str
    provenance: Provenance
    cells: dict[Scenario, Cell]

    @property
    def suite(self) -> str:
        """Name and version of the suite that was followed; "" for none."""
        suite = self.provenance.suite
        return f"{suite['name']} {suite['version']}" if suite else ""

    @property
    def short(self) -> bool:
        """Whether fewer episodes were run than the suite's protocol asks for."""
        suite = self.provenance.suite
        return bool(suite) and suite["episodes"] < suite["protocol"]["episodes"]


@dataclass(frozen=True)
class Duel:
    """Two contestants: in all scenarios together, or in one.

    Attributes:
        first: index of one of them in `Board.contestants`.
        second: index of the other.
        scenario: where; None for all scenarios that they share.
        difference: first rate - second rate.
        adjusted_p: by Holm's method, over the tests of the same kind.
    """

    first: int
    second: int
    scenario: Scenario | None
    difference: Difference
    adjusted_p: float

    @property
    def verdict(self) -> str:
        """Whether the first is better or worse than the second, or undecided."""
        if self.adjusted_p >= 1 - CONFIDENCE:
            return UNDECIDED
        return BETTER if self.difference.value > 0 else WORSE

    @property
    def needed(self) -> int:
        """How many pairs it would take to decide, with a chance of 80%.

        It takes the observed difference for the true one, or WORTHWHILE where none was
        observed.
        """
        found = self.difference
        size = abs(found.value) or WORTHWHILE
        pairs = required_pairs(size, found.discordant or WORTHWHILE)
        return round(pairs * found.design_effect)


@dataclass(frozen=True)
class Standing:
    """A contestant's place: 1 + the number of those that are better than it."""

    rank: int
    index: int  # of the contestant
    rate: Pooled  # over the scenarios that all contestants share


@dataclass(frozen=True)
class Board:
    """Contestants, best first in `standings`; ties share a rank.

    Attributes:
        contestants: in the order in which they were given.
        scenarios: where all of them were measured.
        standings: one for each contestant.
        duels: every two contestants over all scenarios.
        local_duels: every two contestants in every scenario.
        notes: what else differs between the results.
    """

    contestants: tuple[Contestant, ...]
    scenarios: tuple[Scenario, ...]
    standings: tuple[Standing, ...]
    duels: tuple[Duel, ...]
    local_duels: tuple[Duel, ...]
    notes: tuple[str, ...]


def read_contestants(words: Sequence[str]) -> list[Contestant]:
    """Returns the policies in results, each of which has a name of its own.

    Args:
        words: results files or their folders; FOLDER:POLICY for one policy of several.

    Raises:
        ResultsError: there are no such results, or no such policy in them.
    """
    found = [(word, one) for word in words for one in _read(word)]

    # the same policy of two files is told apart by these
    names = [one.name for _, one in found]
    contestants = []
    for word, one in found:
        name = one.name
        if names.count(name) > 1:
            name = f"{name} ({word.partition(':')[0]})"
        contestants.append(replace(one, name=name))
    return contestants


def _read(word: str) -> list[Contestant]:
    """Returns the policies that one word names (see `read_contestants`)."""
    path = Path(word)
    wanted = ""  # all policies
    if not path.exists() and ":" in word:
        place, _, wanted = word.rpartition(":")
        path = Path(place)
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
        ResultsError: their results are of other suites, tasks, robots, models or seeds;
            names the difference.
    """
    for first, second in combinations(contestants, 2):
        require_comparable(first, second)
    scenarios = _shared_scenarios(contestants)
    if not scenarios:
        raise ResultsError(
            "there is no cell in which all of them were measured: compare two at a time"
        )

    pairs = list(combinations(range(len(contestants)), 2))
    duels = _duels(contestants, [(i, j, None) for i, j in pairs], scenarios)
    local = [(i, j, scenario) for i, j in pairs for scenario in scenarios]
    # where there is one scenario, `duels` has its answers already
    local_duels = _duels(contestants, local, scenarios) if len(scenarios) > 1 else []
    return Board(
        tuple(contestants),
        tuple(scenarios),
        tuple(_standings(contestants, scenarios, duels)),
        tuple(duels),
        tuple(local_duels),
        tuple(_notes(contestants)),
    )


def require_comparable(first: Contestant, second: Contestant) -> None:
    """Raises ResultsError, which names the difference, unless both may be compared."""
    for what, own, other in _obstacles(first, second):
        raise ResultsError(
            f"{first.name} and {second.name} don't compare: they differ in {what}, "
            f"{own} against {other}"
        )


def _obstacles(first: Contestant, second: Contestant) -> Iterator[tuple[str, str, str]]:
    """Yields what forbids a comparison: what differs, and the value of each."""
    a = first.provenance
    b = second.provenance

    # the protocol as a whole
    if first.suite != second.suite:
        yield "suite", first.suite or "none", second.suite or "none"
    for name, value in a.suite.items():
        if name != "episodes" and b.suite.get(name) != value:
            yield f"the {name} of suite {first.suite}", "one", "another"

    # without a common scenario: what the scenarios of both never share
    if not first.cells.keys() & second.cells.keys():
        for name in ("task", "robot", "level", "split", "stage", "timing"):
            own = _values(first, name)
            other = _values(second, name)
            if not set(own) & set(other):
                yield name, listing(own), listing(other)
        yield "all cells", _first_words(first), _first_words(second)

    # what was simulated, and from which starts
    yield from _other_subjects(a, b)
    if not any(_share_seeds(first, second, scenario) for scenario in first.cells):
        yield "seeds", _seeds(first), _seeds(second)


def _other_subjects(a: Provenance, b: Provenance) -> Iterator[tuple[str, str, str]]:
    """Yields where two results are of other robots or models of the same name."""
    # only robots that were read from files have a hash
    own = a.metadata.get("robot_hash")
    other = b.metadata.get("robot_hash")
    if a.robot == b.robot and own and other and own != other:
        yield f"the content of robot {a.robot}", own[:12], other[:12]
    for place in a.models.keys() & b.models.keys():
        if a.models[place] != b.models[place]:
            yield f"the model of {place}", a.models[place][:8], b.models[place][:8]


def _values(contestant: Contestant, name: str) -> list[str]:
    """Returns what an attribute of a contestant's scenarios is, each value once."""
    values = dict.fromkeys(
        getattr(scenario, name) or "none" for scenario in contestant.cells
    )
    return list(values)


def _first_words(contestant: Contestant) -> str:
    return f"{next(iter(contestant.cells)).words!r} and the like"


def _share_seeds(first: Contestant, second: Contestant, scenario: Scenario) -> bool:
    """Returns whether both were measured at a scenario, over some seeds in common."""
    if scenario not in second.cells:
        return False
    own = first.cells[scenario].condition.seeds
    other = second.cells[scenario].condition.seeds
    return max(own.start, other.start) < min(own.stop, other.stop)


def _seeds(contestant: Contestant) -> str:
    seeds = next(iter(contestant.cells.values())).condition.seeds
    return f"{seeds.start} to {seeds.stop - 1}"


def _shared_scenarios(contestants: Sequence[Contestant]) -> list[Scenario]:
    """Returns where all contestants were measured over some seeds in common."""
    first = contestants[0]
    return [
        scenario
        for scenario in first.cells
        if all(
            _share_seeds(one, other, scenario)
            for one, other in combinations(contestants, 2)
        )
    ]


def _duels(
    contestants: Sequence[Contestant],
    questions: Iterable[tuple[int, int, Scenario | None]],  # as the fields of `Duel`
    scenarios: Sequence[Scenario],
) -> list[Duel]:
    """Returns the answers to one family of questions, by Holm's method."""
    found = []
    for i, j, scenario in questions:
        places = scenarios if scenario is None else [scenario]
        cells = [(contestants[i].cells[s], contestants[j].cells[s]) for s in places]
        difference = pooled_difference(cells)
        assert difference is not None  # `scenarios` share seeds
        found.append((i, j, scenario, difference))

    adjusted = holm([difference.p_value for *_, difference in found])
    return [
        Duel(i, j, scenario, difference, p)
        for (i, j, scenario, difference), p in zip(found, adjusted, strict=True)
    ]


def _standings(
    contestants: Sequence[Contestant],
    scenarios: Sequence[Scenario],
    duels: Sequence[Duel],
) -> list[Standing]:
    """Returns the contestants by rank: 1 + how many are better; ties by their rates."""
    losses = [0] * len(contestants)
    for duel in duels:
        if duel.verdict != UNDECIDED:
            losses[duel.second if duel.verdict == BETTER else duel.first] += 1

    standings = []
    for index, contestant in enumerate(contestants):
        rate = pooled_rate([contestant.cells[scenario] for scenario in scenarios])
        standings.append(Standing(1 + losses[index], index, rate))
    return sorted(standings, key=lambda one: (one.rank, -one.rate.value))


def _notes(contestants: Sequence[Contestant]) -> list[str]:
    """Returns sentences on what differs and does not forbid a comparison."""
    notes = []
    # what was measured with other software or on another machine than the first
    first = contestants[0]
    for other in contestants[1:]:
        a = first.provenance
        b = other.provenance
        different = [
            f"{name} {a.versions.get(name, 'none')} against {b.versions.get(name, 'none')}"
            for name in sorted(a.versions.keys() | b.versions.keys())
            if a.versions.get(name) != b.versions.get(name)
        ]

        # code that only one of the two used is no difference
        for place in sorted(a.code.keys() & b.code.keys()):
            if a.code[place] != b.code[place]:
                different.append(f"the code of {place}")

        if a.host.get("processor") != b.host.get("processor"):
            different.append("the processor")

        if different:
            names = f"{first.name} and {other.name}"
            notes.append(f"{names} were measured with other {listing(different)}.")

    # cells that a rule stopped have different numbers of episodes
    for contestant in contestants:
        rules = {cell.rule for cell in contestant.cells.values() if cell.rule}
        for rule in sorted(rules):
            notes.append(f"{contestant.name} was measured {rule}.")
    return notes
