"""The report: one HTML file with everything in it, which asks nothing of any network."""

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

from embodied.benchmark import views
from embodied.benchmark.plots import (
    Series,
    line_chart,
    mark,
    points_axis,
    success_axis,
    value_axis,
)
from embodied.benchmark.results import Results, ResultsError, rate, summarize
from embodied.files import replace_text
from embodied.rollout.video import Video

TRAIN_STYLE = views.PALETTE_SIZE
VALID_STYLE = 0


@dataclass(frozen=True)
class Exhibit:
    """A video with what it shows."""

    title: str
    caption: str
    video: Video


@dataclass(frozen=True)
class DatasetFacts:
    """What the policy learned from. `hours` are simulated."""

    episodes: int
    successes: int
    hours: float
    frames: int
    size_bytes: int


@dataclass(frozen=True)
class Report:
    """All that a report shows; what is left out has no section.

    `subject` is the policy the report is about, `summary` the task in a sentence,
    `history` the training's rows (`steps` and pairs such as `train_loss`, `valid_loss`),
    `stages` the wall seconds of each part of the job.
    """

    results: Results
    subject: str = "trained"
    summary: str = ""
    history: Sequence[Mapping[str, Any]] = ()
    exhibits: Sequence[Exhibit] = ()
    dataset: DatasetFacts | None = None
    stages: Mapping[str, float] = field(default_factory=dict)


def write_report(path: Path, report: Report) -> None:
    """Writes the report in one step."""
    replace_text(path, render_report(report))


def render_report(report: Report) -> str:
    """The report as HTML.

    Raises:
        ResultsError: the results hold no cell.
    """
    results = report.results
    if not results.cells:
        raise ResultsError(
            "a report needs at least one cell, and the results hold none"
        )
    subject = views.subject_of(results, report.subject)
    colours = views.colours(results, subject)
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            results=results,
            provenance=results.provenance,
            scores=views.scores(results, subject),
            totals=views.totals(results),
            scenes=views.scenes(results),
            sweeps=[
                (sweep, _delay_chart(sweep, colours)) for sweep in views.sweeps(results)
            ],
            pairings=views.pairings(results),
            summaries=[(cell, summarize(cell)) for cell in results.cells],
            colours=colours,
            seeds=views.seeds(results),
            training=training_charts(report.history),
            metadata=json.dumps(results.provenance.metadata, indent=2, default=str),
        )
    )


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("embodied.benchmark", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        rate=rate,
        percent=lambda found: views.percent(found.value, found.episodes),
        interval=views.interval,
        signed=views.signed,
        p_value=_p_value,
        duration=_duration,
        size=_size,
        base64=lambda data: base64.b64encode(data).decode(),
    )
    environment.globals.update(mark=mark, delay_sentence=views.delay_sentence)
    return environment


def _delay_chart(sweep: views.Sweep, colours: Mapping[str, int]) -> Markup:
    series = []
    for curve in sweep.curves:
        rates = [(cell.condition.delay_ms, rate(cell)) for cell in curve.cells]
        points = tuple((delay_ms, found.value) for delay_ms, found in rates)
        band = tuple((found.low, found.high) for _, found in rates)
        series.append(Series(points, colours[curve.cells[0].condition.policy], band))
    delays = [x for s in series for x, _ in s.points]
    summary = " ".join(views.delay_sentence(curve) for curve in sweep.curves)
    x_axis = points_axis("Planner delay, compute + transport (ms)", delays)
    return line_chart(
        series, x_axis, success_axis(), f"Success against planner delay. {summary}"
    )


def training_charts(history: Sequence[Mapping[str, Any]]) -> list[Markup]:
    """A chart for each quantity that has `train_` or `valid_` columns."""
    columns = dict.fromkeys(key for row in history for key in row)
    names = dict.fromkeys(
        key.split("_", 1)[1] for key in columns if key.startswith(("train_", "valid_"))
    )
    x_key = "steps" if "steps" in columns else "epoch"
    charts = []
    for name in names:
        series = [
            _history_series(history, x_key, f"{part}_{name}", style)
            for part, style in _PARTS.items()
        ]
        drawn = [s for s in series if s.points]
        if drawn:
            values = [y for s in drawn for _, y in s.points]
            x_axis = points_axis(
                f"Training {x_key}", [x for s in drawn for x, _ in s.points]
            )
            title = name.replace("_", " ").capitalize()
            charts.append(
                line_chart(
                    drawn, x_axis, value_axis(title, values), f"{title} during training"
                )
            )
    return charts


_PARTS = {"train": TRAIN_STYLE, "valid": VALID_STYLE}


def _history_series(
    history: Sequence[Mapping[str, Any]], x_key: str, key: str, style: int
) -> Series:
    rows = [(row.get(x_key, i), row.get(key)) for i, row in enumerate(history)]
    points = tuple(
        (float(x), float(y)) for x, y in rows if y is not None and math.isfinite(y)
    )
    return Series(points, style, marks=len(points) <= 30)


def _p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"{p:.3f}" if p < 0.1 else f"{p:.2f}"


def _duration(seconds: float) -> str:
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def _size(size_bytes: int) -> str:
    for unit, scale in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size_bytes >= scale:
            return f"{size_bytes / scale:.3g} {unit}"
    return f"{size_bytes} bytes"
