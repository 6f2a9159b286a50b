"""Renders a training run as one HTML file: curves, advice, and measured trainings."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from markupsafe import Markup

from embodied.benchmark import wording
from embodied.benchmark.plots import (
    Series,
    line_chart,
    mark,
    points_axis,
    success_axis,
    value_axis,
)
from embodied.benchmark.report import MAX_MARKS, environment
from embodied.benchmark.training_reading import (
    Rows,
    advice,
    comparable_trainings,
    gap,
    is_imitation,
)
from embodied.files import replace_text
from embodied.policies.run_folder import CURVES, read_history, read_info, tasks_of
from embodied.policies.training.figures import CLOCKS, FIGURES, Figure

# Groups of columns that share a chart, each column -> its name in the legend. Any other
# column has a chart of its own.
TOGETHER = (
    {"train_loss": "training episodes", "valid_loss": "validation episodes"},
    {"goal_error_mm": "median", "goal_error_p90_mm": "90th percentile"},
)
TITLES = {"train_loss": "Loss", "goal_error_mm": "Goal error"}
SHARES = ("success", "subtask_accuracy", "progress")  # axes from 0 to 100%
UNDRAWN = ("passes",)  # columns without a chart


@dataclass(frozen=True)
class Curves:
    """A chart with its legend."""

    chart: Markup
    legend: tuple[tuple[int, str], ...]  # (style, name); () for a single line


def write_training_page(folder: Path) -> Path | None:
    """Writes the page of a run into its folder.

    Returns:
        The path of the page; None if the run's history has no rows yet.

    Raises:
        FileNotFoundError: The folder has no history.
        EmbodiedError: The run's info is missing or cannot be read.
    """
    history = read_history(folder)
    if not history:
        return None
    path = folder / CURVES
    replace_text(path, training_page(folder.name, read_info(folder), history))
    return path


def training_page(name: str, info: dict[str, Any], history: Rows) -> str:
    """Returns the page of a run as HTML.

    Args:
        name: the name of the run.
        info: what `read_info` returned for the run.
        history: the rows of the run's history, at least one.
    """
    last = history[-1]
    tasks = tasks_of(info)
    imitation = is_imitation(history)
    # the table of the newest figures; an unknown column has its name as title
    rows = [
        (FIGURES.get(column, Figure(column, "", "")), column, value)
        for column, value in last.items()
    ]
    template = environment().get_template("training.html.j2")
    return template.render(
        name=name,
        info=info,
        tasks=tasks,
        last=last,
        rows=rows,
        charts=curves(history),
        advice=advice(history),
        imitation=imitation,
        gap=gap(last) if imitation else None,
        comparable=comparable_trainings(tasks) if imitation else (),
        mark=mark,
        duration=wording.duration,
    )


def curves(history: Rows) -> list[Curves]:
    """Returns the charts of a history over training steps."""
    columns = dict.fromkeys(column for row in history for column in row)
    drawn: set[str] = {*CLOCKS, *UNDRAWN}  # these columns get no chart

    charts = []
    for column in columns:
        if column in drawn:
            continue
        # the columns of this chart -> their names in the legend
        names = next((group for group in TOGETHER if column in group), {column: ""})
        drawn.update(names)

        # a line's style is the index of its column in `names`, from which `_chart` finds
        # the name again; lines without points are left out
        lines = [
            _series(history, key, style)
            for style, key in enumerate(names)
            if key in columns
        ]
        shown = [line for line in lines if line.points]
        if shown:
            charts.append(_chart(shown, names))
    return charts


def _chart(lines: Sequence[Series], names: dict[str, str]) -> Curves:
    """Returns the chart of some lines.

    Args:
        lines: the lines to draw, at least one; a line's style is the index of its
            column in `names`.
        names: column -> name in the legend, for all columns that share the chart.
    """
    column = next(iter(names))
    figure = FIGURES.get(column, Figure(column.replace("_", " "), "", ""))
    title = TITLES.get(column, figure.title)
    if figure.unit:
        title += f" ({figure.unit})"

    # the axes cover the points (training step, value) of all lines
    points = [point for line in lines for point in line.points]
    x_axis = points_axis("Training steps", [x for x, _ in points])
    y_axis = value_axis(title, [y for _, y in points])
    if column in SHARES:
        y_axis = success_axis(title)
    legend = tuple((line.style, list(names.values())[line.style]) for line in lines)
    chart = line_chart(lines, x_axis, y_axis, f"{title} during training")
    return Curves(chart, legend if len(names) > 1 else ())


def _series(history: Rows, column: str, style: int) -> Series:
    """Returns a column over training steps, without missing and infinite values."""
    points = []
    for row in history:
        value = row.get(column)
        if value is not None and math.isfinite(value):
            points.append((float(row["steps"]), float(value)))
    return Series(tuple(points), style, marks=len(points) <= MAX_MARKS)
