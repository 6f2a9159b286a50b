"""The survey: what it asks, that it goes on where it stopped, and that its page says
what its file holds.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from embodied.benchmark import survey as survey_module
from embodied.benchmark import throughput
from embodied.benchmark.statistics import wilson
from embodied.benchmark.survey import (
    Cost,
    Question,
    Subject,
    Success,
    Survey,
    choose_pairs,
    plan_questions,
)
from embodied.benchmark.survey_file import read_survey, write_survey
from embodied.benchmark.survey_page import survey_page
from embodied.cli import main
from embodied.cli import survey as verb
from embodied.envs.registry import get_task, task_names
from embodied.errors import EmbodiedError
from tests.ground import TOTE_TRANSFER, shorten_horizon

SUBJECT = Subject("Turn", "arm", "code", "abc", {"mujoco": "3.17.0"})
OTHER = replace(SUBJECT, robot="rover")
SUCCESS = Success(
    SUBJECT,
    "L2",
    100,
    wilson(48, 50),
    (4.0, 5.04, 6.0),
    (103, 149),
    {"diverged": 1},
    33.3,
)
COST = Cost(SUBJECT, 21.26, 8, 91.4, 420.0)
SURVEY = Survey(
    (("2026-11-24", "embodied survey"),),
    {"cores": 2, "processor": "P", "system": "S"},
    (COST, SUCCESS),
)
ASKED = Question(SUBJECT, "L2", range(100, 150))


def test_every_task_and_robot_is_asked_about() -> None:
    pairs = choose_pairs(task_names(), None)
    assert pairs == [
        (task, robot) for task in task_names() for robot in get_task(task).robots
    ]
    assert choose_pairs([TOTE_TRANSFER], ["arm"]) == [(TOTE_TRANSFER, "arm")]
    with pytest.raises(EmbodiedError, match="unknown robot for these tasks 'leg'.*arm"):
        choose_pairs([TOTE_TRANSFER], ["leg"])


def test_questions_come_with_the_costs_first() -> None:
    pair = (TOTE_TRANSFER, "arm")
    asked = plan_questions([pair], ["L2", "L4"], range(5, 9))
    assert [(q.subject.pair, q.level) for q in asked] == [
        (pair, None),
        (pair, "L2"),
        (pair, "L4"),
    ]
    assert len(asked[0].subject.model_hash) == 64
    assert asked[0].subject.versions["mujoco"].startswith("3.17.")
    with pytest.raises(EmbodiedError, match="unknown level 'L5'"):
        plan_questions([pair], ["L5"], range(3))


@pytest.mark.parametrize(
    "question",
    [
        replace(ASKED, level="L3"),
        replace(ASKED, seeds=range(100, 151)),
        replace(ASKED, seeds=range(50)),
        replace(ASKED, subject=OTHER),
        replace(ASKED, subject=replace(SUBJECT, model_hash="xyz")),
        replace(ASKED, subject=replace(SUBJECT, code_hash="edited")),
        replace(ASKED, subject=replace(SUBJECT, versions={"mujoco": "3.18.0"})),
        Question(OTHER),
    ],
)
def test_only_the_same_measurement_of_the_same_thing_is_an_answer(
    question: Question,
) -> None:
    assert SURVEY.missing([question]) == [question]
    assert SURVEY.missing([ASKED, Question(SUBJECT)]) == []


def test_an_answer_takes_the_place_of_the_older_one() -> None:
    newer = replace(SUCCESS, subject=replace(SUBJECT, model_hash="xyz"))
    question = replace(ASKED, subject=newer.subject)
    assert SURVEY.with_answer(question, newer).findings == (COST, newer)
    assert SURVEY.with_answer(
        replace(ASKED, level="L3"), replace(SUCCESS, level="L3")
    ).findings[:2] == (COST, SUCCESS)
    assert SURVEY.without([Question(SUBJECT)]).findings == (SUCCESS,)


def test_a_survey_survives_its_file(tmp_path: Path) -> None:
    nothing = replace(SUCCESS, subject=OTHER, rate=wilson(0, 50), quartiles_s=None)
    whole = replace(SURVEY, findings=(SUCCESS, nothing, COST))
    write_survey(tmp_path / "x.json", whole)
    assert read_survey(tmp_path / "x.json") == whole
    assert json.loads((tmp_path / "x.json").read_text())["successes"][0][
        "failed_seeds"
    ] == [103, 149]
    for text in (
        "",
        "[]",
        "{}",
        json.dumps({"format": "embodied-survey", "schema_version": 0}),
    ):
        (tmp_path / "bad.json").write_text(text)
        with pytest.raises(
            EmbodiedError, match=r"bad\.json is no survey that this version reads"
        ):
            read_survey(tmp_path / "bad.json")


def test_the_page_says_what_the_survey_holds() -> None:
    rover = replace(SUCCESS, subject=OTHER, level="L4", quartiles_s=None)
    page = survey_page(
        replace(SURVEY, findings=(COST, rover, SUCCESS)),
        [SUBJECT.pair, OTHER.pair],
        "ground.json",
    )
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
        replace(SURVEY, findings=(SUCCESS, longer)), [SUBJECT.pair], "x.json"
    )
    assert "96% (87–99%) of 50 | 100.0% (98.1–100.0%) of 200" in page  # noqa: RUF001
    assert "What each task costs" not in page


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes of 3 s, costs of next to nothing."""
    shorten_horizon(monkeypatch, 3.0)
    monkeypatch.setattr(throughput, "REPEATS", 1)
    monkeypatch.setattr(throughput, "STEPS", {16: 2})
    monkeypatch.setattr(throughput, "STILL_S", 0.1)


@pytest.mark.usefixtures("quick")
def test_a_survey_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    page = tmp_path / "pages" / "ground.md"
    words = [
        "survey",
        "--task",
        TOTE_TRANSFER,
        "--robot",
        "arm",
        "--level",
        "L1",
        "L2",
        "--episodes",
        "2",
    ]
    words += ["--workers", "1", "-o", str(page)]
    with monkeypatch.context() as patch:
        patch.setattr(verb, "measure_success", interrupted)
        assert main.main(words) == 130
    assert "Go on with: embodied survey --task ToteTransfer" in capsys.readouterr().err
    cost = read_survey(page.with_suffix(".json")).findings
    assert [type(finding) for finding in cost] == [Cost]
    assert cost[0].step_us > 0
    assert cost[0].frames_per_s > 0
    assert main.main(words) == 2
    assert "exists: --resume" in capsys.readouterr().err
    assert main.main([*words, "--resume", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert [(row["level"], row["failed_seeds"]) for row in said["successes"]] == [
        ("L1", [10_000, 10_001]),
        ("L2", [10_000, 10_001]),
    ]  # nobody is done after 3 s
    found = read_survey(page.with_suffix(".json"))
    assert cost[0] in found.findings
    assert [command for _, command in found.commands] == [f"embodied {' '.join(words)}"]
    before = page.read_text()
    assert "0% (0–66%)" in before  # noqa: RUF001
    with monkeypatch.context() as patch:
        patch.setattr(verb, "measure_success", interrupted)
        assert main.main([*words, "--resume"]) == 0  # there is nothing left to do
        assert main.main([*words, "--level", "L2", "--no-costs", "--overwrite"]) == 130
    assert page.read_text() == before  # until the new figure is there


def interrupted(*args: object, **kwargs: object) -> None:
    raise KeyboardInterrupt


def test_the_page_is_no_json_file(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["survey", "-o", "ground.json"]) == 2
    assert "must not end in .json" in capsys.readouterr().err


def test_costs_are_those_of_the_bench(monkeypatch: pytest.MonkeyPatch) -> None:
    def figure(name: str, value: float) -> throughput.Figure:
        return throughput.Figure(name, "", value, value, value)

    monkeypatch.setattr(
        survey_module,
        "physics",
        lambda config: iter([figure("step", 20.0), figure("contacts", 7.0)]),
    )
    monkeypatch.setattr(
        survey_module,
        "stepping",
        lambda config, num: iter(
            [figure("a", 1), figure("b", 2), figure("c", 90 + num)]
        ),
    )
    monkeypatch.setattr(survey_module, "frames", lambda config: figure("frames", 400.0))
    subject = Subject.now(TOTE_TRANSFER, "arm")
    assert survey_module.measure_cost(Question(subject)) == Cost(
        subject, 20.0, 7, 106.0, 400.0
    )
