"""The demo: how much it does, what it writes, what it replaces, and how long it says it
will take.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from embodied.benchmark.results_file import read_results
from embodied.cli import demo, demo_forecast, demo_stages
from embodied.cli.demo_forecast import Cost, forecast
from embodied.cli.demo_stages import SIZES, Demo, Size
from embodied.envs import worlds
from embodied.envs.registry import get_task
from embodied.rollout.shards import Workers
from tests.commands import QUICKLY, embodied, interrupted

STAGES = ["collect", "train", "evaluate", "film"]


@pytest.fixture
def long_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes that are just long enough for the expert."""
    monkeypatch.setattr(
        worlds, "get_task", lambda name: replace(get_task(name), horizon_s=9.0)
    )


def work(size: Size) -> dict[str, int]:
    """What a demo of this size comes to, stage by stage."""
    cells = len(size.at_rest) + len(size.on_belt) * len(size.delays_ms)
    return {
        "collect": sum(episodes for _, episodes in size.demonstrations),
        "train": size.steps,
        "evaluate": cells * size.episodes,
        "film": len(size.filmed) * size.films,
    }


def test_the_default_demo_is_at_most_a_sixth_of_the_full_one() -> None:
    small = work(SIZES["small"])
    full = work(SIZES["full"])
    for stage in ("collect", "train", "evaluate"):
        assert small[stage] <= full[stage] / 6
    assert small["film"] < full["film"]


def test_the_default_demo_says_how_small_it_is() -> None:
    """The report's sentences hold the figures that the demos really use."""
    small = SIZES["small"]
    full = SIZES["full"]
    for number in (
        f"{small.episodes} episodes in each cell",
        f"{work(small)['collect']} demonstrations",
        f"{small.steps} steps",
        f"{work(full)['collect']} in {full.steps:,} steps",
    ):
        assert number in small.caveat
    assert full.caveat == ""


@pytest.mark.slow
def test_demo(
    grey_pictures: None,
    long_enough: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = tmp_path / "demo"
    words = ("demo", "--quick", "-o", folder, *QUICKLY)
    # Interrupted before it trains, it must go on with the episodes that it has
    # collected.
    with monkeypatch.context() as patch:
        patch.setattr(demo_stages, "imitate", interrupted)
        assert embodied(*words) == 130
    assert (
        f"Continue with: embodied demo --quick -o {folder}" in capsys.readouterr().err
    )
    collected = (folder / "demonstrations-L1.hdf5").stat().st_mtime_ns

    assert embodied(*words, "--resume") == 0
    last_line = capsys.readouterr().out.splitlines()[-1]
    headline = f"{folder}/report.html: The trained policy succeeds in "
    assert last_line.startswith(headline)
    assert (folder / "demonstrations-L1.hdf5").stat().st_mtime_ns == collected

    cells = read_results(folder / "results.json").cells
    assert [cell.label for cell in cells] == [
        "expert",
        "trained",
        "random",
        "expert",
        "expert",
        "trained",
        "trained",
    ]

    # Both clips are in the page, and every stage is marked as finished.
    report = (folder / "report.html").read_text()
    assert "QUICK DEMO" in report
    assert report.count("<video") == 2
    stored = json.loads((folder / "demo.json").read_text())
    assert list(stored["stages"]) == STAGES


def test_demo_replaces_only_a_demo(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "precious").write_text("")
    assert embodied("demo", "-o", tmp_path) == 2
    assert "exists and is no earlier demo" in capsys.readouterr().err

    folder = tmp_path / "new"
    demo.claim(folder, "quick", 0, resume=False)
    (folder / "policy").mkdir()
    (folder / "results.json").write_text("")
    # A file that is not the demo's own survives a new demo in its folder.
    (folder / "notes").write_text("")
    demo.claim(folder, "quick", 0, resume=True)
    assert (folder / "results.json").exists()

    assert embodied("demo", "-o", folder, "--resume") == 2
    assert "holds a demo of size quick, not small" in capsys.readouterr().err

    demo.claim(folder, "small", 0, resume=False)
    assert sorted(path.name for path in folder.iterdir()) == ["demo.json", "notes"]


def test_the_first_line_says_how_long_it_will_take(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    # The stages add up to 121 s.
    seconds = {"collect": 61.0, "train": 30.0, "evaluate": 20.0, "film": 10.0}
    monkeypatch.setattr(demo, "forecast", lambda demo, workers: seconds)

    monkeypatch.setattr(Demo, "run", interrupted)
    assert embodied("demo", "-o", tmp_path / "demo", *QUICKLY) == 130
    assert capsys.readouterr().out.splitlines()[0] == (
        "measuring this machine ... the demo will take about 2 min 1 s on it"
        " (collect 1 min 1 s, train 30 s, evaluate 20 s, film 10 s)"
    )


def test_a_forecast_counts_all_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a machine of known speed, each stage's forecast is its work at that speed."""
    costs: list[int] = []

    # Each job takes a second to start and a tenth of the time that it simulates.
    def cost(work: Any, runner: Any, workers: Workers, episodes: int) -> Cost:
        costs.append(episodes)
        return Cost(job_s=1.0, per_simulated_s=0.1)

    monkeypatch.setattr(demo_forecast, "_cost", cost)
    monkeypatch.setattr(demo_forecast, "_training_s", lambda demo, workers: 7.0)
    small = SIZES["small"]
    seconds = forecast(Demo(tmp_path, small, 16, 0), Workers(1))

    # Policies that fail take the whole horizon, the expert as long as a success takes.
    success_s = demo_forecast.SUCCESS_S
    horizon_s = get_task(demo_stages.TASK).horizon_s
    fails = ("trained", "random")
    cells = [*small.at_rest, *small.on_belt, *small.on_belt]
    lengths = [horizon_s if name in fails else success_s for name in cells]
    assert costs == [60, 20, 20, 2]  # collecting, without and with pictures, filming
    assert seconds == {
        "collect": pytest.approx(1 + 0.1 * 60 * success_s),
        "train": 7.0,
        "evaluate": pytest.approx(len(cells) + 0.1 * 20 * sum(lengths)),
        "film": pytest.approx(1 + 0.1 * (success_s + horizon_s)),
    }


@pytest.mark.slow
def test_a_forecast_is_measured(
    tmp_path: Path, grey_pictures: None, long_enough: None
) -> None:
    with Workers(1) as workers:
        made = forecast(Demo(tmp_path, SIZES["small"], 4, 0), workers)
    assert list(made) == STAGES
    assert all(seconds > 1 for seconds in made.values())
    assert list(tmp_path.iterdir()) == []
