"""Where a curve of success crosses a level, with a bootstrap interval.

Curves are linear between the points that were measured. Episodes of one seed begin alike
in all points, so whole seeds are drawn: the interval is that of paired data.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from embodied.benchmark.results import Cell
from embodied.benchmark.statistics import BOOTSTRAP_SEED, CONFIDENCE, RESAMPLES
from embodied.benchmark.sweep import Column, Panel, Row

# Takes success (points,) and returns the place of a crossing: -inf before the first
# point, inf after the last, nan where there is no level to be crossed.
Place = Callable[[np.ndarray], float]


@dataclass(frozen=True)
class Crossing:
    """A place on an axis, with its interval.

    Attributes:
        value: the place; None where it lies beyond the points that were measured.
        low: the lower limit of its interval; None likewise.
        high: the upper one.
        side: where the place lies: "within" the points, "below" them or "above".
        between: the points that were measured on either side of it; () beyond them. The
            interval takes the curve between them for a line, which nothing tells.
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
        """Returns the crossing at a place; infinite numbers are beyond the points."""
        if math.isinf(value):
            side = "above" if value > 0 else "below"
            return cls(None, _finite(low), _finite(high), side)
        before = max(point for point in points if point <= value)
        after = min(point for point in points if point >= value)
        return cls(value, _finite(low), _finite(high), "within", (before, after))


def half_delay(row: Row) -> Crossing | None:
    """Returns the delay in ms at which success is half of that with the least delay.

    It is None where there is nothing to halve, or there is one delay only.
    """
    if len(row.cells) < 2:
        return None
    delays_ms = np.array([column.delay_ms for column in row.columns])

    def place(success: np.ndarray) -> float:
        return falling(delays_ms, success, success[0] / 2)

    return crossing(row.ordered, place, delays_ms.tolist())


def half_rate(panel: Panel) -> Crossing | None:
    """Returns the rate in Hz at which success is half of that at the highest rate.

    All at the least delay, and interpolated on a logarithmic axis. It is None where
    the rows are no rates, or there is nothing to halve.
    """
    cells = _cells_by_rate(panel, panel.columns[0])
    if panel.rows_are != "rate" or len(cells) < 2:
        return None
    rates = np.log2(sorted(cells, reverse=True))

    def place(success: np.ndarray) -> float:
        # on an axis that goes up as rates go down
        return -falling(-rates, success, success[0] / 2)

    ordered = [cells[rate] for rate in sorted(cells, reverse=True)]
    return _power_of_two(crossing(ordered, place, rates.tolist()))


def break_even(panel: Panel, column: Column) -> Crossing | None:
    """Returns the rate of a planner on time that is worth as much as a fast late one.

    The late one has the highest rate and the delay of `column`, the one on time has the
    least delay; at the rate that is returned, in Hz, both succeed equally often. It is
    interpolated on a logarithmic axis, and None where the rows are no rates, or where
    on time the slowest planner succeeds as often as the fastest: no rate is worth more.
    """
    on_time = _cells_by_rate(panel, panel.columns[0])
    late = _cells_by_rate(panel, column)
    if panel.rows_are != "rate" or len(on_time) < 2 or not late:
        return None
    fastest = max(on_time)
    if fastest not in late:
        return None
    rates = np.log2(sorted(on_time))

    def place(success: np.ndarray) -> float:
        slowest = success[0]
        fastest_on_time = success[-2]
        if slowest >= fastest_on_time:
            return math.nan
        return rising(rates, success[:-1], success[-1])

    cells = [on_time[rate] for rate in sorted(on_time)]
    return _power_of_two(crossing([*cells, late[fastest]], place, rates.tolist()))


def falling(x: np.ndarray, y: np.ndarray, level: float) -> float:
    """Returns the first place at which y has fallen to a level.

    x rises. It is -inf where y begins there, or below it, inf where y stays above it, and
    nan where the level is 0 or less, which is nothing to fall to.
    """
    if level <= 0:
        return math.nan
    if y[0] <= level:
        return -math.inf
    for k in range(1, len(x)):
        if y[k] <= level:
            share = (y[k - 1] - level) / (y[k - 1] - y[k])
            return float(x[k - 1] + share * (x[k] - x[k - 1]))
    return math.inf


def rising(x: np.ndarray, y: np.ndarray, level: float) -> float:
    """Returns the first place at which y has risen to a level.

    It is -inf where y begins there, or above it, and inf where y never gets there.
    """
    if y[0] >= level:
        return -math.inf
    for k in range(1, len(x)):
        if y[k] >= level:
            share = (level - y[k - 1]) / (y[k] - y[k - 1])
            return float(x[k - 1] + share * (x[k] - x[k - 1]))
    return math.inf


def crossing(
    cells: Sequence[Cell], place: Place, points: Sequence[float]
) -> Crossing | None:
    """Returns where the success of some cells crosses a level; None for no level.

    The episodes of the seeds that all cells share are drawn RESAMPLES times.

    Args:
        cells: whose success `place` takes.
        place: where it crosses the level.
        points: what was measured of the axis that the place is on.
    """
    outcomes = paired_outcomes(cells)
    value = place(outcomes.mean(axis=1)) if outcomes.size else math.nan
    if math.isnan(value):
        return None

    rng = np.random.default_rng(BOOTSTRAP_SEED)
    num_seeds = outcomes.shape[1]
    drawn = rng.integers(0, num_seeds, (RESAMPLES, num_seeds))
    means = outcomes[:, drawn].mean(axis=2)  # (cells, RESAMPLES)
    places = np.array([place(column) for column in means.T])
    places = places[~np.isnan(places)]

    # without interpolation, which infinite places do not bear
    limits = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]
    low, high = np.quantile(places, limits, method="inverted_cdf")
    low = min(float(low), value)
    high = max(float(high), value)
    return Crossing.of(value, low, high, points)


def paired_outcomes(cells: Sequence[Cell]) -> np.ndarray:
    """Returns success of each cell's episodes over the seeds that all share.

    The shape is (cells, seeds), float.
    """
    by_seed = [{e.seed: e.success_at_end for e in cell.episodes} for cell in cells]
    shared = sorted(set.intersection(*(set(one) for one in by_seed)))
    return np.array([[one[seed] for seed in shared] for one in by_seed], float)


def _cells_by_rate(panel: Panel, column: Column) -> dict[float, Cell]:
    """Returns rate -> the cell of a column."""
    return {row.rate_hz: row.cells[column] for row in panel.rows if column in row.cells}


def _power_of_two(found: Crossing | None) -> Crossing | None:
    """Returns a place on an axis of logarithms as a rate."""
    if found is None:
        return None
    value, low, high = (
        None if place is None else 2.0**place
        for place in (found.value, found.low, found.high)
    )
    between = tuple(2.0**place for place in found.between)
    return Crossing(value, low, high, found.side, between)


def _finite(place: float) -> float | None:
    return place if math.isfinite(place) else None
