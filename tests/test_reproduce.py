"""Results repeat to the digit, what differs is counted, and no code is run that only a
file names.
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embodied.benchmark.results import Cell
from embodied.benchmark.results_file import read_results
from embodied.benchmark.results_writing import write_results
from embodied.cli import reproduce
from embodied.cli.main import build_parser
from tests.commands import QUICKLY, embodied, refused

TASK = "ToteTransfer"  # its variation holds tuples, which a file holds as lists


@pytest.fixture(scope="module")
def measured(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two policies, one of which plans with late and lost plans."""
    folder = tmp_path_factory.mktemp("measured") / "eval"
    words = ("eval", TASK, "--policy", "expert", "random", "--episodes", 2)
    timing = ("--delay-ms", 100, "--jitter", 0.5, "--drop", 0.25)
    assert embodied(*words, *timing, "-o", folder, *QUICKLY) == 0
    return folder


def edited(folder: Path, into: Path, **changes: Any) -> Path:
    """Writes the results with other values in the second episode of the first cell."""
    results = read_results(folder / "results.json")
    first, *others = results.cells
    episodes = (first.episodes[0], replace(first.episodes[1], **changes))
    cells = (replace(first, episodes=episodes), *others)
    path = into / "results.json"
    write_results(path, replace(results, cells=cells))
    return path


def test_results_repeat_to_the_digit(
    measured: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert embodied("eval", "--reproduce", measured, *QUICKLY) == 0
    printed = capsys.readouterr().out
    assert "expert ToteTransfer arm L2: 2 episodes, equal to the digit" in printed
    assert "4 episodes of 2 cells: all equal to the digit" in printed
    assert "versions, code, models and processor are the same" in printed


@pytest.mark.slow
def test_what_differs_is_counted_and_explained(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = edited(measured, tmp_path, reward_sum=1.0, success_at_end=False)
    results = read_results(path)
    versions = {**results.provenance.versions, "mujoco": "3.16.0"}
    provenance = replace(results.provenance, versions=versions)
    write_results(path, replace(results, provenance=provenance))

    assert embodied("eval", "--reproduce", path, *QUICKLY) == 1
    printed = capsys.readouterr().out
    assert "1 of 2 episodes differ, 1 of them in success: seeds 10001" in printed
    assert "different: 1 of 4 episodes of 2 cells" in printed
    assert "mujoco 3.16.0 then, 3.17" in printed

    # the first episode alone is as it was
    words = ("eval", "--reproduce", path, "--episodes", 1, "--json")
    assert embodied(*words, *QUICKLY) == 0
    values = json.loads(capsys.readouterr().out)
    assert [one["different"] for one in values["cells"]] == [[], []]


def test_ctrl_c_tells_what_was_repeated_so_far(
    measured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = list(read_results(measured / "results.json").cells)

    def measure_one(*_: Any) -> Cell:
        """Stands for the measurement of the first cell; Ctrl-C meets the second one."""
        if len(cells) < 2:
            raise KeyboardInterrupt
        return cells.pop(0)

    monkeypatch.setattr(reproduce, "measure", measure_one)
    words = ["eval", "--reproduce", str(measured)]
    args = build_parser(words).parse_args(words)
    with pytest.raises(KeyboardInterrupt) as caught:
        reproduce.run(args)
    assert str(caught.value) == (
        "Repeated 1 of 2 cells: 2 episodes of 1 cell: all equal to the digit"
    )


@pytest.mark.parametrize("flag", ["--level", "--suite", "--until", "--seed"])
def test_the_file_says_what_is_measured(
    measured: Path, capsys: pytest.CaptureFixture[str], flag: str
) -> None:
    error = refused(capsys, "eval", "--reproduce", measured, flag, "1")
    assert f"{flag}: --reproduce takes it from the file" in error


def test_a_policy_that_has_changed_is_refused(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = read_results(measured / "results.json")
    cell = results.cells[0]
    old = replace(cell, condition=replace(cell.condition, weights="0123456789"))
    path = tmp_path / "results.json"
    write_results(path, replace(results, cells=(old,)))
    assert "has other weights now" in refused(capsys, "eval", "--reproduce", path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("expert", "trap:POLICY", "names a policy of your own, trap:POLICY"),
        (TASK, "trap.py:TASK", "names a task of your own, trap.py:TASK"),
        ("--delay-ms", "--unknown", "unrecognized arguments"),
        ("view", "collect", "does not tell how it was measured"),
    ],
)
def test_no_code_that_only_a_file_names_is_loaded(
    measured: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    old: str,
    new: str,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trap.py").write_text("raise SystemExit('loaded')\n")
    results = read_results(measured / "results.json")
    cell = results.cells[0]
    view = tuple(new if word == old else word for word in cell.view)
    cells = (replace(cell, view=view),)
    write_results(Path("results.json"), replace(results, cells=cells))

    assert message in refused(capsys, "eval", "--reproduce", "results.json")
    assert "trap" not in sys.modules


def test_nothing_to_repeat(
    measured: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    results = read_results(measured / "results.json")
    write_results(tmp_path / "results.json", replace(results, cells=()))
    assert "holds no finished cell" in refused(capsys, "eval", "--reproduce", tmp_path)
    assert "missing" in refused(capsys, "eval", "--reproduce", tmp_path / "no.json")
