"""Renders the section of docs/ground.md on what policies learn."""

from __future__ import annotations

from collections.abc import Sequence

from embodied.benchmark.wording import listing, percent
from embodied.envs.scoring import SUCCESS_HOLD_S
from embodied.pages.learned import IMITATION, LearnedSuccess
from embodied.pages.markdown import join_parts, rate_cell, table
from embodied.pages.subject import Pair
from embodied.rollout.episode_stats import AFTER_SUCCESS_S

# A task is too hard for a training if the interval of its success ends below the first
# bound, and too easy to tell policies apart if it begins above the second.
TOO_HARD = 0.05
TOO_EASY = 0.95

TEXT = f"""## What learns

What small trainings on one core reach: success at the end with its 95% Wilson interval,
training split, plans that arrive at once. By imitation, the reference policy learns the
whole task from the demonstrator's successful episodes; it gets pictures, proprioception
and the instruction. By an algorithm of reinforcement learning, a network that gets the
privileged state learns a stage. Minutes: processor time of the training. Once: success at
any time, held for {SUCCESS_HOLD_S:g} s; an episode then goes on for {AFTER_SUCCESS_S:g} s, after which success at the
end counts. Progress: the furthest in the whole task, the mean over the episodes. A task
is called too hard for a training here if the interval of success once ends below {TOO_HARD:.0%},
and too easy if that of success at the end begins above {TOO_EASY:.0%}."""
HEAD = (
    "task",
    "robot",
    "learned",
    "by",
    "demonstrations",
    "steps",
    "minutes",
    "success",
    "once",
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
    # the cells whose text depends on how the policy was trained
    demonstrations = "none"
    if row.demonstrations:
        demonstrations = f"{row.demonstrations} {row.source}"
    inputs = ", ".join(row.cameras) or "privileged state"

    return [
        *row.pair,
        f"{_subject(row)} at {row.level}",
        f"{row.method}, {inputs}",
        demonstrations,
        f"{row.steps:,}",
        f"{row.processor_s / 60:.1f}",
        f"{rate_cell(row.rate)} of {row.rate.episodes}",
        percent(row.rate_once.value, row.rate_once.episodes),
        f"{row.progress:.2f}",
    ]


def _subject(row: LearnedSuccess) -> str:
    """Returns what was learned: a stage, or the whole task."""
    return f"stage `{row.stage}`" if row.stage else "whole task"


def _verdicts(rows: Sequence[LearnedSuccess]) -> str:
    """Returns sentences on what is too hard for these trainings, and what is too easy."""
    stages = [row for row in rows if row.stage]
    wholes = [row for row in rows if not row.stage]

    # verdict -> rows to which it applies, as the bounds of their intervals say
    verdicts = {
        "Too hard for these trainings": [
            row for row in rows if row.rate_once.high < TOO_HARD
        ],
        "Too easy to tell policies apart": [
            row for row in wholes if row.rate.low > TOO_EASY
        ],
        "Stages that are learned": [row for row in stages if row.rate.low > TOO_EASY],
        "Stages that are reached, but not always kept": [
            row for row in stages if row.rate_once.low > TOO_EASY >= row.rate.low
        ],
    }
    return " ".join(
        f"{verdict}: {listing([_title(row) for row in found])}."
        for verdict, found in verdicts.items()
        if found
    )


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
