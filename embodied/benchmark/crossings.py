"""Finds where a success curve crosses a level, with a bootstrap interval.

A curve is linear between its measured points. Each point is a cell: the episodes of one
policy under one condition. Episodes of the same seed start alike at all points, so the
data are paired: the bootstrap resamples whole seeds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from embodied.benchmark.results import Cell
from embodied.benchmark.statistics import BOOTSTRAP_SEED, CONFIDENCE, RESAMPLES
from embodied.benchmark.sweep import RATE, Column, Panel, Row

# Maps the success rates at P points, (P,), to the position of the crossing on the axis:
# -inf if it lies before the first point, inf if after the last, nan if these rates define
# no level to cross.
Locate = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Crossing:
    """A position on an axis, with its interval.

    Attributes:
        value: the position; None if it lies outside the measured points.
        low: the lower limit of its interval; None if that lies outside the points.
        high: the upper limit; None if that lies outside the points.
        side: "within" the measured points, "below" the first or "above" the last.
        between: the measured points on both sides of it; () outside the points. The
            interval assumes a straight line between them, which no measurement supports.
    """

    value: float | None
    low: float | None
    high: float | None
    side: str = "within"
    between: tuple[float, ...] = ()

    @classmethod
    def of(
        cls, value: float, low: float, high: float, points: Sequence[float]
    ) -> Crossing:
        """Returns a crossing; infinite positions lie outside the measured points.

        Args:
            value: the position on the axis.
            low: the lower limit of its interval.
            high: the upper limit.
            points: the measured positions.
        """
        if math.isinf(value):
            side = "above" if value > 0 else "below"
            return cls(None, _finite(low), _finite(high), side)
        # the measured points next to the position; both are the same if it is a point
        before = max(point for point in points if point <= value)
        after = min(point for point in points if point >= value)
        return cls(value, _finite(low), _finite(high), "within", (before, after))


def half_delay(row: Row) -> Crossing | None:
    """Returns the delay in ms that halves the success rate of the shortest delay.

    Returns None if the row has a single delay, or no success at the shortest one.
    """
    if len(row.cells) < 2:
        return None
    delays_ms = np.array([column.delay_ms for column in row.columns])

    def locate(success: np.ndarray) -> float:
        """Returns the delay in ms, for success rates in the order of `delays_ms`."""
        return falling(delays_ms, success, success[0] / 2)

    return find_crossing(row.ordered, locate, delays_ms.tolist())


def half_rate(panel: Panel) -> Crossing | None:
    """Returns the planner rate in Hz that halves the success rate of the highest rate.

    All cells have the shortest delay. The curve is linear over log2(rate). Returns None
    if the rows are not rates, if there is a single rate, or without any success.
    """
    cells = _cells_by_rate(panel, panel.columns[0])
    if panel.rows_are != RATE or len(cells) < 2:
        return None
    rates_hz = sorted(cells, reverse=True)
    log2_rates = np.log2(rates_hz)

    def locate(success: np.ndarray) -> float:
        """Returns log2 of the rate in Hz, for success rates in the order of `rates_hz`."""
        # `falling` needs an ascending axis, and the rates descend: negate them
        return -falling(-log2_rates, success, success[0] / 2)

    ordered = [cells[rate_hz] for rate_hz in rates_hz]
    return _log2_to_hz(find_crossing(ordered, locate, log2_rates.tolist()))


def break_even(panel: Panel, column: Column) -> Crossing | None:
    """Returns the rate in Hz at which a punctual planner equals the fastest late one.

    The late planner has the highest rate and the delay of `column`. The punctual one has
    the shortest delay, and both succeed equally often. The curve is linear over
    log2(rate).

    Returns None if the rows are not rates, if cells are missing, or if among punctual
    planners the slowest succeeds as often as the fastest: then no rate is worth more than
    another.
    """
    punctual = _cells_by_rate(panel, panel.columns[0])
    late = _cells_by_rate(panel, column)
    if panel.rows_are != RATE or len(punctual) < 2:
        return None
    rates_hz = sorted(punctual)
    fastest_hz = rates_hz[-1]
    if fastest_hz not in late:
        return None
    log2_rates = np.log2(rates_hz)

    def locate(success: np.ndarray) -> float:
        """Returns log2 of the break-even rate; NaN if success does not grow with it."""
        # the punctual cells in the order of their rates, then the late one
        punctual_success = success[:-1]
        late_success = success[-1]
        if punctual_success[0] >= punctual_success[-1]:
            return math.nan
        return rising(log2_rates, punctual_success, late_success)

    cells = [punctual[rate_hz] for rate_hz in rates_hz]
    cells.append(late[fastest_hz])
    return _log2_to_hz(find_crossing(cells, locate, log2_rates.tolist()))


def falling(x: np.ndarray, y: np.ndarray, level: float) -> float:
    """Returns the first x at which the piecewise linear curve y(x) falls to a level.

    Args:
        x: the points, ascending (P,).
        y: the success rates at them (P,).
        level: a success rate.

    Returns:
        -inf if y starts at or below the level; inf if y never falls to it; nan if the
        level is 0, because half of a success rate of 0 says nothing about delay.
    """
    if level <= 0:
        return math.nan
    if y[0] <= level:
        return -math.inf
    for k in range(1, len(x)):
        if y[k] <= level:
            # interpolate between the points k - 1 and k
            share = (y[k - 1] - level) / (y[k - 1] - y[k])
            return float(x[k - 1] + share * (x[k] - x[k - 1]))
    return math.inf


def rising(x: np.ndarray, y: np.ndarray, level: float) -> float:
    """Returns the first x at which the piecewise linear curve y(x) rises to a level.

    Args:
        x: the points, ascending (P,).
        y: the success rates at them (P,).
        level: a success rate.

    Returns:
        -inf if y starts at or above the level; inf if y never rises to it.
    """
    if y[0] >= level:
        return -math.inf
    for k in range(1, len(x)):
        if y[k] >= level:
            share = (level - y[k - 1]) / (y[k] - y[k - 1])
            return float(x[k - 1] + share * (x[k] - x[k - 1]))
    return math.inf


def find_crossing(
    cells: Sequence[Cell], locate: Locate, points: Sequence[float]
) -> Crossing | None:
    """Returns where the success of some cells crosses a level, with its interval.

    Returns None if `locate` finds no level to cross (NaN), or if the cells have no seed
    in common.

    Args:
        cells: the cells, one for each point.
        locate: maps the cells' success rates to the position of the crossing.
        points: the measured points on the axis of the crossing.
    """
    outcomes = paired_outcomes(cells)  # (cells, seeds)
    value = locate(outcomes.mean(axis=1)) if outcomes.size else math.nan
    if math.isnan(value):
        return None

    # bootstrap: draw seeds with replacement RESAMPLES times, and locate each crossing
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    num_seeds = outcomes.shape[1]
    drawn = rng.integers(0, num_seeds, (RESAMPLES, num_seeds))
    means = outcomes[:, drawn].mean(axis=2)  # (cells, RESAMPLES)
    positions = np.array([locate(rates) for rates in means.T])
    # draws without any success have no level to cross
    positions = positions[~np.isnan(positions)]

    # "inverted_cdf" does not interpolate, which would give nan between infinite positions
    limits = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]  # 0.025 and 0.975
    low, high = np.quantile(positions, limits, method="inverted_cdf")
    # bootstrap intervals can miss the value itself: widen the interval to contain it
    low = min(float(low), value)
    high = max(float(high), value)
    return Crossing.of(value, low, high, points)


def paired_outcomes(cells: Sequence[Cell]) -> np.ndarray:
    """Returns 1.0 for success and 0.0 for failure: (cells, seeds that all cells have)."""
    # for each cell: seed -> whether its episode succeeded
    by_seed = [{e.seed: e.success_at_end for e in cell.episodes} for cell in cells]
    shared = sorted(set.intersection(*(set(outcomes) for outcomes in by_seed)))
    rows = [[outcomes[seed] for seed in shared] for outcomes in by_seed]
    return np.array(rows, float)


def _cells_by_rate(panel: Panel, column: Column) -> dict[float, Cell]:
    """Returns the cells of one column by their planner rates, rate in Hz -> cell."""
    return {row.rate_hz: row.cells[column] for row in panel.rows if column in row.cells}


def _log2_to_hz(crossing: Crossing | None) -> Crossing | None:
    """Converts a crossing on an axis of log2(rate) to an axis of rates in Hz."""
    if crossing is None:
        return None

    def to_hz(log2_rate: float | None) -> float | None:
        return None if log2_rate is None else 2.0**log2_rate

    return Crossing(
        value=to_hz(crossing.value),
        low=to_hz(crossing.low),
        high=to_hz(crossing.high),
        side=crossing.side,
        between=tuple(2.0**log2_rate for log2_rate in crossing.between),
    )


def _finite(position: float) -> float | None:
    """Returns a position; None if it is infinite."""
    return position if math.isfinite(position) else None
