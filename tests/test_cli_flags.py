"""No flag is dropped in silence: it has an effect, or is refused."""

from __future__ import annotations

import argparse
from pathlib import Path
from types import SimpleNamespace

import pytest

from embodied.benchmark.timing import Timing
from embodied.cli import bench, main, timing, train
from embodied.errors import EmbodiedError
from tests.commands import QUICKLY, TASK, embodied, refused

PLANS_HZ = {"expert": 8.0, "my run": 8.0, "hold": None, "random": None, "rl": None}
# each flag of the timing, with what else it needs
TIMINGS = {
    "planner_hz": ("--planner-hz", "5"),
    "delay_ms": ("--delay-ms", "100"),
    "compute_ms": ("--compute-ms", "100"),
    "jitter": ("--jitter", "0.5", "--delay-ms", "100"),
    "channel": ("--channel", "cloud-4g"),
    "latency_trace": ("--latency-trace", "trace.txt"),
    "compute_jitter": ("--compute-jitter", "0.5", "--compute-ms", "100"),
    "compute_trace": ("--compute-trace", "trace.txt"),
    "drop": ("--drop", "0.5"),
    "freeze_s": ("--freeze-s", "1", "--freeze-at-s", "2"),
    "freeze_at_s": ("--freeze-s", "1", "--freeze-at-s", "1"),
    "freeze_hz": ("--freeze-s", "1", "--freeze-hz", "0.1"),
    "outage_s": ("--outage-s", "1", "--outage-at-s", "2"),
    "outage_at_s": ("--outage-s", "1", "--outage-at-s", "1"),
    "outage_hz": ("--outage-s", "1", "--outage-hz", "0.1"),
    "mailbox": ("--mailbox", "fifo"),
    "bridge": ("--bridge", "rtc"),
}


@pytest.fixture
def known_policies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Policies of each kind, of which only the rate of their plans matters here."""

    def find(name: str) -> object:
        return SimpleNamespace(planner_hz=PLANS_HZ[name])

    monkeypatch.setattr(timing, "find_policy", find)


def parsed(*words: str) -> argparse.Namespace:
    return main.build_parser(words).parse_args(words)


def test_the_table_has_every_flag() -> None:
    assert TIMINGS.keys() == timing.FLAGS.keys()


@pytest.mark.usefixtures("known_policies")
@pytest.mark.parametrize("verb", ["eval", "view", "collect"])
@pytest.mark.parametrize("name", TIMINGS)
@pytest.mark.parametrize("policy", PLANS_HZ)
def test_timing_has_an_effect_or_is_refused(
    verb: str, name: str, policy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("trace.txt").write_text("100\n200\n")
    args = parsed(verb, TASK, "--policy", policy, "-o", "out", *TIMINGS[name])

    if PLANS_HZ[policy] is None:
        message = f"{timing.FLAGS[name]}.* would have no effect"
        with pytest.raises(EmbodiedError, match=message):
            timing.chosen_timings(args, [policy])
        return
    [chosen] = timing.chosen_timings(args, [policy])
    assert chosen != Timing()
    assert timing.idle_note(args, [policy]) == ""


@pytest.mark.usefixtures("known_policies")
def test_policies_that_do_not_plan_are_named_beside_others() -> None:
    args = parsed("eval", TASK, "--policy", "x", "-o", "out", "--delay-ms", "0", "9")
    note = timing.idle_note(args, ["expert", "hold", "rl"])
    assert note == "--delay-ms: no effect on hold, rl, which makes no plans"


@pytest.mark.usefixtures("known_policies")
@pytest.mark.parametrize(
    "words",
    [
        ("--freeze-s", "0", "--freeze-at-s", "1"),
        ("--freeze-s", "1", "--freeze-hz", "0"),
        ("--freeze-hz", "1"),
        ("--jitter", "0.5"),
        ("--channel", "none", "--delay-ms", "5"),
    ],
)
def test_timings_that_would_do_nothing(words: tuple[str, ...]) -> None:
    args = parsed("eval", TASK, "--policy", "x", "-o", "out", *words)
    with pytest.raises(EmbodiedError):
        timing.chosen_timings(args, ["expert"])


def flags_of(verb: str, title: str) -> dict[str, argparse.Action]:
    """Returns attribute -> action of a group of a verb's arguments."""
    top = main.build_parser([verb])
    verbs = next(a for a in top._actions if isinstance(a.choices, dict))
    groups = verbs.choices[verb]._action_groups  # type: ignore[index]
    [group] = [group for group in groups if (group.title or "").startswith(title)]
    return {action.dest: action for action in group._group_actions}


def test_each_flag_of_reinforcement_learning_is_refused_with_datasets(
    capsys: pytest.CaptureFixture[str],
) -> None:
    flags = flags_of("train", "reinforcement learning")
    assert set(train.ONLY_WITH_ALGO) == flags.keys() - {"algo"}
    for name, action in flags.items():
        if name == "algo":
            continue
        # 0 and "" are values, too
        value = ("cpu",) if action.choices else ("0",)
        words = () if action.nargs == 0 else value
        flag = action.option_strings[0]
        error = refused(capsys, "train", "a.hdf5", "-o", "out", flag, *words)
        assert f"{flag}: only with --algo" in error


@pytest.mark.parametrize(
    ("what", "names"), [("gpu", bench.ONLY_WITH_GPU), ("data", bench.ONLY_WITH_DATA)]
)
def test_each_flag_of_a_kind_of_bench_is_refused_without_it(
    what: str, names: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    flags = flags_of("bench", f"only for `embodied bench {what}`")
    assert set(names) == flags.keys()
    for name, action in flags.items():
        flag = action.option_strings[-1]
        assert action.default is None, name
        assert f"{flag}: only for" in refused(capsys, "bench", TASK, flag, "1")
    assert "--robot: not for" in refused(capsys, "bench", what, "--robot", "arm")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("collect", TASK, "--no-cameras", "--image-size", 32), "--image-size: no eff"),
        (("train", TASK, "--algo", "sac", "--residual", 0.1), "--residual: only with"),
        (("train", TASK, "--algo", "sac", "--delay-ms", 0), "--delay-ms: only with"),
        (
            ("train", TASK, "--algo", "sac", "--base", "hold", "--delay-ms", 9),
            "would have no effect, since hold makes no plans",
        ),
        (
            ("parity", "--task", TASK, "--starts", 0, "--stage", "reach"),
            "--stage: no effect without starts",
        ),
    ],
)
def test_flags_that_need_another(
    words: tuple[object, ...],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in refused(capsys, *words, "-o", "out")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("eval", TASK, "--polcy", "x"), "Did you mean --policy"),
        (("collect", TASK, "-o", "a", "--levle", "L1"), "Did you mean --level"),
        (("eval", "--task", TASK), "TASK has no flag: type its value alone"),
        (("view", TASK, "--task=x"), "TASK has no flag: type its value alone"),
        (("train", TASK, "-o", "a", "--algo", "sacc"), "Did you mean 'sac'"),
        (("collect", TASK, "-o", "a", "--episodes", "two"), "invalid int value: 'two'"),
        (("eval", TASK, "-o", "a", "--resume", "--overwrite"), "not allowed with"),
        (("data",), "required: VERB"),
    ],
)
def test_words_that_do_not_parse_are_one_line(
    words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    error = refused(capsys, *words)
    assert any(part in error for part in message.split("|"))
    assert f"(see `embodied {words[0]} --help`)" in error


POLICY = """
from embodied.policies import policy_from_function
def wrong():
    return policy_from_function(lambda observation, signals: {0})
"""


@pytest.mark.parametrize(
    "action", ["'left'", "None", "[[1, 2]]", "signals['tpc_pos_w']"]
)
@pytest.mark.parametrize("verb", ["eval", "collect"])
def test_what_goes_wrong_later_leaves_no_folder(
    action: str,
    verb: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    name = f"policy_{abs(hash((action, verb)))}"  # a module is imported once
    Path(f"{name}.py").write_text(POLICY.format(action))
    words = (verb, TASK, "--policy", f"{name}:wrong", "--episodes", 1, *QUICKLY)
    refused(capsys, *words, "-o", "new/folder/out")
    assert not Path("new").exists()


def test_folders_that_were_there_stay(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "empty").mkdir()
    place = tmp_path / "empty" / "new" / "out"
    words = ("eval", TASK, "--policy", "hold", "-o", place, "--episodes", 1)
    refused(capsys, *words, "--workers", 0)
    assert (tmp_path / "empty").is_dir()
    assert not any((tmp_path / "empty").iterdir())
    assert embodied("list", "robots") == 0
