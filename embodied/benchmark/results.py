"""The results of an evaluation: one cell per condition, each with its episodes."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from embodied.benchmark.statistics import (
    Comparison,
    Median,
    Rate,
    compare_paired,
    median,
    wilson,
)
from embodied.errors import EmbodiedError
from embodied.rollout.rollout import EpisodeResult


class ResultsError(EmbodiedError):
    """Results are damaged, of something else, or do not fit together."""


@dataclass(frozen=True)
class Condition:
    """Everything that decides what a cell measures.

    Two cells with equal conditions are the same measurement.
    """

    policy: str
    level: str
    split: str = "train"
    first_seed: int = 0
    num_episodes: int = 100
    control_mode: str = "joint_delta"
    control_hz: int = 20
    # None: this policy has no planner, and the fields down to `bridge` mean nothing
    planner_hz: float | None = None
    compute_ms: float = 0.0  # the median
    transport_ms: float = 0.0  # the median
    latency: str = "constant"  # how the delays are distributed
    drop_rate: float = 0.0  # share of plans that never arrive
    freeze: str = ""  # when the planner stops; empty: never
    outage: str = ""  # when no message gets through; empty: never
    mailbox: str = "latest"
    bridge: str = "hold"  # what is done about stale plans
    stage: str = ""  # of the task; empty: the whole task
    weights: str = ""  # SHA-256 of the policy's weights; empty where it has none
    task: str = ""
    robot: str = ""

    @property
    def delay_ms(self) -> float:
        """How late a plan usually arrives."""
        return self.compute_ms + self.transport_ms

    @property
    def impairments(self) -> tuple[str, ...]:
        """Freezes, outages and the bridge (if it is not "hold"), in words."""
        words = []
        if self.freeze:
            words.append(f"frozen for {self.freeze}")
        if self.outage:
            words.append(f"cut off for {self.outage}")
        if self.bridge != "hold":
            words.append(f"bridge {self.bridge}")
        return tuple(words)

    @property
    def without_weights(self) -> Condition:
        """The same condition, whatever the policy has learned."""
        return replace(self, weights="")

    @property
    def without_seeds(self) -> Condition:
        """The same condition, whichever episodes it is measured over."""
        return replace(self, first_seed=0, num_episodes=0)

    @property
    def seeds(self) -> range:
        return range(self.first_seed, self.first_seed + self.num_episodes)

    @property
    def place(self) -> str:
        """Task and robot, e.g. "ToteTransfer arm"."""
        return place_name(self.task, self.robot)


def place_name(task: str, robot: str) -> str:
    """Returns the key of a task and a robot in `Provenance.models` and the like."""
    return f"{task} {robot}".strip()


@dataclass(frozen=True)
class Cell:
    """The episodes of one condition, in the order of its seeds.

    Attributes:
        condition: what was measured.
        label: the policy's name for people.
        wall_s: how long it took.
        episodes: one per seed.
        view: the command that shows its episodes, as words without a seed; () where
            results of version 3 do not tell.
        abilities: what it measures, as its suite says (see `suites`).
        rule: what stopped it before all episodes were run; "" where their number was
            fixed beforehand.

    Raises:
        ResultsError: there are no episodes, or their seeds are not the condition's.
    """

    condition: Condition
    label: str
    wall_s: float
    episodes: tuple[EpisodeResult, ...]
    view: tuple[str, ...] = ()
    abilities: tuple[str, ...] = ()
    rule: str = ""

    def __post_init__(self) -> None:
        expected = self.condition.seeds
        seeds = [episode.seed for episode in self.episodes]
        if not seeds or seeds != list(expected):
            raise ResultsError(
                f"the cell of policy '{self.condition.policy}' must hold "
                f"the seeds {expected.start} to {expected.stop - 1} in order, "
                f"but holds {len(seeds)} episodes, seeds {seeds[:5]}, ..."
            )


@dataclass(frozen=True)
class UnfinishedCell:
    """The episodes of a condition that were run before its measurement was stopped."""

    condition: Condition
    wall_s: float
    episodes: tuple[EpisodeResult, ...] = ()  # some of the condition's seeds, in order


@dataclass(frozen=True)
class Summary:
    """The figures of a cell. Times are simulated seconds, except `wall_s`."""

    success_once: Rate
    success_at_end: Rate
    # of the furthest progress; an episode whose progress is not a number counts as 0
    progress_mean: float
    # of the episodes that succeeded once; None when none did
    time_to_success_s: Median | None
    plan_age_mean_s: float | None
    energy_j: Median | None  # None where it was not measured
    smoothness: Median | None
    faults: dict[str, int]
    failures: dict[str, int]  # how episodes without success at the end ended
    simulated_s: float
    wall_s: float
    real_time_factor: float


@dataclass(frozen=True)
class Provenance:
    """Where results come from."""

    task: str
    robot: str
    created: str  # ISO 8601, UTC
    command: str
    rates: Mapping[str, float | None]  # name with unit -> value, e.g. camera_hz
    versions: Mapping[str, str]
    host: Mapping[str, str | int]
    metadata: Mapping[str, Any] = field(default_factory=dict)  # of the worlds
    # the protocol that was followed, with its version; empty for none
    suite: Mapping[str, Any] = field(default_factory=dict)
    # task and robot -> SHA-256 of the model, and of the code that makes and runs it
    models: Mapping[str, str] = field(default_factory=dict)
    code: Mapping[str, str] = field(default_factory=dict)
    shard: str = ""  # which part of the episodes these are, e.g. "3/16"; "" for all


@dataclass(frozen=True)
class Results:
    """An evaluation: cells in the order they were measured."""

    provenance: Provenance
    cells: tuple[Cell, ...] = ()
    unfinished: tuple[UnfinishedCell, ...] = ()

    def find(self, condition: Condition) -> Cell | None:
        """Returns the cell of this condition; None where it is not measured yet."""
        return next((cell for cell in self.cells if cell.condition == condition), None)

    def covers(self, condition: Condition) -> bool:
        """Returns whether a cell has all episodes of a condition, or more of them."""
        return any(
            cell.condition.without_seeds == condition.without_seeds
            and cell.condition.first_seed == condition.first_seed
            and cell.condition.num_episodes >= condition.num_episodes
            for cell in self.cells
        )

    def require_extensible(self, condition: Condition) -> None:
        """Checks that measuring a condition adds no second cell of the same seeds.

        A cell may get more episodes.

        Raises:
            ResultsError: there is a cell of the condition over other episodes, some of
                which would be lost.
        """
        for cell in self.cells:
            known = cell.condition
            if known.without_seeds != condition.without_seeds:
                continue
            starts_alike = known.first_seed == condition.first_seed
            if starts_alike and known.num_episodes <= condition.num_episodes:
                continue
            raise ResultsError(
                f"{cell.label} at {known.level} is measured over the seeds "
                f"{_span(known)} already, not {_span(condition)}: give "
                f"--seed {known.first_seed} and --episodes {known.num_episodes} or more "
                "to keep them, or another -o"
            )

    def kept(self, condition: Condition) -> UnfinishedCell:
        """Returns the episodes of a condition that need not be run again."""
        # of this condition, whether over more seeds, fewer seeds, or not yet all of them
        wall_s = 0.0
        episodes: dict[int, EpisodeResult] = {}
        parts: list[Cell | UnfinishedCell] = [*self.cells, *self.unfinished]
        for part in parts:
            if part.condition.without_seeds == condition.without_seeds:
                wall_s += part.wall_s
                episodes.update({episode.seed: episode for episode in part.episodes})
        ordered = [episodes[seed] for seed in condition.seeds if seed in episodes]
        return UnfinishedCell(condition, wall_s, tuple(ordered))

    def without_outdated(self, condition: Condition) -> Results:
        """Returns these results without cells of the same policy's earlier weights.

        Those are the cells that differ from the condition in the weights, and perhaps
        in the number of episodes: the policy has been trained anew since.
        """

        def is_outdated(part: Cell | UnfinishedCell) -> bool:
            known = part.condition.without_seeds
            wanted = condition.without_seeds
            same = known.without_weights == wanted.without_weights
            return same and known.weights != wanted.weights

        return replace(
            self,
            cells=tuple(cell for cell in self.cells if not is_outdated(cell)),
            unfinished=tuple(c for c in self.unfinished if not is_outdated(c)),
        )

    def with_unfinished(self, cell: UnfinishedCell) -> Results:
        """Returns these results with the episodes that were run of a cell."""
        others = self._unfinished_others(cell.condition)
        return replace(self, unfinished=(*others, cell) if cell.episodes else others)

    def with_cell(self, cell: Cell) -> Results:
        """Returns these results and one cell more.

        It replaces a cell of the same condition that has fewer episodes.

        Raises:
            ResultsError: a cell of the same condition is there already.
        """
        if self.find(cell.condition):
            raise ResultsError(
                f"the results already hold a cell of this condition: {cell.condition}"
            )
        self.require_extensible(cell.condition)

        # a cell with more episodes stands where the one with fewer stood
        wanted = cell.condition.without_seeds
        cells = list(self.cells)
        places = [known.condition.without_seeds for known in cells]
        if wanted in places:
            cells[places.index(wanted)] = cell
        else:
            cells.append(cell)
        others = self._unfinished_others(cell.condition)
        return replace(self, cells=tuple(cells), unfinished=others)

    def _unfinished_others(self, condition: Condition) -> tuple[UnfinishedCell, ...]:
        """Returns the unfinished cells of all other conditions, whatever their seeds."""
        wanted = condition.without_seeds
        return tuple(c for c in self.unfinished if c.condition.without_seeds != wanted)


def _span(condition: Condition) -> str:
    """Returns a condition's seeds in words."""
    return f"{condition.seeds.start} to {condition.seeds.stop - 1}"


Metric = Callable[[EpisodeResult], bool]


def success_at_end(episode: EpisodeResult) -> bool:
    """Returns whether it had succeeded at its end: the metric of all comparisons."""
    return episode.success_at_end


def success_once(episode: EpisodeResult) -> bool:
    """Returns whether it ever succeeded, even if that was undone later."""
    return episode.success_once


def rate(cell: Cell, metric: Metric = success_at_end) -> Rate:
    """Returns the share of a cell's episodes for which the metric holds."""
    return wilson(sum(metric(episode) for episode in cell.episodes), len(cell.episodes))


def failed(cell: Cell) -> list[EpisodeResult]:
    """Returns a cell's episodes that had not succeeded at their end."""
    return [episode for episode in cell.episodes if not episode.success_at_end]


def summarize(cell: Cell) -> Summary:
    """Returns the figures that tables and files give for a cell."""
    episodes = cell.episodes
    # progress that is not a number counts as 0 in the mean over all episodes
    progress = [e.progress_max for e in episodes if math.isfinite(e.progress_max)]
    times_s = [e.time_to_success_s for e in episodes if e.time_to_success_s is not None]
    ages_s = [e.mean_plan_age_s for e in episodes if e.mean_plan_age_s is not None]
    faults = Counter(e.fault for e in episodes if e.fault)
    failures = Counter(e.ended for e in failed(cell))
    simulated_s = sum(e.duration_s for e in episodes)

    return Summary(
        success_once=rate(cell, success_once),
        success_at_end=rate(cell),
        progress_mean=sum(progress) / len(episodes),
        time_to_success_s=median(times_s),
        plan_age_mean_s=sum(ages_s) / len(ages_s) if ages_s else None,
        energy_j=median([e.energy_j for e in episodes if e.energy_j is not None]),
        smoothness=median([e.smoothness for e in episodes if e.smoothness is not None]),
        faults=dict(sorted(faults.items())),
        failures=dict(failures.most_common()),
        simulated_s=simulated_s,
        wall_s=cell.wall_s,
        real_time_factor=simulated_s / cell.wall_s if cell.wall_s > 0 else 0.0,
    )


def compare(
    first: Cell, second: Cell, metric: Metric = success_at_end
) -> Comparison | None:
    """Compares both cells on the seeds that they share.

    Returns None when they share none, or when the episodes start in different ways.
    """
    a = first.condition
    b = second.condition
    if (a.task, a.robot, a.level, a.split) != (b.task, b.robot, b.level, b.split):
        return None

    # a seed stands for the same start in both
    second_episodes = {episode.seed: episode for episode in second.episodes}
    first_outcomes = []
    second_outcomes = []
    for episode in first.episodes:
        if episode.seed in second_episodes:
            first_outcomes.append(metric(episode))
            second_outcomes.append(metric(second_episodes[episode.seed]))
    if not first_outcomes:
        return None
    return compare_paired(first_outcomes, second_outcomes)
