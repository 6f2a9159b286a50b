"""Progress in a log: a line now and then, with what is left."""

from __future__ import annotations

import re
from types import SimpleNamespace

import pytest

from embodied.benchmark.trials import TaskChoice, plan_trials
from embodied.benchmark.wording import EN_DASH
from embodied.cli import progress
from embodied.cli.eval import trials_provenance
from embodied.cli.progress import EpisodeProgress, TrainingProgress, duration, remaining
from embodied.rollout.advance import Advance, Forecast

EPISODE = SimpleNamespace(seed=7, success_at_end=True, duration_s=8.0)


@pytest.fixture
def every_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line for everything that happens."""
    monkeypatch.setattr(progress, "LINE_EVERY_S", -1.0)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """A wall clock that the test sets: seconds since the beginning."""
    clock = SimpleNamespace(now=0.0)
    monkeypatch.setattr(progress.time, "monotonic", lambda: clock.now)
    return clock


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.4, "0 s"),
        (59.4, "59 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (700, "11 min"),
    ],
)
def test_a_duration_in_words(seconds: float, words: str) -> None:
    assert duration(seconds) == words


def test_what_is_left_of_a_stage() -> None:
    assert remaining(0, 10, 5.0) == ""
    assert remaining(2, 10, 5.0) == "20 s left"
    assert remaining(0.5, 1.0, 90.0) == "1 min 30 s left"
    assert remaining(10, 10, 50.0) == ""


def test_episodes_tell_what_is_left(
    every_line: None, clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = EpisodeProgress("collect L1", total=4, quiet=False)
    clock.now = 2.0
    progress(EPISODE)
    assert capsys.readouterr().err == (
        "collect L1: 1/4, 1 of 1 succeeded, 4 x real time, 6 s left\n"
    )

    # The last one says nothing of what is left.
    for seed in (8, 9, 10):
        clock.now += 2.0
        progress(SimpleNamespace(**vars(EPISODE) | {"seed": seed}))
    last_line = capsys.readouterr().err.splitlines()[-1]
    assert last_line == "collect L1: 4/4, 4 of 4 succeeded, 4 x real time"
    progress.close()


def test_the_interval_so_far_is_shown_once_it_tells_something(
    every_line: None, clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = EpisodeProgress("eval", total=40, quiet=False)
    for seed in range(20):
        clock.now += 2.0
        episode = {"seed": seed, "success_at_end": seed % 4 > 0}
        progress(SimpleNamespace(**vars(EPISODE) | episode))
    lines = capsys.readouterr().err.splitlines()
    assert "9/40, 6 of 9 succeeded, 4 x" in lines[8]
    assert f"20/40, 15 of 20 succeeded (53{EN_DASH}89%), 4 x" in lines[19]
    progress.close()


def test_a_forecast_changes_what_is_left(
    every_line: None, clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    """A rule may end a stage long before the most episodes that it could have."""
    show = progress.stages(quiet=False, episodes=110)
    with show("shift", 100) as report:
        clock.now = 2.0
        report(EPISODE)
        report(Forecast(4))
        lines = capsys.readouterr().err.splitlines()
        assert lines[0].endswith("3 min 18 s left, all: 3 min 38 s left")
        assert lines[1].startswith("shift: 1/4, ")
        assert lines[1].endswith("6 s left, all: 26 s left")

        # it is at least what is done, and at most what was asked for
        report(Forecast(0))
        assert "shift: 1/1, " in capsys.readouterr().err
        report(Forecast(1000))
        assert "shift: 1/100, " in capsys.readouterr().err


def test_the_last_line_says_how_a_stage_ended(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with progress.stages(quiet=False)("eval", 3) as report:
        report(EPISODE)
        assert capsys.readouterr().err == ""
    assert capsys.readouterr().err.startswith("eval: 1/3, 1 of 1 succeeded, ")

    with progress.stages(quiet=True)("eval", 3) as report:
        report(EPISODE)
    assert capsys.readouterr().err == ""


def test_an_episode_that_is_repeated_counts_once(
    every_line: None, capsys: pytest.CaptureFixture[str]
) -> None:
    progress = EpisodeProgress("eval", total=2, quiet=False)
    for _ in range(3):
        progress(EPISODE)
    assert "eval: 1/2, 1 of 1 succeeded" in capsys.readouterr().err.splitlines()[-1]
    progress.close()


def test_episodes_that_run_count_in_part(
    every_line: None, clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    """Filming renders all episodes at once: without their parts the first sign of
    progress would be the last one.
    """
    progress = EpisodeProgress("film expert", total=2, quiet=False)
    clock.now = 10.0
    progress(Advance(seed=7, share=0.25))
    progress(Advance(seed=8, share=0.25))
    last_line = capsys.readouterr().err.splitlines()[-1]
    assert last_line == "film expert: 0/2 (25%), 30 s left"

    # One that ends early leaves less to do.
    progress(EPISODE)
    assert "film expert: 1/2 (62%), 1 of 1 succeeded, 0.8 x" in capsys.readouterr().err
    progress.close()


def test_a_training_tells_what_is_left(
    every_line: None, clock: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    """Counted from its first row: one that is resumed does not begin at nothing."""
    with TrainingProgress(quiet=False) as progress:
        progress({"share": 0.5, "step": 50})
        clock.now = 10.0
        progress({"share": 0.6, "step": 60})
    first, second = capsys.readouterr().err.splitlines()
    assert first == "train: 50%, step 50"
    assert second == "train: 60%, step 60, 40 s left"


def test_nothing_is_shown_beside_json(
    every_line: None, capsys: pytest.CaptureFixture[str]
) -> None:
    EpisodeProgress("collect", total=1, quiet=True)(EPISODE)
    with TrainingProgress(quiet=True) as progress:
        progress({"share": 0.5, "step": 50})
    assert not re.search(r"\S", capsys.readouterr().err)


@pytest.mark.usefixtures("every_line")
def test_models_of_an_evaluation_are_counted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    policies = {"random": "random"}
    trials = [
        trial
        for task in ("PanelReset", "ValveTurn")
        for trial in plan_trials(policies, TaskChoice(task), ["L1"], [], range(1))
    ]
    trials_provenance(trials, [], quiet=True)
    assert capsys.readouterr().err == ""

    provenance = trials_provenance(trials, [])
    assert len(provenance.models) == 2
    assert capsys.readouterr().err.startswith("models: 1/2, ")
