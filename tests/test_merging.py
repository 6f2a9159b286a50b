"""Shards of an evaluation, put together, are the evaluation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from embodied.benchmark.merging import merge_results
from embodied.benchmark.results import ResultsError
from embodied.benchmark.results_file import read_results
from embodied.cli.plan import SLURM, parse_shard
from embodied.errors import EmbodiedError
from tests.commands import QUICKLY, embodied, episodes_of, refused
from tests.results_fakes import fake_cell, write_fake_results

TASK = "PanelReset"


@pytest.mark.slow
def test_shards_make_the_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], short: None
) -> None:
    words = ("eval", TASK, "--policy", "hold", "random", "--episodes", 5, *QUICKLY)
    assert embodied(*words, "-o", tmp_path / "whole") == 0
    shards = [tmp_path / f"shard{k}" for k in (1, 2, 3)]
    for k, folder in enumerate(shards, start=1):
        assert embodied(*words, "--shard", f"{k}/3", "-o", folder) == 0
    assert read_results(shards[1] / "results.json").provenance.shard == "2/3"

    out = tmp_path / "merged"
    assert embodied("merge", shards[2], shards[0], shards[1], "-o", out) == 0
    assert episodes_of(out) == episodes_of(tmp_path / "whole")
    conditions = [c.condition for c in read_results(out / "results.json").cells]
    whole = [
        c.condition for c in read_results(tmp_path / "whole" / "results.json").cells
    ]
    assert conditions == whole

    # the last one leaves no gap, but it is missing all the same
    for missing in (1, 2, 3):
        given = [s for k, s in enumerate(shards, start=1) if k != missing]
        error = refused(capsys, "merge", *given, "-o", tmp_path / "x")
        assert f"shard {missing}/3 is missing" in error
    assert "exists" in refused(capsys, "merge", *shards, "-o", out)
    assert "holds shard 1/3, this run is shard 2/3" in refused(
        capsys, *words, "--shard", "2/3", "-o", shards[0], "--resume"
    )


def test_what_does_not_go_together(tmp_path: Path) -> None:
    paths = [
        write_fake_results(tmp_path / "a", fake_cell("++")) / "results.json",
        write_fake_results(tmp_path / "b", fake_cell("--", first_seed=1))
        / "results.json",
        write_fake_results(tmp_path / "c", fake_cell("--", first_seed=9))
        / "results.json",
        write_fake_results(tmp_path / "d", fake_cell("++"), robot="leg")
        / "results.json",
    ]
    with pytest.raises(ResultsError, match="seed 1 of a at L2 is told in two ways"):
        merge_results(paths[:2])
    with pytest.raises(ResultsError, match="lacks 7 episodes, seeds 2 to 8"):
        merge_results([paths[0], paths[2]])
    with pytest.raises(ResultsError, match="the robot of the first is 'leg'"):
        merge_results([paths[0], paths[3]])


def test_other_policies_join_one_table(tmp_path: Path) -> None:
    one = write_fake_results(tmp_path / "a", fake_cell("+-", "a")) / "results.json"
    two = write_fake_results(tmp_path / "b", fake_cell("--", "b")) / "results.json"
    merged = merge_results([one, two])
    assert [cell.condition.policy for cell in merged.cells] == ["a", "b"]
    assert replace(merged, cells=()) == replace(read_results(one), cells=())


@pytest.mark.parametrize(
    ("text", "environment", "expected"),
    [
        ("3/16", {}, (3, 16)),
        ("1/1", {}, (1, 1)),
        (
            SLURM,
            {
                "SLURM_ARRAY_TASK_ID": "4",
                "SLURM_ARRAY_TASK_MIN": "0",
                "SLURM_ARRAY_TASK_COUNT": "8",
            },
            (5, 8),
        ),
        (
            SLURM,
            {
                "SLURM_ARRAY_TASK_ID": "16",
                "SLURM_ARRAY_TASK_MIN": "10",
                "SLURM_ARRAY_TASK_STEP": "2",
                "SLURM_ARRAY_TASK_COUNT": "4",
            },
            (4, 4),
        ),
    ],
)
def test_a_shard_in_words(
    text: str, environment: dict, expected: tuple[int, int]
) -> None:
    assert parse_shard(text, environment) == expected


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "a/b", "-1/3", "1/0", SLURM])
def test_no_such_shard(text: str) -> None:
    with pytest.raises(EmbodiedError, match=r"--shard.*(3/16|from 1 to)"):
        parse_shard(text, {})


def test_too_few_episodes_for_so_many_shards(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("eval", TASK, "--policy", "hold", "--episodes", 2, "-o", tmp_path / "x")
    assert "make no 3 parts" in refused(capsys, *words, "--shard", "1/3")
    error = refused(capsys, *words, "--shard", "1/2", "--until", 0.1)
    assert "leave out --until, --against and --shift" in error
