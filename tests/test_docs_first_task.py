"""docs/your_first_task.md works as it is written: its file alone, its package, and each
command on it.
"""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest

from embodied import envs
from embodied.benchmark.results import rate
from embodied.benchmark.results_file import read_results
from embodied.cli.main import build_parser
from embodied.datasets.reader import Dataset
from embodied.pages.survey_page import survey_book
from tests.commands import run_python
from tests.own_tasks import own_tasks_forgotten

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "your_first_task.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "examples" / "my_tasks"
MOST_LINES = 150
LONGEST_S = 3600.0  # all commands of the page, on a busy machine
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


def commands_of(block: str) -> list[list[str]]:
    """The commands of a block, without the installation."""
    lines = [shlex.split(line) for line in block.splitlines()]
    return [line[1:] for line in lines if line[0] == "embodied"]


def quoted_commands() -> list[list[str]]:
    """The commands within sentences."""
    found = re.findall(r"`(embodied [^`]+)`", PAGE)
    return [shlex.split(words)[1:] for words in found]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files, in a folder that nothing knows of."""
    folder = tmp_path_factory.mktemp("alone")
    (folder / "my_tasks.py").write_text(read_example("my_tasks.py"))
    (folder / "try_it.py").write_text(try_it())
    return folder


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's files, with what `pip install` makes of the entry points."""
    folder = tmp_path_factory.mktemp("my-tasks")
    (folder / "my_tasks.py").write_text(read_example("my_tasks.py"))
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


def run_in(folder: Path, *words: str, path: Path = ROOT) -> str:
    """What a fresh interpreter prints in a folder; `path` is where it looks for modules."""
    return run_python(
        *words,
        folder=folder,
        longest_s=LONGEST_S,
        PYTHONPATH=str(path),
        LP_NUM_THREADS="1",
    )


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


def test_it_is_an_environment(folder: Path) -> None:
    output = run_in(folder, "try_it.py")
    assert "embodied/CubeToPlate-v0" in output
    assert "the plate" in output
    assert "(96, 96, 3)" in output


def test_every_command_on_the_page_is_one() -> None:
    """Those in sentences, too: each flag exists, and each place is the page's."""
    words = [command for block in blocks("bash") for command in commands_of(block)]
    words += quoted_commands()
    assert len(words) >= 12
    with own_tasks_forgotten(), pytest.MonkeyPatch.context() as patch:
        patch.chdir(PACKAGE)
        for command in words:
            assert build_parser(command).parse_args(command)


def test_all_that_the_page_advises_can_be_imported() -> None:
    """What it calls by a name of CamelCase, and what the example imports."""
    named = set(re.findall(r"`([A-Z][a-z]+[A-Z]?\w*)`", PAGE)) - {"CubeToPlate"}
    assert {"Paint", "ScriptedPlanner", "TaskStage"} <= named
    for name in named:
        assert name in envs.__all__


@pytest.mark.slow
def test_the_package_is_found_by_its_entry_point(package: Path) -> None:
    commands = commands_of(blocks("bash")[-1])
    assert len(commands) == 2
    output = run_in(package, "-c", RUN, json.dumps(commands), path=package)
    assert re.search(r"embodied/CubeToPlate-v0 +put the cube onto the plate", output)
    assert (package / "named.mp4").stat().st_size > 10_000


@pytest.mark.slow
def test_the_page_works_from_start_to_end(folder: Path) -> None:
    commands = [
        command for block in blocks("bash")[:-1] for command in commands_of(block)
    ]
    output = run_in(folder, "-P", "-c", RUN, json.dumps(commands))
    assert "seed 0: success" in output
    assert (folder / "cube.mp4").stat().st_size > 10_000
    assert "| cube_yaw | layout | rad |" in output
    assert "CubeToPlate keeps all " in output
    assert "FAIL" not in output

    with Dataset(folder / "cubes.hdf5") as dataset:
        assert [episode.success for episode in dataset.episodes] == [True] * 8
        assert dataset.read(0, "obs/overview_image").std() > 10

    cells = read_results(folder / "runs" / "cubes" / "results.json").cells
    rates = {(cell.label, cell.condition.level): rate(cell).value for cell in cells}
    assert rates == {("expert", "L2"): 1, ("expert", "L4"): 1}

    # One row for each of the three robots.
    survey = survey_book(folder / "runs" / "survey.md").read()
    assert [row.failed_seeds for row in survey.rows] == [(), (), ()]


@pytest.mark.slow
def test_the_other_commands_work_too(folder: Path) -> None:
    """Those in sentences, made small."""
    small = {
        "survey": ["--level", "L3", "--episodes", "2", "--no-costs", "-o", "s.md"],
        "bench": ["--episodes", "2"],
        "view": [],
    }
    for command in quoted_commands():
        verb = command[0]
        if verb in small:
            words = [[*command, *small[verb]]]
            run_in(folder, "-P", "-c", RUN, json.dumps(words))
    assert (folder / "why.mp4").exists()
