"""The report of a sweep: one HTML file with everything in it, which needs no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from embodied.benchmark import views
from embodied.benchmark.plots import (
    Axis,
    Series,
    line_chart,
    points_axis,
    success_axis,
    value_axis,
)
from embodied.benchmark.report import environment
from embodied.benchmark.results import Results, ResultsError
from embodied.benchmark.sweep import Panel, references
from embodied.benchmark.sweep_figures import (
    PanelFigures,
    PointFigures,
    RowFigures,
    recoveries,
    sweep_figures,
)
from embodied.benchmark.sweep_words import (
    crossing_words,
    findings,
    headline,
    recovery_words,
    reference_words,
)
from embodied.files import replace_text

STYLES = 6  # colours and marks of lines
# what is drawn over the delay beside success: title, value of a cell in that unit
Measure = tuple[str, Callable[[PointFigures], float | None]]
MEASURES: tuple[Measure, ...] = (
    ("Age of information (ms)", lambda p: _times(1000, p.plan_age_s)),
    ("Standing still without a fresh plan (%)", lambda p: _times(100, p.stale_share)),
    ("Jump from plan to plan", lambda p: p.plan_jump),
    ("Peak contact force (N), median", lambda p: p.peak_force_n),
    ("Time to success (s), median", lambda p: p.time_to_success_s),
)


@dataclass(frozen=True)
class PanelView:
    """A panel as the page shows it.

    Attributes:
        figures: of the panel.
        sentences: what it found.
        curves: success over the delay; "" where it has fewer than two, or channels.
        measures: title and chart of what else changes.
    """

    figures: PanelFigures
    sentences: list[str]
    curves: Markup
    measures: list[tuple[str, Markup]]

    @property
    def panel(self) -> Panel:
        return self.figures.panel


def write_sweep_page(path: Path, results: Results) -> None:
    """Writes the page in one step."""
    replace_text(path, sweep_page(results))


def sweep_page(results: Results) -> str:
    """Returns the page as HTML.

    Raises:
        ResultsError: the results hold no cell.
    """
    if not results.cells:
        raise ResultsError(
            "a report needs at least one cell, and the results hold none"
        )
    figures = sweep_figures(results)
    pages = environment()
    pages.filters.update(
        crossing=lambda crossing, unit, digits=0: (
            "none" if crossing is None else crossing_words(crossing, unit, digits)
        ),
        heat=_heat,
    )
    pages.globals.update(style_of=lambda index: index % STYLES)
    return pages.get_template("sweep.html.j2").render(
        results=results,
        provenance=results.provenance,
        headline=headline(figures),
        views=[_view(panel) for panel in figures],
        recoveries=[(one, recovery_words(one)) for one in recoveries(results)],
        references=[reference_words(cell) for cell in references(results)],
        totals=views.totals(results),
        seeds=views.seeds(results),
    )


def _view(figures: PanelFigures) -> PanelView:
    panel = figures.panel
    has_axis = len(panel.columns) > 1 and not panel.is_of_channels
    curves = _curves(figures) if has_axis else Markup("")
    measures = _measures(figures) if has_axis else []
    return PanelView(figures, findings(figures), curves, measures)


def _curves(figures: PanelFigures) -> Markup:
    """Returns success over the delay, a line for each row."""
    series = []
    for index, row in enumerate(figures.rows):
        points = [
            (column.delay_ms, p.success.value) for column, p in row.points.items()
        ]
        band = [(p.success.low, p.success.high) for p in row.points.values()]
        series.append(Series(tuple(points), index % STYLES, tuple(band)))
    summary = f"Success against the delay of plans, {figures.panel.full_title}"
    return line_chart(series, _delay_axis(figures), success_axis(), summary)


def _measures(figures: PanelFigures) -> list[tuple[str, Markup]]:
    """Returns a chart for each measure that was taken, over the delay."""
    charts = []
    for title, measure in MEASURES:
        series = [
            _measured(row, index, measure) for index, row in enumerate(figures.rows)
        ]
        values = [y for one in series for _, y in one.points]
        if not values or not any(values):
            continue  # not taken, or nothing to see

        y_axis = value_axis("", values)
        summary = f"{title} against the delay of plans"
        charts.append(
            (title, line_chart(series, _delay_axis(figures), y_axis, summary))
        )
    return charts


def _measured(
    row: RowFigures, index: int, measure: Callable[[PointFigures], float | None]
) -> Series:
    """Returns the line of a measure in a row, without the cells that lack it."""
    points = []
    for column, point in row.points.items():
        value = measure(point)
        if value is not None:
            points.append((column.delay_ms, value))
    return Series(tuple(points), index % STYLES)


def _delay_axis(figures: PanelFigures) -> Axis:
    delays_ms = [column.delay_ms for column in figures.panel.columns]
    return points_axis("Planner delay, compute + transport (ms)", delays_ms)


def _heat(point: PointFigures) -> Markup:
    """Returns the style of a cell of a heat map: how full its colour is."""
    return Markup('style="--v:{:.1f}%"').format(100 * point.success.value)


def _times(factor: float, value: float | None) -> float | None:
    return None if value is None else factor * value
