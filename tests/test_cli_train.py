"""`embodied train` on datasets: what it refuses, resumes and tells."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from embodied.datasets.schema import DatasetError
from embodied.policies.training.budget import Budget
from embodied.policies.training.config import ImitationConfig
from embodied.policies.training.imitation import train_imitation
from tests.commands import QUICKLY, collect, embodied, refused

pytestmark = pytest.mark.usefixtures("few_threads")


def test_train_refuses_and_resumes(
    trained: Path, pictures: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", pictures, "-o", trained, "--steps", 2)
    assert f"{trained} exists" in refused(capsys, *words)

    weights = (trained / "policy.safetensors").read_bytes()
    assert embodied(*words, "--resume", "--json") == 0  # it is finished
    assert json.loads(capsys.readouterr().out)["steps"] == 2
    assert (trained / "policy.safetensors").read_bytes() == weights
    assert embodied(*words, "--resume") == 0
    assert f"{trained} is finished: left as it is" in capsys.readouterr().err


def test_a_finished_training_is_lengthened(
    trained: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    words = ("train", pictures, "-o", run, "--resume")
    assert embodied(*words, "--steps", 3, "--json") == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 3

    # Without a budget it is the run's own, which is spent.
    weights = (run / "policy.safetensors").read_bytes()
    assert embodied(*words) == 0
    assert "more than --steps 3 would lengthen it" in capsys.readouterr().err
    assert (run / "policy.safetensors").read_bytes() == weights
    assert "--steps 5" in refused(capsys, *words, "--steps", 2)

    assert embodied(*words, "--minutes", 0) == 2
    assert "--minutes must be above 0" in capsys.readouterr().err


def test_train_resumes_only_what_it_began(
    trained: Path, pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other.hdf5"
    other.write_bytes(pictures.read_bytes())
    steps = ("--steps", 2, "--resume")
    error = refused(capsys, "train", other, "-o", trained, *steps)
    assert "was trained with datasets pictures.hdf5, not other.hdf5" in error

    (tmp_path / "policy.json").write_text('{"schema_version": 1, "kind": "actor"}')
    error = refused(capsys, "train", pictures, "-o", tmp_path, *steps)
    assert f"{tmp_path} was not trained by imitation" in error


def test_train_refuses_the_same_episodes_twice(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ("-o", run, "--steps", 1)
    error = refused(capsys, "train", pictures, pictures, *words)
    assert f"{pictures} is given twice: both hold seed 13" in error

    # A copy under another name holds the same seeds.
    copy = tmp_path / "copy.hdf5"
    shutil.copyfile(pictures, copy)
    error = refused(capsys, "train", pictures, copy, *words)
    assert f"{pictures} and {copy} overlap: both hold seed 13" in error

    # The function refuses by itself, without the command line.
    config = ImitationConfig((pictures, pictures), ("overview",), Budget())
    with pytest.raises(DatasetError, match="given twice"):
        train_imitation(config, run)
    assert not run.exists()


def test_train_refuses_datasets_that_do_not_fit_together(
    pictures: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = tmp_path / "small.hdf5"
    words = ("--record-hz", 8, "--image-size", 48, "--seed", 40)
    assert collect(small, *words, *QUICKLY) == 0

    words = ("-o", tmp_path / "run", "--steps", 1)
    error = refused(capsys, "train", pictures, small, *words)
    assert f"{small} differs from {pictures} in image_size: 48, not 96" in error


@pytest.mark.slow
def test_train_says_that_a_collection_is_unfinished(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset = tmp_path / "cut.hdf5"
    parts = tmp_path / "cut.hdf5.parts"
    parts.mkdir()
    # The state that a killed collection leaves: finished parts, not merged yet.
    for seed in (13, 14, 15):
        one = tmp_path / "one.hdf5"
        words = ("--record-hz", 8, "--overwrite", "--seed", seed)
        assert collect(one, *words, *QUICKLY, episodes=1) == 0
        one.rename(parts / f"seed_{seed}.hdf5")

    assert embodied("train", dataset, "-o", tmp_path / "run", "--steps", 1) == 0
    error = capsys.readouterr().err
    assert f"{dataset}: unfinished, learning from 3 episodes;" in error


def test_train_needs_pictures(
    plain: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    words = ("-o", run, "--steps", 1, "--camera", "overview")
    error = refused(capsys, "train", plain, *words)
    assert "has no pictures of overview, but of no camera" in error
    assert not run.exists()
