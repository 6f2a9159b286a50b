"""A task in a file of one's own: found by its place, on every verb and in Gymnasium."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import gymnasium
import numpy as np
import pytest

from embodied.benchmark.results_file import read_results
from embodied.cli.main import VERBS
from embodied.datasets.reader import Dataset
from embodied.envs.config import EnvConfig
from embodied.envs.own_tasks import register_task, typed_task
from embodied.envs.registry import get_task, task_names
from embodied.envs.worlds import Worlds
from embodied.errors import EmbodiedError
from tests.commands import embodied, refused, run_python
from tests.own_tasks import FILE, cube_to_plate, own_tasks_forgotten

ID = "embodied/CubeToPlate-v0"


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    with own_tasks_forgotten():
        yield


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory, with the tutorial's task in it."""
    shutil.copy(FILE, tmp_path / "my_tasks.py")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "place",
    [
        "my_tasks.py:CUBE_TO_PLATE",
        "my_tasks.py:CubeToPlate",
        "my_tasks.py",
        "./my_tasks.py",
    ],
)
@pytest.mark.usefixtures("folder")
def test_a_file_gives_an_environment(place: str) -> None:
    env = gymnasium.make(register_task(place), level="L3")
    env.reset(seed=0)
    assert env.unwrapped.task == "CubeToPlate"
    assert env.unwrapped.worlds.metadata()["config"]["task"] == "CubeToPlate"
    assert "CubeToPlate" in task_names()
    env.close()

    envs = gymnasium.make_vec(ID, num_envs=2)
    envs.reset(seed=0)
    envs.close()


@pytest.mark.usefixtures("folder")
def test_other_processes_load_the_file_themselves() -> None:
    envs = gymnasium.make_vec(
        register_task("my_tasks.py"),
        num_envs=2,
        vectorization_mode="async",
        vector_kwargs={"context": "spawn"},
    )
    observations, _ = envs.reset(seed=0)
    assert observations["agent_pos"].shape[0] == 2
    envs.close()


def test_a_module_is_found_in_the_current_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", list(os.sys.path))
    (folder / "cubes_of_mine.py").write_text((folder / "my_tasks.py").read_text())
    assert typed_task("cubes_of_mine:CUBE_TO_PLATE") == "CubeToPlate"


def test_a_file_may_import_its_neighbours(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", list(os.sys.path))
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    shutil.move(folder / "my_tasks.py", elsewhere / "parts_of_mine.py")
    (elsewhere / "json.py").write_text("from parts_of_mine import CUBE_TO_PLATE\n")

    # a file may have the name of a module that is installed
    assert register_task("elsewhere/json.py") == ID
    assert json.loads("1") == 1


def test_a_changed_file_is_loaded_again(folder: Path) -> None:
    register_task("my_tasks.py")
    path = folder / "my_tasks.py"
    path.write_text(path.read_text().replace("horizon_s=15.0", "horizon_s=14.0"))
    os.utime(path, ns=(1, 1))
    assert register_task("my_tasks.py") == ID
    assert get_task("CubeToPlate").horizon_s == 14.0


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("nothing.py:TASK", "there is no file nothing.py; the folder is "),
        (
            "my_tasks.py:CUBES",
            "unknown task in my_tasks.py 'CUBES'. Available: CUBE_TO_",
        ),
        ("no_module_of_mine:TASK", "importing no_module_of_mine raised ModuleNotFound"),
        ("no module:TASK", "is neither a file that ends in .py nor a module"),
        ("empty.py", "empty.py has no task"),
        ("broken.py", "SyntaxError: invalid syntax (broken.py, line 2)"),
        (
            "raising.py",
            "raising.py raised ZeroDivisionError: division by zero (raising",
        ),
        ("twice.py", "write twice.py:A or twice.py:B"),
        ("wrong.py", "wrong.py: row 'x', L1: the interval (2, 1)"),
        (
            "taken.py",
            "has the name 'ToteTransfer', which is taken by embodied.envs.tas",
        ),
    ],
)
def test_a_place_that_cannot_be_used_is_refused(
    folder: Path, place: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    renamed = "from dataclasses import replace\nfrom embodied.envs.tasks.tote_transfer.task import TOTE_TRANSFER\n"
    files = {
        "empty": "x = 1\n",
        "broken": "x = 1\ny = = 2\n",
        "raising": "x = 1\n\n1 / 0\n",
        "wrong": "from embodied.envs import row\nrow('x', 'layout', L1=(2, 1))\n",
        "twice": f"{renamed}A = replace(TOTE_TRANSFER, name='A')\nB = replace(A, name='B')\ndel TOTE_TRANSFER\n",
        "taken": f"{renamed}A = replace(TOTE_TRANSFER, horizon_s=3.0)\ndel TOTE_TRANSFER\n",
    }
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)

    error = refused(capsys, "view", place, "-o", "x.mp4")
    assert said in error


def test_another_task_of_the_same_name_is_refused(folder: Path) -> None:
    shutil.copy(folder / "my_tasks.py", folder / "copy.py")
    register_task("my_tasks.py")
    with pytest.raises(EmbodiedError, match=r"taken by .*my_tasks.py:CUBE_TO_PLATE"):
        register_task("copy.py")
    register_task("my_tasks.py")


def test_a_shipped_task_may_be_named_by_its_place() -> None:
    place = "embodied.envs.tasks.tote_transfer.task:TOTE_TRANSFER"
    assert register_task(place) == "embodied/ToteTransfer-v0"
    assert task_names().count("ToteTransfer") == 1


def test_a_spec_is_registered_as_it_is() -> None:
    with own_tasks_forgotten():
        spec = cube_to_plate()
    assert register_task(spec) == ID
    gymnasium.make(ID).close()


def test_something_else_is_no_task() -> None:
    with pytest.raises(EmbodiedError, match="a task is given as FILE.py:TASK"):
        register_task(3)  # type: ignore[arg-type]


def test_no_name_in_data_leads_to_code(folder: Path) -> None:
    """Only a place that a user typed is loaded."""
    (folder / "trap.py").write_text("open('sprung', 'w')\n")
    for name in ("trap.py", "trap.py:TASK", "trap:TASK", str(folder / "trap.py")):
        with pytest.raises(EmbodiedError, match="register_task"):
            Worlds(EnvConfig(task=name))
        with pytest.raises(EmbodiedError, match="register_task"):
            gymnasium.make("embodied/ToteTransfer-v0", task=name)
    assert not (folder / "sprung").exists()


def test_every_verb_that_takes_a_task_takes_a_place(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Those of one task and those of several, `list --factors` and `train --algo`."""
    output = ["-o", "x"]
    words = {
        "list": ["--factors", "none.py:T"],
        "view": ["none.py:T"],
        "collect": ["none.py:T", *output],
        "train": ["none.py:T", "--algo", "sac", *output],
        "eval": ["none.py:T", "--policy", "expert", *output],
        "survey": ["--task", "none.py:T"],
        "parity": ["--task", "none.py:T"],
        "gallery": ["--task", "none.py:T", *output],
        "bench": ["none.py:T"],
        "check-task": ["none.py:T"],
        "teleop": ["none.py:T", *output],
        "sweep": ["--task", "none.py:T", "--policy", "expert", *output],
        "serve": ["expert", "--task", "none.py:T"],
    }
    of_results = {"compare", "report", "merge"}
    others = {"doctor", "demo", "data", "completion", "robot", "fit-head"}
    assert set(VERBS) - set(words) == others | of_results
    for verb, arguments in words.items():
        assert "there is no file none.py" in refused(capsys, verb, *arguments)


@pytest.mark.usefixtures("few_threads")
@pytest.mark.slow
def test_it_is_recorded_and_measured_by_its_name(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two processes share the work, and what they write names the task alone."""
    place = "my_tasks.py:CUBE_TO_PLATE"
    common = ["--level", "L1", "--episodes", 2, "--workers", 2]
    assert embodied("collect", place, "-o", "c.hdf5", "--no-cameras", *common) == 0
    with Dataset(folder / "c.hdf5") as dataset:
        metadata = dataset.header.metadata
        assert [episode.success for episode in dataset.episodes] == [True, True]
    assert metadata["task"] == "CubeToPlate"
    assert metadata["env_id"] == ID
    assert "my_tasks.py" not in json.dumps(metadata)

    assert embodied("eval", place, "--policy", "hold", "-o", "e", *common) == 0
    results = read_results(folder / "e" / "results.json")
    assert len(results.cells[0].episodes) == 2
    # the command that shows a failure can be typed as it is
    assert results.cells[0].view[:3] == ("embodied", "view", f"{folder / place}")

    # whoever has the dataset but not the file is told what is missing
    with own_tasks_forgotten():
        config = {**metadata["config"], "cameras": None}
        with pytest.raises(EmbodiedError, match="unknown task 'CubeToPlate'") as error:
            Worlds(EnvConfig.of(config))
        assert "embodied.envs.register_task('my_file.py:TASK')" in str(error.value)
        assert "my_file.py:TASK" in refused(
            capsys, "eval", "CubeToPlate", "--policy", "hold", "-o", "f"
        )
        assert not np.any([path.name == "f" for path in folder.iterdir()])


def test_a_script_needs_no_package(folder: Path) -> None:
    code = (
        "import gymnasium; from embodied.envs import register_task; "
        "env = gymnasium.make(register_task('my_tasks.py')); "
        "print(env.reset(seed=0)[1]['progress'] > 0)"
    )
    assert run_python("-c", code, folder=folder).strip() == "True"
