"""Suites: their versions are what they were, each cell exists, and results follow the
protocol.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from embodied.benchmark import suite as suite_module
from embodied.benchmark.results_file import read_results
from embodied.benchmark.suite import FOLDER, Suite, cells_at, find_suite, suite_names
from embodied.benchmark.suite_plan import plan_suite
from embodied.envs.models import choose_robot
from embodied.envs.registry import get_task
from embodied.errors import EmbodiedError
from tests.commands import QUICKLY, embodied, refused

VERSIONS = json.loads((FOLDER / "versions.json").read_text())
TINY = """
name = "tiny"
version = 3
summary = "a cell of each kind"

[protocol]
episodes = 2
first_seed = 10000
success = "at the end"
rates = "the policy's own"

[protocol.horizon_s]
"PanelReset arm" = 15
"ValveTurn arm" = 20

[[cells]]
tasks = ["PanelReset", "ValveTurn"]
robots = ["arm"]
levels = ["L2"]
splits = ["train"]
class = "basic"
dimensions = ["execution"]

[[cells]]
tasks = ["PanelReset"]
robots = ["arm"]
levels = ["L2"]
splits = ["train"]
timings = [{ drop = 0.3 }, { freeze_s = 1.0, freeze_hz = 0.1 }]
class = "closed loop"
dimensions = ["decision"]
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small suite of one's own, in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = Path("tiny.toml")
    path.write_text(TINY)
    return path


def test_there_are_the_suites_that_the_pages_name() -> None:
    domains = {"handling", "inspection", "household", "ground"}
    sweeps = {"generalisation", "latency", "levels", "embodiment"}
    assert set(suite_names()) == domains | sweeps == set(VERSIONS)


@pytest.mark.parametrize("name", suite_names())
def test_a_version_is_what_it_was(name: str) -> None:
    """Whoever changes a suite's content gives it a new version, and adds its hash."""
    suite = find_suite(name)
    assert suite.name == name
    assert len(VERSIONS[name]) == suite.version
    assert VERSIONS[name][-1] == suite.hash
    assert len(set(VERSIONS[name])) == suite.version


@pytest.mark.parametrize("name", suite_names())
def test_each_cell_is_there_to_be_measured(name: str) -> None:
    suite = find_suite(name)
    cells = [repr(cell) for cell in suite.cells]
    assert len(set(cells)) == len(cells)
    for cell in suite.cells:
        task = get_task(cell.task)
        robot = choose_robot(task, cell.robot)
        horizon_s = suite.protocol["horizon_s"][f"{cell.task} {cell.robot}"]
        assert horizon_s == task.horizon_for(robot)

        # a factor that holds nothing out would measure the training split again
        if cell.split not in ("train", "all"):
            factors = {variable.factor for variable in task.table}
            assert cell.split in factors


def test_any_change_but_that_of_the_summary_is_another_suite(tiny: Path) -> None:
    suite = find_suite(str(tiny))

    def hash_with(old: str, new: str) -> str:
        assert old in TINY
        content = tomllib.loads(TINY.replace(old, new, 1))
        return suite_module._checked_suite(content, "x").hash

    assert hash_with("a cell of each kind", "other words") == suite.hash
    changes = [
        ("episodes = 2", "episodes = 3"),
        ("first_seed = 10000", "first_seed = 0"),
        ('"ValveTurn arm" = 20', '"ValveTurn arm" = 21'),
        ('levels = ["L2"]', 'levels = ["L3"]'),
        ("drop = 0.3", "drop = 0.2"),
        ('["execution"]', '["perception"]'),
        ("version = 3", "version = 4"),
    ]
    hashes = {hash_with(*change) for change in changes}
    assert len(hashes | {suite.hash}) == len(changes) + 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('levels = ["L2"]', 'levels = ["L9"]', r"cells\[0\]: unknown level 'L9'"),
        ('["train"]', '["colour"]', r"cells\[0\]: unknown split 'colour'"),
        ('"basic"', '"clever"', r"cells\[0\]: unknown class 'clever'"),
        ('["decision"]', '["luck"]', r"cells\[1\]: unknown dimension 'luck'"),
        ("{ drop = 0.3 }", "{ delay = 3 }", r"cells\[1\]: unknown timing 'delay'"),
        ("episodes = 2", 'episodes = "two"', "episodes must be a whole number"),
        ('"at the end"', '"once"', "success can only be 'at the end'"),
        ('class = "basic"', "", r"cells\[0\]: expected the keys"),
        ('name = "tiny"', "", r"tiny\.toml: expected the keys"),
        ("[protocol]", "[protocol", "cannot be read as a suite"),
    ],
)
def test_a_wrong_suite_is_refused_in_a_line(
    tiny: Path, old: str, new: str, message: str
) -> None:
    tiny.write_text(TINY.replace(old, new, 1))
    with pytest.raises(EmbodiedError, match=message) as caught:
        find_suite(str(tiny))
    assert "\n" not in str(caught.value).partition(" (at line")[0]


def test_an_unknown_suite_says_what_there_is() -> None:
    with pytest.raises(EmbodiedError, match=r"'handlin'.*'handling'.*or FILE\.toml"):
        find_suite("handlin")


def trials_of(suite: Suite, *policies: str) -> list[tuple[str, str, float, str]]:
    trials = plan_suite(suite, suite.cells, policies, suite.seeds, 4)
    found = []
    for trial in trials:
        condition = trial.condition
        found.append(
            (condition.policy, condition.task, condition.drop_rate, condition.freeze)
        )
        assert condition.seeds == suite.seeds
        assert trial.runner.config.horizon_s is None
    return found


def test_a_policy_that_makes_no_plans_has_no_cell_with_late_ones(tiny: Path) -> None:
    suite = find_suite(str(tiny))
    planned = trials_of(suite, "expert", "hold")
    assert [p for p in planned if p[0] == "hold"] == [
        ("hold", "PanelReset", 0.0, ""),
        ("hold", "ValveTurn", 0.0, ""),
    ]
    assert [
        (drop, freeze) for _, task, drop, freeze in planned[:4] if task == "PanelReset"
    ] == [
        (0.0, ""),
        (0.3, ""),
        (0.0, "1 s, 0.1 times per second"),
    ]


def test_a_part_of_a_suite_is_one_task_or_robot() -> None:
    suite = find_suite("handling")
    cells = cells_at(suite, "ParcelSort", "arm")
    assert {(cell.task, cell.robot) for cell in cells} == {("ParcelSort", "arm")}
    others = [cell for cell in suite.cells if cell not in cells]
    assert ("ParcelSort", "arm") not in {(cell.task, cell.robot) for cell in others}
    with pytest.raises(EmbodiedError, match="unknown task of the suite handling"):
        cells_at(suite, "ValveTurn")


def test_a_task_that_has_changed_is_no_longer_of_the_suite(tiny: Path) -> None:
    suite = find_suite(str(tiny))
    protocol = {**suite.protocol, "horizon_s": {"PanelReset arm": 99}}
    with pytest.raises(
        EmbodiedError, match="gives PanelReset with arm 99 s, but .* 15 s"
    ):
        trials_of(replace(suite, protocol=protocol), "hold")


@pytest.mark.slow
def test_a_suite_is_measured_by_its_protocol(
    tiny: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("eval", "--suite", tiny, "--policy", "expert", "-o", "out", *QUICKLY)
    for flag in ("--level", "--split", "--seed", "--delay-ms"):
        assert f"{flag}: the suite tiny says it" in refused(capsys, *words, flag, "1")
    assert "unknown task of the suite tiny" in refused(
        capsys, *words[:1], "TableWipe", *words[1:]
    )
    assert not Path("out").exists()

    assert embodied(*words) == 0
    printed = capsys.readouterr().out
    assert "no certificate" in printed
    assert "PanelReset arm  expert  L2" in printed
    results = read_results(Path("out/results.json"))
    assert results.provenance.suite["name"] == "tiny"
    assert results.provenance.suite["version"] == 3
    assert results.provenance.models.keys() == {"PanelReset arm", "ValveTurn arm"}
    assert [cell.abilities for cell in results.cells] == [
        ("basic", "execution"),
        ("basic", "execution"),
        ("closed loop", "decision"),
        ("closed loop", "decision"),
    ]
    assert all(len(cell.episodes) == 2 for cell in results.cells)
    page = Path("out/report.html").read_text()
    for words_of_page in ("Closed loop", "Decision", "no certificate", "tiny 3"):
        assert words_of_page in page

    # another version of it is another evaluation
    tiny.write_text(TINY.replace("version = 3", "version = 4"))
    error = refused(capsys, *words, "--resume")
    assert "its suite is tiny 3, this run's is tiny 4" in error


def test_the_list_explains_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert embodied("list", "suites") == 0
    printed = capsys.readouterr().out
    assert "version 2: 60 cells of 200 episodes from seed 10000" in printed
    assert "cells by class: 48 basic, 12 cognitive; by dimension: " in printed
    assert embodied("list", "suites", "--json") == 0
    [suites] = json.loads(capsys.readouterr().out).values()
    assert [one["name"] for one in suites] == list(suite_names())
