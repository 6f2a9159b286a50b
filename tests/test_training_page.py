"""The figures of a training: documented, drawn, and read."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from embodied.benchmark.training_page import (
    curves,
    training_page,
    write_training_page,
)
from embodied.benchmark.training_reading import MEASURED, advice, comparable_trainings
from embodied.cli import train_summary
from embodied.policies.pretrained import shipped_runs
from embodied.policies.run_folder import CURVES, HISTORY, read_history
from embodied.policies.training.budget import Budget
from embodied.policies.training.figures import FIGURES, IMITATION, REINFORCEMENT
from tests.training import make_learner, make_run

DOCS = Path(__file__).parents[1] / "docs" / "training.md"
INFO: dict[str, Any] = {"task": "T", "robot": "arm", "finished": True}


def rows(count: int = 5, **last: float) -> list[dict[str, float]]:
    """Rows of imitation in which losses fall; `last` changes the last row."""
    history = []
    for k in range(1, count + 1):
        history.append(
            {
                "share": k / count,
                "seconds": 10.0 * k,
                "processor_s": 9.0 * k,
                "steps": 100.0 * k,
                "train_loss": 3.0 / k,
                "valid_loss": 3.3 / k,
                "valid_action_loss": 0.3 / k,
                "goal_error_mm": 100.0 / k,
                "goal_error_p90_mm": 200.0 / k,
                "subtask_accuracy": 1 - 0.5 / k,
                "passes": 2.0 * k,
            }
        )
    history[-1].update(last)
    return history


def learning(*points: tuple[float, float]) -> list[dict[str, float]]:
    """Rows of reinforcement learning with these successes and progresses."""
    return [
        {"share": 0.1, "seconds": k, "steps": 16.0 * k, "success": s, "progress": p}
        for k, (s, p) in enumerate(points, start=1)
    ]


def test_every_column_is_explained_in_the_docs(tmp_path: Path) -> None:
    run = make_run(tmp_path, make_learner(), steps=4)
    run.train()
    assert set(run.history[-1]) == set(FIGURES) - set(REINFORCEMENT)
    assert set(rows()[0]) == set(run.history[-1])

    text = DOCS.read_text()
    for name, figure in FIGURES.items():
        assert f"| `{name}` | {figure.unit} |".replace("  ", " ") in text, name


def test_the_docs_hold_the_trainings_that_the_code_compares_with() -> None:
    text = DOCS.read_text()
    for one in MEASURED:
        row = (
            f"| {one.task} {one.level} | {one.demonstrations} | {one.steps} "
            f"| {one.valid_loss:.2f} | {one.gap:.2f} | {one.goal_error_mm:.0f} "
            f"| {one.goal_error_p90_mm:.0f} | {one.subtask_accuracy:.0%} "
            f"| {one.success} |"
        )
        assert row in text


@pytest.mark.parametrize("run", shipped_runs(), ids=lambda run: run.name)
def test_the_figures_of_what_ships_are_those_that_runs_are_compared_with(
    run: Path,
) -> None:
    last = read_history(run)[-1]
    one = comparable_trainings(run.name.split("-")[0])[0]
    assert last["steps"] == one.steps
    assert last["valid_loss"] == pytest.approx(one.valid_loss, abs=0.005)
    assert last["valid_loss"] / last["train_loss"] == pytest.approx(one.gap, abs=0.005)
    assert last["goal_error_mm"] == pytest.approx(one.goal_error_mm, abs=0.5)


def test_each_figure_is_drawn_once_over_all_steps() -> None:
    drawn = curves(rows())
    assert [len(one.legend) for one in drawn] == [2, 0, 2, 0]
    text = " ".join(str(one.chart) for one in drawn)
    for title in ("Loss", "Action loss", "Goal error (mm)", "Subtask accuracy"):
        assert f">{title}</text>" in text
    # 0 to 100% whatever the values, as a share is
    assert ">100%</text>" in str(drawn[-1].chart)
    assert text.count("<polyline") == 6

    # Figures that nobody has explained are drawn, too; those that are not there are not.
    odd = curves([{**row, "new_thing": 1.0} for row in learning((0, 0), (1, 1))])
    assert [one.legend for one in odd] == [(), (), ()]
    assert "new thing" in str(odd[-1].chart)


def test_a_page_is_alone_and_its_words_are_only_words(tmp_path: Path) -> None:
    page = training_page("<script>", {**INFO, "task": "<b>"}, rows())
    assert "<script>" not in page
    assert "&lt;script&gt; after 500 steps in 50.0 s" in page
    assert "src=" not in page
    assert "unfinished" not in page
    assert "unfinished" in training_page("run", {**INFO, "finished": False}, rows())

    # In a run folder, of which nothing but the page changes; again over the old one.
    make_run(tmp_path, make_learner(), steps=2).train()
    before = sorted(path.name for path in tmp_path.iterdir())
    for _ in range(2):
        assert write_training_page(tmp_path) == tmp_path / CURVES
    after = sorted(path.name for path in tmp_path.iterdir())
    assert after == sorted([*before, CURVES])

    # There is nothing to draw before the first row.
    (tmp_path / HISTORY).write_text("[]")
    assert write_training_page(tmp_path) is None
    assert train_summary.draw(tmp_path / "nothing") is None


def test_a_history_of_version_0_1_reads_alike(tmp_path: Path) -> None:
    old = [{"step": row.pop("steps"), **row} for row in rows()]
    (tmp_path / HISTORY).write_text(json.dumps(old))
    assert [row["steps"] for row in read_history(tmp_path)] == [100, 200, 300, 400, 500]


@pytest.mark.parametrize(
    ("history", "message"),
    [
        (rows(train_loss=0.3), "2.20 times the training loss.*More demonstrations"),
        (rows(passes=0.4, train_loss=0.3), "only 40% .* seen yet.*more time"),
        (rows(passes=1.6), "seen 1.6 times only.*more time .--resume --minutes 4"),
        (rows(), "both more demonstrations and more time"),
        (learning((0.0, 0.1), (0.3, 0.5), (0.98, 0.99)), "98% .*it is learned"),
        (learning((0.0, 0.1), (0.1, 0.3), (0.4, 0.6)), "still grows: more time"),
        (learning((0.0, 0.1), (0.3, 0.5), (0.3, 0.5)), "stands still: try more time"),
        (learning((0.0, 0.1), (0.0, 0.1), (0.0, 0.1)), "an easier stage .--stage"),
    ],
)
def test_advice_follows_from_the_figures(
    history: list[dict[str, float]], message: str
) -> None:
    assert re.search(message, advice(history, "--minutes 4"))


def test_no_advice_without_figures_and_none_of_passes_that_nobody_counted() -> None:
    assert advice([]) == ""
    old = rows()
    del old[-1]["passes"]
    assert "more demonstrations and more time" in advice(old)
    assert "often enough" not in advice(old)


def test_what_training_ends_with(tmp_path: Path) -> None:
    make_run(tmp_path, make_learner(), steps=4).train()
    text = train_summary.as_text(tmp_path, Budget(max_steps=4), "six.toml")
    lines = text.splitlines()
    assert "this one" in text
    assert len(lines) == 1 + 2 + len(MEASURED) + 3  # another task: all are a hint
    assert f"curves: {tmp_path / CURVES}" in lines
    assert f"--policy {tmp_path}" in lines[-1]
    assert lines[-1].endswith("--robot six.toml")

    content = train_summary.as_json(tmp_path, Budget(max_steps=4))
    assert content["steps"] == 4
    assert content["advice"] in text
    assert set(IMITATION) < set(content)
