"""`embodied train` in rounds: from a run, with weights of take-overs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from safetensors.numpy import load_file

from embodied.policies.run_folder import INFO, WEIGHTS
from tests.commands import embodied, refused

pytestmark = pytest.mark.usefixtures("few_threads")


def test_a_training_goes_on_from_a_run(
    pictures: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "later"
    words = ["train", pictures, "-o", run, "--from", trained]
    assert embodied(*words, "--steps", 1) == 0

    # one step at a low rate leaves the weights where they were, nearly
    before = load_file(trained / WEIGHTS)
    after = load_file(run / WEIGHTS)
    assert before.keys() == after.keys()
    changes = [abs(after[name] - before[name]).max() for name in before]
    assert 0 < max(changes) < 1e-3
    stored = json.loads((run / INFO).read_text())
    assert stored["training"]["start"] == str(trained)

    # what is resumed is the same training
    other = ["train", pictures, "-o", run, "--resume", "--steps", 3]
    assert "was trained with start" in refused(capsys, *other)
    assert embodied(*words, "--steps", 2, "--resume") == 0


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--from", "nowhere"], "nowhere is not a run folder"),
        (["--takeover-weight", 2], "--takeover-weight: no effect"),
        (["--shadow-weight", 0], "--shadow-weight: no effect"),
        (["--head", "mlp"], "--head: only with --system single: add that"),
        (
            ["--system", "single", "--plan-age-ms", 0, 125],
            "--plan-age-ms: only with --system dual",
        ),
        (["--plan-age-ms", 300, 200], "--plan-age-ms needs the smallest age and"),
        (["--plan-age-ms", -1, 200], "--plan-age-ms needs the smallest age and"),
        (["--plan-age-ms", 0, "inf"], "--plan-age-ms needs the smallest age and"),
    ],
)
def test_mistakes_are_named(
    words: list[object],
    reason: str,
    pictures: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    out = tmp_path / "run"
    error = refused(capsys, "train", pictures, "-o", out, "--steps", 1, *words)
    assert reason in error
    assert not out.exists()


def test_a_run_for_other_pictures_is_refused(
    pictures: Path, trained: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # as if it had been trained on larger ones
    other = tmp_path / "other"
    shutil.copytree(trained, other)
    stored = json.loads((other / INFO).read_text())
    stored["net"]["image_size"] = 128
    (other / INFO).write_text(json.dumps(stored))
    out = tmp_path / "run"
    error = refused(capsys, "train", pictures, "-o", out, "--from", other)
    assert "was trained for another image_size" in error
    assert "128, not 96" in error
    assert not out.exists()


def test_rounds_are_for_datasets(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fixed = ["train", "ToteTransfer", "--algo", "sac", "-o", tmp_path / "run"]
    assert "--from: only with datasets" in refused(capsys, *fixed, "--from", "x")
    error = refused(capsys, *fixed, "--takeover-weight", 2)
    assert "--takeover-weight: only with datasets" in error
    error = refused(capsys, *fixed, "--plan-age-ms", 0, 125)
    assert "--plan-age-ms: only with datasets" in error
    error = refused(capsys, *fixed, "--system", "single", "--head", "flow")
    assert "--system, --head: only with datasets" in error
