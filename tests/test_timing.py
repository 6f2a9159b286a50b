"""When plans are made and how they travel, as verbs ask for it and results store it."""

from __future__ import annotations

import argparse
import re
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from embodied.benchmark.footage import plans_sentence
from embodied.benchmark.results import Condition
from embodied.benchmark.results_file import read_results
from embodied.benchmark.timing import Timing
from embodied.cli import main
from embodied.cli.eval_table import results_table
from embodied.cli.timing import AXES, EVAL_AXES, FLAGS, add_timing, chosen_timings
from embodied.errors import EmbodiedError
from embodied.policies.channel import Interruption
from embodied.policies.channel_profiles import PROFILES
from embodied.policies.latency import (
    Constant,
    LogNormal,
    PlanLatency,
    Trace,
    read_trace,
)

TASK = "ToteTransfer"


def parsed(*words: object, several: tuple[str, ...] = EVAL_AXES) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_timing(parser, several)
    return parser.parse_args([str(word) for word in words])


def timings(*words: object, policies: tuple[str, ...] = ("expert",)) -> list[Timing]:
    return chosen_timings(parsed(*words), policies)


def refusal(*words: object, policies: tuple[str, ...] = ("expert",)) -> str:
    with pytest.raises(EmbodiedError) as error:
        timings(*words, policies=policies)
    return str(error.value)


@pytest.fixture
def trace_file(tmp_path: Path) -> Path:
    path = tmp_path / "delays.txt"
    path.write_text("# ms, measured in the lab\n120\n\n 80.5 \n300\n")
    return path


def test_without_arguments_no_plan_is_late() -> None:
    assert timings() == [Timing()]
    assert timings(policies=("random",)) == [Timing()]
    assert chosen_timings(parsed(several=()), ["expert"]) == [Timing()]
    assert Timing().latency() == PlanLatency()


def test_each_delay_meets_each_loss_once() -> None:
    grid = timings("--delay-ms", 0, 100, 0, "--drop", 0, 0.2, "--compute-ms", 30)
    pairs = [(timing.drop, timing.transport_ms) for timing in grid]
    assert pairs == [(0, 0), (0, 100), (0.2, 0), (0.2, 100)]
    assert {timing.compute_ms for timing in grid} == {30}


AXIS_VALUES: dict[str, tuple[object, ...]] = {
    "mailbox": ("latest", "fifo"),
    "bridge": ("hold", "rtc"),
    "freeze_s": (0, 0.5, 1),
    "outage_s": (0, 2),
    "drop": (0, 0.2),
    "channel": ("none", "edge-4g", "cloud-4g"),
    "compute_ms": (0, 30),
    "jitter": (0, 0.4),
    "planner_hz": (1, 2, 4),
    "delay_ms": (0, 100, 250),
}
NEEDED = {
    "freeze_s": ("--freeze-at-s", 2),
    "outage_s": ("--outage-hz", 0.1),
    "jitter": ("--delay-ms", 100),
}


@pytest.mark.parametrize("name", AXES)
def test_a_sweep_takes_several_values_of_each_axis(name: str) -> None:
    words = (FLAGS[name], *AXIS_VALUES[name], AXIS_VALUES[name][0])
    args = parsed(*words, *NEEDED.get(name, ()), several=AXES)
    grid = chosen_timings(args, ["expert"])
    assert len(set(map(repr, grid))) == len(grid) == len(AXIS_VALUES[name])


def test_a_sweeps_axes_all_meet() -> None:
    names = ("planner_hz", "delay_ms", "drop", "freeze_s", "mailbox")
    words = [word for name in names for word in (FLAGS[name], *AXIS_VALUES[name])]
    args = parsed(*words, "--freeze-at-s", 2, several=AXES)
    grid = chosen_timings(args, ["expert"])
    points = {
        (t.planner_hz, t.transport_ms, t.drop, t.freeze.duration_s, t.mailbox)
        for t in grid
    }
    assert points == set(product(*(AXIS_VALUES[name] for name in names)))
    assert len(points) == len(grid)
    # the delays of a rate lie beside each other
    assert [t.transport_ms for t in grid[:3]] == [0, 100, 250]


def test_what_is_shown_has_one_delay() -> None:
    args = parsed("--delay-ms", 100, "--drop", 0.5, several=())
    assert chosen_timings(args, ["expert"]) == [Timing(transport_ms=100, drop=0.5)]


def test_jitter_spreads_the_delays_that_there_are() -> None:
    still, late = timings("--delay-ms", 0, 100, "--jitter", 0.4)
    assert late.latency() == PlanLatency(downlink=LogNormal(100, 0.4))
    assert late.latency_text == "lognormal, sigma 0.4"
    assert late.median_transport_ms == 100
    assert still.latency_text == "constant"


def test_a_channel_holds_all_delays() -> None:
    [timing] = timings("--channel", "edge-4g")
    assert timing.latency() == PROFILES["edge-4g"].latency
    assert timing.latency_text == "channel edge-4g"
    assert timing.median_compute_ms == pytest.approx(3.18)
    assert timing.median_transport_ms == pytest.approx(44.82 + 25.0)


def test_a_trace_is_read_from_a_file(trace_file: Path) -> None:
    [timing] = timings("--latency-trace", trace_file, "--compute-ms", 5)
    expected = PlanLatency(compute=Constant(5), downlink=Trace([120, 80.5, 300]))
    assert timing.latency() == expected
    assert timing.median_transport_ms == 120
    assert timing.latency_text.startswith("trace of 3 delays, ")

    other = replace(timing, trace=Trace([120, 80.5, 301]))
    assert other.latency_text != timing.latency_text


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("120\nsoon\n", "line 2 of the latency trace .* is 'soon', not a delay in ms"),
        ("-1\n", "line 1 of .* is '-1', not a delay in ms of at least 0"),
        ("5\nnan\n", "line 2 of .* is 'nan', not a delay in ms of at least 0"),
        ("# none\n", "needs at least one delay"),
        (b"\xff", "cannot be read"),
    ],
)
def test_a_trace_that_is_none(
    text: str | bytes, message: str, trace_file: Path
) -> None:
    trace_file.write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(EmbodiedError, match=message):
        read_trace(trace_file)


def test_a_trace_that_is_not_there(tmp_path: Path) -> None:
    assert "cannot be read" in refusal("--latency-trace", tmp_path / "none.txt")


def test_freezes() -> None:
    [once] = timings("--freeze-s", 0.5, "--freeze-at-s", 2)
    assert once.dual(8).freeze == Interruption(0.5, start_s=2)
    assert once.freeze.description == "0.5 s at 2 s"

    [often] = timings("--freeze-s", 0.5, "--freeze-hz", 0.2)
    assert often.dual(8).freeze == Interruption(0.5, rate_hz=0.2)
    assert often.freeze.description == "0.5 s, 0.2 times per second"
    assert Timing().freeze.description == ""


def test_outages_are_given_as_freezes_are() -> None:
    [once] = timings("--outage-s", 0.5, "--outage-at-s", 2)
    assert once.dual(8).outage == Interruption(0.5, start_s=2)
    assert once.dual(8).freeze == Interruption()


def test_a_channel_that_loses_plans_takes_no_other_losses() -> None:
    [timing] = timings("--channel", "edge-5g-congested")
    assert timing.dual(8).drop == PROFILES["edge-5g-congested"].drop > 0
    message = refusal("--channel", "edge-5g-congested", "--drop", 0.1)
    assert "holds the losses: give no other" in message
    [timing] = timings("--channel", "cloud-4g", "--drop", 0.1)
    assert timing.dual(8).drop == 0.1


def test_compute_and_transport_each_have_their_own_kind(trace_file: Path) -> None:
    [timing] = timings("--compute-trace", trace_file, "--delay-ms", 80, "--jitter", 0.2)
    expected = PlanLatency(compute=Trace([120, 80.5, 300]), downlink=LogNormal(80, 0.2))
    assert timing.latency() == expected
    assert timing.latency_text.startswith(
        "lognormal, sigma 0.2; compute trace of 3 delays, "
    )
    [timing] = timings("--compute-ms", 50, "--compute-jitter", 0.3)
    assert timing.latency() == PlanLatency(compute=LogNormal(50, 0.3))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--channel", "moon"), "unknown channel 'moon'"),
        (("--bridge", "moon"), "unknown bridge 'moon'.* or MODULE:NAME"),
        (("--bridge", "nowhere:Mine"), "bridge nowhere:Mine: there is no module"),
        (
            ("--channel", "edge-4g", "--delay-ms", 5, "--jitter", 1),
            "--channel sets these delays itself: leave out --delay-ms, --jitter",
        ),
        (
            ("--compute-trace", "x", "--compute-ms", 5),
            "--compute-trace sets these delays itself: leave out --compute-ms",
        ),
        (("--compute-jitter", 1), "--compute-jitter spreads --compute-ms"),
        (
            ("--latency-trace", "x", "--delay-ms", 5),
            "--latency-trace sets these delays itself: leave out --delay-ms",
        ),
        (
            ("--channel", "none", "--latency-trace", "x"),
            "--channel sets these delays itself: leave out --latency-trace",
        ),
        (("--jitter", 0.5), "--jitter spreads --delay-ms: give a delay above 0"),
        (("--delay-ms", 5, "--jitter", -1), "sigma of a lognormal latency"),
        (("--freeze-at-s", 1), "--freeze-at-s needs --freeze-s"),
        (("--freeze-hz", 1), "--freeze-hz needs --freeze-s"),
        (("--freeze-s", 1), "--freeze-s needs either --freeze-at-s (once)"),
        (
            ("--freeze-s", 1, "--freeze-hz", 1, "--freeze-at-s", 1),
            "--freeze-s needs either",
        ),
        (("--freeze-s", -1, "--freeze-hz", 1), "duration_s of a freeze or an outage"),
        (("--outage-hz", 1), "--outage-hz needs --outage-s: how long nothing gets"),
    ],
)
def test_what_makes_no_sense_is_refused(
    words: tuple[object, ...], message: str
) -> None:
    assert re.search(re.escape(message).replace(r"\.\*", ".*"), refusal(*words))


@pytest.mark.parametrize(
    "words",
    [
        ("--planner-hz", 5),
        ("--delay-ms", 0),
        ("--compute-ms", 5),
        ("--jitter", 1),
        ("--channel", "none"),
        ("--latency-trace", "x"),
        ("--compute-jitter", 1),
        ("--compute-trace", "x"),
        ("--outage-s", 1),
        ("--outage-at-s", 1),
        ("--outage-hz", 1),
        ("--bridge", "rtc"),
        ("--drop", 0.1),
        ("--freeze-s", 1),
        ("--freeze-at-s", 1),
        ("--freeze-hz", 1),
        ("--mailbox", "fifo"),
    ],
    ids=lambda words: words[0],
)
def test_what_has_no_effect_is_refused(words: tuple[object, ...]) -> None:
    assert words[0] in FLAGS.values()
    message = refusal(*words, policies=("random", "hold"))
    assert message.startswith(f"{words[0]} would have no effect, since no plans are")
    assert "made by random, hold" in message


def test_every_flag_is_refused_where_it_has_no_effect() -> None:
    """The table of flags and the arguments are the same."""
    assert sorted(vars(parsed())) == sorted(FLAGS)


def test_a_policy_that_plans_makes_them_useful() -> None:
    assert len(timings("--delay-ms", 5, policies=("random", "expert"))) == 1


def test_view_refuses_what_has_no_effect(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["view", TASK, "--policy", "hold", "--delay-ms", "9"]
    assert main.main([*words, "-o", str(tmp_path / "x.mp4")]) == 2
    assert "error: --delay-ms would have no effect" in capsys.readouterr().err


def test_eval_measures_under_jitter_losses_and_freezes(
    tmp_path: Path, trace_file: Path
) -> None:
    """What was asked for is in the results, in the table and in the report."""
    words = ["eval", TASK, "--policy", "expert", "--level", "L1", "--episodes", "1"]
    words += ["--workers", "1", "--latency-trace", str(trace_file), "--drop", "0.1"]
    words += ["--freeze-s", "1", "--freeze-at-s", "0.5", "--mailbox", "fifo"]
    assert main.main([*words, "-o", str(tmp_path / "eval")]) == 0

    results = read_results(tmp_path / "eval" / "results.json")
    [cell] = results.cells
    assert cell.condition.transport_ms == 120
    assert cell.condition.latency.startswith("trace of 3 delays, ")
    assert cell.condition.freeze == "1 s at 0.5 s"
    assert cell.condition.mailbox == "fifo"
    assert cell.episodes[0].mean_plan_age_s > 0.2

    # The table and the report name each of the conditions.
    table = results_table(results)
    assert f"120 ms ({cell.condition.latency})" in table
    assert "10%, frozen for 1 s at 0.5 s, mailbox fifo" in table
    report = (tmp_path / "eval" / "report.html").read_text()
    assert f"120 ms late ({cell.condition.latency}), 10% of plans lost" in report
    assert "frozen for 1 s at 0.5 s, mailbox fifo" in report


def test_a_film_says_under_which_timing_it_was_made() -> None:
    condition = Condition(
        "expert",
        "L2",
        planner_hz=8,
        transport_ms=100,
        latency="lognormal, sigma 0.4",
        freeze="1 s at 2 s",
    )
    assert plans_sentence(condition, []) == (
        "Plans are 100 ms late (lognormal, sigma 0.4), frozen for 1 s at 2 s."
    )
