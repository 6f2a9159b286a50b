"""Computes the figures of a sweep: of cells, rows, panels and interruptions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from embodied.benchmark.crossings import Crossing, break_even, half_delay, half_rate
from embodied.benchmark.failures import FailureMode, failure_modes
from embodied.benchmark.results import Cell, Results, compare, rate, summarize
from embodied.benchmark.statistics import Comparison, Median, Rate, holm, median
from embodied.benchmark.sweep import Column, Panel, Row, panels
from embodied.rollout.rollout import EpisodeResult

ALPHA = 0.05  # significance level of p-values after Holm's correction
# Returns a figure of an episode; None if the episode lacks it.
Figure = Callable[[EpisodeResult], float | None]


@dataclass(frozen=True)
class PairedTest:
    """A test of whether two cells differ in success.

    Attributes:
        comparison: the comparison of their success on the shared seeds.
        adjusted_p: the comparison's p-value, adjusted by Holm's method over all tests of
            the same kind.
    """

    comparison: Comparison
    adjusted_p: float


@dataclass(frozen=True)
class PointFigures:
    """The figures of one cell.

    Attributes:
        success: the rate of success at the end, with its interval.
        difference: success minus that of the row's cell with the shortest delay, on the
            shared seeds; None for that cell itself, or if no seeds are shared.
        adjusted_p: p-value of the difference, by Holm's method over all of the sweep.
        time_to_success_s: median over the episodes; None without any success.
        plan_age_s: mean age of the plans in use (age of information).
        stale_share: share of the time in which the robot stood still because every plan
            was too old.
        plan_jump: change of the action when a new plan takes over, mean over episodes.
        peak_force_n: largest contact force of an episode, median over episodes.
        modes: the failure modes, most frequent first.
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
        """Whether success is significantly lower than with the row's shortest delay."""
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
        rows: the figures of the panel's rows.
        half_rate_hz: the planner rate at which success halves, see `crossings.half_rate`;
            None if it is not defined.
        break_even_hz: column -> the break-even rate, see `crossings.break_even`; without
            the first column, with which the others are compared.
    """

    panel: Panel
    rows: tuple[RowFigures, ...]
    half_rate_hz: Crossing | None
    break_even_hz: dict[Column, Crossing]


@dataclass(frozen=True)
class Recovery:
    """The cost of an interruption: a freeze of the planner, or an outage of its channel.

    It compares a cell with interruptions with the cell that is equal in all else.

    Attributes:
        interrupted: the cell with freezes or outages.
        undisturbed: the cell without interruptions.
        description: the interruption in words, e.g. "frozen for 1 s at 2 s".
        difference: success of the interrupted cell minus that of the undisturbed one.
        adjusted_p: p-value of the difference, by Holm's method over all interruptions.
        lost_s: additional time to success of the interrupted episodes. It counts seeds
            that succeeded in both cells, and that in the undisturbed cell succeeded only
            after the interruption's start; None without such seeds.
        caught_up_s: `lost_s` minus the duration of the interruption, which is the time
            that the policy needs to recover after it; None unless each episode has
            exactly one interruption.
    """

    interrupted: Cell
    undisturbed: Cell
    description: str
    difference: Comparison
    adjusted_p: float
    lost_s: Median | None
    caught_up_s: float | None


def sweep_figures(results: Results) -> list[PanelFigures]:
    """Returns the figures of all heat maps of a sweep."""
    all_panels = panels(results)
    tests = _tests_of_delay(all_panels)

    figures = []
    for panel in all_panels:
        figures.append(
            PanelFigures(
                panel=panel,
                rows=tuple(_row_figures(row, tests) for row in panel.rows),
                half_rate_hz=half_rate(panel),
                break_even_hz=_break_evens(panel),
            )
        )
    return figures


def _tests_of_delay(all_panels: Sequence[Panel]) -> dict[int, PairedTest]:
    """Compares every cell with its row's cell of the shortest delay.

    Returns:
        Python's `id` of a cell -> its test; an `id` is quicker to hash than all episodes
        of a cell. Cells without a test are left out.
    """
    comparisons: dict[int, Comparison] = {}
    for panel in all_panels:
        for row in panel.rows:
            shortest, *later = row.ordered
            for cell in later:
                comparison = compare(cell, shortest)
                # if no episode of either cell succeeds, there is no difference to test
                if comparison is not None and comparison.neither < comparison.episodes:
                    comparisons[id(cell)] = comparison

    adjusted = holm([comparison.p_value for comparison in comparisons.values()])
    return {
        cell_id: PairedTest(comparison, adjusted_p)
        for (cell_id, comparison), adjusted_p in zip(
            comparisons.items(), adjusted, strict=True
        )
    }


def _row_figures(row: Row, tests: dict[int, PairedTest]) -> RowFigures:
    """Returns the figures of a row of the heat map.

    Args:
        row: the row with its cells.
        tests: `id` of a cell -> its test against the row's shortest delay.
    """
    points = {}
    for column in row.columns:
        cell = row.cells[column]
        points[column] = point_figures(cell, tests.get(id(cell)))
    return RowFigures(row, points, half_delay(row))


def point_figures(cell: Cell, test: PairedTest | None = None) -> PointFigures:
    """Returns the figures of a cell; `test` is its test against the shortest delay."""
    summary = summarize(cell)
    times = summary.time_to_success_s

    # None stands for a figure that the cell does not have
    return PointFigures(
        success=rate(cell),
        difference=test.comparison if test else None,
        adjusted_p=test.adjusted_p if test else None,
        time_to_success_s=times.median if times else None,
        plan_age_s=summary.plan_age_mean_s,
        stale_share=_mean(cell, lambda episode: episode.stale_share),
        plan_jump=_mean(cell, lambda episode: episode.plan_jump),
        peak_force_n=float(np.median([e.peak_contact_force_n for e in cell.episodes])),
        modes=tuple(failure_modes(cell)),
    )


def _break_evens(panel: Panel) -> dict[Column, Crossing]:
    """Returns column -> break-even rate, for the columns that have one."""
    break_even_rates = {}
    # Planners of the first column, with the shortest delay, count as punctual. Planners
    # of the other columns are compared with these.
    for column in panel.columns[1:]:
        crossing = break_even(panel, column)
        if crossing is not None:
            break_even_rates[column] = crossing
    return break_even_rates


def recoveries(results: Results) -> list[Recovery]:
    """Returns the cost of each freeze or outage that was also measured without it."""
    cells_by_condition = {cell.condition: cell for cell in results.cells}
    pairs: list[tuple[Cell, Cell, Comparison]] = []  # (interrupted, undisturbed, ...)
    for cell in results.cells:
        condition = cell.condition
        if not condition.freeze and not condition.outage:
            continue
        undisturbed = cells_by_condition.get(replace(condition, freeze="", outage=""))
        comparison = compare(cell, undisturbed) if undisturbed else None
        if undisturbed and comparison:
            pairs.append((cell, undisturbed, comparison))

    adjusted = holm([comparison.p_value for _, _, comparison in pairs])
    return [
        _recovery(interrupted, undisturbed, PairedTest(comparison, adjusted_p))
        for (interrupted, undisturbed, comparison), adjusted_p in zip(
            pairs, adjusted, strict=True
        )
    ]


def _recovery(interrupted: Cell, undisturbed: Cell, test: PairedTest) -> Recovery:
    """Returns the cost of a freeze or an outage.

    Args:
        interrupted: the cell with the interruption.
        undisturbed: the cell that is equal in all else.
        test: the test of the difference in their success.
    """
    condition = interrupted.condition
    single = _single_interruption(condition.freeze, condition.outage)

    # leave out episodes that succeed before the interruption, which can't affect them
    start_s = 0.0 if single is None else single.start_s
    lost_times_s = []
    # seed -> time to success without the interruption
    usual_times_s = {e.seed: e.time_to_success_s for e in undisturbed.episodes}
    for episode in interrupted.episodes:
        usual_s = usual_times_s.get(episode.seed)
        if usual_s is None or usual_s <= start_s:
            continue
        if episode.time_to_success_s is not None:
            lost_times_s.append(episode.time_to_success_s - usual_s)

    # the time lost beyond the interruption itself, in which the policy recovers
    lost_s = median(lost_times_s)
    caught_up_s = None
    if lost_s is not None and single is not None:
        caught_up_s = lost_s.median - single.duration_s

    return Recovery(
        interrupted=interrupted,
        undisturbed=undisturbed,
        description=" and ".join(condition.interruptions),
        difference=test.comparison,
        adjusted_p=test.adjusted_p,
        lost_s=lost_s,
        caught_up_s=caught_up_s,
    )


class _Span(NamedTuple):
    """A stretch of an episode."""

    duration_s: float
    start_s: float


def _single_interruption(freeze: str, outage: str) -> _Span | None:
    """Returns the only interruption of an episode; None if it has several or random ones.

    Args:
        freeze: `Interruption.description` of the freezes, e.g. "0.5 s at 2 s"; "" for none.
        outage: `Interruption.description` of the outages; "" for none.
    """
    if freeze and outage:
        return None
    duration, separator, start = (freeze or outage).partition(" s at ")
    # random interruptions have a rate and no start
    if not separator:
        return None
    return _Span(float(duration), float(start.removesuffix(" s")))


def _mean(cell: Cell, figure: Figure) -> float | None:
    """Returns the mean over the episodes that have the figure; None if none has it."""
    figures = [figure(episode) for episode in cell.episodes]
    values = [value for value in figures if value is not None]
    return float(np.mean(values)) if values else None
