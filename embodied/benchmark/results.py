"""The results of an evaluation: one cell per condition, with its episodes."""

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
from embodied.wording import counted


class ResultsError(EmbodiedError):
    """Results are damaged, of another setup, or do not fit together."""


@dataclass(frozen=True)
class Condition:
    """Everything that determines a measurement: policy, start, timing, task and robot.

    Two cells with equal conditions are the same measurement.
    """

    policy: str
    level: str
    split: str = "train"
    first_seed: int = 0
    num_episodes: int = 100
    control_mode: str = "joint_delta"
    control_hz: int = 20
    # None for a policy without planner: then the fields down to `bridge` have no meaning
    planner_hz: float | None = None
    compute_ms: float = 0.0  # median
    transport_ms: float = 0.0  # median
    latency: str = "constant"  # distribution of the delays, in words
    drop_rate: float = 0.0  # share of plans that never arrive
    freeze: str = ""  # when the planner freezes, e.g. "1 s at 2 s"; "" for never
    outage: str = ""  # when the channel is down, in the same form; "" for never
    mailbox: str = "latest"
    bridge: str = "hold"  # treatment of stale plans
    stage: str = ""  # part of the task that is evaluated; "" for the whole task
    weights: str = ""  # SHA-256 of the policy's weights; "" if it has none
    task: str = ""
    robot: str = ""

    @property
    def delay_ms(self) -> float:
        """The median delay of a plan: compute plus transport."""
        return self.compute_ms + self.transport_ms

    @property
    def interruptions(self) -> tuple[str, ...]:
        """The planner's freezes and the channel's outages, in words."""
        interruptions = []
        if self.freeze:
            interruptions.append(f"frozen for {self.freeze}")
        if self.outage:
            interruptions.append(f"cut off for {self.outage}")
        return tuple(interruptions)

    @property
    def interruptions_and_remedies(self) -> tuple[str, ...]:
        """Interruptions, then bridge and mailbox if they are not the defaults, in words."""
        parts = list(self.interruptions)
        if self.bridge != "hold":
            parts.append(f"bridge {self.bridge}")
        if self.mailbox != "latest":
            parts.append(f"mailbox {self.mailbox}")
        return tuple(parts)

    @property
    def without_weights(self) -> Condition:
        """The same condition with any weights of the policy."""
        return replace(self, weights="")

    @property
    def without_seeds(self) -> Condition:
        """The same condition with any seeds and number of episodes."""
        return replace(self, first_seed=0, num_episodes=0)

    @property
    def seeds(self) -> range:
        return range(self.first_seed, self.first_seed + self.num_episodes)

    @property
    def task_with_robot(self) -> str:
        """Task and robot, e.g. "ToteTransfer arm"."""
        return join_task_and_robot(self.task, self.robot)


def join_task_and_robot(task: str, robot: str) -> str:
    """Returns a task with a robot as one name, as in the keys of `Provenance.models`."""
    return f"{task} {robot}".strip()


@dataclass(frozen=True)
class Cell:
    """The episodes of one condition, in the order of its seeds.

    Attributes:
        condition: what was measured.
        label: the policy's name for people.
        wall_s: wall time of the measurement.
        episodes: one per seed.
        view: the command that shows its episodes, as words without a seed; () in results
            of schema version 3.
        abilities: the abilities that its suite says it measures (see `suites`).
        rule: the rule that could stop it early, in words; "" if the number of episodes
            was fixed beforehand.

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
        """Raises ResultsError unless there is one episode for each seed, in order."""
        expected = self.condition.seeds
        seeds = [episode.seed for episode in self.episodes]
        if not seeds or seeds != list(expected):
            raise ResultsError(
                f"the cell of policy '{self.condition.policy}' must hold "
                f"the seeds {expected.start} to {expected.stop - 1} in order, "
                f"but holds {counted(len(seeds), 'episode')}, seeds {seeds[:5]}, ..."
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
    # mean of the highest progress of each episode; progress that is not finite counts as 0
    progress_mean: float
    # of the episodes that succeeded at least once; None if none did
    time_to_success_s: Median | None
    plan_age_mean_s: float | None  # None without plans
    energy_j: Median | None  # None if it was not measured
    smoothness: Median | None  # None if it was not measured
    faults: dict[str, int]  # fault -> number of episodes
    failures: dict[str, int]  # ending -> number of episodes without success at the end
    simulated_s: float
    wall_s: float
    real_time_factor: float


@dataclass(frozen=True)
class Provenance:
    """The origin of results: what was run, by which command, with which versions."""

    task: str
    robot: str
    created: str  # ISO 8601, UTC
    command: str
    rates: Mapping[str, float | None]  # name with unit -> value, e.g. camera_hz
    versions: Mapping[str, str]
    host: Mapping[str, str | int]
    metadata: Mapping[str, Any] = field(default_factory=dict)  # `Worlds.metadata()`
    # name, version and protocol of the suite; empty for none
    suite: Mapping[str, Any] = field(default_factory=dict)
    # "task robot" -> SHA-256 of the MuJoCo model
    models: Mapping[str, str] = field(default_factory=dict)
    # "task robot" -> SHA-256 of the code that builds and runs it
    code: Mapping[str, str] = field(default_factory=dict)
    shard: str = ""  # the part of the episodes, e.g. "3/16"; "" for all


@dataclass(frozen=True)
class Results:
    """An evaluation: cells in the order in which they were measured."""

    provenance: Provenance
    cells: tuple[Cell, ...] = ()
    unfinished: tuple[UnfinishedCell, ...] = ()

    def find(self, condition: Condition) -> Cell | None:
        """Returns the cell of this condition; None if there is none."""
        return next((cell for cell in self.cells if cell.condition == condition), None)

    def covers(self, condition: Condition) -> bool:
        """Returns whether a cell holds at least all episodes of a condition."""
        return any(
            cell.condition.without_seeds == condition.without_seeds
            and cell.condition.first_seed == condition.first_seed
            and cell.condition.num_episodes >= condition.num_episodes
            for cell in self.cells
        )

    def require_extensible(self, condition: Condition) -> None:
        """Checks that measuring a condition would discard no episodes.

        A cell of the same condition may only be extended: same first seed, and at least
        as many episodes.

        Raises:
            ResultsError: the cell of the condition has episodes that would be lost.
        """
        for cell in self.cells:
            known = cell.condition
            if known.without_seeds != condition.without_seeds:
                continue
            # an extension begins with the known episodes, so that all of them are kept
            same_start = known.first_seed == condition.first_seed
            if same_start and known.num_episodes <= condition.num_episodes:
                continue
            raise ResultsError(
                f"{cell.label} at {known.level} is measured over the seeds "
                f"{_seed_range(known)} already, not {_seed_range(condition)}: give "
                f"--seed {known.first_seed} and --episodes {known.num_episodes} or more "
                "to keep them, or another -o"
            )

    def known_episodes(self, condition: Condition) -> UnfinishedCell:
        """Returns the episodes of a condition that these results hold already.

        They are taken from all cells, finished or not, that differ from the condition at
        most in their range of seeds. The wall time is that of these whole cells, so it
        includes their episodes with other seeds.
        """
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
        """Returns these results without cells that were measured with other weights.

        A cell is outdated if it has the same condition, whatever its seeds, but other
        weights: the policy has been trained since.
        """

        def is_outdated(part: Cell | UnfinishedCell) -> bool:
            known = part.condition.without_seeds
            wanted = condition.without_seeds
            same_but_weights = known.without_weights == wanted.without_weights
            return same_but_weights and known.weights != wanted.weights

        return replace(
            self,
            cells=tuple(cell for cell in self.cells if not is_outdated(cell)),
            unfinished=tuple(c for c in self.unfinished if not is_outdated(c)),
        )

    def with_unfinished(self, cell: UnfinishedCell) -> Results:
        """Returns these results with an unfinished cell.

        It replaces an unfinished cell of the same condition, which it continues.
        """
        others = self._unfinished_others(cell.condition)
        return replace(self, unfinished=(*others, cell) if cell.episodes else others)

    def with_cell(self, cell: Cell) -> Results:
        """Returns these results with one more cell.

        It replaces a cell of the same condition with fewer episodes.

        Raises:
            ResultsError: there is a cell of the same condition and episodes already.
        """
        if self.find(cell.condition):
            raise ResultsError(
                f"the results already hold a cell of this condition: {cell.condition}"
            )
        self.require_extensible(cell.condition)

        # an extended cell takes the place of the shorter one
        wanted = cell.condition.without_seeds
        cells = list(self.cells)
        conditions = [known.condition.without_seeds for known in cells]
        if wanted in conditions:
            cells[conditions.index(wanted)] = cell
        else:
            cells.append(cell)
        others = self._unfinished_others(cell.condition)
        return replace(self, cells=tuple(cells), unfinished=others)

    def _unfinished_others(self, condition: Condition) -> tuple[UnfinishedCell, ...]:
        """Returns the unfinished cells of all conditions but this one."""
        wanted = condition.without_seeds
        return tuple(c for c in self.unfinished if c.condition.without_seeds != wanted)


def _seed_range(condition: Condition) -> str:
    """Returns a condition's seeds in words, e.g. "0 to 99"."""
    return f"{condition.seeds.start} to {condition.seeds.stop - 1}"


Metric = Callable[[EpisodeResult], bool]


def success_at_end(episode: EpisodeResult) -> bool:
    """Returns whether the episode ended in success: the metric of all comparisons."""
    return episode.success_at_end


def success_once(episode: EpisodeResult) -> bool:
    """Returns whether the episode ever succeeded, even if it failed again later."""
    return episode.success_once


def rate(cell: Cell, metric: Metric = success_at_end) -> Rate:
    """Returns the share of a cell's episodes for which the metric is true."""
    return wilson(sum(metric(episode) for episode in cell.episodes), len(cell.episodes))


def failed(cell: Cell) -> list[EpisodeResult]:
    """Returns a cell's episodes without success at the end."""
    return [episode for episode in cell.episodes if not episode.success_at_end]


def summarize(cell: Cell) -> Summary:
    """Returns the figures of a cell for tables and files."""
    episodes = cell.episodes
    # progress that is not finite counts as 0: the mean is over all episodes
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
    """Compares two cells on the seeds that they share.

    Returns None if they share no seed, or if a seed does not mean the same start in both.
    """
    # task, robot, level and split determine, together with the seed, how an episode starts
    a = first.condition
    b = second.condition
    if (a.task, a.robot, a.level, a.split) != (b.task, b.robot, b.level, b.split):
        return None

    # pairs of outcomes from the same start
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
