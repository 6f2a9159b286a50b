"""The examples run as they stand, in an empty folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import run_python

ROOT = Path(__file__).parent.parent
EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
# those that train, or simulate for long
SLOW = ("learn_with_sb3", "one_hand_alone", "train_your_policy")


def test_there_are_eight() -> None:
    assert len(EXAMPLES) == 8


@pytest.mark.parametrize(
    "path",
    [
        pytest.param(
            path,
            id=path.stem,
            marks=[pytest.mark.slow] if path.stem in SLOW else [],
        )
        for path in EXAMPLES
    ],
)
def test_an_example_runs(path: Path, tmp_path: Path) -> None:
    # Its own folder is on the path, the tests' settings are not.
    warnings = "error::DeprecationWarning:embodied"
    output = run_python(
        "-W",
        warnings,
        path,
        folder=tmp_path,
        longest_s=400,  # one of them takes 70 s of a free core
        OMP_NUM_THREADS="1",
    )

    assert output.strip()
