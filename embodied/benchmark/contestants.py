"""Reads the policies of results files, and refuses those that do not compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from embodied.benchmark.results import Cell, Provenance, ResultsError
from embodied.benchmark.results_file import read_results
from embodied.benchmark.scenarios import Scenario, cells_by_scenario
from embodied.benchmark.wording import listing

RESULTS = "results.json"


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
    if not any(share_seeds(first, second, scenario) for scenario in first.cells):
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


def share_seeds(first: Contestant, second: Contestant, scenario: Scenario) -> bool:
    """Returns whether both were measured in a scenario with at least one shared seed."""
    if scenario not in second.cells:
        return False
    a = first.cells[scenario].condition.seeds
    b = second.cells[scenario].condition.seeds
    return max(a.start, b.start) < min(a.stop, b.stop)


def _seeds(contestant: Contestant) -> str:
    seeds = next(iter(contestant.cells.values())).condition.seeds
    return f"{seeds.start} to {seeds.stop - 1}"
