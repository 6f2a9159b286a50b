"""The output of `embodied eval`: a table of the cells, and paired comparisons."""

from __future__ import annotations

from embodied.benchmark import views, wording
from embodied.benchmark.failures import failures, view_command
from embodied.benchmark.results import Cell, Condition, Results, summarize
from embodied.benchmark.shift import (
    SHIFT_RULE,
    between_failures_text,
    duration_text,
    time_between_failures,
)
from embodied.benchmark.timing import CONSTANT
from embodied.cli.text_table import text_table
from embodied.wording import counted

MAX_SEEDS = 8  # most seeds to list in a line
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
    """Returns a table of an evaluation, with one row per cell."""
    rows = [_row(cell) for cell in results.cells]
    tasks_with_robots = [cell.condition.task_with_robot for cell in results.cells]
    if len(set(tasks_with_robots)) < 2:
        return text_table([COLUMNS, *rows])

    # with several tasks or robots, a first column names each row's task and robot
    named = [(name, *row) for name, row in zip(tasks_with_robots, rows, strict=True)]
    return text_table([("where", *COLUMNS), *named])


def comparisons(results: Results) -> list[str]:
    """Returns one line for each comparison of two cells on the same seeds."""
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
        between_failures = time_between_failures(cell.episodes)
        worked_s = sum(episode.duration_s for episode in cell.episodes)

        lines.append(
            f"{cell.label} {_setting(cell.condition)}: {counted(len(cell.episodes), 'episode')} in "
            f"{duration_text(worked_s)}, each from a reset of the robot; "
            f"{between_failures.failures} failed, "
            f"between failures {between_failures_text(between_failures)}"
        )
    return lines


def failed_seeds(results: Results) -> list[str]:
    """Returns a line per cell with failures, and the command that shows one failure."""
    failures_of_cells = failures(results)
    lines = []
    for failed in failures_of_cells:
        seeds = [str(episode.seed) for episode in failed.episodes]
        shown = ", ".join(seeds[:MAX_SEEDS])
        if len(seeds) > MAX_SEEDS:
            shown += f" and {len(seeds) - MAX_SEEDS} more"
        condition = failed.cell.condition
        name = f"{failed.cell.label} {_setting(condition)}"
        if condition.planner_hz is not None:
            name += f", {condition.delay_ms:g} ms late,"
        lines.append(f"{name} failed with seeds {shown}: {failed.endings_text}")

    # the first existing command: cells of a task or robot made in Python have none
    commands = [
        view_command(failed.cell, failed.episodes[0].seed)
        for failed in failures_of_cells
    ]
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
        _setting(cell.condition),
        *_timing(cell.condition),
        f"{len(cell.episodes)}",
        f"{wording.percent(end.value, end.episodes)} ({wording.interval(end)})",
        wording.percent(once.value, once.episodes),
        f"{time.median:.1f} s" if time else "",
        f"{summary.real_time_factor:.0f} x",
    )


def _setting(condition: Condition) -> str:
    """Returns the level, and split and stage unless they are the defaults."""
    setting = [condition.level]
    if condition.split != "train":
        setting.append(condition.split)
    if condition.stage:
        setting.append(condition.stage)
    return " ".join(setting)


def _timing(condition: Condition) -> tuple[str, str, str]:
    """Returns the columns planner, late and lost: rate, delay, losses of plans."""
    if condition.planner_hz is None:
        return ("none", "", "")

    late = f"{condition.delay_ms:g} ms"
    if condition.latency != CONSTANT:
        late += f" ({condition.latency})"
    lost = f"{condition.drop_rate:.0%}"
    lost = ", ".join([lost, *condition.interruptions_and_remedies])
    return (f"{condition.planner_hz:g} Hz", late, lost)
