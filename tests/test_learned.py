"""What policies learn: rows from evaluated runs, and the section of docs/ground.md."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embodied.benchmark.statistics import wilson
from embodied.cli import main
from embodied.errors import EmbodiedError
from embodied.pages.learned import LearnedSuccess, read_learned
from embodied.pages.learned_page import learned_section
from embodied.pages.subject import Subject
from embodied.pages.survey_page import survey_book
from embodied.policies.run_folder import (
    HISTORY,
    WEIGHTS,
    weights_hash,
    write_info,
    write_json,
)
from tests.datasets_fakes import write_dataset
from tests.results_fakes import fake_cell, write_fake_results

LAST = {"share": 1.0, "seconds": 900.0, "processor_s": 600.0, "steps": 5000.0}
REINFORCED = {"method": "reinforcement learning", "algorithm": "sac"}
REINFORCED |= {"demonstrations": 64, "base": ""}
PAIRS = [("ToteTransfer", "arm"), ("Turn", "arm"), ("Turn", "rover")]
ROW = LearnedSuccess(
    subject=Subject("Turn", "arm", "code", "abc", {"mujoco": "3.17.0"}),
    method="sac",
    stage="reach",
    level="L1",
    cameras=(),
    demonstrations=64,
    source="by expert",
    steps=15_000,
    processor_s=450.0,
    first_seed=10_000,
    rate=wilson(100, 100),
    rate_once=wilson(100, 100),
    progress=0.25,
    commands=("embodied train Turn", "embodied eval Turn"),
)
IMITATED = replace(
    ROW,
    method="imitation",
    stage="",
    level="L2",
    cameras=("overview", "wrist"),
    demonstrations=200,
    source="of 400 by expert, action noise 0.33",
    rate=wilson(0, 100),
    rate_once=wilson(0, 100),
)


def write_run(folder: Path, training: dict[str, Any], **changes: Any) -> str:
    """Writes a run that was never trained; returns its path."""
    folder.mkdir()
    (folder / WEIGHTS).write_bytes(b"weights")
    write_json(folder / HISTORY, [changes.pop("last", LAST)])
    info = {
        "training": training,
        "spec": {"cameras": []},
        "command": "embodied train Turn --resume -o run",
        **changes,
    }
    write_info(folder, info, packages=())
    return str(folder)


def write_evaluation(folder: Path, run: str, **condition: Any) -> Path:
    """Writes results of a run, 3 of 4 successes; returns their path."""
    usual = {"weights": weights_hash(Path(run)), "stage": "reach", "level": "L1"}
    cell = fake_cell("+++-", policy=run, **{**usual, **condition})
    metadata = {"versions": {"mujoco": "3.17.0"}}
    command = "embodied eval ToteTransfer --overwrite"
    write_fake_results(folder, cell, command=command, metadata=metadata)
    return folder / "results.json"


def test_a_row_says_what_was_trained_and_what_it_reached(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", REINFORCED)
    (row,) = read_learned(write_evaluation(tmp_path / "eval", run))
    assert row.key == ("ToteTransfer", "arm", "sac", "reach")
    assert (row.demonstrations, row.source) == (64, "by expert")
    assert (row.steps, row.processor_s, row.level) == (5000, 600.0, "L1")
    assert row.rate == wilson(3, 4)
    # without flags that do not affect the result
    assert row.commands == ("embodied train Turn -o run", "embodied eval ToteTransfer")


def test_demonstrations_are_counted_in_the_datasets(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "a.hdf5", range(20))
    run = write_run(
        tmp_path / "run",
        {"method": "imitation"},
        datasets=[str(dataset)],
        spec={"cameras": ["front"]},
    )
    (row,) = read_learned(write_evaluation(tmp_path / "eval", run, stage=""))
    assert (row.method, row.stage, row.cameras) == ("imitation", "", ("front",))
    assert row.source.startswith("of 20 by expert, L")
    assert 15 <= row.demonstrations < 20  # without those that are held out


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ({"split": "all"}, "held-out values"),
        ({"transport_ms": 100.0}, "delayed or lost"),
        ({"weights": "other"}, "was trained since"),
    ],
)
def test_other_evaluations_are_refused(
    tmp_path: Path, condition: dict[str, Any], message: str
) -> None:
    run = write_run(tmp_path / "run", REINFORCED)
    results = write_evaluation(tmp_path / "eval", run, **condition)
    with pytest.raises(EmbodiedError, match=message):
        read_learned(results)


def test_a_run_of_an_older_version_is_refused(tmp_path: Path) -> None:
    last = {name: value for name, value in LAST.items() if name != "processor_s"}
    run = write_run(tmp_path / "run", REINFORCED, last=last)
    with pytest.raises(EmbodiedError, match="how much processor time"):
        read_learned(write_evaluation(tmp_path / "eval", run))


def test_the_section_says_what_is_too_hard_and_what_is_missing() -> None:
    section = learned_section([IMITATED, ROW], PAIRS)
    assert (
        "| Turn | arm | stage `reach` at L1 | sac, privileged state | 64 by expert "
        "| 15,000 | 7.5 | 100% (96–100%) of 100 | 100% | 0.25 |"  # noqa: RUF001
    ) in section
    assert (
        "| imitation, overview, wrist | 200 of 400 by expert, action noise 0.33 |"
        in section
    )
    assert (
        "Too hard for these trainings: Turn arm (whole task, imitation). "
        "Stages that are learned: Turn arm (stage `reach`, sac)."
    ) in section
    assert "Not measured yet by imitation: ToteTransfer." in section
    assert "\nembodied train Turn\nembodied eval Turn\n" in section

    easy = learned_section([replace(IMITATED, rate=wilson(100, 100))], PAIRS)
    assert "Too easy to tell policies apart: Turn arm (whole task, imitation)" in easy
    assert learned_section([], PAIRS) == ""
    undone = learned_section([replace(ROW, rate=wilson(30, 100))], PAIRS)
    assert "Stages that are reached, but not always kept: Turn arm" in undone


def test_the_verb_adds_rows_and_keeps_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = write_run(tmp_path / "run", REINFORCED)
    results = write_evaluation(tmp_path / "eval", run)
    page = tmp_path / "ground.md"
    words = ["survey", "--learned", str(results.parent), "-o", str(page)]
    assert main.main(words) == 0
    assert "stage `reach` at L1" in capsys.readouterr().out

    # a second time, it takes the place of the first
    assert main.main(words) == 0
    ledger = survey_book(page).read()
    assert [row.key for row in ledger.rows] == [("ToteTransfer", "arm", "sac", "reach")]
    assert main.main([*words, "--no-costs"]) == 2
    assert "--no-costs: not with --learned" in capsys.readouterr().err
