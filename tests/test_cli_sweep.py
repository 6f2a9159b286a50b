"""`embodied sweep`: its grid, what it writes, and that no stop and no worker changes it."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from embodied.benchmark.results import Results
from embodied.benchmark.results_file import read_results
from embodied.benchmark.sweep_file import read_sweep
from embodied.cli import progress
from embodied.cli.main import build_parser
from embodied.cli.sweep import grid_trials, training_ages, with_training_ages
from embodied.envs.worlds import Worlds
from embodied.policies.training.config import MAX_AGE_S
from tests.commands import QUICKLY, TASK, embodied, episodes_of, interrupted, refused

pytestmark = pytest.mark.usefixtures("few_threads")
GRID = ("--planner-hz", 2, 8, "--delay-ms", 0, 100)
FIXED = ("sweep", "--task", TASK, "--policy", "expert", "--level", "L1")


def results_in(folder: Path) -> Results:
    return read_results(folder / "results.json")


def timeless(folder: Path) -> object:
    """Returns what is in a results file, but for times and the command."""
    content = json.loads((folder / "results.json").read_text())
    for cell in content["cells"]:
        del cell["wall_s"], cell["summary"]["wall_s"]
        del cell["summary"]["real_time_factor"]
    return content["cells"]


def parsed(*words: object) -> object:
    typed = [str(word) for word in words]
    return build_parser(typed).parse_args(typed)


def test_every_value_meets_every_other_over_the_same_seeds() -> None:
    words = (*FIXED, "--policy", "random", "--seed", 5, "--episodes", 3, "-o", "x")
    drops = ("--drop", 0, 0.2, "--jitter", 0, 0.5)
    trials, shard = grid_trials(parsed(*words, *GRID, *drops, "--json"))  # type: ignore[arg-type]
    assert shard == ""

    expert = [t.condition for t in trials if t.condition.policy == "expert"]
    points = [(c.planner_hz, c.transport_ms, c.drop_rate, c.latency) for c in expert]
    late = product((2, 8), (100,), (0, 0.2), ("constant", "lognormal, sigma 0.5"))
    # jitter of no delay is none: its cell is measured once
    on_time = product((2, 8), (0,), (0, 0.2), ("constant",))
    assert sorted(points) == sorted([*late, *on_time])

    # a policy without plans is measured once
    assert [t.condition.policy for t in trials].count("random") == 1
    assert {t.condition.seeds for t in trials} == {range(5, 8)}


@pytest.mark.slow
def test_a_sweep_is_the_same_however_it_was_run(
    short: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """At once, one world at a time, or stopped and resumed: the same JSON."""
    words = (*FIXED, "--delay-ms", 0, 100, "--episodes", 2, "--workers", 1)
    assert embodied(*words, "-o", tmp_path / "once", "--num-envs", 4) == 0
    printed = capsys.readouterr().out
    once = (tmp_path / "once" / "sweep.json").read_bytes()
    for panel in read_sweep(tmp_path / "once" / "sweep.json").panels:
        assert all(sentence in printed for sentence in panel.findings)
    assert (tmp_path / "once" / "report.html").read_text().startswith("<!doctype html>")

    # stopped within the second cell
    folder = tmp_path / "stopped"
    begin = Worlds.reset
    begun = []

    def reset(self: Worlds, ids: object, seeds: list[int]) -> None:
        begun.extend(seeds)
        if len(begun) > 3:
            raise KeyboardInterrupt
        begin(self, ids, seeds)

    with monkeypatch.context() as patch:
        patch.setattr(Worlds, "reset", reset)
        assert embodied(*words, "-o", folder, "--num-envs", 1) == 130
    message = capsys.readouterr().err
    assert "1 of 2 episodes of expert L1, 8 Hz, 100 ms late. Continue with" in message
    assert f"embodied sweep --task {TASK}" in message
    part = results_in(folder)
    assert [len(c.episodes) for c in (*part.cells, *part.unfinished)] == [2, 1]

    assert embodied(*words, "-o", folder, "--num-envs", 1, "--resume") == 0
    assert (folder / "sweep.json").read_bytes() == once
    assert timeless(folder) == timeless(tmp_path / "once")

    # more values add to what there is, and what is whole is not run again
    more = (*FIXED, "--delay-ms", 0, 100, 300, "--workers", 1, "--episodes", 2)
    before = results_in(folder).cells
    assert embodied(*more, "-o", folder, "--resume") == 0
    after = results_in(folder).cells
    assert after[:2] == before
    assert [cell.condition.transport_ms for cell in after] == [0, 100, 300]
    with monkeypatch.context() as patch:
        patch.setattr(Worlds, "step", interrupted)
        assert embodied(*more, "-o", folder, "--resume") == 0


@pytest.mark.slow
def test_shards_are_merged_into_the_same_sweep(short: None, tmp_path: Path) -> None:
    words = ("sweep", "--task", TASK, "--policy", "expert", "--delay-ms", 0, 200)
    words = (*words, "--episodes", 3, *QUICKLY)
    assert embodied(*words, "-o", tmp_path / "whole") == 0
    for part in ("1/2", "2/2"):
        folder = tmp_path / part.replace("/", "-")
        assert embodied(*words, "--shard", part, "-o", folder) == 0
    shards = (tmp_path / "1-2", tmp_path / "2-2")
    assert embodied("merge", *shards, "-o", tmp_path / "merged") == 0

    merged = (tmp_path / "merged" / "sweep.json").read_bytes()
    assert merged == (tmp_path / "whole" / "sweep.json").read_bytes()
    assert episodes_of(tmp_path / "merged") == episodes_of(tmp_path / "whole")
    assert "Sweep report" in (tmp_path / "merged" / "report.html").read_text()


@pytest.mark.slow
def test_processes_change_nothing(tmp_path: Path) -> None:
    words = (*FIXED, *GRID, "--drop", 0.3, "--episodes", 4)
    assert embodied(*words, "-o", tmp_path / "one", "--workers", 1) == 0
    assert embodied(*words, "-o", tmp_path / "two", "--workers", 2) == 0
    one = (tmp_path / "one" / "sweep.json").read_bytes()
    assert one == (tmp_path / "two" / "sweep.json").read_bytes()
    assert timeless(tmp_path / "one") == timeless(tmp_path / "two")


def test_runs_are_told_apart_by_the_age_of_plans_in_training(
    trained: Path, tmp_path: Path
) -> None:
    young = tmp_path / "young"
    young.mkdir()
    for path in trained.iterdir():
        (young / path.name).write_bytes(path.read_bytes())
    stored = json.loads((young / "policy.json").read_text())
    stored["training"]["plan_age_s"] = [0.0, 0.125]
    (young / "policy.json").write_text(json.dumps(stored))
    assert training_ages(str(young)) == "trained on plans 0 to 125 ms old"
    assert (
        training_ages(str(trained))
        == f"trained on plans 0 to {1000 * MAX_AGE_S:g} ms old"
    )
    assert training_ages("expert") == ""

    words = ("sweep", "--task", TASK, "--policy", trained, young, "--episodes", 1)
    args = parsed(*words, "-o", "x")
    trials, _ = grid_trials(args)  # type: ignore[arg-type]
    assert [trial.label for trial in trials] == [
        "trained, trained on plans 0 to 800 ms old",
        "young, trained on plans 0 to 125 ms old",
    ]
    # one alone is called as ever
    assert [t.label for t in with_training_ages([replace(trials[0], label="a")])] == [
        "a"
    ]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--planner-hz", 0, 8), "at most 400 Hz (one event per tick), not 0"),
        (("--planner-hz", 8, 401), "at most 400 Hz (one event per tick), not 401"),
        (("--planner-hz", "nan"), "at most 400 Hz (one event per tick), not nan"),
        (("--planner-hz", "fast"), "--planner-hz: invalid float value: 'fast'"),
        (("--planner-hz",), "--planner-hz: expected at least one argument"),
        (("--delay-ms", 0, -5), "at least 0, not -5"),
        (("--delay-ms", "inf"), "at least 0, not inf"),
        (("--delay-ms", 100, "--jitter", -1), "at least 0, not -1"),
        (("--jitter", 0.5), "--jitter spreads --delay-ms: give a delay above 0"),
        (("--compute-ms", -1), "at least 0, not -1"),
        (("--drop", 0, 1.5), "drop is a probability in [0, 1], not 1.5"),
        (("--freeze-s", 0, 1), "--freeze-s needs either --freeze-at-s (once)"),
        (("--freeze-s", 0, "--freeze-at-s", 1), "0 would stop nothing"),
        (("--freeze-s", 0, -1, "--freeze-at-s", 1), "at least 0, not -1"),
        (("--outage-at-s", 1), "--outage-at-s needs --outage-s"),
        (("--mailbox", "latest", "post"), "invalid choice: 'post'"),
        (("--bridge", "hold", "rope"), "unknown bridge 'rope'"),
        (("--bridge", "hold", "rtc"), "the bridge 'rtc' works on chunk"),
        (("--channel", "none", "moon"), "unknown channel 'moon'"),
        (("--channel", "none", "--delay-ms", 5), "--channel sets these delays itself"),
        (("--episodes", 0), "--episodes must be at least 1, not 0"),
        (("--seed", -1), "--seed must be at least 0"),
        (("--workers", 0), "the number of workers must be at least 1, not 0"),
        (("--num-envs", 0), "at once must be at least 1, not 0"),
        (("--shard", "3/2"), "the part must be from 1 to 2"),
        (("--task", "Teleport"), "unknown task 'Teleport'"),
        (("--policy", "nobody"), "unknown policy 'nobody'"),
        (("--level", "L9"), "L9"),
        (("--robot", "crane"), "unknown robot 'crane'"),
        (("--stage", "dance"), "dance"),
        (("--delays", 5), "unrecognized arguments: --delays"),
    ],
    ids=lambda value: "" if isinstance(value, str) else " ".join(map(str, value)),
)
def test_a_mistake_is_one_line_and_writes_nothing(
    words: tuple[object, ...],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fixed = ("sweep", "--task", TASK, "--policy", "expert", "-o", tmp_path / "out")
    assert message in refused(capsys, *fixed, *words)
    assert not (tmp_path / "out").exists()


def test_what_has_no_effect_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("sweep", "--task", TASK, "--policy", "random", "-o", tmp_path / "out")
    error = refused(capsys, *words, *GRID)
    assert "--planner-hz, --delay-ms would have no effect" in error
    assert "required: --task, --policy" in refused(capsys, "sweep", "-o", "x")


def test_the_whole_sweeps_remaining_time_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock[0])
    whole = progress.WholeJob(total=40, begun=0.0)
    assert whole.remaining(0) == ""
    clock[0] = 10.0
    assert whole.remaining(5) == "1 min 10 s left"
    whole.done = 20
    assert whole.remaining(0) == "10 s left"
    assert whole.remaining(20) == ""
