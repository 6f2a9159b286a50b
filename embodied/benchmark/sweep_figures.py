"""The figures of a sweep: of its cells, of its rows and panels, and of interruptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from embodied.benchmark.crossings import Crossing, break_even, half_delay, half_rate
from embodied.benchmark.failures import FailureMode, failure_modes
from embodied.benchmark.results import Cell, Results, compare, rate, summarize
from embodied.benchmark.statistics import Comparison, Median, Rate, holm, median
from embodied.benchmark.sweep import Column, Panel, Row, panels
from embodied.rollout.rollout import EpisodeResult

ALPHA = 0.05  # below it a difference counts, after Holm's correction
Figure = Callable[[EpisodeResult], float | None]


@dataclass(frozen=True)
class PointFigures:
    """What a cell tells.

    Attributes:
        success: at the end, with its interval.
        difference: of success from the row's cell with the least delay, over equal
            seeds; None for that cell itself, and where no seeds are shared.
        adjusted_p: of that difference, by Holm's method over all of the sweep.
        time_to_success_s: the median; None without success.
        plan_age_s: the mean age of the plans in use (the age of information).
        stale_share: the share of the time in which the robot stood still, as it had no
            plan that was fresh enough.
        plan_jump: by how much actions jump where a plan takes over from another, the
            mean of the episodes.
        peak_force_n: the largest contact force, the median of the episodes.
        modes: how and where it failed, the most frequent way first.
    """

    success: Rate
    difference: Comparison | None
    adjusted_p: float | None
    time_to_success_s: float | None
    plan_age_s: float | None
    stale_share: float | None
    plan_jump: float | None
    peak_force_n: float
    modes: tuple[FailureMode, ...]

    @property
    def is_worse(self) -> bool:
        """Whether it is told apart from the row's least delay, and worse."""
        if self.difference is None or self.adjusted_p is None:
            return False
        return self.difference.difference < 0 and self.adjusted_p < ALPHA


@dataclass(frozen=True)
class RowFigures:
    """A row of a panel, with its figures."""

    row: Row
    points: dict[Column, PointFigures]
    half_delay_ms: Crossing | None


@dataclass(frozen=True)
class PanelFigures:
    """A panel with its figures.

    Attributes:
        panel: the cells.
        rows: their figures.
        half_rate_hz: see `crossings.half_rate`.
        break_even_hz: for each column but the first, see `crossings.break_even`.
    """

    panel: Panel
    rows: tuple[RowFigures, ...]
    half_rate_hz: Crossing | None
    break_even_hz: dict[Column, Crossing]


@dataclass(frozen=True)
class Recovery:
    """What an interruption costs: a cell beside the one that differs in nothing else.

    Attributes:
        interrupted: the cell with freezes or outages.
        undisturbed: the cell without.
        words: of the interruption, e.g. "frozen for 1 s at 2 s".
        difference: of success, the interrupted cell's minus the other's.
        adjusted_p: of that difference, over all interruptions of the sweep.
        lost_s: by how much later the same seeds succeeded, where both did, and not
            before the interruption; None where no seed did.
        caught_up_s: how long after the end of the interruption it lasts until nothing is
            lost any more: what is lost beyond its duration; None where it is not a
            single one.
    """

    interrupted: Cell
    undisturbed: Cell
    words: str
    difference: Comparison
    adjusted_p: float
    lost_s: Median | None
    caught_up_s: float | None


def sweep_figures(results: Results) -> list[PanelFigures]:
    """Returns the figures of all panels of a sweep."""
    found = panels(results)
    tests = _against_least_delay(found)
    return [
        PanelFigures(
            panel,
            tuple(_row_figures(row, tests) for row in panel.rows),
            half_rate(panel),
            _break_evens(panel),
        )
        for panel in found
    ]


def _against_least_delay(
    found: Sequence[Panel],
) -> dict[int, tuple[Comparison, float]]:
    """Returns the id of a cell -> its comparison, and the p-value adjusted for all."""
    compared: dict[int, Comparison] = {}
    for panel in found:
        for row in panel.rows:
            base = row.ordered[0]
            for cell in row.ordered[1:]:
                comparison = compare(cell, base)
                # where neither ever succeeds there is nothing to be tested
                if comparison is not None and comparison.neither < comparison.episodes:
                    compared[id(cell)] = comparison
    adjusted = holm([comparison.p_value for comparison in compared.values()])
    return {
        key: (comparison, p)
        for (key, comparison), p in zip(compared.items(), adjusted, strict=True)
    }


def _row_figures(row: Row, tests: dict[int, tuple[Comparison, float]]) -> RowFigures:
    points = {
        column: point_figures(row.cells[column], tests.get(id(row.cells[column])))
        for column in row.columns
    }
    return RowFigures(row, points, half_delay(row))


def point_figures(
    cell: Cell, test: tuple[Comparison, float] | None = None
) -> PointFigures:
    """Returns what a cell tells; `test` compares it with its row's least delay."""
    summary = summarize(cell)
    times = summary.time_to_success_s

    # success and its comparison; times, plans and forces; how it failed
    return PointFigures(
        success=rate(cell),
        difference=test[0] if test else None,
        adjusted_p=test[1] if test else None,
        time_to_success_s=times.median if times else None,
        plan_age_s=summary.plan_age_mean_s,
        stale_share=_mean(cell, lambda episode: episode.stale_share),
        plan_jump=_mean(cell, lambda episode: episode.plan_jump),
        peak_force_n=float(np.median([e.peak_contact_force_n for e in cell.episodes])),
        modes=tuple(failure_modes(cell)),
    )


def _break_evens(panel: Panel) -> dict[Column, Crossing]:
    found = {}
    for column in panel.columns[1:]:
        crossing = break_even(panel, column)
        if crossing is not None:
            found[column] = crossing
    return found


def recoveries(results: Results) -> list[Recovery]:
    """Returns what freezes and outages cost, where cells without them were measured."""
    twins = {cell.condition: cell for cell in results.cells}
    pairs: list[tuple[Cell, Cell, Comparison]] = []
    for cell in results.cells:
        condition = cell.condition
        if not condition.freeze and not condition.outage:
            continue
        twin = twins.get(replace(condition, freeze="", outage=""))
        comparison = compare(cell, twin) if twin else None
        if twin and comparison:
            pairs.append((cell, twin, comparison))

    adjusted = holm([comparison.p_value for _, _, comparison in pairs])
    return [
        _recovery(cell, twin, comparison, p)
        for (cell, twin, comparison), p in zip(pairs, adjusted, strict=True)
    ]


def _recovery(cell: Cell, twin: Cell, comparison: Comparison, p: float) -> Recovery:
    condition = cell.condition
    single = _single(condition.freeze, condition.outage)
    duration_s, begin_s = single or (0.0, 0.0)

    # an episode that was over before the interruption began tells nothing of it
    lost = []
    before_s = {e.seed: e.time_to_success_s for e in twin.episodes}
    for episode in cell.episodes:
        usual_s = before_s.get(episode.seed)
        if usual_s is None or usual_s <= begin_s:
            continue
        if episode.time_to_success_s is not None:
            lost.append(episode.time_to_success_s - usual_s)

    lost_s = median(lost)
    caught_up_s = lost_s.median - duration_s if lost_s and single else None
    words = replace(condition, bridge="hold").hindrances
    return Recovery(cell, twin, " and ".join(words), comparison, p, lost_s, caught_up_s)


def _single(freeze: str, outage: str) -> tuple[float, float] | None:
    """Returns how long an interruption lasts and when it begins, in s.

    None for random ones, or for two. The words are those of `Interruption.words`, such
    as "0.5 s at 2 s".
    """
    if bool(freeze) == bool(outage):
        return None
    duration, at, begin = (freeze or outage).partition(" s at ")
    return (float(duration), float(begin.removesuffix(" s"))) if at else None


def _mean(cell: Cell, figure: Figure) -> float | None:
    """Returns the mean over the episodes that have a figure; None where none has."""
    figures = [figure(episode) for episode in cell.episodes]
    values = [value for value in figures if value is not None]
    return float(np.mean(values)) if values else None
