"""Selects and groups the cells of results for the report, and words its sentences.

A cell holds the episodes of one policy under one condition, one episode per seed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from embodied.benchmark.failures import failure_modes
from embodied.benchmark.results import Cell, Condition, Results, compare, rate
from embodied.benchmark.statistics import Comparison, holm
from embodied.benchmark.timing import CONSTANT
from embodied.benchmark.wording import difference, interval, listing, percent
from embodied.wording import counted

LEVELS = {
    "L1": "the nominal scene, only the start varies",
    "L2": "positions, objects and wording vary; belts run at a steady slow speed",
    "L3": "every factor varies at full width",
    "L4": "every factor varies, and things change within the episode",
}
# number of colours for policies; uninformed policies have one more colour, after these
PALETTE_SIZE = 5
UNINFORMED = ("random", "hold")  # policies that ignore what they observe


@dataclass(frozen=True)
class Setting:
    """Level, split and stage, which cells must share to be compared."""

    level: str
    split: str
    stage: str  # part of the task that is evaluated; "" for the whole task

    @classmethod
    def of(cls, condition: Condition) -> Setting:
        return cls(condition.level, condition.split, condition.stage)

    @property
    def title(self) -> str:
        parts = [self.level]
        if self.split != "train":
            parts.append(f"held out: {self.split}")
        if self.stage:
            parts.append(f"stage {self.stage}")
        return ", ".join(parts)

    @property
    def meaning(self) -> str:
        """What varies at the level, in words."""
        return LEVELS.get(self.level, "")


@dataclass(frozen=True)
class Scoreboard:
    """One cell per policy in a setting: its cell with the least impaired plans.

    Plans are impaired by delay, loss and interruptions.
    """

    setting: Setting
    cells: tuple[Cell, ...]

    @property
    def same_starts(self) -> bool:
        """Whether all policies were measured over the same seeds."""
        return len({cell.condition.seeds for cell in self.cells}) == 1


@dataclass(frozen=True)
class Curve:
    """Two or more cells that differ only in the planner's delay, shortest delay first."""

    cells: tuple[Cell, ...]

    @property
    def label(self) -> str:
        return self.cells[0].label


@dataclass(frozen=True)
class Sweep:
    """The curves of one setting."""

    setting: Setting
    curves: tuple[Curve, ...]


@dataclass(frozen=True)
class Pairing:
    """Two cells with the same seeds."""

    first: Cell
    second: Cell
    comparison: Comparison
    adjusted_p: float  # by Holm's method, over all pairings of the report


@dataclass(frozen=True)
class Score:
    """The success of the report's subject in one setting."""

    setting: Setting
    cell: Cell

    @property
    def share(self) -> str:
        success = rate(self.cell)
        return percent(success.value, success.episodes)

    @property
    def basis(self) -> str:
        """Interval, number of episodes and delay of plans, in words."""
        success = rate(self.cell)
        basis = (
            f"95% interval {interval(success)}, {counted(success.episodes, 'episode')}"
        )

        delay_ms = self.cell.condition.delay_ms
        return f"{basis}, planner {delay_ms:g} ms late" if delay_ms else basis


@dataclass(frozen=True)
class Totals:
    """Totals over all cells."""

    episodes: int
    simulated_s: float
    real_time_factor: float


def scoreboards(results: Results) -> list[Scoreboard]:
    """Returns one scoreboard per setting, sorted by name, the training split first."""
    settings = {Setting.of(cell.condition) for cell in results.cells}
    ordered = sorted(
        settings, key=lambda s: (s.split != "train", s.level, s.split, s.stage)
    )
    return [Scoreboard(s, _least_impaired(results, s)) for s in ordered]


def _least_impaired(results: Results, setting: Setting) -> tuple[Cell, ...]:
    """Returns each policy's cell with the least impaired plans."""
    chosen: dict[str, Cell] = {}
    for cell in results.cells:
        condition = cell.condition
        if Setting.of(condition) != setting:
            continue

        best = chosen.get(condition.policy)
        if best is None or _impairment(condition) < _impairment(best.condition):
            chosen[condition.policy] = cell
    return tuple(chosen.values())


def _impairment(condition: Condition) -> tuple[bool, float, float, bool]:
    """Returns a sort key: conditions with less impaired plans come first.

    Interruptions count most, then losses, then delay; of equal delays, a variable one
    counts more than a constant one.
    """
    return (
        bool(condition.freeze or condition.outage),
        condition.drop_rate,
        condition.delay_ms,
        condition.latency != CONSTANT,
    )


def sweeps(results: Results) -> list[Sweep]:
    """Returns the success curves over the planner's delay, by setting."""
    # group the cells that differ only in their delay
    groups: dict[Condition, list[Cell]] = {}
    for cell in results.cells:
        if cell.condition.planner_hz is not None:
            undelayed = replace(cell.condition, compute_ms=0.0, transport_ms=0.0)
            groups.setdefault(undelayed, []).append(cell)

    # a group with two delays or more is a curve
    curves: dict[Setting, list[Curve]] = {}
    for undelayed, cells in groups.items():
        if len({cell.condition.delay_ms for cell in cells}) > 1:
            ordered = sorted(cells, key=lambda cell: cell.condition.delay_ms)
            curve = Curve(tuple(ordered))
            curves.setdefault(Setting.of(undelayed), []).append(curve)
    return [
        Sweep(setting, tuple(curves_of_setting))
        for setting, curves_of_setting in curves.items()
    ]


def pairings(results: Results) -> list[Pairing]:
    """Returns the paired comparisons of a report.

    In each setting every two policies are compared. In each curve every delay is compared
    with the shortest one.
    """
    # pairs of cells (first, second); a curve's cells are in the order of their delays
    pairs: list[tuple[Cell, Cell]] = []
    for board in scoreboards(results):
        for i, first in enumerate(board.cells):
            pairs += [(first, second) for second in board.cells[i + 1 :]]
    for sweep in sweeps(results):
        for curve in sweep.curves:
            pairs += [(later, curve.cells[0]) for later in curve.cells[1:]]

    # keep the pairs that share seeds
    compared = []
    for first, second in pairs:
        comparison = compare(first, second)
        if comparison is not None:
            compared.append((first, second, comparison))

    adjusted = holm([comparison.p_value for _, _, comparison in compared])
    return [
        Pairing(first, second, comparison, p)
        for (first, second, comparison), p in zip(compared, adjusted, strict=True)
    ]


def seeds_to_film(cell: Cell, succeeded: bool, count: int = 4) -> list[int]:
    """Returns the first seeds of a cell that succeeded, or that failed.

    The list of failures starts with one episode of each failure mode, most frequent mode
    first. Episodes have the same outcome when they are run again for the film.
    """
    seeds = [
        episode.seed for episode in cell.episodes if episode.success_at_end == succeeded
    ]
    if not succeeded:
        # one seed for each failure mode, then all others
        first_of_modes = [mode.seed for mode in failure_modes(cell)]
        others = [seed for seed in seeds if seed not in first_of_modes]
        seeds = first_of_modes + others
    return seeds[:count]


def colours(results: Results, subject: str) -> dict[str, int]:
    """Returns policy -> colour index, the same in all plots.

    The subject has 0, unless it is uninformed: uninformed policies have PALETTE_SIZE.
    """
    policies = list(dict.fromkeys(cell.condition.policy for cell in results.cells))
    informed = [policy for policy in policies if policy not in UNINFORMED]
    informed.sort(key=lambda policy: policy != subject)  # False, the subject, first

    indices = {policy: i % PALETTE_SIZE for i, policy in enumerate(informed)}
    for policy in policies:
        indices.setdefault(policy, PALETTE_SIZE)
    return indices


def totals(results: Results) -> Totals:
    """Returns the totals of all cells."""
    episodes = [episode for cell in results.cells for episode in cell.episodes]
    simulated_s = sum(episode.duration_s for episode in episodes)
    wall_s = sum(cell.wall_s for cell in results.cells)
    real_time_factor = simulated_s / wall_s if wall_s > 0 else 0.0
    return Totals(len(episodes), simulated_s, real_time_factor)


def seeds(results: Results) -> str:
    """Returns the seed ranges of the cells, e.g. "0 to 99, 1000 to 1299"."""
    ranges = {
        (cell.condition.seeds.start, cell.condition.seeds.stop - 1)
        for cell in results.cells
    }
    return ", ".join(f"{first} to {last}" for first, last in sorted(ranges))


def report_subject(results: Results, wanted: str) -> str:
    """Returns the policy that a report is about.

    It is `wanted` if that was evaluated, else the first policy that is not uninformed.
    """
    policies = [cell.condition.policy for cell in results.cells]
    if wanted in policies:
        return wanted

    informed = [policy for policy in policies if policy not in UNINFORMED]
    return (informed or policies)[0]


def scores(results: Results, subject: str) -> list[Score]:
    """Returns the subject's score in each setting in which it was evaluated."""
    return [
        Score(board.setting, cell)
        for board in scoreboards(results)
        for cell in board.cells
        if cell.condition.policy == subject
    ]


def headline(results: Results, subject: str = "trained") -> str:
    """Returns a sentence on the subject's scores, e.g. for a command's last line."""
    measured = scores(results, report_subject(results, subject))
    parts = []
    for i, score in enumerate(measured):
        of_what = "" if i else " of episodes"  # said once, for the first share
        parts.append(f"{score.share}{of_what} at {score.setting.title} ({score.basis})")
    return f"The {measured[0].cell.label} policy succeeds in {listing(parts)}."


def delay_sentence(curve: Curve) -> str:
    """Returns a sentence on how delay changes the success of one policy."""
    first = curve.cells[0]
    last = curve.cells[-1]
    before = rate(first)
    after = rate(last)
    # the change of success from the smallest delay to the largest
    sentence = (
        f"{curve.label} goes from {percent(before.value, before.episodes)} "
        f"at {first.condition.delay_ms:g} ms "
        f"to {percent(after.value, after.episodes)} at {last.condition.delay_ms:g} ms"
    )

    change = compare(last, first)
    return (
        f"{sentence}, a change of {difference(change)}." if change else f"{sentence}."
    )
