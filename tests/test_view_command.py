"""The command that shows an episode of an evaluation: it shows that very episode."""

from __future__ import annotations

import argparse
import shlex
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.benchmark.codec import encode
from embodied.benchmark.results_file import read_results
from embodied.benchmark.timing import Timing
from embodied.benchmark.trials import TaskChoice, plan_trials
from embodied.cli import view
from embodied.cli.main import build_parser
from embodied.cli.timing import add_timing, chosen_timings
from embodied.cli.view_command import timing_flags, view_command_words
from embodied.envs.own_tasks import typed_task
from embodied.policies.bridges.registry import BRIDGES
from embodied.policies.channel import Interruption
from embodied.policies.channel_profiles import PROFILES
from embodied.policies.latency import Trace, read_trace
from embodied.policies.mailbox import MAILBOX_MODES
from tests.commands import TASK, embodied
from tests.own_tasks import FILE, cube_to_plate, own_tasks_forgotten

# What changes no episode, or chooses which of them are run.
ONLY_EVAL = {
    "--against",
    "--episodes",
    "--json",
    "--num-envs",
    "--on",
    "--output",
    "--overwrite",
    "--reproduce",
    "--resume",
    "--shard",
    "--shift",
    "--suite",
    "--until",
    "--videos",
    "--workers",
}

positive = st.floats(min_value=1e-3, max_value=1e4)
interruptions = st.one_of(
    st.just(Interruption()),
    st.builds(Interruption, duration_s=positive, start_s=positive),
    st.builds(Interruption, duration_s=positive, rate_hz=positive),
)
common = {
    "planner_hz": st.none() | st.floats(min_value=0.1, max_value=100),
    "freeze": interruptions,
    "outage": interruptions,
    "mailbox": st.sampled_from(MAILBOX_MODES),
    "bridge": st.sampled_from(sorted(BRIDGES)),
}
timings = st.one_of(
    st.builds(
        Timing,
        transport_ms=positive,
        compute_ms=positive | st.just(0.0),
        jitter=positive | st.just(0.0),
        compute_jitter=positive | st.just(0.0),
        drop=st.floats(min_value=0, max_value=1),
        **common,
    ),
    st.builds(Timing, channel=st.sampled_from(sorted(PROFILES)), **common),
)


def options(verb: str) -> set[str]:
    """Returns the long flags of a verb."""
    [verbs] = [
        action
        for action in build_parser([verb])._actions
        if isinstance(action, argparse._SubParsersAction)
    ]
    actions = verbs.choices[verb]._actions
    return {flag for a in actions for flag in a.option_strings if flag[:2] == "--"}


def test_view_takes_all_conditions_of_eval() -> None:
    assert options("eval") - ONLY_EVAL <= options("view")


@settings(max_examples=50, deadline=None)
@given(timings)
def test_the_flags_of_a_timing_make_the_same_timing(timing: Timing) -> None:
    parser = argparse.ArgumentParser()
    add_timing(parser)
    args = parser.parse_args(timing_flags(timing))
    # jitter of no delay is left out
    if not timing.compute_ms:
        timing = replace(timing, compute_jitter=0.0)
    assert chosen_timings(args, ["expert"]) == [timing]


def test_jitter_of_no_delay_is_left_out() -> None:
    """In a sweep from 0 on; `--jitter` alone is refused."""
    assert timing_flags(Timing(jitter=0.5)) == []


def test_measured_delays_are_named_by_their_file(tmp_path: Path) -> None:
    file = tmp_path / "two words.txt"
    file.write_text("3\n4\n")
    timing = Timing(trace=read_trace(file))
    assert timing_flags(timing) == ["--latency-trace", str(file)]

    # Delays that no file holds cannot be typed.
    [trial] = plan_trials(
        {"expert": "expert"},
        TaskChoice(TASK),
        ["L1"],
        [Timing(trace=Trace([3]))],
        range(1),
    )
    assert view_command_words(trial) == ()


def test_a_task_of_ones_own_is_named_by_its_place() -> None:
    with own_tasks_forgotten():
        spec = cube_to_plate()
        [trial] = plan_trials(
            {"random": "random"}, TaskChoice(spec.name), ["L1"], [Timing()], range(1)
        )
        place = view_command_words(trial)[2]
        assert place == f"{FILE}:CUBE_TO_PLATE"

    # What is typed is enough for a process that has never heard of the task.
    with own_tasks_forgotten():
        assert typed_task(place) == spec.name


@pytest.mark.usefixtures("few_threads", "grey_pictures", "short")
@pytest.mark.parametrize(
    "condition",
    [
        pytest.param(
            "--policy expert --level L3 --planner-hz 3.3 --compute-ms 140 --drop 0.3"
            " --mailbox predictive --stage lift",
            marks=pytest.mark.slow,
        ),
        pytest.param(
            "--policy expert --delay-ms 420.25 --jitter 0.7 --freeze-s 1 --freeze-hz 0.4"
            " --split layout --robot wheeled_arm",
            marks=pytest.mark.slow,
        ),
        "--policy random --level L4 --stage reach",
    ],
)
def test_what_is_shown_is_what_was_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, condition: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["eval", TASK, *condition.split(), "--episodes", "2", "--seed", "20"]
    assert embodied(*words, "-o", "out", "--workers", 1) == 0
    [cell] = read_results(Path("out/results.json")).cells
    measured = cell.episodes[-1]

    # As it stands in the report.
    command = shlex.join([*cell.view, "--seed", str(measured.seed)])
    typed = shlex.split(command)
    assert typed[:2] == ["embodied", "view"]
    words = [*typed[1:], "-o", "shown.mp4"]
    args = build_parser(words).parse_args(words)
    [shown] = view.show(args)
    # as JSON, in which tuples are lists
    assert encode(replace(shown, index=measured.index)) == encode(measured)
    assert Path("shown.mp4").exists()
