"""The report of a sweep: one HTML file with everything in it, which needs no network."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from markupsafe import Markup

from embodied.benchmark import views
from embodied.benchmark.crossings import Crossing
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
from embodied.benchmark.sweep_text import (
    crossing_text,
    findings,
    headline,
    recovery_text,
    reference_text,
)
from embodied.files import replace_text

STYLES = 6  # distinct combinations of colour and mark for curves


@dataclass(frozen=True)
class Measure:
    """A quantity other than success that is plotted against the delay.

    Attributes:
        title: the title of the figure's chart, with the unit.
        value: a function that returns the quantity of one cell in that unit; None if it
            was not measured.
    """

    title: str
    value: Callable[[PointFigures], float | None]


@dataclass(frozen=True)
class PanelView:
    """A panel as the page shows it.

    Attributes:
        figures: the panel with its figures.
        sentences: the findings about the panel.
        success_chart: success against delay; "" if there is no axis of delays.
        measure_charts: title and chart of each other measure.
    """

    figures: PanelFigures
    sentences: list[str]
    success_chart: Markup
    measure_charts: list[tuple[str, Markup]]

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
    panel_figures = sweep_figures(results)

    # filters and functions that the template calls
    pages = environment()
    pages.filters.update(crossing_text=_crossing_or_none, heat=_heat)
    pages.globals.update(style_of=_line_style)

    template = pages.get_template("sweep.html.j2")
    return template.render(
        results=results,
        provenance=results.provenance,
        headline=headline(panel_figures),
        panel_views=[_panel_view(figures) for figures in panel_figures],
        recoveries=[(cost, recovery_text(cost)) for cost in recoveries(results)],
        references=[reference_text(cell) for cell in references(results)],
        totals=views.totals(results),
        seeds=views.seeds(results),
    )


def _panel_view(figures: PanelFigures) -> PanelView:
    """Returns what the template needs of a panel: its findings and its charts."""
    # no charts of channels, which have names and no positions on an axis, or of a single
    # delay, which makes no curve
    panel = figures.panel
    if panel.has_channels or len(panel.columns) < 2:
        return PanelView(figures, findings(figures), Markup(""), [])
    return PanelView(
        figures, findings(figures), _success_chart(figures), _measure_charts(figures)
    )


def _success_chart(figures: PanelFigures) -> Markup:
    """Returns success against delay, one curve per row."""
    series = []
    for index, row in enumerate(figures.rows):
        points = [
            (column.delay_ms, p.success.value) for column, p in row.points.items()
        ]
        # the 95% intervals
        band = [(p.success.low, p.success.high) for p in row.points.values()]
        series.append(Series(tuple(points), _line_style(index), tuple(band)))
    summary = f"Success against the delay of plans, {figures.panel.full_title}"
    return line_chart(series, _delay_axis(figures), success_axis(), summary)


def _measure_charts(figures: PanelFigures) -> list[tuple[str, Markup]]:
    """Returns title and chart of each measure, against the delay of plans."""
    charts = []
    for measure in MEASURES:
        series = [
            _measure_series(row, index, measure)
            for index, row in enumerate(figures.rows)
        ]
        values = [y for curve in series for _, y in curve.points]
        # leave out a measure that was not taken, or is zero everywhere
        if not any(values):
            continue

        y_axis = value_axis("", values)
        summary = f"{measure.title} against the delay of plans"
        chart = line_chart(series, _delay_axis(figures), y_axis, summary)
        charts.append((measure.title, chart))
    return charts


def _measure_series(row: RowFigures, index: int, measure: Measure) -> Series:
    """Returns the curve of a measure in a row, without cells that lack it."""
    points = []
    for column, point in row.points.items():
        value = measure.value(point)
        if value is not None:
            points.append((column.delay_ms, value))
    return Series(tuple(points), _line_style(index))


def _delay_axis(figures: PanelFigures) -> Axis:
    delays_ms = [column.delay_ms for column in figures.panel.columns]
    return points_axis("Planner delay, compute + transport (ms)", delays_ms)


def _line_style(index: int) -> int:
    """Returns the colour and mark of the row with this index."""
    return index % STYLES


def _crossing_or_none(crossing: Crossing | None, unit: str, digits: int = 0) -> str:
    """Returns a crossing in words; "none" if there is none."""
    return "none" if crossing is None else crossing_text(crossing, unit, digits)


def _heat(point: PointFigures) -> Markup:
    """Returns the style of a heat map's cell: the higher its success, the stronger its colour.

    The style sheet reads the success from its own variable v.
    """
    return Markup('style="--v:{:.1f}%"').format(100 * point.success.value)


def _plan_age_ms(point: PointFigures) -> float | None:
    return None if point.plan_age_s is None else 1000 * point.plan_age_s


def _stale_percent(point: PointFigures) -> float | None:
    return None if point.stale_share is None else 100 * point.stale_share


# In the order of the page.
MEASURES = (
    Measure("Age of information (ms)", _plan_age_ms),
    Measure("Standing still without a fresh plan (%)", _stale_percent),
    Measure("Jump from plan to plan", lambda point: point.plan_jump),
    Measure("Peak contact force (N), median", lambda point: point.peak_force_n),
    Measure("Time to success (s), median", lambda point: point.time_to_success_s),
)
