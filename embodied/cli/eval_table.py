"""The output of `embodied eval`: a table of the cells, and paired comparisons."""

from __future__ import annotations

from embodied.benchmark import views, wording
from embodied.benchmark.failures import failures, view_command
from embodied.benchmark.results import Cell, Condition, Results, summarize
from embodied.benchmark.shift import (
    SHIFT_RULE,
    between_failures_words,
    duration_words,
    time_between_failures,
)
from embodied.benchmark.timing import CONSTANT
from embodied.cli.text_table import text_table

MAX_SEEDS = 8  # most seeds in a line
COLUMNS = (
    "policy",
    "level",
    "planner",
    "late",
    "lost",
    "episodes",
    "success at end",
    "once",
    "time",
    "speed",
)


def results_table(results: Results) -> str:
    """Returns a table with one row per cell."""
    rows = [_row(cell) for cell in results.cells]
    places = [cell.condition.place for cell in results.cells]
    if len(set(places)) < 2:
        return text_table([COLUMNS, *rows])

    # with several tasks or robots, a first column names them
    placed = [(place, *row) for place, row in zip(places, rows, strict=True)]
    return text_table([("where", *COLUMNS), *placed])


def comparisons(results: Results) -> list[str]:
    """Returns one line per paired comparison."""
    lines = []
    for pairing in views.pairings(results):
        first = pairing.first
        second = pairing.second
        # two cells of the same policy differ in the delay of plans
        names = f"{first.label} against {second.label}"
        if first.label == second.label:
            names = f"{_late_name(first)} against {_late_name(second)}"

        difference = wording.difference(pairing.comparison)
        lines.append(
            f"{names}, {first.condition.level}: {difference}, "
            f"p = {pairing.adjusted_p:.2g} (Holm)"
        )
    return lines


def shifts(results: Results) -> list[str]:
    """Returns one line per cell that was measured for a shift."""
    lines = []
    for cell in results.cells:
        if not cell.rule.startswith(SHIFT_RULE):
            continue
        found = time_between_failures(cell.episodes)
        worked_s = sum(episode.duration_s for episode in cell.episodes)
        lines.append(
            f"{cell.label} {_place(cell.condition)}: {len(cell.episodes)} episodes in "
            f"{duration_words(worked_s)}, each from a reset of the robot; "
            f"{found.failures} failed, between failures {between_failures_words(found)}"
        )
    return lines


def failed_seeds(results: Results) -> list[str]:
    """Returns one line per cell with failures, and the command that shows the first."""
    found = failures(results)
    lines = []
    for one in found:
        seeds = [str(episode.seed) for episode in one.episodes]
        shown = ", ".join(seeds[:MAX_SEEDS])
        if len(seeds) > MAX_SEEDS:
            shown += f" and {len(seeds) - MAX_SEEDS} more"
        condition = one.cell.condition
        name = f"{one.cell.label} {_place(condition)}"
        if condition.planner_hz is not None:
            name += f", {condition.delay_ms:g} ms late,"
        lines.append(f"{name} failed with seeds {shown}: {one.endings_words}")

    # the first existing command: cells of a task or robot made in Python have none
    commands = [view_command(one.cell, one.episodes[0].seed) for one in found]
    command = next(filter(None, commands), "")
    if command:
        lines.append(f"to see the first: {command}")
    return lines


def _late_name(cell: Cell) -> str:
    return f"{cell.label} {cell.condition.delay_ms:g} ms late"


def _row(cell: Cell) -> tuple[str, ...]:
    """Returns the row of a cell, with its text for each of `COLUMNS`."""
    summary = summarize(cell)
    end = summary.success_at_end
    once = summary.success_once
    time = summary.time_to_success_s

    return (
        cell.label,
        _place(cell.condition),
        *_timing(cell.condition),
        f"{len(cell.episodes)}",
        f"{wording.percent(end.value, end.episodes)} ({wording.interval(end)})",
        wording.percent(once.value, once.episodes),
        f"{time.median:.1f} s" if time else "",
        f"{summary.real_time_factor:.0f} x",
    )


def _place(condition: Condition) -> str:
    """Returns the level, and split and stage unless they are the defaults."""
    words = [condition.level]
    if condition.split != "train":
        words.append(condition.split)
    if condition.stage:
        words.append(condition.stage)
    return " ".join(words)


def _timing(condition: Condition) -> tuple[str, str, str]:
    """Returns the columns planner, late and lost: rate, delay, losses of plans."""
    if condition.planner_hz is None:
        return ("none", "", "")

    late = f"{condition.delay_ms:g} ms"
    if condition.latency != CONSTANT:
        late += f" ({condition.latency})"
    lost = f"{condition.drop_rate:.0%}"
    lost = ", ".join([lost, *condition.impairments])
    return (f"{condition.planner_hz:g} Hz", late, lost)
