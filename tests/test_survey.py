"""The survey: what it asks, that it goes on where it stopped, and that its page says
what its file holds.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from embodied.benchmark import throughput
from embodied.benchmark.statistics import wilson
from embodied.cli import main
from embodied.cli import survey as verb
from embodied.envs.registry import get_task, robots_for, task_names
from embodied.errors import EmbodiedError
from embodied.pages import survey as survey_module
from embodied.pages.gallery import FilmPlan
from embodied.pages.ledger import Command, Ledger
from embodied.pages.subject import Subject, choose_pairs
from embodied.pages.survey import (
    ExpertSuccess,
    SurveyQuestion,
    TaskCost,
    plan_survey,
)
from embodied.pages.survey_page import survey_book, survey_page
from tests.ground import TOTE_TRANSFER, shorten_horizon
from tests.six_arm import write_six

DOCS = Path(__file__).parents[1] / "docs"
SUBJECT = Subject("Turn", "arm", "code", "abc", {"mujoco": "3.17.0"})
OTHER = replace(SUBJECT, robot="rover")
SUCCESS = ExpertSuccess(
    subject=SUBJECT,
    level="L2",
    first_seed=100,
    rate=wilson(48, 50),
    quartiles_s=(4.0, 5.04, 6.0),
    failed_seeds=(103, 149),
    faults={"diverged": 1},
    real_time_factor=33.3,
)
COST = TaskCost(
    SUBJECT, step_us=21.26, contacts=8, real_time_factor=91.4, frames_per_s=420.0
)
SURVEY = Ledger(
    (Command("2026-11-24", "embodied survey"),),
    {"cpu": {"cores": 2, "processor": "P", "system": "S"}},
    (COST, SUCCESS),
)
QUESTION = SurveyQuestion(SUBJECT, "L2", range(100, 150))


def test_every_task_and_robot_is_asked_about() -> None:
    pairs = choose_pairs(task_names(), None)
    assert pairs == [
        (task, robot) for task in task_names() for robot in robots_for(get_task(task))
    ]
    assert choose_pairs([TOTE_TRANSFER], ["arm"]) == [(TOTE_TRANSFER, "arm")]
    with pytest.raises(EmbodiedError, match="unknown robot 'leg'.*arm"):
        choose_pairs([TOTE_TRANSFER], ["leg"])
    with pytest.raises(EmbodiedError, match="arm fits none .* GaugeCheck it lacks"):
        choose_pairs(["GaugeCheck"], ["arm"])


def test_a_description_is_asked_about_where_it_fits(tmp_path: Path) -> None:
    six = str(write_six(tmp_path))
    assert choose_pairs([TOTE_TRANSFER, "GaugeCheck"], [six]) == [(TOTE_TRANSFER, six)]
    assert FilmPlan(TOTE_TRANSFER, six, "L1", 0).name == f"{TOTE_TRANSFER}_six"


def test_questions_come_with_the_costs_first() -> None:
    pair = (TOTE_TRANSFER, "arm")
    questions = plan_survey([pair], ["L2", "L4"], range(5, 9))
    assert [(q.subject.pair, q.level) for q in questions] == [
        (pair, None),
        (pair, "L2"),
        (pair, "L4"),
    ]
    assert len(questions[0].subject.model_hash) == 64
    assert questions[0].subject.versions["mujoco"].startswith("3.17.")
    with pytest.raises(EmbodiedError, match="unknown level 'L5'"):
        plan_survey([pair], ["L5"], range(3))


@pytest.mark.parametrize(
    "question",
    [
        replace(QUESTION, level="L3"),
        replace(QUESTION, seeds=range(100, 151)),
        replace(QUESTION, seeds=range(50)),
        replace(QUESTION, subject=OTHER),
        replace(QUESTION, subject=replace(SUBJECT, model_hash="xyz")),
        replace(QUESTION, subject=replace(SUBJECT, code_hash="edited")),
        replace(QUESTION, subject=replace(SUBJECT, versions={"mujoco": "3.18.0"})),
        SurveyQuestion(OTHER),
    ],
)
def test_only_the_same_measurement_of_the_same_thing_is_an_answer(
    question: SurveyQuestion,
) -> None:
    assert SURVEY.missing([question]) == [question]
    assert SURVEY.missing([QUESTION, SurveyQuestion(SUBJECT)]) == []


def test_an_answer_takes_the_place_of_the_older_one() -> None:
    newer = replace(SUCCESS, subject=replace(SUBJECT, model_hash="xyz"))
    assert SURVEY.with_row(newer).rows == (COST, newer)

    other_level = replace(SUCCESS, level="L3")
    assert SURVEY.with_row(other_level).rows == (COST, SUCCESS, other_level)
    assert SURVEY.without([SurveyQuestion(SUBJECT)]).rows == (SUCCESS,)


def test_a_survey_survives_its_file(tmp_path: Path) -> None:
    nothing = replace(SUCCESS, subject=OTHER, rate=wilson(0, 50), quartiles_s=None)
    whole = replace(SURVEY, rows=(SUCCESS, nothing, COST))
    book = survey_book(tmp_path / "x.md")
    book.write(whole)
    assert book.read() == whole
    rows = json.loads(book.figures.read_text())["rows"]
    assert rows[0]["failed_seeds"] == [103, 149]


def test_the_page_says_what_the_survey_holds() -> None:
    rover = replace(SUCCESS, subject=OTHER, level="L4", quartiles_s=None)
    page = survey_page(
        replace(SURVEY, rows=(COST, rover, SUCCESS)),
        [SUBJECT.pair, OTHER.pair],
        "ground.json",
    )

    # The table of successes, then that of costs, then how they were measured.
    assert "| task | robot | L2 | L4 | time, s |" in page
    assert "| Turn | arm | 96% (87–99%) |  | 5.0 (4.0 to 6.0) |" in page  # noqa: RUF001
    assert "| Turn | rover |  | 96% (87–99%) |  |" in page  # noqa: RUF001
    assert "| Turn | arm | 21.3 us | 8 | 91 x | 420 | 33 x |" in page
    assert "50 episodes each, seeds 100 to 149" in page
    assert "embodied survey  # 2026-11-24" in page
    assert "mujoco 3.17.0. 2 cores of P, S." in page
    assert "ground.json" in page


def test_cells_of_different_sizes_say_theirs() -> None:
    longer = replace(SUCCESS, level="L3", rate=wilson(200, 200))
    page = survey_page(
        replace(SURVEY, rows=(SUCCESS, longer)), [SUBJECT.pair], "x.json"
    )
    assert "96% (87–99%) of 50 | 100.0% (98.1–100.0%) of 200" in page  # noqa: RUF001
    assert "What each task costs" not in page


def test_the_page_in_docs_is_what_its_figures_say() -> None:
    ledger = survey_book(DOCS / "ground.md").read()
    pairs = choose_pairs(task_names(), None)
    page = survey_page(ledger, pairs, "ground.json")
    assert (DOCS / "ground.md").read_text() == page


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes of 3 s, costs of next to nothing."""
    shorten_horizon(monkeypatch, 3.0)
    monkeypatch.setattr(throughput, "REPEATS", 1)
    monkeypatch.setattr(throughput, "STEPS", {16: 2})
    monkeypatch.setattr(throughput, "SETTLING_S", 0.1)


@pytest.mark.usefixtures("quick")
@pytest.mark.slow
def test_a_survey_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "pages" / "ground.md"
    book = survey_book(page)
    words = ["survey", "--task", TOTE_TRANSFER, "--robot", "arm"]
    words += ["--level", "L1", "L2", "--episodes", "2", "--workers", "1"]
    words += ["-o", str(page)]

    # interrupted after the cost
    with monkeypatch.context() as patch:
        patch.setattr(verb, "measure_success", interrupted)
        assert main.main(words) == 130
    assert (
        "Continue with: embodied survey --task ToteTransfer" in capsys.readouterr().err
    )
    (cost,) = book.read().rows
    assert isinstance(cost, TaskCost)
    assert cost.step_us > 0
    assert cost.frames_per_s > 0

    # gone on with
    assert main.main(words) == 2
    assert "exists: --resume" in capsys.readouterr().err
    assert main.main([*words, "--resume", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    successes = [row for row in rows if row["kind"] == "success"]
    # nobody succeeds within 3 s
    assert [(row["level"], row["failed_seeds"]) for row in successes] == [
        ("L1", [10_000, 10_001]),
        ("L2", [10_000, 10_001]),
    ]
    ledger = book.read()
    assert cost in ledger.rows
    lines = [command.line for command in ledger.commands]
    assert lines == [f"embodied {' '.join(words)}"]

    # interrupted again: the page stays until the new figure is there
    before = page.read_text()
    assert "0% (0–66%)" in before  # noqa: RUF001
    with monkeypatch.context() as patch:
        patch.setattr(verb, "measure_success", interrupted)
        assert main.main([*words, "--resume"]) == 0  # there is nothing left to measure
        assert main.main([*words, "--level", "L2", "--no-costs", "--overwrite"]) == 130
        assert page.read_text() == before

        # the costs alone are measured anew, and success stays
        assert main.main([*words, "--only-costs", "--overwrite"]) == 0
    (new_cost,) = (row for row in book.read().rows if isinstance(row, TaskCost))
    assert new_cost != cost
    assert len(book.read().rows) == len(ledger.rows)


def interrupted(*args: object, **kwargs: object) -> None:
    raise KeyboardInterrupt


def test_the_page_is_no_json_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["survey", "-o", "ground.json"]) == 2
    assert "must not end in .json" in capsys.readouterr().err


def test_costs_are_those_of_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    # Figures that can be told apart, in the order in which the bench gives them.
    def figure(name: str, value: float) -> throughput.Figure:
        return throughput.Figure(name, "", value, value, value)

    def physics(config: object) -> Iterator[throughput.Figure]:
        yield figure("step", 20.0)
        yield figure("contacts", 7.0)

    def stepping(config: object, num: int) -> throughput.SteppingFigures:
        return throughput.SteppingFigures(
            beside_physics=figure("a", 1),
            over_physics=figure("b", 2),
            speed=figure("c", 90 + num),
        )

    monkeypatch.setattr(survey_module, "measure_physics", physics)
    monkeypatch.setattr(survey_module, "measure_stepping", stepping)
    monkeypatch.setattr(
        survey_module, "measure_frames", lambda config: figure("frames", 400.0)
    )
    subject = Subject.now(TOTE_TRANSFER, "arm")
    cost = survey_module.measure_cost(SurveyQuestion(subject))
    assert cost == TaskCost(subject, 20.0, 7, 106.0, 400.0)
