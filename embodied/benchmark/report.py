"""Renders the report of an evaluation as one self-contained HTML file."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from embodied.benchmark import views, wording
from embodied.benchmark.failures import failures, view_command
from embodied.benchmark.plots import (
    Series,
    line_chart,
    mark,
    points_axis,
    success_axis,
    value_axis,
)
from embodied.benchmark.profile import EXPERT, OtherMeasures, other_measures
from embodied.benchmark.results import Cell, Results, ResultsError, rate, summarize
from embodied.benchmark.scenarios import Scenario
from embodied.benchmark.shift import between_failures_text
from embodied.benchmark.task_measures import task_measures
from embodied.files import replace_text
from embodied.rollout.endings import describe_ending
from embodied.rollout.video import Video

# prefix of a column of the training history -> index of its curve's colour
HISTORY_STYLES = {"train": views.PALETTE_SIZE, "valid": 0}
MAX_MARKS = 30  # a curve with more points than this has no marks


@dataclass(frozen=True)
class CaptionedVideo:
    """A video with title and caption."""

    title: str
    caption: str
    video: Video


@dataclass(frozen=True)
class DatasetFacts:
    """Totals of the datasets that the policy learned from."""

    episodes: int
    successes: int
    hours: float  # simulated
    frames: int
    size_bytes: int


@dataclass(frozen=True)
class Report:
    """The content of a report; an empty field gets no section.

    Attributes:
        results: the evaluation.
        subject: the policy that the report is about.
        summary: the task in a sentence.
        history: rows of training figures, with `steps` and columns such as `train_loss`
            and `valid_loss`.
        videos: filmed episodes.
        dataset: totals of the datasets that the policy learned from.
        stages: stage of the job -> wall time in s.
    """

    results: Results
    subject: str = "trained"
    summary: str = ""
    history: Sequence[Mapping[str, Any]] = ()
    videos: Sequence[CaptionedVideo] = ()
    dataset: DatasetFacts | None = None
    stages: Mapping[str, float] = field(default_factory=dict)


def write_report(path: Path, report: Report) -> None:
    """Writes the report atomically."""
    replace_text(path, render_report(report))


def render_report(report: Report) -> str:
    """Returns the report as HTML.

    Raises:
        ResultsError: the results hold no cell.
    """
    results = report.results
    if not results.cells:
        raise ResultsError(
            "a report needs at least one cell, and the results hold none"
        )

    subject = views.report_subject(results, report.subject)
    # policy -> colour, the same in bars, legends and curves
    colours = views.colours(results, subject)
    sweeps = views.sweeps(results)
    template = environment().get_template("report.html.j2")
    return template.render(
        report=report,
        results=results,
        provenance=results.provenance,
        scores=views.scores(results, subject),
        totals=views.totals(results),
        scoreboards=views.scoreboards(results),
        sweeps=[(sweep, _delay_chart(sweep, colours)) for sweep in sweeps],
        pairings=views.pairings(results),
        summaries=[(cell, summarize(cell)) for cell in results.cells],
        other_measures=[
            (cell, summarize(cell), _other_measures(cell, results))
            for cell in results.cells
        ],
        task_measures=task_measures(results.cells),
        failures=failures(results),
        colours=colours,
        seeds=views.seeds(results),
        training=training_charts(report.history),
        history_styles=HISTORY_STYLES,
        metadata=json.dumps(results.provenance.metadata, indent=2, default=str),
    )


def environment() -> Environment:
    """Returns the Jinja environment for the templates of this package."""
    # `StrictUndefined` makes a misspelt name in a template an error
    environment = Environment(
        loader=PackageLoader("embodied.benchmark", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )

    environment.filters.update(
        rate=rate,
        percent=lambda success: wording.percent(success.value, success.episodes),
        interval=wording.interval,
        signed=wording.signed,
        p_value=wording.p_value,
        duration=wording.duration,
        size=wording.size,
        base64=lambda data: base64.b64encode(data).decode(),
    )
    environment.globals.update(
        mark=mark,
        delay_sentence=views.delay_sentence,
        setting_of=views.Setting.of,
        describe_ending=describe_ending,
        view_command=view_command,
        between_failures_text=between_failures_text,
    )
    return environment


def _other_measures(cell: Cell, results: Results) -> OtherMeasures:
    """Returns a cell's measures other than success.

    They compare the cell with the expert's cell, and with the same policy's cell without
    delay, if the results hold these cells.
    """
    scenario = Scenario.of(cell.condition)
    expert = None
    undelayed = None
    for other in results.cells:
        other_scenario = Scenario.of(other.condition)
        if other_scenario == scenario and other.condition.policy == EXPERT:
            expert = other

        # an undelayed cell has no `timing`, and is not compared with itself
        is_undelayed = other_scenario == scenario.without_timing
        same_policy = other.condition.policy == cell.condition.policy
        if scenario.timing and same_policy and is_undelayed:
            undelayed = other
    return other_measures(cell, expert, undelayed)


def _delay_chart(sweep: views.Sweep, colours: Mapping[str, int]) -> Markup:
    """Returns a chart of success over the planner's delay, one curve per policy."""
    series = []
    delays_ms = []
    for curve in sweep.curves:
        # the band shows the intervals of the rates
        points = []
        band = []
        for cell in curve.cells:
            success = rate(cell)
            points.append((cell.condition.delay_ms, success.value))
            band.append((success.low, success.high))
            delays_ms.append(cell.condition.delay_ms)

        colour = colours[curve.cells[0].condition.policy]
        series.append(Series(tuple(points), colour, tuple(band)))

    x_axis = points_axis("Planner delay, compute + transport (ms)", delays_ms)
    sentences = " ".join(views.delay_sentence(curve) for curve in sweep.curves)
    summary = f"Success against planner delay. {sentences}"
    return line_chart(series, x_axis, success_axis(), summary)


def training_charts(history: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """Returns one chart per quantity that has `train_` or `valid_` columns."""
    # rows differ in columns, because some figures are written less often
    columns = dict.fromkeys(key for row in history for key in row)
    # "train_loss" and "valid_loss" are one quantity, "loss"
    quantities = dict.fromkeys(
        key.split("_", 1)[1] for key in columns if key.startswith(("train_", "valid_"))
    )
    x_key = "steps" if "steps" in columns else "epoch"

    charts = []
    for quantity in quantities:
        series = [
            _history_series(history, x_key, f"{part}_{quantity}", style)
            for part, style in HISTORY_STYLES.items()
        ]
        # leave out columns without finite values
        shown = [curve for curve in series if curve.points]
        if not shown:
            continue

        points = [point for curve in shown for point in curve.points]
        x_axis = points_axis(f"Training {x_key}", [x for x, _ in points])
        title = quantity.replace("_", " ").capitalize()
        y_axis = value_axis(title, [y for _, y in points])
        charts.append(line_chart(shown, x_axis, y_axis, f"{title} during training"))
    return charts


def _history_series(
    history: Sequence[Mapping[str, Any]], x_key: str, y_key: str, style: int
) -> Series:
    """Returns column `y_key` over column `x_key`, without missing and infinite values.

    A row without `x_key` gets its index as x.
    """
    points = []
    for i, row in enumerate(history):
        y = row.get(y_key)
        if y is not None and math.isfinite(y):
            points.append((float(row.get(x_key, i)), float(y)))
    return Series(tuple(points), style, marks=len(points) <= MAX_MARKS)
