"""Results: what follows from episodes, and a file that is whole whatever happens."""

import json
import math
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from embodied.benchmark import results_writing
from embodied.benchmark.keeping import EpisodeKeeper
from embodied.benchmark.provenance import collect_provenance
from embodied.benchmark.results import (
    Cell,
    Condition,
    Provenance,
    Results,
    ResultsError,
    UnfinishedCell,
    compare,
    rate,
    summarize,
)
from embodied.benchmark.results_file import read_results, resume_results
from embodied.benchmark.results_writing import ResultsWriter, checksum, write_results
from embodied.files import WriteError
from embodied.rollout.endings import describe_ending
from embodied.rollout.rollout import EpisodeResult
from tests.episode_results import episode_result

PROVENANCE = Provenance(
    task="embodied/ToteTransfer-v0",
    robot="arm",
    created="2026-11-22T00:00:00+00:00",
    command="embodied eval",
    rates={"control_hz": 200.0, "camera_hz": None},
    versions={"mujoco": "3.17.0"},
    host={"cores": 2},
    metadata={"split": "train", "factors": {"objects": [1, 2]}},
)


def episode(seed: int, success: bool = True, **changes) -> EpisodeResult:
    # Times that tell the episode, and more than one kind of value in the variation.
    result = episode_result(
        seed,
        success,
        progress_max=1.0 if success else 0.25,
        progress_end=1.0 if success else 0.0,
        time_to_success_s=4.0 + seed if success else None,
        duration_s=5.0 + seed,
        reward_sum=12.5,
        variation={"belt_speed": 0.05, "colours": ["red", "blue"]},
    )

    return replace(result, **changes)


def cell(
    outcomes: str, policy: str = "trained", first_seed: int = 0, **condition
) -> Cell:
    """A cell with one episode per letter: `+` succeeded, `-` failed."""
    episodes = [
        episode(first_seed + i, letter == "+") for i, letter in enumerate(outcomes)
    ]
    measured = Condition(
        policy, "L1", first_seed=first_seed, num_episodes=len(outcomes), **condition
    )
    return Cell(measured, policy.title(), 10.0, tuple(episodes))


def test_summary_of_known_episodes():
    episodes = (
        episode(0),
        replace(episode(1), success_at_end=False, mean_plan_age_s=0.3),
        episode(
            2,
            success=False,
            fault="diverged",
            progress_max=math.nan,
            mean_plan_age_s=None,
        ),
        episode(3, success=False, fault="nan_action", mean_plan_age_s=None),
    )
    condition = Condition("trained", "L1", num_episodes=4)
    summary = summarize(Cell(condition, "Trained", 13.0, episodes))
    assert summary.success_once.successes == 2
    assert summary.success_at_end.successes == 1
    assert summary.success_once.episodes == 4

    # progress that is no number counts as none
    assert summary.progress_mean == pytest.approx((1 + 1 + 0 + 0.25) / 4)
    assert summary.time_to_success_s.median == 4.5
    assert summary.plan_age_mean_s == pytest.approx(0.2)
    assert summary.faults == {"diverged": 1, "nan_action": 1}
    assert summary.real_time_factor == pytest.approx((5 + 6 + 7 + 8) / 13)


def test_nothing_succeeded():
    summary = summarize(cell("---"))
    assert summary.time_to_success_s is None
    assert summary.success_once.value == 0


def test_cell_must_hold_the_seeds_it_says():
    good = cell("+-+", first_seed=5)
    for episodes in ((), good.episodes[:2], good.episodes[::-1]):
        with pytest.raises(ResultsError, match="seeds 5 to 7"):
            replace(good, episodes=episodes)


def test_condition_is_measured_once():
    results = Results(PROVENANCE).with_cell(cell("+-"))
    condition = Condition("trained", "L1", num_episodes=2)
    assert results.find(condition) == cell("+-")
    assert results.find(replace(condition, num_episodes=3)) is None
    assert results.find(replace(condition, compute_ms=100.0)) is None
    with pytest.raises(ResultsError, match="already"):
        results.with_cell(cell("++"))


def test_comparison_uses_the_shared_seeds_only():
    # seeds 1, 2, 3: first + - -, second - + -
    first = cell("++--+", first_seed=0)
    second = cell("-+-", policy="random", first_seed=1)
    comparison = compare(first, second)
    assert comparison.episodes == 3
    assert comparison.both == 0
    assert comparison.only_first == 1
    assert comparison.only_second == 1
    assert comparison.neither == 1

    # no seed in common, and another split
    assert compare(cell("++"), cell("++", first_seed=10)) is None
    assert compare(cell("++"), cell("++", split="all")) is None


def test_round_trip(tmp_path):
    results = (
        Results(PROVENANCE)
        .with_cell(cell("+-+"))
        .with_cell(cell("--", policy="random", planner_hz=8.0))
    )
    write_results(tmp_path / "results.json", results)
    assert read_results(tmp_path / "results.json") == results
    assert [path.name for path in tmp_path.iterdir()] == ["results.json"]


def test_results_of_version_3_still_read(tmp_path):
    """They do not tell how episodes ended: that stays open, the rest is the same."""
    path = tmp_path / "results.json"
    episodes = [
        episode(0),
        episode(1, success=False),
        episode(2, success=False, fault="diverged"),
    ]
    whole = replace(cell("+--"), episodes=tuple(episodes))
    write_results(path, Results(PROVENANCE).with_cell(whole))

    content = json.loads(path.read_text())
    content["schema_version"] = 3
    for stored in content["cells"]:
        del stored["view"], stored["condition"]["outage"], stored["condition"]["bridge"]
        for row in stored["episodes"]:
            for name in ("ended", "subtask", "stage", "plan_faults"):
                del row[name]
    path.write_text(json.dumps(content))

    read = read_results(path).cells[0]
    assert read.view == ()
    assert [e.ended for e in read.episodes] == ["success", "", "fault"]
    assert describe_ending(read.episodes[1]) == "no success at 6.0 s"
    assert summarize(read).failures == {"": 1, "fault": 1}
    forgotten = [replace(e, ended="", subtask="", stage="") for e in read.episodes]
    assert forgotten == [
        replace(e, ended="", subtask="", stage="") for e in whole.episodes
    ]


def test_file_is_plain_json_and_says_what_follows(tmp_path):
    path = tmp_path / "results.json"
    of_numpy = episode(
        0,
        reward_sum=np.float64(math.inf),
        variation={"mass": np.arange(2.0), "n": np.int64(3)},
    )
    of_numpy = replace(of_numpy, success_once=np.True_, progress_end=math.nan)
    results = Results(PROVENANCE).with_cell(replace(cell("+"), episodes=(of_numpy,)))
    write_results(path, results)

    # no NaN, no infinity
    content = json.loads(path.read_text(), parse_constant=pytest.fail)
    row = content["cells"][0]["episodes"][0]
    summary = content["cells"][0]["summary"]
    assert row["reward_sum"] is None
    assert row["variation"] == {"mass": [0.0, 1.0], "n": 3}
    assert summary["success_once"] == {
        "successes": 1,
        "episodes": 1,
        **_limits(rate(cell("+"))),
        "rate": 1.0,
    }

    read = read_results(path).cells[0].episodes[0]
    assert read.success_once is True
    assert math.isnan(read.reward_sum)
    assert math.isnan(read.progress_end)


def _limits(of):
    return {"low": of.low, "high": of.high}


def test_what_was_trained_anew_is_measured_anew() -> None:
    results = Results(
        PROVENANCE,
        (
            cell("+-", weights="old"),
            cell("++-", weights="old"),
            cell("+", policy="random"),
        ),
    )

    # Cells of the old weights go, however many episodes they have; other policies stay.
    retrained = cell("+-", weights="new").condition
    remaining = results.without_outdated(retrained).cells
    assert [c.condition.num_episodes for c in remaining] == [1]
    assert results.without_outdated(results.cells[0].condition) == results


def test_a_cell_gets_more_episodes_and_never_a_twin() -> None:
    results = Results(PROVENANCE, (cell("+-"), cell("-", policy="random")))
    longer = cell("+--+")
    assert results.known_episodes(longer.condition).episodes == cell("+-").episodes
    assert results.with_cell(longer).cells == (longer, results.cells[1])

    # fewer episodes, or others, would lose some of those that there are
    for lossy in (cell("+"), cell("+-", first_seed=1), cell("+-+", first_seed=7)):
        with pytest.raises(ResultsError, match="Trained at L1 .* seeds 0 to 1 already"):
            results.require_extensible(lossy.condition)
        with pytest.raises(ResultsError, match="--seed 0 and --episodes 2 or more"):
            results.with_cell(lossy)

    # other weights, levels or timings are other cells
    other = cell("+", first_seed=3, weights="new")
    assert len(results.with_cell(other).cells) == 3


def test_unfinished_cells_are_kept_until_they_are_measured(tmp_path) -> None:
    path = tmp_path / "results.json"
    whole = cell("+-+-")
    some = UnfinishedCell(whole.condition, 3.0, (whole.episodes[0], whole.episodes[2]))
    results = Results(PROVENANCE).with_unfinished(some)
    write_results(path, results)
    assert read_results(path) == results

    # also of a cell that is now to have another number of episodes
    shorter = cell("+-+").condition
    assert results.known_episodes(shorter).episodes == some.episodes
    assert results.known_episodes(cell("+", policy="random").condition).episodes == ()
    assert results.with_cell(whole).unfinished == ()
    assert results.without_outdated(replace(shorter, weights="new")).unfinished == ()

    # without new ones, the file is as it was
    before = path.read_bytes()
    EpisodeKeeper(ResultsWriter(path), results, whole.condition).keep()
    assert path.read_bytes() == before

    content = json.loads(before)
    content["unfinished"] = {}
    path.write_text(json.dumps(content))
    with pytest.raises(ResultsError, match="'unfinished' is a dict, not a list"):
        read_results(path)


def test_a_file_that_grows_is_the_file_written_at_once(tmp_path, monkeypatch) -> None:
    """Cells are encoded once, and the bytes are those of `json` with the whole content."""
    encoded = []
    encode_cell = results_writing._encode_cell

    def counting(one):
        encoded.append(one.condition.policy)
        return encode_cell(one)

    monkeypatch.setattr(results_writing, "_encode_cell", counting)
    path = tmp_path / "grown.json"
    writer = ResultsWriter(path)
    results = Results(PROVENANCE)
    writer.write(results)
    for policy in ("a", 'b "cells": []', "c"):
        one = cell("+-+", policy=policy)
        unfinished = UnfinishedCell(one.condition, 1.0, one.episodes[:1])
        writer.write(results.with_unfinished(unfinished))
        results = results.with_cell(one)
        writer.write(results)
        text = path.read_text()
        content = json.loads(text)
        assert text == json.dumps(content, indent=1)
        assert content["checksum"] == checksum(content)
        assert read_results(path) == results
    assert encoded == ["a", 'b "cells": []', "c"]

    # a cell that has more episodes now is encoded anew
    writer.write(results.with_cell(cell("+-+-", policy="c")))
    assert encoded[3:] == ["c"]
    write_results(tmp_path / "once.json", read_results(path))
    assert (tmp_path / "once.json").read_bytes() == path.read_bytes()


def test_resume_finds_what_is_there(tmp_path):
    path = tmp_path / "results.json"
    assert resume_results(path, PROVENANCE) == Results(PROVENANCE)
    results = Results(PROVENANCE).with_cell(cell("+-+"))
    write_results(path, results)
    later = replace(PROVENANCE, created="later", command="embodied eval --resume")
    assert resume_results(path, later) == results

    # what makes it another run
    others = {
        "robot": replace(PROVENANCE, robot="dual_arm"),
        "versions": replace(PROVENANCE, versions={"mujoco": "3.18.0"}),
        "model_hash": replace(PROVENANCE, metadata={"model_hash": "other"}),
    }
    for name, provenance in others.items():
        with pytest.raises(ResultsError, match=f"cannot be resumed: its {name}"):
            resume_results(path, provenance)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda c: c.update(schema_version=99),
            "schema version 99; this version reads 3, 4, 5, 6, 7, 8, 9 and 10",
        ),
        (lambda c: c.update(format="other"), "is no results file"),
        (lambda c: c.pop("provenance"), "'provenance' of the file is 'missing'"),
        (lambda c: c["cells"][0].pop("label"), r"'label' of cells\[0\]"),
        (
            lambda c: c["cells"][0]["condition"].pop("level"),
            r"cells\[0\].condition must have the fields",
        ),
        (
            lambda c: c["cells"][0]["episodes"][1].update(success_once="yes"),
            r"episodes\[1\].success_once is 'yes'",
        ),
        (lambda c: c["cells"][0]["episodes"].pop(), "must hold the seeds 0 to 2"),
        (lambda c: c["cells"].append(3), r"cells\[1\] is a int"),
    ],
)
def test_damage_is_named(tmp_path, damage, message):
    path = tmp_path / "results.json"
    write_results(path, Results(PROVENANCE).with_cell(cell("+-+")))

    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ResultsError, match=message) as caught:
        read_results(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b'{"format": ', "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[]", "holds a list"),
        (b'{"a": NaN}', "NaN"),
    ],
)
def test_what_is_no_results_file(tmp_path, text, message):
    path = tmp_path / "results.json"
    path.write_bytes(text)
    with pytest.raises(ResultsError, match=message):
        read_results(path)


def test_folder_or_nothing_is_refused(tmp_path):
    with pytest.raises(ResultsError, match="a folder"):
        read_results(tmp_path)
    with pytest.raises(ResultsError, match="missing"):
        read_results(tmp_path / "results.json")


def test_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "results.json"
    results = Results(PROVENANCE).with_cell(cell("+-+"))
    write_results(path, results)

    def full_disk(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    more = results.with_cell(cell("-", policy="random"))
    with pytest.raises(WriteError, match="No space left"):
        write_results(path, more)

    # nor is a temporary file left
    assert read_results(path) == results
    assert [entry.name for entry in tmp_path.iterdir()] == ["results.json"]


KILLED = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from embodied.benchmark.results import Results
from embodied.benchmark.results_file import read_results
from embodied.benchmark.results_writing import write_results
file = Path(sys.argv[1])
results = read_results(file)
first = results.cells[0]
from dataclasses import replace
for i in range(10_000):
    condition = replace(first.condition, policy=f"policy {{i}}")
    results = results.with_cell(replace(first, condition=condition))
    write_results(file, results)
    print(i, flush=True)
"""


@pytest.mark.parametrize("cells", [1, 7])
def test_kill_loses_no_whole_cell(tmp_path, cells):
    path = tmp_path / "results.json"
    write_results(path, Results(PROVENANCE).with_cell(cell("+-" * 50)))

    # killed while it writes on and on
    command = [sys.executable, "-c", KILLED.format(path=sys.path), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        for _ in range(cells):
            process.stdout.readline()
        process.send_signal(signal.SIGKILL)

    # the first, and each one that was reported as written
    assert len(read_results(path).cells) >= 1 + cells


def test_provenance_of_this_process():
    metadata = {"task": "T", "env_id": "embodied/T-v0", "robot": "r"}
    argv = ["/home/someone/bin/embodied", "eval"]
    provenance = collect_provenance(metadata, {"control_hz": 20}, argv)
    assert provenance.task == "embodied/T-v0"
    assert provenance.robot == "r"
    assert provenance.command == "embodied eval"
    assert provenance.versions["numpy"] == np.__version__
    assert provenance.host["cores"] >= 1
