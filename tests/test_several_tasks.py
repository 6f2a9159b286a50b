"""One policy that learns several tasks of a robot."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

import pytest

from embodied.benchmark.results_file import read_results
from embodied.errors import EmbodiedError
from embodied.policies.registry import find_policy
from embodied.policies.run_folder import INFO, tasks_of
from tests.commands import embodied, refused

TASKS = ("PanelReset", "ToteTransfer")


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A dataset of two demonstrations for each task, from the same seeds."""
    folder = tmp_path_factory.mktemp("several")
    paths = {task: folder / f"{task}.hdf5" for task in TASKS}
    for task, path in paths.items():
        words = ["collect", task, "-o", path, "--episodes", 2, "--level", "L1"]
        assert embodied(*words, "--record-hz", 8, "--workers", 1) == 0
    return paths


@pytest.fixture(scope="module")
def run(datasets: dict[str, Path]) -> Path:
    folder = datasets["PanelReset"].parent / "run"
    words = ["train", *datasets.values(), "-o", folder, "--steps", 2]
    with contextlib.redirect_stderr(io.StringIO()) as errors:
        assert embodied(*words) == 0
    # PanelReset's collection has a camera that ToteTransfer's has not
    assert "learning from overview: not all datasets have pictures of wrist" in (
        errors.getvalue()
    )
    return folder


@pytest.mark.slow
def test_a_run_of_two_tasks_acts_in_both(run: Path, tmp_path: Path) -> None:
    info = json.loads((run / INFO).read_text())
    assert tasks_of(info) == TASKS
    # words of both tasks' instructions
    assert {"button", "tote"} <= set(info["net"]["words"])
    assert "PanelReset, ToteTransfer" in (run / "training.html").read_text()

    for task in TASKS:
        words = ["eval", task, "--policy", run, "--episodes", 1, "--workers", 1]
        assert embodied(*words, "-o", tmp_path / task) == 0
        [cell] = read_results(tmp_path / task / "results.json").cells
        [episode] = cell.episodes
        assert not episode.fault


@pytest.mark.slow
def test_what_a_run_of_two_tasks_cannot_do_is_said(
    run: Path,
    datasets: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with pytest.raises(
        EmbodiedError,
        match="was trained for task PanelReset or ToteTransfer, not ValveTurn",
    ):
        find_policy(str(run)).spec("ValveTurn")

    error = refused(capsys, "serve", run)
    assert f"{run} may be for several tasks: say which, by --task TASK" in error

    # a run of one task lacks the words of the other; the other way round is fine
    one = tmp_path / "one"
    words = ("train", datasets["PanelReset"], "-o", one, "--camera", "overview")
    assert embodied(*words, "--steps", 1) == 0
    words = ("train", datasets["ToteTransfer"], "--steps", 1)
    error = refused(capsys, *words, "--from", one, "-o", tmp_path / "two")
    assert (
        "was trained for PanelReset, not ToteTransfer: train on the datasets" in error
    )
    assert embodied(*words, "--from", run, "-o", tmp_path / "three") == 0


@pytest.mark.slow
def test_robots_are_not_mixed(
    datasets: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "wheeled.hdf5"
    words = ["collect", "PanelReset", "--robot", "wheeled_arm", "-o", other]
    words += ["--episodes", 1, "--level", "L1", "--record-hz", 8, "--workers", 1]
    assert embodied(*words) == 0
    words = ["train", datasets["PanelReset"], other, "-o", tmp_path / "run"]
    error = refused(capsys, *words, "--steps", 1)
    assert (
        f"{other} is of the robot wheeled_arm, {datasets['PanelReset']} of arm" in error
    )
