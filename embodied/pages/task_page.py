"""The tables of docs/tasks.md, from the tasks themselves; what people wrote between
them stays.

`make docs`, or `python -m embodied.pages.task_page FILE`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from embodied.envs.common_factors import COMMON
from embodied.envs.registry import get_task, robots_for, task_names
from embodied.envs.task import TaskSpec
from embodied.envs.variation import Choice, Interval, Variable, fixed, markdown_table
from embodied.files import replace_text

SHARED = "every task"  # the name of the block that holds the rows of all of them
SHARED_NAMES = frozenset(row.name for row in COMMON)


def update_page(page: str, tasks: Iterable[TaskSpec]) -> str:
    """The page with each task's block anew; a task that has none gets a section at the
    end.
    """
    page = _put(page, SHARED, markdown_table(COMMON), "What varies in every task")
    for task in tasks:
        page = _put(
            page,
            task.name,
            f"{_facts(task)}\n\n{_variation(task.table)}",
            task.name,
            task.summary,
        )
    return page


def _put(page: str, name: str, content: str, title: str, summary: str = "") -> str:
    begin = f"<!-- {name}: written by `make docs` -->"
    end = f"<!-- {name}: end -->"
    block = f"{begin}\n\n{content}\n\n{end}"
    if begin in page:
        return re.sub(
            re.escape(begin) + ".*?" + re.escape(end),
            lambda _: block,
            page,
            flags=re.DOTALL,
        )
    words = f"{summary[0].upper()}{summary[1:]}.\n\n" if summary else ""
    return f"{page.rstrip()}\n\n## {title}\n\n{words}{block}\n"


def _facts(task: TaskSpec) -> str:
    robots, cameras = (
        ", ".join(f"`{name}`" for name in names)
        for names in (robots_for(task), (*task.cameras, *task.robot_cameras))
    )
    return (
        f"`{task.env_id}`: robots {robots}; cameras {cameras}; {task.horizon_s:g} s to do it, "
        f"and {task.driving_s:g} s more for a robot that drives."
    )


def _variation(table: Sequence[Variable]) -> str:
    """The rows of this task alone, and below them the sentences, which a table has no
    room for.
    """
    own = [row for row in table if row.name not in SHARED_NAMES]
    worded = [row for row in own if _is_worded(row)]
    brief = [_counted(row) if row in worded else row for row in own]
    return "\n\n".join([markdown_table(brief), *(_sentences(row) for row in worded)])


def _is_worded(row: Variable) -> bool:
    return row.factor == "instruction" and any(
        isinstance(v, str) and " " in v for v in _values(row.train)
    )


def _counted(row: Variable) -> Variable:
    ranges = (row.start, row.narrow, row.train, row.held_out)
    counts = [fixed(f"{len(_values(part))} below") for part in ranges]
    return Variable(row.name, row.factor, row.unit, *counts)


def _sentences(row: Variable) -> str:
    plain = set(_values(row.start))
    trained = [
        f"- {value}{' (L1)' if value in plain else ''}" for value in _values(row.train)
    ]
    held_out = [f"- {value}" for value in _values(row.held_out)]
    return "\n".join(
        [f"`{row.name}`, in training:", "", *trained, "", "held out:", "", *held_out]
    )


def _values(part: Interval | Choice) -> tuple[object, ...]:
    return part.values if isinstance(part, Choice) else ()


def main(path: Path) -> None:
    """Brings the page in a file up to date."""
    replace_text(
        path,
        update_page(
            path.read_text(encoding="utf-8"), [get_task(name) for name in task_names()]
        ),
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
