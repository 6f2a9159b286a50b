"""docs/tasks.md: its tables are the tasks' own, and what people wrote beside them
stays.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from embodied.envs.common_factors import COMMON
from embodied.envs.registry import get_task, task_names
from embodied.envs.variation import Choice, Interval, Variable, fixed
from embodied.pages.task_page import update_page

PAGE = Path(__file__).parent.parent / "docs" / "tasks.md"
TASKS = [get_task(name) for name in task_names()]
ROWS = (
    Variable(
        "mass",
        "objects",
        "kg",
        fixed(1.0),
        Interval(0.9, 1.1),
        Interval(0.5, 1.5),
        Interval(1.5, 2.0),
    ),
    Variable(
        "wish",
        "instruction",
        "",
        fixed("Turn it."),
        Choice(("Turn it.", "Give it a turn.")),
        Choice(("Turn it.", "Give it a turn.")),
        fixed("It wants turning."),
    ),
)
NEW = replace(
    TASKS[0],
    name="ValveTest",
    summary="turn the valve",
    table=(*ROWS, *COMMON),
)


def test_the_page_is_up_to_date() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert update_page(page, TASKS) == page, "run `make docs`"
    assert all(f"\n## {task.name}\n" in page for task in TASKS)


def test_a_new_task_gets_a_section() -> None:
    page = update_page("# Tasks\n\nHello.\n", [NEW])
    assert page.startswith("# Tasks\n\nHello.\n\n## What varies in every task\n")
    assert "## ValveTest\n\nTurn the valve.\n" in page
    assert "robots `arm`, `wheeled_arm`" in page
    assert "`reach` (a progress of 0.2475, within 5 s)" in page
    without = update_page("# Tasks\n", [replace(NEW, stages=())])
    assert "It has no stages: it is learned as a whole." in without
    assert "| mass | objects | kg | 1.0 | 0.9 to 1.1 | 0.5 to 1.5 | 1.5 to 2 |" in page
    assert "| wish | instruction |  | 1 below | 2 below | 2 below | 1 below |" in page
    assert (
        "- Turn it. (L1)\n- Give it a turn.\n\nheld out:\n\n- It wants turning.\n"
        in page
    )
    assert page.count("| brightness |") == 1  # what all tasks share is there once


def test_written_words_stay_and_tables_follow() -> None:
    page = update_page("# Tasks\n", [NEW]).replace(
        "Turn the valve.", "A page of prose with \\1 in it."
    )

    # the table changes, the words around it stay
    other_unit = replace(NEW, table=(replace(ROWS[0], unit="g"), ROWS[1], *COMMON))
    changed = update_page(page, [other_unit])
    assert "A page of prose with \\1 in it." in changed
    assert "| mass | objects | g |" in changed
    assert "| mass | objects | kg |" not in changed
    assert update_page(changed, [other_unit]) == changed
