"""`embodied eval`: what it writes, that no figure depends on who works, and which runs
it takes.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from embodied.benchmark import footage
from embodied.benchmark.results import Condition
from embodied.benchmark.results_file import read_results
from embodied.envs.worlds import Worlds
from tests.commands import QUICKLY, TASK, embodied, episodes_of, interrupted, refused

pytestmark = pytest.mark.usefixtures("few_threads")


@pytest.mark.slow
def test_results_do_not_depend_on_who_measures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["eval", TASK, "--policy", "expert", "random", "--level", "L1"]
    words += ["--delay-ms", 0, 300, "--drop", 0.2, "--episodes", 2]

    # Two ways to share the work: one process with one world, and two with 16 each.
    alone = ("-o", tmp_path / "one", "--workers", 1, "--num-envs", 1)
    shared = ("-o", tmp_path / "two", "--workers", 2, "--num-envs", 16)
    assert embodied(*words, *alone) == 0
    assert embodied(*words, *shared) == 0

    first = episodes_of(tmp_path / "one")
    second = episodes_of(tmp_path / "two")
    assert len(first) == 3  # random actions know no delay
    assert first == second
    assert [episode.index for episode in second[0]] == [0, 1]

    # A delay of 300 ms ages plans by as much; the comparison is in the table.
    on_time, late = (cell[0].mean_plan_age_s for cell in first[:2])
    assert late == pytest.approx(on_time + 0.3, abs=0.1)
    table = capsys.readouterr().out
    assert "expert against random, L1: +100 points (95% interval" in table
    assert "expert 300 ms late against expert 0 ms late" in table


def test_eval_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "eval"
    words = ("eval", TASK, "--episodes", 1, "-o", folder, *QUICKLY)
    assert embodied(*words, "--policy", "hold", "--json") == 0
    output = json.loads(capsys.readouterr().out)
    cell = output["cells"][0]
    assert cell["summary"]["success_at_end"]["rate"] == 0
    assert cell["summary"]["failures"] == {"lost": 1}
    [failed] = cell["failed"]
    assert (failed["seed"], failed["ended"]) == (10_000, "lost")
    assert cell["view"][:4] == ["embodied", "view", TASK, "--policy"]
    assert Path(output["report"]).read_text().startswith("<!doctype html>")
    assert "exists" in refused(capsys, *words, "--policy", "hold", "random")
    before = read_results(folder / "results.json").cells[0]

    # Interrupt it within the second policy: the first one's results stay as they are.
    with monkeypatch.context() as patch:
        patch.setattr(Worlds, "step", interrupted)
        assert embodied(*words, "--policy", "hold", "random", "--resume") == 130
    assert f"embodied eval {TASK} --episodes 1 -o {folder}" in capsys.readouterr().err
    assert read_results(folder / "results.json").cells == (before,)

    assert embodied(*words, "--policy", "hold", "random", "--resume") == 0
    after = read_results(folder / "results.json").cells
    assert [cell.condition.policy for cell in after] == ["hold", "random"]
    assert after[0] == before

    assert embodied(*words, "--policy", "random", "--overwrite") == 0
    assert len(read_results(folder / "results.json").cells) == 1


def interrupt_after(monkeypatch: pytest.MonkeyPatch, episodes: int) -> None:
    """Lets Ctrl-C be pressed when so many episodes have ended."""
    begin = Worlds.reset
    begun = []

    def reset(self: Worlds, ids: object, seeds: list[int]) -> None:
        begun.extend(seeds)
        if len(begun) > episodes:
            raise KeyboardInterrupt
        begin(self, ids, seeds)

    monkeypatch.setattr(Worlds, "reset", reset)


def test_ctrl_c_keeps_the_episodes_of_the_running_cell(
    short: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    one_by_one = ("--workers", 1, "--num-envs", 1)
    words = ("eval", TASK, "--policy", "random", "hold", "--episodes", 4, *one_by_one)
    assert embodied(*words, "-o", tmp_path / "at once") == 0

    # three episodes a time: one of the first policy is missing, then two of the second
    folder = tmp_path / "eval"
    counts = []
    messages = []
    for resume in ((), ("--resume",)):
        with monkeypatch.context() as patch:
            interrupt_after(patch, 3)
            assert embodied(*words, "-o", folder, *resume) == 130
        results = read_results(folder / "results.json")
        counts.append([len(c.episodes) for c in (*results.cells, *results.unfinished)])
        messages.append(capsys.readouterr().err)

    assert counts == [[3], [4, 2]]
    assert "3 of 4 episodes of random L2. Continue with: embodied eval" in messages[0]
    assert "2 of 4 episodes of hold L2. Continue with: embodied eval" in messages[1]

    assert embodied(*words, "-o", folder, "--resume") == 0
    assert episodes_of(folder) == episodes_of(tmp_path / "at once")
    assert read_results(folder / "results.json").unfinished == ()


def test_resume_with_another_number_of_episodes(
    short: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "eval"
    words = ("eval", TASK, "--policy", "hold", "-o", folder, *QUICKLY)
    assert embodied(*words, "--episodes", 2) == 0
    first = read_results(folder / "results.json").cells[0].episodes

    # more are added to the same row
    assert embodied(*words, "--episodes", 4, "--resume") == 0
    [cell] = read_results(folder / "results.json").cells
    assert cell.episodes[:2] == first
    assert len(cell.episodes) == 4

    # fewer, or others, are refused, and what is there stays
    before = (folder / "results.json").read_bytes()
    for other in (("--episodes", 3), ("--episodes", 4, "--seed", 10_002)):
        error = refused(capsys, *words, *other, "--resume")
        assert "is measured over the seeds 10000 to 10003 already" in error
    assert (folder / "results.json").read_bytes() == before


@pytest.mark.slow
def test_a_trained_policy_can_be_evaluated(
    short: None, trained: Path, tmp_path: Path
) -> None:
    words = ["eval", TASK, "--policy", trained, "--level", "L2"]
    words += ["--episodes", 3, "--workers", 1]

    # The number of worlds that are stepped together changes no result.
    assert embodied(*words, "-o", tmp_path / "one", "--num-envs", 1) == 0
    assert embodied(*words, "-o", tmp_path / "three", "--num-envs", 3) == 0
    assert episodes_of(tmp_path / "one") == episodes_of(tmp_path / "three")

    # The run folder says how the policy is named and at what rate it plans.
    cell = read_results(tmp_path / "one" / "results.json").cells[0]
    assert cell.label == "trained"
    assert cell.condition.planner_hz == 8
    assert cell.episodes[0].duration_s == 3.0


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("tasks", ["Elsewhere"], "was trained for task Elsewhere, not ToteTransfer"),
        (
            "robot",
            "leg",
            "was trained for robot leg, not arm: name that one, with --robot",
        ),
        (
            "agent_layout",
            [["joint_pos", 6]],
            'was trained for proprioception [["joint_pos", 6]], not [["joint_pos", 7]',
        ),
    ],
)
def test_a_run_of_something_else(
    trained: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    field: str,
    value: object,
    message: str,
) -> None:
    run = tmp_path / "run"
    # A copy of the run without weights, which is refused before these are read.
    run.mkdir()
    info = json.loads((trained / "policy.json").read_text())
    if field in info:
        info[field] = value
    else:
        info["metadata"][field] = value
    (run / "policy.json").write_text(json.dumps(info))

    output = tmp_path / "eval"
    assert message in refused(capsys, "eval", TASK, "--policy", run, "-o", output)
    assert not output.exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "holds a list"),
        ('{"schema_version": 0}', "has schema version 0"),
        ('{"schema_version": 1}', "is damaged: KeyError 'task'"),
        (
            '{"schema_version": 1, "kind": "tree"}',
            "is of the kind 'tree'; this package reads vla, single, actor",
        ),
        ('{"schema_version": 1, "kind": "vla"}', "is damaged: KeyError 'task'"),
        (
            '{"schema_version": 1, "kind": "actor", "task": "", "robot": "", "spec": []}',
            "is damaged: TypeError",
        ),
    ],
)
def test_a_damaged_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, message: str
) -> None:
    (tmp_path / "policy.json").write_text(text)
    error = refused(capsys, "eval", TASK, "--policy", tmp_path, "-o", tmp_path / "eval")
    assert f"{tmp_path / 'policy.json'} {message}" in error


@pytest.mark.parametrize(
    ("good", "bad", "caption"),
    [
        (
            [3, 4],
            [7],
            "Seeds: the first that succeeded (3, 4) and the first that failed (7).",
        ),
        (
            [3],
            [7, 9],
            "Seeds: the first that succeeded (3) and the first that failed (7, 9, one of"
            " each kind first).",
        ),
        ([3], [], "Seeds: the first that succeeded (3). None of 50 failed."),
        ([], [7], "Seeds: the first that failed (7). None of 50 succeeded."),
    ],
)
def test_what_a_film_shows(good: list[int], bad: list[int], caption: str) -> None:
    assert footage.seeds_sentence(good, bad, 50) == caption


def test_a_film_says_under_which_condition_it_was_made() -> None:
    shown = Condition("expert", "L2", planner_hz=8, transport_ms=500, drop_rate=0.2)
    others = [replace(shown, transport_ms=ms) for ms in (0, 250, 100)]
    # Films of other levels and policies say nothing about the condition shown.
    elsewhere = [
        replace(shown, level="L1", transport_ms=40),
        replace(shown, policy="trained", transport_ms=60),
    ]
    text = "Plans are 500 ms late, 20% of them lost"
    unseen = "measured but not filmed"

    assert footage.plans_sentence(shown, elsewhere) == f"{text}."
    assert footage.plans_sentence(shown, others[:1]) == f"{text}; {unseen}: 0 ms."

    every = footage.plans_sentence(shown, [*others, *elsewhere])
    assert every == f"{text}; {unseen}: 0, 100, 250 ms."
    assert footage.plans_sentence(replace(shown, planner_hz=None), others) == ""
