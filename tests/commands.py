"""The command as tests run it: in this process, in small, with few threads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from embodied.benchmark.results_file import read_results
from embodied.cli import main

COMMAND = Path(sys.executable).parent / "embodied"
ROOT = Path(__file__).resolve().parent.parent
TASK = "ToteTransfer"
LONGEST_CHILD_S = 120  # a child that hangs fails its test
# seed 14 is one of those kept for validation, so three episodes are enough to train on
FIRST_SEED = 13
QUICKLY = ("--workers", "1", "--num-envs", "4")


def embodied(*words: object) -> int:
    """Runs a verb; returns its exit status."""
    return main.main([str(word) for word in words])


def run_python(
    *words: object,
    folder: Path | None = None,
    longest_s: float = LONGEST_CHILD_S,
    **variables: str,
) -> str:
    """Runs a fresh interpreter, which must succeed; returns what it prints.

    It finds the tests' own modules, as pytest does.

    Args:
        words: of its command line.
        folder: its working directory.
        longest_s: how long it may take.
        variables: of its environment, beside those of this process.
    """
    child = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=longest_s,
    )
    assert child.returncode == 0, child.stdout[-2000:] + child.stderr
    return child.stdout


def collect(path: Path, *words: object, episodes: int = 3) -> int:
    """Records episodes at L1 from the first seed on."""
    fixed = ["collect", TASK, "-o", path, "--level", "L1", "--seed", FIRST_SEED]
    return embodied(*fixed, "--episodes", episodes, *(words or QUICKLY))


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    """Runs a verb that must refuse its work; returns the one line that says why."""
    capsys.readouterr()
    assert embodied(*words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    return error


def interrupted(*args: object, **kwargs: object) -> None:
    """Stands in for work during which Ctrl-C is pressed."""
    raise KeyboardInterrupt


def episodes_of(folder: Path) -> list[Any]:
    """Returns the episodes of each cell in an evaluation's folder."""
    return [cell.episodes for cell in read_results(folder / "results.json").cells]
