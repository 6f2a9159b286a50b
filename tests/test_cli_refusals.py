"""What the verbs refuse before they begin: wrong names, numbers and places."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import TASK, refused


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ("collect", "ToteTransfr"),
            "unknown task 'ToteTransfr'. Did you mean 'ToteTransfer'? Available:",
        ),
        (("collect", TASK, "--robot", "leg"), "unknown robot 'leg'. Available: "),
        (
            ("collect", TASK, "--camera", "font"),
            "unknown camera 'font'. Available: hall, overview, wrist",
        ),
        (("collect", TASK, "--level", "L5"), "unknown level 'L5'"),
        (("collect", TASK, "--split", "test"), "unknown split 'test'"),
        (
            ("collect", TASK, "--record-hz", 300),
            "--record-hz must divide the control rate of 200 Hz",
        ),
        (("collect", TASK, "--planner-hz", 0), "a rate must be above 0"),
        (
            ("collect", TASK, "--policy", "hold", "--planner-hz", 5),
            "--planner-hz would have no effect",
        ),
        (("collect", TASK, "--episodes", 0), "--episodes must be at least 1"),
        (("collect", TASK, "--seed", -1), "--seed must be at least 0"),
        (
            ("collect", TASK, "--seed", 2**63 - 1),
            "--seed must be at least 0, and the last episode's seed below",
        ),
        (("train", TASK), "ToteTransfer is a task: give --algo"),
        (("train", "nowhere.hdf5", "--seed", -1), "--seed must be at least 0"),
        (("collect", TASK, "--workers", 0), "the number of workers must be at least 1"),
        (
            ("collect", TASK, "--num-envs", 0),
            "the number of worlds at once must be at least 1",
        ),
        (("collect", TASK, "--noise", 2), "the action noise must be from 0 to 1"),
        (("eval", "Totes", "--policy", "expert"), "unknown task 'Totes'"),
        (
            ("eval", TASK, "--policy", "expret"),
            "unknown policy 'expret'. Did you mean 'expert'? Available: expert",
        ),
        (("eval", TASK, "--policy", "expert", "--level", "L0"), "unknown level 'L0'"),
        (("eval", TASK, "--policy", "expert", "--drop", 2), "drop is a probability"),
        (
            ("eval", TASK, "--policy", "expert", "--planner-hz", 0),
            "a rate must be above 0",
        ),
        (
            ("eval", TASK, "--policy", "hold", "--videos", -1),
            "--videos must be at least 0",
        ),
        (
            ("eval", TASK, "--policy", "expert", "--delay-ms", -1),
            "must be finite and at least 0",
        ),
        (("eval", TASK, "--policy", "."), "is not a run folder"),
        (("train", "nowhere.hdf5"), "no dataset at nowhere.hdf5"),
        (
            ("train", "a.hdf5", "--level", "L2", "--num-envs", 2),
            "--level, --num-envs: only with --algo (",
        ),
        (("train", "a.hdf5", "--engine", "warp"), "--engine: only with --algo ("),
        (("train", "."), "is a folder; a dataset is one HDF5 file"),
    ],
)
def test_wrong_words(
    words: tuple[object, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *words, "-o", "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "words",
    [
        ("collect", TASK),
        ("eval", TASK, "--policy", "hold"),
        ("view", TASK),
        ("train", TASK, "--algo", "ppo"),
        ("demo",),
        ("gallery",),
        ("survey", "--task", TASK),
        ("parity", "--task", TASK, "--device", "cpu"),
    ],
    ids=lambda words: words[0],
)
def test_places_that_cannot_be_written_to(
    words: tuple[object, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # No file can be made in /proc, below a file, or with a name of 303 characters.
    (tmp_path / "file").write_text("")
    for place in (
        "/proc/out.mp4",
        tmp_path / "file" / "out.mp4",
        tmp_path / f"{'x' * 300}.mp4",
    ):
        assert f"nothing can be written to {place}" in refused(
            capsys, *words, "-o", place
        )

    assert [path.name for path in tmp_path.iterdir()] == ["file"]
