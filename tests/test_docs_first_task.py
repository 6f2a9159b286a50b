"""docs/your_first_task.md works as it is written: its files, found by their entry
point, and its commands.
"""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path

import pytest

from embodied.benchmark.results import rate
from embodied.benchmark.results_file import read_results
from embodied.datasets.reader import Dataset
from embodied.pages.survey_page import survey_book
from tests.commands import run_python

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "your_first_task.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "examples" / "my_tasks"
MOST_LINES = 150
RUN = "import json, sys; from embodied.cli.main import main; sys.exit(max(main(w) for w in json.loads(sys.argv[1])))"


def blocks(language: str) -> list[str]:
    return re.findall(
        rf"^```{language}\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE
    )


def read_example(name: str) -> str:
    return (PACKAGE / name).read_text(encoding="utf-8")


def try_it() -> str:
    """The page's script."""
    (script,) = (block for block in blocks("python") if "# try_it.py" in block)
    return script


def commands() -> list[list[str]]:
    """Of the page, without the installation."""
    (shell,) = blocks("bash")
    lines = [line.split() for line in shell.splitlines()]
    assert lines[0] == ["pip", "install", "-e", "."]
    assert all(line[0] == "embodied" for line in lines[1:])
    return [line[1:] for line in lines[1:]]


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files, with what `pip install` makes of the entry points."""
    folder = tmp_path_factory.mktemp("my-tasks")
    (folder / "my_tasks.py").write_text(read_example("my_tasks.py"))
    (folder / "try_it.py").write_text(try_it())
    project = tomllib.loads(read_example("pyproject.toml"))["project"]

    # `pip install` writes the metadata of a package beside its modules.
    info = folder / "my_tasks-0.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    )
    groups = (
        f"[{group}]\n"
        + "".join(f"{name} = {place}\n" for name, place in entries.items())
        for group, entries in project["entry-points"].items()
    )
    (info / "entry_points.txt").write_text("\n".join(groups))

    return folder


def in_package(folder: Path, *words: str) -> str:
    """What a fresh interpreter prints, for which the package is installed."""
    return run_python(*words, folder=folder, PYTHONPATH=str(folder), LP_NUM_THREADS="1")


def test_the_page_quotes_the_examples_files() -> None:
    parts = [block for block in blocks("python") if block != try_it()]
    module = read_example("my_tasks.py")
    rest = module
    for part in parts:
        assert rest.startswith(part), "the page has the parts of the file, in order"
        rest = rest.removeprefix(part).lstrip("\n")
    assert rest == ""
    assert blocks("toml") == [read_example("pyproject.toml")]


def test_a_task_is_short() -> None:
    lines = read_example("my_tasks.py").splitlines()
    assert len(lines) <= MOST_LINES
    assert max(map(len, lines)) <= 120


def test_it_is_an_environment(package: Path) -> None:
    output = in_package(package, "try_it.py")
    assert "the plate" in output
    assert "(96, 96, 3)" in output


@pytest.mark.slow
def test_every_command_of_the_page_works(package: Path) -> None:
    output = in_package(package, "-c", RUN, json.dumps(commands()))
    assert re.search(r"embodied/CubeToPlate-v0 +put the cube onto the plate", output)
    assert "seed 0: success" in output
    assert (package / "cube.mp4").stat().st_size > 10_000

    with Dataset(package / "cubes.hdf5") as dataset:
        assert [episode.success for episode in dataset.episodes] == [True] * 8
        assert dataset.read(0, "obs/overview_image").std() > 10

    cells = read_results(package / "runs" / "cubes" / "results.json").cells
    rates = {(cell.label, cell.condition.level): rate(cell).value for cell in cells}
    assert rates == {("expert", "L2"): 1, ("expert", "L4"): 1}

    # One row for each of the two robots.
    survey = survey_book(package / "runs" / "survey.md").read()
    assert [row.failed_seeds for row in survey.rows] == [(), ()]
