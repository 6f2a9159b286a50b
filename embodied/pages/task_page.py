"""Writes the tables of docs/tasks.md from the tasks.

The text between the tables stays. Run by `make docs`, or by
`python -m embodied.pages.task_page FILE`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from embodied.envs.common_factors import COMMON
from embodied.envs.registry import get_task, loadable_tasks, robots_for
from embodied.envs.task import TaskSpec
from embodied.envs.variation import Choice, Interval, Variable, fixed, markdown_table
from embodied.files import replace_text
from embodied.pages.blocks import put_block

SHARED = "every task"  # name of the block with the variables of all tasks
SHARED_NAMES = frozenset(row.name for row in COMMON)


def update_page(page: str, tasks: Iterable[TaskSpec]) -> str:
    """Returns the page with each task's block updated.

    A task without a block gets a new section at the end.
    """
    shared_section = "\n## What varies in every task\n\n"
    page = put_block(page, SHARED, markdown_table(COMMON), shared_section)
    for task in tasks:
        summary = f"{task.summary[0].upper()}{task.summary[1:]}"
        section = f"\n## {task.name}\n\n{summary}.\n\n"
        content = f"{_facts(task)}\n\n{_variation(task.table)}"
        page = put_block(page, task.name, content, section)
    return page


def _facts(task: TaskSpec) -> str:
    """Returns sentences on a task's robots, cameras, time and stages."""
    robots = ", ".join(f"`{name}`" for name in robots_for(task))
    all_cameras = (*task.cameras, *task.robot_cameras)
    cameras = ", ".join(f"`{name}`" for name in all_cameras)
    return (
        f"`{task.env_id}`: robots {robots}; cameras {cameras}; "
        f"{task.horizon_s:g} s to do it, "
        f"and {task.driving_s:g} s more for a robot that drives. {_stages(task)}"
        f"{_measures(task)}"
    )


def _stages(task: TaskSpec) -> str:
    """Returns a sentence on the parts of a task that can be learned by themselves."""
    if not task.stages:
        return "It has no stages: it is learned as a whole."
    stages = [
        f"`{stage.name}` (a progress of {stage.goal_progress:g}, within "
        f"{stage.horizon_s:g} s)"
        for stage in task.stages
    ]
    return f"Stages, for `--stage`: {', '.join(stages)}."


def _measures(task: TaskSpec) -> str:
    """Returns a paragraph on what a task reports besides success; "" for nothing."""
    if not task.measures:
        return ""
    measures = [
        f"`{measure.name}` ({measure.meaning}; unit: {measure.unit})"
        for measure in task.measures
    ]
    return f"\n\nReported beside success: {', '.join(measures)}."


def _variation(table: Sequence[Variable]) -> str:
    """Returns a table of the task's own variables, without those of all tasks.

    Sentences are too long for a table, so they are listed below it.
    """
    rows = []
    sentence_lists = []
    for row in table:
        if row.name in SHARED_NAMES:
            continue
        if _has_sentences(row):
            rows.append(_with_counts(row))
            sentence_lists.append(_sentence_list(row))
        else:
            rows.append(row)
    return "\n\n".join([markdown_table(rows), *sentence_lists])


def _has_sentences(row: Variable) -> bool:
    """Returns whether a variable's values are wordings of the instruction."""
    values = _values(row.train)
    return row.factor == "instruction" and any(
        isinstance(value, str) and " " in value for value in values
    )


def _with_counts(row: Variable) -> Variable:
    """Returns the row with a note such as "12 below" in place of 12 sentences.

    The sentences themselves are listed below the table, see `_sentence_list`.
    """
    ranges = (row.start, row.narrow, row.train, row.held_out)
    counts = [fixed(f"{len(_values(part))} below") for part in ranges]
    return Variable(row.name, row.factor, row.unit, *counts)


def _sentence_list(row: Variable) -> str:
    """Returns a variable's sentences as lists; "(L1)" marks those used at level L1."""
    used_at_l1 = _values(row.start)
    lines = [f"`{row.name}`, in training:", ""]
    for value in _values(row.train):
        lines.append(f"- {value} (L1)" if value in used_at_l1 else f"- {value}")

    lines += ["", "held out:", ""]
    lines += [f"- {value}" for value in _values(row.held_out)]
    return "\n".join(lines)


def _values(part: Interval | Choice) -> tuple[object, ...]:
    """Returns the values of a choice; () for an interval."""
    return part.values if isinstance(part, Choice) else ()


def main(path: Path) -> None:
    """Updates the page in a file."""
    page = path.read_text(encoding="utf-8")
    tasks = [get_task(name) for name in loadable_tasks()]
    replace_text(path, update_page(page, tasks))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
