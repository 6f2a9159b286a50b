"""`embodied collect`: what it writes, and that no byte depends on who works."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from embodied.cli.collect import split_summary
from embodied.datasets.reader import Dataset
from embodied.datasets.schema import RECORD_HZ
from embodied.datasets.storage import part_files
from tests.commands import (
    COMMAND,
    FIRST_SEED,
    QUICKLY,
    TASK,
    collect,
    embodied,
    refused,
)

pytestmark = pytest.mark.usefixtures("few_threads")


def test_collect_says_what_is_there(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Dataset(plain) as dataset:
        assert [episode.seed for episode in dataset.episodes] == [13, 14, 15]
        assert all(episode.success for episode in dataset.episodes)
        assert dataset.header.planner_hz == 8
        assert not [key for key in dataset.keys(0) if key.endswith("_image")]

    # The summary goes to stdout alone, so that a script can parse it.
    capsys.readouterr()
    words = ("--no-cameras", "--json", *QUICKLY)
    assert collect(tmp_path / "x.hdf5", *words, episodes=1) == 0
    output = capsys.readouterr()
    summary = json.loads(output.out)
    assert summary["episodes"] == 1
    assert summary["successes"] == 1
    assert summary["success"]["rate"] == 1.0
    assert summary["speed"] > 0
    assert summary["masks"] == {"failure": 0, "success": 1, "train": 1, "valid": 0}
    assert output.err == ""


def test_collect_says_that_nothing_is_to_validate_on() -> None:
    said = split_summary({"train": 8, "valid": 0, "success": 8, "failure": 1})
    assert said.startswith("8 to train on, none to validate on: mask/valid")

    said = split_summary({"train": 38, "valid": 2, "success": 40, "failure": 0})
    assert said == "38 to train on, 2 to validate on"


def test_collect_records_at_a_rate_at_which_its_actions_do_the_task(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Dataset(plain) as dataset:
        assert dataset.header.record_hz == RECORD_HZ

    words = ("collect", TASK, "-o", tmp_path / "x.hdf5", "--no-cameras")
    error = refused(capsys, *words, "--record-hz", 15)
    assert "--record-hz must divide the control rate of 200 Hz" in error
    assert "10, 20, 25" in error


def test_collect_records_pictures(pictures: Path) -> None:
    with Dataset(pictures) as dataset:
        frames = dataset.read(0, "obs/overview_image")
        assert frames.shape == (dataset.episodes[0].num_samples, 96, 96, 3)
        assert frames.std() > 10
        assert dataset.header.policy == "expert, action noise 0.05"
        assert dataset.header.record_hz == 8
        assert dataset.header.metadata["config"]["camera_hz"] == 8


def test_collect_records_any_policy(tmp_path: Path) -> None:
    path = tmp_path / "random.hdf5"
    words = ("--policy", "random", "--no-cameras", *QUICKLY)
    assert collect(path, *words, episodes=1) == 0
    with Dataset(path) as dataset:
        assert dataset.header.policy == "random"
        assert dataset.header.planner_hz is None
        assert "plans" not in dataset.keys(0)
        assert not dataset.episodes[0].success


def test_a_rate_of_plans_needs_a_policy_that_plans(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("collect", TASK, "--policy", "random", "-o", tmp_path / "x.hdf5")
    error = refused(capsys, *words, "--planner-hz", 4)
    assert "--planner-hz would have no effect, since no plans are made" in error


@pytest.mark.parametrize(
    "shares",
    [
        pytest.param(("--workers", 1, "--num-envs", 1), marks=pytest.mark.slow),
        ("--workers", 2, "--num-envs", 16),
    ],
)
def test_a_dataset_does_not_depend_on_who_collects_it(
    plain: Path, tmp_path: Path, shares: tuple[object, ...]
) -> None:
    assert collect(tmp_path / "again.hdf5", "--no-cameras", *shares) == 0
    assert (tmp_path / "again.hdf5").read_bytes() == plain.read_bytes()


@pytest.mark.slow
def test_collect_refuses_resumes_and_overwrites(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "some.hdf5"
    words = ("collect", TASK, "-o", path, "--seed", FIRST_SEED, "--no-cameras")
    words += (*QUICKLY, "--level", "L1")
    assert embodied(*words, "--episodes", 1) == 0
    assert f"{path} exists" in refused(capsys, *words, "--episodes", 3)

    # It resumes only with the settings that it was begun with, and then ends with the
    # very bytes of a collection that was never cut.
    error = refused(capsys, *words, "--resume", "--level", "L2")
    assert "config.level is 'L1' in the one, 'L2' in the other" in error
    assert embodied(*words, "--episodes", 3, "--resume") == 0
    assert path.read_bytes() == plain.read_bytes()

    assert embodied(*words, "--episodes", 1, "--overwrite") == 0
    with Dataset(path) as dataset:
        assert len(dataset) == 1


def _heed_sigint() -> None:
    """A suite that itself runs in the background hands down a deaf ear for Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.slow
def test_ctrl_c_keeps_what_is_whole_and_says_how_to_go_on(
    plain: Path, tmp_path: Path
) -> None:
    path = tmp_path / "cut.hdf5"
    words = ["collect", TASK, "-o", str(path), "--level", "L1"]
    words += ["--seed", str(FIRST_SEED), "--no-cameras"]
    words += ["--workers", "2", "--num-envs", "1", "--episodes"]
    child = subprocess.Popen(
        [COMMAND, *words, "60"],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_heed_sigint,  # noqa: PLW1509  (no threads of ours run here)
    )
    try:
        waited_until = time.monotonic() + 60
        while not part_files(path) and time.monotonic() < waited_until:
            time.sleep(0.02)
        os.killpg(child.pid, signal.SIGINT)  # to all its processes, as a terminal does
        _, error = child.communicate(timeout=20)
    finally:
        child.kill()

    assert child.returncode == 130
    assert "Traceback" not in error
    assert f"Continue with: embodied collect {TASK} -o {path}" in error
    assert error.rstrip().endswith("--episodes 60 --resume")
    with Dataset(path) as whole:
        assert 1 <= len(whole) < 60
        assert f"Kept: {len(whole)} of 60 episodes. " in error
        for i, episode in enumerate(whole.episodes):
            assert len(whole.episode(i).actions) == episode.num_samples

    for part in part_files(path):
        # of the other process: these are not asked for below
        if int(part.stem.removeprefix("seed_")) >= FIRST_SEED + 3:
            part.unlink()
    assert embodied(*words, "3", "--resume") == 0
    assert path.read_bytes() == plain.read_bytes()
