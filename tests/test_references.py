"""Whatever pages and docstrings name exists: files, modules, classes, functions with
their arguments, verbs and flags.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.references import (
    CITING,
    PAGES,
    SOURCE_FOLDERS,
    problem_of_span,
    problems_of_docstrings,
    problems_of_page,
)
from tests.text_figures import ROOT, python_files

MODULES = [
    path
    for path in python_files((*SOURCE_FOLDERS, "examples"))
    if str(path.relative_to(ROOT)) not in CITING
]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_page_names_what_exists(path: Path) -> None:
    assert problems_of_page(path) == []


def test_docstrings_name_what_exists() -> None:
    found = {
        str(path.relative_to(ROOT)): problems_of_docstrings(path) for path in MODULES
    }
    assert {path: problems for path, problems in found.items() if problems} == {}


@pytest.mark.parametrize(
    "span",
    [
        "docs/your_dataset_of_dreams.md",
        "policies/dual_sistem.py",
        "envs/tasks/nothing/",
        "nothing_here.py",
        "plan(observation, instruction)",
        "act(observation, plan)",
        "embodied.envs.kit",
        "embodied.envs.variation.Intervall",
        "embodied.plan.Plan.tick_of_frame",
        "datasets.reader.Datasett",
        "core.SKILS",
        "DualSistem",
        "tick_of_frame",
        "--delays-ms",
        "embodied evaluate ToteTransfer",
        "embodied eval ToteTransfer --polices expert",
        "embodied data mergee a.hdf5",
    ],
)
def test_what_does_not_exist_is_found(span: str) -> None:
    assert problem_of_span(span, ROOT / "docs")


@pytest.mark.parametrize(
    "span",
    [
        "docs/contracts.md",
        "contracts.md",
        "policies/dual_system.py",
        "envs/tasks/table_wipe",
        "plan(observation, ids)",
        "act(observation, payload, age_s)",
        "embodied.envs.variation.Interval",
        "embodied.plan.Plan.tick_frame",
        "datasets.reader.Dataset",
        "core.SKILLS",
        "DualSystem",
        "tick_frame",
        "--delay-ms",
        "embodied/ToteTransfer-v0",
        "embodied eval ToteTransfer --policy expert --delay-ms 0 250",
    ],
)
def test_what_exists_is_not(span: str) -> None:
    assert problem_of_span(span, ROOT / "docs") == ""


def test_links_and_examples_of_a_page_are_read(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "See [this](nowhere.md#part) and --no-such-flag.\n\n```bash\nembodied vieww X\n```\n"
        "```\nact(observation, plan)\n```\n"
        "And `own_name`, which `other_names` is not.\n\n```python\nown_name = 1\n```\n"
    )
    problems = problems_of_page(page)
    expected = (
        "nothing is called other_names",
        "there is no file nowhere.md",
        "no verb has the flag --no-such-flag",
        "there is no verb 'vieww X'",
        "act takes ",
    )
    assert len(problems) == len(expected)
    for problem, start in zip(problems, expected, strict=True):
        assert problem.startswith(start)
