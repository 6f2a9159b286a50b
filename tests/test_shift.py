"""Shifts: how long they last, and the mean time between failures."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from embodied.benchmark.shift import (
    Shift,
    between_failures_text,
    parse_shift,
    time_between_failures,
)
from embodied.cli.main import main
from embodied.errors import EmbodiedError
from tests.episode_results import episode_result


@pytest.mark.parametrize(
    ("text", "length_s"), [("1h", 3600), ("90min", 5400), ("0.5h", 1800), ("600s", 600)]
)
def test_times(text: str, length_s: float) -> None:
    assert parse_shift(text) == Shift(length_s)


@pytest.mark.parametrize(
    "text", ["", "1", "h", "0h", "-1h", "25h", "1 h", "1e9s", "nan"]
)
def test_no_times(text: str) -> None:
    with pytest.raises(EmbodiedError, match="such as 1h, 90min or 600s"):
        parse_shift(text)


def test_a_shift_is_over_when_episodes_fill_it() -> None:
    shift = Shift(60.0)
    episodes = [episode_result(k) for k in range(20)]  # 5 s each
    assert not shift.is_met(episodes[:11])
    assert shift.is_met(episodes[:12])
    assert shift.description == "until a shift of 1 min was over"
    assert shift.most_episodes == 60
    assert shift.forecast(episodes[:3]) == 12


def test_time_between_failures() -> None:
    episodes = [episode_result(k, success=k % 10 > 0) for k in range(40)]  # 200 s
    found = time_between_failures(episodes)
    assert (found.mean_s, found.failures) == (50, 4)
    # chi-squared: 10 degrees of freedom below, 8 above
    assert found.low_s == pytest.approx(400 / 20.483, rel=1e-4)
    assert found.high_s == pytest.approx(400 / 2.1797, rel=1e-4)
    assert between_failures_text(found) == "50 s (19.5 s to 3.06 min)"

    none = time_between_failures(episodes[1:10])
    assert (none.mean_s, none.high_s) == (None, None)
    assert none.low_s == pytest.approx(45 / -math.log(0.025))
    assert between_failures_text(none) == "no failure, at least 12.2 s"


def test_its_interval_covers_the_truth() -> None:
    """Failures at a constant rate, watched for a fixed time: at least 95%."""
    rng = np.random.default_rng(0)
    covered = 0
    for failures in rng.poisson(200 / 40, 1000):
        episodes = [episode_result(k, success=k >= failures) for k in range(40)]
        found = time_between_failures(episodes)
        covered += found.low_s <= 40 <= (found.high_s or math.inf)
    assert covered >= 940


@pytest.mark.slow
def test_the_command_fills_a_shift(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = "eval PanelReset --policy expert --level L1 --shift 20s --workers 1"
    assert main([*words.split(), "-o", str(tmp_path)]) == 0
    line = next(x for x in capsys.readouterr().out.splitlines() if "episodes in" in x)
    assert (
        "each from a reset of the robot; 0 failed, between failures no failure" in line
    )

    cell = json.loads((tmp_path / "results.json").read_text())["cells"][0]
    assert cell["rule"] == "until a shift of 20 s was over"
    total_s = sum(episode["duration_s"] for episode in cell["episodes"])
    assert 20 <= total_s < 60
    assert len(cell["episodes"]) % 10 == 0
    assert cell["summary"]["energy_j"]["median"] > 0
    assert "Time between" in (tmp_path / "report.html").read_text()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--shift soon", "--shift must be a time"),
        ("--shift 1h --episodes 5", "--episodes: --shift measures as many"),
        ("--shift 1h --shard 1/2", "leave out --until, --against and --shift"),
        ("--shift 1h --until 0.1", "not allowed with"),
    ],
)
def test_what_does_not_go_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], flags: str, message: str
) -> None:
    words = f"eval PanelReset --policy expert {flags} -o {tmp_path / 'new'}"
    try:
        status = main(words.split())
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
