"""Renders the section of docs/ground.md on what policies learn."""

from __future__ import annotations

from collections.abc import Sequence

from embodied.benchmark.wording import listing
from embodied.pages.learned import IMITATION, LearnedSuccess
from embodied.pages.markdown import join_parts, rate_cell, table
from embodied.pages.subject import Pair

# A task is too hard for a training if the interval of its success ends below the first
# bound, and too easy to tell policies apart if it begins above the second.
TOO_HARD = 0.05
TOO_EASY = 0.95

TEXT = f"""## What learns

What small trainings on one core reach: success at the end with its 95% Wilson interval,
training split, plans that arrive at once. By imitation, the reference policy learns the
whole task from the demonstrator's successful episodes; it gets pictures, proprioception
and the instruction. By an algorithm of reinforcement learning, a network that gets the
privileged state learns a stage. Minutes: processor time of the training. Progress: the
furthest in the whole task, the mean over the episodes. A task is called too hard for
a training here if the interval ends below {TOO_HARD:.0%}, and too easy if it begins above {TOO_EASY:.0%}."""
HEAD = (
    "task",
    "robot",
    "learned",
    "by",
    "demonstrations",
    "steps",
    "minutes",
    "success",
    "progress",
)


def learned_section(rows: Sequence[LearnedSuccess], pairs: Sequence[Pair]) -> str:
    """Returns the section with a line for each row, in the order of `pairs`.

    Args:
        rows: what was measured.
        pairs: the tasks and robots of the page.

    Returns:
        The section without a line break at its end; "" if nothing was measured.
    """
    if not rows:
        return ""

    ordered = sorted(rows, key=lambda row: (pairs.index(row.pair), row.key))
    tasks = list(dict.fromkeys(task for task, _ in pairs))
    parts = [
        TEXT,
        table(HEAD, [_line(row) for row in ordered]),
        _verdicts(ordered),
        _missing(ordered, tasks),
        _commands(ordered),
    ]
    return join_parts(parts).rstrip("\n")


def _line(row: LearnedSuccess) -> list[str]:
    """Returns the cells of a row."""
    demonstrations = "none"
    if row.demonstrations:
        demonstrations = f"{row.demonstrations} ({row.demonstrator})"
    inputs = ", ".join(row.cameras) or "privileged state"
    return [
        *row.pair,
        f"{_subject(row)} at {row.level}",
        f"{row.method}, {inputs}",
        demonstrations,
        f"{row.steps:,}",
        f"{row.processor_s / 60:.1f}",
        f"{rate_cell(row.rate)} of {row.rate.episodes}",
        f"{row.progress:.2f}",
    ]


def _subject(row: LearnedSuccess) -> str:
    """Returns what was learned: a stage, or the whole task."""
    return f"stage `{row.stage}`" if row.stage else "whole task"


def _verdicts(rows: Sequence[LearnedSuccess]) -> str:
    """Returns sentences on what is too hard for these trainings, and what is too easy."""
    too_hard = [_title(row) for row in rows if row.rate.high < TOO_HARD]
    too_easy = [
        _title(row) for row in rows if not row.stage and row.rate.low > TOO_EASY
    ]
    learned_stages = [
        _title(row) for row in rows if row.stage and row.rate.low > TOO_EASY
    ]
    sentences = [
        f"{name}: {listing(titles)}."
        for name, titles in (
            ("Too hard for these trainings", too_hard),
            ("Too easy to tell policies apart", too_easy),
            ("Stages that are learned", learned_stages),
        )
        if titles
    ]
    return " ".join(sentences)


def _title(row: LearnedSuccess) -> str:
    """Returns task, robot, stage and method of a row in words."""
    return f"{' '.join(row.pair)} ({_subject(row)}, {row.method})"


def _missing(rows: Sequence[LearnedSuccess], tasks: Sequence[str]) -> str:
    """Returns sentences on the tasks that were not measured."""
    imitated = {row.subject.task for row in rows if row.method == IMITATION}
    reinforced = {row.subject.task for row in rows if row.method != IMITATION}
    sentences = [
        f"Not measured yet by {name}: {listing(absent)}."
        for name, measured in (
            ("imitation", imitated),
            ("reinforcement learning", reinforced),
        )
        if (absent := [task for task in tasks if task not in measured])
    ]
    return " ".join(sentences)


def _commands(rows: Sequence[LearnedSuccess]) -> str:
    """Returns a code block of the commands that trained and evaluated the policies."""
    lines = [command for row in rows for command in row.commands]
    return "\n".join(["```bash", *lines, "```"])
