"""`embodied view` and `embodied bench`: what they show, at which pace."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import av
import pytest

from embodied.benchmark import throughput
from embodied.cli import view
from tests.commands import TASK, embodied, refused

pytestmark = pytest.mark.usefixtures("few_threads")


def test_view_makes_a_video(
    grey_pictures: None,
    short: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    # A machine without a display: a video is written in place of a window.
    for display in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(display, raising=False)
    words = ("view", TASK, "--policy", "hold", "--level", "L1")
    video_path = "runs/view/ToteTransfer.mp4"
    assert embodied(*words) == 0
    assert embodied(*words) == 0  # it is only to be looked at
    output = capsys.readouterr().out
    assert f"{video_path}\nseed 0: time out at 3.0 s, " in output

    # 3.0 s of episode, and the last frame held for 1.5 s.
    with av.open(video_path) as video:
        assert video.duration / av.time_base == pytest.approx(4.5, abs=0.2)
    assert "exists" in refused(capsys, *words, "-o", video_path)
    for name in ("picture.png", "loop.gif", "video"):
        assert f"{name} must end in .mp4" in refused(capsys, *words, "-o", name)


def test_view_in_a_window(
    short: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shown: list[float] = []
    slept: list[float] = []
    # A clock that only sleeping advances makes the test quick and exact.
    window = SimpleNamespace(is_open=True, show=lambda: shown.append(sum(slept)))
    monkeypatch.setattr(view, "has_display", lambda: True)
    monkeypatch.setattr(view, "Window", lambda engine: window)
    monkeypatch.setattr(view.time, "sleep", slept.append)
    monkeypatch.setattr(view.time, "monotonic", lambda: sum(slept))

    words = ("view", TASK, "--policy", "expert", "--level", "L1", "--episodes", 2)
    assert embodied(*words) == 0
    assert len(shown) == pytest.approx(2 * 3.0 * view.WINDOW_HZ, abs=2)
    assert shown[-1] == pytest.approx(2 * 3.0, abs=0.1)  # at real time
    assert "seed 1: time out at 3.0 s" in capsys.readouterr().out


@pytest.mark.slow
def test_bench(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    # As little effort as gives a figure in each row.
    monkeypatch.setattr(throughput, "REPEATS", 1)
    monkeypatch.setattr(throughput, "RECORDINGS", 1)
    monkeypatch.setattr(throughput, "STEPS", {1: 2, 16: 2, 64: 2})
    assert embodied("bench", "--episodes", 1, "--json") == 0

    rows = json.loads(capsys.readouterr().out)["figures"]
    medians = {row["name"]: row["median"] for row in rows}

    # Neither figure depends on the machine's speed.
    assert medians["contacts at rest"] <= 30
    assert medians["env.step over physics at 20 Hz, 64 worlds"] > 1
    assert all(median > 0 for median in medians.values())
