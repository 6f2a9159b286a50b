"""docs/your_planner.md works as it is written: its modules and its commands."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from embodied.benchmark.results import rate
from embodied.benchmark.results_file import read_results
from embodied.benchmark.sweep_file import read_sweep
from embodied.datasets.reader import Dataset
from tests.commands import run_python

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "your_planner.md").read_text(encoding="utf-8")
RUN = (
    "import json, sys; from embodied.cli.main import main; "
    "sys.exit(max(main(words) for words in json.loads(sys.argv[1])))"
)
LONGEST_S = 3600.0  # all commands of the page, on a busy machine
MOST_LINES = {"my_planner": 42, "my_function": 17}  # without blank ones and comments


def blocks(language: str) -> list[str]:
    fence = rf"^```{language}\n(.*?)^```$"
    return re.findall(fence, PAGE, flags=re.DOTALL | re.MULTILINE)


MODULES = dict(zip(MOST_LINES, blocks("python"), strict=True))


def commands() -> list[list[str]]:
    lines = [line.split() for block in blocks("bash") for line in block.splitlines()]
    assert all(line[0] == "embodied" for line in lines)
    return [line[1:] for line in lines]


def run_in(folder: Path, words: list[list[str]]) -> str:
    """Runs commands in a fresh interpreter that does not see the folder by itself."""
    code = ("-P", "-c", RUN, json.dumps(words))
    return run_python(
        *code,
        folder=folder,
        longest_s=LONGEST_S,
        LP_NUM_THREADS="1",
    )


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    return tmp_path


@pytest.mark.parametrize("name", MODULES)
def test_the_modules_are_short(name: str) -> None:
    lines = [line.strip() for line in MODULES[name].splitlines()]
    code = [line for line in lines if line and not line.startswith("#")]
    assert len(code) <= MOST_LINES[name]
    assert max(map(len, MODULES[name].splitlines())) <= 88


def test_both_policies_reach_the_tote(folder: Path) -> None:
    policies = ["my_planner:grasp_and_lift", "my_function:reach"]
    words = ["eval", "ToteTransfer", "--stage", "reach", "--level", "L1", "--policy"]
    options = ["--episodes", "2", "--workers", "1", "-o", "reach"]
    run_in(folder, [[*words, *policies, *options]])

    cells = read_results(folder / "reach" / "results.json").cells
    assert [cell.label for cell in cells] == policies
    assert [rate(cell).value for cell in cells] == [1, 1]
    assert [cell.condition.planner_hz for cell in cells] == [8, None]
    assert all(len(cell.condition.weights) == 64 for cell in cells)


@pytest.mark.slow
def test_every_command_of_the_page_works(folder: Path) -> None:
    run_in(folder, commands())

    # The page's scripted planner copes with every delay that it tries.
    cells = read_results(folder / "runs" / "delays" / "results.json").cells
    assert [cell.condition.transport_ms for cell in cells] == [0, 250, 500]
    assert [rate(cell).value for cell in cells] == [1, 1, 1]

    # It runs in a sweep as it is.
    record = read_sweep(folder / "runs" / "sweep" / "sweep.json")
    [panel] = record.panels
    assert [row.label for row in panel.rows] == ["1 Hz", "4 Hz"]
    assert [[point.delay_ms for point in row.points] for row in panel.rows] == [
        [0, 500],
        [0, 500],
    ]
    assert panel.rows[1].points[0].success == 1

    # Reaching is all that the function can do, and random actions never do it.
    reach = read_results(folder / "runs" / "reach" / "results.json").cells
    assert rate(reach[0]).value > 0.5
    assert rate(reach[1]).value == 0

    with Dataset(folder / "lifts.hdf5") as dataset:
        assert len(dataset) == 2
        assert dataset.header.policy == "my_planner:grasp_and_lift"
        assert dataset.header.planner_hz == 8
        assert dataset.read(0, "plans/subtask").size > 10
