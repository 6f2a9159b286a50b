"""Who is better: what the data separates, what it does not, and what never compares."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from embodied.benchmark.board import (
    BETTER,
    UNDECIDED,
    WORSE,
    Board,
    make_board,
)
from embodied.benchmark.board_page import board_page
from embodied.benchmark.board_text import (
    board_values,
    duel_text,
    headline,
    ranking_lines,
    shortness_texts,
    where_text,
)
from embodied.benchmark.contestants import read_contestants
from embodied.benchmark.failures import failure_modes
from embodied.benchmark.profile import (
    other_measures,
    profile,
    success_by_time,
    units_per_hour,
)
from embodied.benchmark.results import ResultsError
from embodied.benchmark.scenarios import (
    Scenario,
    ScenarioGroup,
    cells_by_scenario,
    scenario_groups,
)
from embodied.benchmark.statistics import holm
from tests.commands import embodied, refused
from tests.episode_results import episode_result
from tests.results_fakes import fake_cell, fake_contestant, write_fake_results


def shares(rate: float, seed: int, count: int = 200) -> list[bool]:
    """Outcomes in a mixed order, of exactly this rate."""
    outcomes = np.arange(count) < round(rate * count)
    return np.random.default_rng(seed).permutation(outcomes).tolist()


def test_better_worse_and_undecided_with_what_it_would_take() -> None:
    good = fake_contestant(fake_cell(shares(0.9, 0), "good"))
    bad = fake_contestant(fake_cell(shares(0.6, 1), "bad"))
    near = fake_contestant(fake_cell(shares(0.88, 2), "near"))
    board = make_board([good, bad, near])
    verdicts = {(d.first, d.second): d.verdict for d in board.duels}
    assert verdicts == {(0, 1): BETTER, (0, 2): UNDECIDED, (1, 2): WORSE}

    # ties share a rank
    ranks = [(s.rank, board.contestants[s.index].name) for s in board.standings]
    assert ranks == [(1, "good"), (1, "near"), (3, "bad")]
    assert ranking_lines(board)[0].startswith("1. good (tie): 90.0%")

    assert headline(board).startswith(
        "good and near tie for the first rank, with 90.0%"
    )
    two = make_board([good, bad])
    assert headline(two).startswith("good is best: it succeeds in 90.0% (")

    better, undecided, _ = (duel_text(board, duel) for duel in board.duels)
    assert better.startswith("good is better than bad: +30 points (95% interval +")
    assert "undecided" in undecided
    assert "If this difference is real, about " in undecided
    assert board.duels[1].needed > 200
    json.dumps(board_values(board), allow_nan=False)


def test_equal_policies_over_many_pairs_are_told_to_be_close() -> None:
    """Not that more pairs are needed, where a worthwhile difference is ruled out."""
    outcomes = shares(0.98, 0, 400)
    equal = [fake_contestant(fake_cell(outcomes, name)) for name in "ab"]
    [duel] = make_board(equal).duels
    assert duel.is_small
    assert "The interval rules out a difference of 5 points or more." in duel_text(
        make_board(equal), duel
    )

    few = [fake_contestant(fake_cell(outcomes[:20], name)) for name in "ab"]
    [duel] = make_board(few).duels
    assert not duel.is_small
    assert "To find a difference of 5 points" in duel_text(make_board(few), duel)


def test_what_it_takes_to_decide_decides() -> None:
    """With as many pairs as were asked for, the same difference is found."""
    first = shares(0.9, 0)
    second = shares(0.86, 1)
    pair = [
        fake_contestant(fake_cell(first, "a")),
        fake_contestant(fake_cell(second, "b")),
    ]
    [duel] = make_board(pair).duels
    assert duel.verdict == UNDECIDED
    times = -(-duel.needed // 200)
    more = [
        fake_contestant(fake_cell(first * times, "a")),
        fake_contestant(fake_cell(second * times, "b")),
    ]
    assert make_board(more).duels[0].verdict == BETTER


def test_many_cells_are_not_many_chances() -> None:
    """Of 40 cells of equal policies, some differ by chance: Holm keeps them undecided."""
    rng = np.random.default_rng(6)
    cells = []
    for name in "ab":
        own = [fake_cell(rng.random(50) < 0.5, name, task=f"T{k}") for k in range(40)]
        cells.append(fake_contestant(*own))
    board = make_board(cells)
    assert len(board.local_duels) == 40
    assert min(d.difference.p_value for d in board.local_duels) < 0.05
    assert {d.verdict for d in board.local_duels} == {UNDECIDED}


def two_that_differ_at_l4() -> Board:
    """Two policies with two tasks and levels, 40 episodes each: b is worse in y at L4."""
    contestants = []
    for name, rate in (("a", 1.0), ("b", 0.25)):
        cells = [
            fake_cell(shares(1.0, 0, 40), name, task=task, level=level)
            for task, level in (("x", "L2"), ("y", "L2"), ("x", "L4"))
        ]
        worst = fake_cell(shares(rate, 1, 40), name, task="y", level="L4")
        contestants.append(fake_contestant(*cells, worst))
    return make_board(contestants)


def test_groups_of_cells_say_where() -> None:
    board = two_that_differ_at_l4()
    verdicts = {
        (duel.scope.attribute, duel.scope.value): (duel.verdict, duel.winner)
        for duel in board.group_duels
        if isinstance(duel.scope, ScenarioGroup)
    }
    assert verdicts == {
        ("level", "L2"): (UNDECIDED, None),
        ("level", "L4"): (BETTER, 0),
        ("task", "x"): (UNDECIDED, None),
        ("task", "y"): (BETTER, 0),
    }
    assert where_text(board, board.duels[0]) == (
        "By level and task: a is better in L4 (by 38 points) and y (by 38); 2 of 4 are "
        "undecided."
    )

    # the same policies the other way round
    turned = make_board(board.contestants[::-1])
    assert "a is better in L4 (by 38 points)" in where_text(turned, turned.duels[0])
    assert [duel.winner for duel in turned.group_duels] == [None, 1, None, 1]

    groups = board_values(board)["groups"]
    assert [(one["by"], one["group"]) for one in groups] == list(verdicts)


def test_policies_of_equal_success_keep_their_order() -> None:
    """Sums in another order, such as those of three tasks, are not a difference."""
    outcomes = ["+++++++---", "+++++++---", "++++++++--"]
    turned = outcomes[::-1]
    contestants = [
        fake_contestant(
            *(fake_cell(cell, name, task=f"T{k}") for k, cell in enumerate(own))
        )
        for name, own in (("a", outcomes), ("b", turned))
    ]
    board = make_board(contestants)
    assert [standing.index for standing in board.standings] == [0, 1]
    other = make_board(contestants[::-1])
    assert [standing.index for standing in other.standings] == [0, 1]
    assert where_text(board, board.duels[0]) == ""


def test_groups_have_one_correction_for_all_of_their_tests() -> None:
    board = two_that_differ_at_l4()
    own = [duel.difference.p_value for duel in board.group_duels]
    assert [duel.adjusted_p for duel in board.group_duels] == pytest.approx(holm(own))
    assert max(own) == 1.0
    assert min(own) > 0


def test_groups_are_proper_parts_and_no_two_are_the_same() -> None:
    cells = [fake_cell("++", robot="arm", level=level) for level in ("L2", "L4")]
    other = [
        fake_cell("++", task="TeamSort", robot="arm+arm", level=level)
        for level in ("L2", "L4")
    ]
    scenarios = [Scenario.of(cell.condition) for cell in (*cells, *other)]
    found = [(one.attribute, one.value) for one in scenario_groups(scenarios)]
    # the robots have the same cells as the tasks
    assert found == [
        ("level", "L2"),
        ("level", "L4"),
        ("task", "ToteTransfer"),
        ("task", "TeamSort"),
    ]
    # with one task, each level is a cell
    assert scenario_groups(scenarios[:2]) == []

    held_out = replace(scenarios[0], split="objects")
    late = replace(scenarios[0], timing="plans 100 ms late")
    both = replace(held_out, timing="plans 100 ms late")
    described = [
        one.description for one in scenario_groups([scenarios[0], held_out, late, both])
    ]
    assert described == [
        "seen values",
        "held out: objects",
        "plans in time",
        "plans 100 ms late",
    ]


def test_the_page_begins_with_who_where_and_on_what_basis() -> None:
    board = two_that_differ_at_l4()
    page = board_page(board)
    head = page[: page.index('id="ranking"')]
    assert "a is best" in head
    assert "a is better in L4 (by 38 points)" in head
    assert "protocol" not in head
    # the cells in which they differ come first
    where = page[page.index('id="where"') :]
    cells = [f"{task} arm {level}" for task, level in (("y", "L4"), ("x", "L2"))]
    assert where.index(cells[0]) < where.index(cells[1])

    short = [
        fake_contestant(fake_cell("++", name), suite=suite(episodes=2)) for name in "ab"
    ]
    sentence = "Measured in 2 episodes per cell; the protocol of handling 1 asks for 4."
    assert shortness_texts(make_board(short)) == [sentence]
    assert sentence in board_page(make_board(short))


def test_curves_are_shown_where_policies_differ_most() -> None:
    cells = [[fake_cell("++++", name, task=f"T{k}") for k in range(9)] for name in "ab"]
    cells[1][7] = fake_cell("+---", "b", task="T7")
    page = board_page(make_board([fake_contestant(*own) for own in cells]))
    curves = page[page.index('id="curves"') : page.index('id="modes"')]
    assert "in the 6 cells in which the policies differ most" in curves
    titles = [f"T{k}" for k in range(9) if f"<h3>T{k} arm L2" in curves]
    assert titles == ["T0", "T1", "T2", "T3", "T4", "T7"]


@pytest.mark.parametrize(
    "changes",
    [
        {"outage": "1 s at 2 s"},
        {"bridge": "rtc"},
        {"freeze": "1 s at 2 s"},
        {"compute_ms": 20.0},
        {"drop_rate": 0.1},
        {"mailbox": "fifo"},
    ],
)
def test_cells_of_other_timings_stand_apart(changes: dict) -> None:
    usual = {"planner_hz": 8.0, "transport_ms": 100.0}
    cells = [fake_cell("++--", **usual), fake_cell("++--", **{**usual, **changes})]
    assert list(cells_by_scenario(cells).values()) == cells


def test_a_scenario_that_was_measured_twice_is_refused() -> None:
    cells = [fake_cell("++--", planner_hz=hz) for hz in (4.0, 8.0)]
    with pytest.raises(ResultsError, match=r"measured twice .* 4.0 and 8.0 plans per"):
        cells_by_scenario(cells)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"task": "ParcelSort"}, "differ in task, ToteTransfer against ParcelSort"),
        ({"robot": "leg"}, "differ in robot, arm against leg"),
        ({"level": "L4"}, "differ in level, L2 against L4"),
        ({"split": "objects"}, "differ in split, train against objects"),
        ({"stage": "reach"}, "differ in stage, none against reach"),
        (
            {"planner_hz": 8.0, "transport_ms": 100.0},
            "differ in timing, none against plans 100 ms late",
        ),
        ({"first_seed": 50}, "differ in seeds, 0 to 3 against 50 to 53"),
    ],
)
def test_other_conditions_do_not_compare(changes: dict, message: str) -> None:
    first = fake_contestant(fake_cell("++--"))
    second = fake_contestant(fake_cell("++--", "b", **changes))
    with pytest.raises(ResultsError, match=message) as caught:
        make_board([first, second])
    assert str(caught.value).startswith("a and b don't compare")


def suite(**changes: object) -> dict:
    usual = {"name": "handling", "version": 1, "hash": "x", "episodes": 4, "cells": []}
    return {**usual, "protocol": {"episodes": 4}, **changes}


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ({"suite": suite()}, {}, "differ in suite, handling 1 against none"),
        (
            {"suite": suite()},
            {"suite": suite(version=2)},
            "differ in suite, handling 1 against handling 2",
        ),
        (
            {"suite": suite()},
            {"suite": suite(hash="y")},
            "differ in the hash of suite handling 1",
        ),
        (
            {"suite": suite()},
            {"suite": suite(protocol={"episodes": 5})},
            "differ in the protocol of suite handling 1",
        ),
        (
            {},
            {"models": {"ToteTransfer arm": "another one"}},
            "differ in the model of ToteTransfer arm, abc against another",
        ),
    ],
)
def test_other_protocols_do_not_compare(
    first: dict, second: dict, message: str
) -> None:
    a = fake_contestant(fake_cell("++--"), **first)
    b = fake_contestant(fake_cell("++--", "b"), **second)
    with pytest.raises(ResultsError, match=message):
        make_board([a, b])


def test_what_differs_beside_is_a_note() -> None:
    a = fake_contestant(fake_cell("++--"))
    b = fake_contestant(
        fake_cell("++--", "b"),
        versions={"mujoco": "3.17.1"},
        code={"ToteTransfer arm": "other"},
        host={"processor": "b"},
    )
    [note] = make_board([a, b]).notes
    for words in ("mujoco 3.17.0 against 3.17.1", "code of ToteTransfer", "processor"):
        assert words in note

    # fewer episodes of the same suite compare, over those that are shared
    short = fake_contestant(fake_cell("++", "b"), suite=suite(episodes=2))
    board = make_board([fake_contestant(fake_cell("++--"), suite=suite()), short])
    assert board.duels[0].difference.episodes == 2
    assert board.contestants[1].short


def test_a_policy_without_plans_stands_beside_plans_in_time() -> None:
    planner = fake_contestant(
        fake_cell("++--", planner_hz=8.0),
        fake_cell("+---", planner_hz=8.0, transport_ms=100.0),
    )
    other = fake_contestant(fake_cell("----", "b"))
    [scenario] = make_board([planner, other]).scenarios
    assert scenario.timing == ""


def test_results_are_named_by_folder_and_policy(tmp_path: Path) -> None:
    one = write_fake_results(
        tmp_path / "one", fake_cell("++--", "a"), fake_cell("+++-", "b")
    )
    two = write_fake_results(tmp_path / "two", fake_cell("+---", "a"))
    names = [c.name for c in read_contestants([str(one), f"{two}/results.json"])]
    assert names == [f"a ({one})", "b", f"a ({two}/results.json)"]
    [chosen] = read_contestants([f"{one}:b"])
    assert chosen.name == "b"
    with pytest.raises(ResultsError, match="has no policy 'c': a, b"):
        read_contestants([f"{one}:c"])
    with pytest.raises(ResultsError, match="missing"):
        read_contestants([str(tmp_path / "three")])


def test_the_profile_has_what_was_measured() -> None:
    cells = [
        fake_cell("++++", abilities=("basic", "execution")),
        fake_cell("+---", level="L4", abilities=("closed loop", "execution")),
    ]
    found = {one.ability: one.rate for one in profile(fake_contestant(*cells))}
    assert list(found) == ["basic", "closed loop", "execution"]
    assert found["basic"].value == 1.0
    assert found["execution"].value == 0.625
    assert found["execution"].low < 0.625 < found["execution"].high


def test_failures_are_counted_by_what_happened_and_where() -> None:
    cell = fake_cell("++------")
    changes = [
        {},
        {},
        {"ended": "lost", "dropped": 1, "subtask": "place"},
        {"ended": "lost", "dropped": 1, "subtask": "place"},
        {"ended": "time out", "collisions": 2, "stage": "lift"},
        {"ended": "time out", "subtask": "reach"},
        {"ended": "undone"},
        {"ended": "fault", "fault": "policy_raised"},
    ]
    pairs = zip(cell.episodes, changes, strict=True)
    episodes = tuple(replace(episode, **change) for episode, change in pairs)
    modes = failure_modes(replace(cell, episodes=episodes))
    assert [(mode.description, mode.rate.successes) for mode in modes] == [
        ("dropped in place", 2),
        ("collided in lift", 1),
        ("timed out in reach", 1),
        ("undone", 1),
        ("policy raised", 1),
    ]
    assert modes[0].rate.episodes == 8
    assert modes[0].rate.low < 0.25 < modes[0].rate.high
    assert modes[0].seed == 2


def test_pace_beside_the_experts() -> None:
    # 5 s each: 720 episodes per hour
    cell = fake_cell("++--")
    pace = units_per_hour(cell.episodes)
    assert pace.value == pytest.approx(360)
    assert pace.low < 360 < pace.high
    found = other_measures(cell, fake_cell("++++", "expert"))
    assert found.share_of_expert == pytest.approx(0.5)
    assert found.seconds_per_unit == pytest.approx(10)
    assert other_measures(fake_cell("--")).seconds_per_unit is None
    assert found.between_failures.mean_s == pytest.approx(10)
    assert found.lost_to_delay is None
    delayed = other_measures(cell, None, fake_cell("++++"))
    assert delayed.lost_to_delay is not None
    assert delayed.lost_to_delay.value == pytest.approx(0.5)
    assert delayed.lost_to_delay.low < 0.5 < delayed.lost_to_delay.high

    undone = episode_result(0, True, success_at_end=False, ended="undone")
    late = replace(cell, episodes=(undone, *cell.episodes[1:]))
    assert success_by_time(cell, [0.0, 3.9, 4.0, 9.0]) == [0, 0, 0.5, 0.5]
    assert success_by_time(late, [4.0]) == [0.25]


def test_compare_and_report_print_and_write(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    abilities = ("basic", "execution")
    good = [
        fake_cell(shares(0.9, k), "<b>good</b>", task=t, abilities=abilities)
        for k, t in enumerate("xy")
    ]
    bad = [
        fake_cell(shares(0.5, k + 9), "bad", task=t, abilities=abilities)
        for k, t in enumerate("xy")
    ]
    write_fake_results(Path("good"), *good)
    write_fake_results(Path("bad"), *bad)

    assert embodied("compare", "good", "bad", "-o", "c.html") == 0
    printed = capsys.readouterr().out
    assert "<b>good</b> is better than bad: +40 points" in printed
    assert "cell by cell: 2 of 2 decided" in printed
    assert embodied("compare", "good", "bad", "--json") == 0
    values = json.loads(capsys.readouterr().out)
    assert [one["rank"] for one in values["standings"]] == [1, 2]
    assert values["comparisons"][0]["verdict"] == "better"
    assert len(values["cells"]) == 2

    assert embodied("report", "good", "bad", "-o", "r.html") == 0
    assert "no certificate" in capsys.readouterr().out
    for page in (Path("c.html").read_text(), Path("r.html").read_text()):
        assert "&lt;b&gt;good" in page
        assert "<b>good" not in page
        assert "no certificate" in page
        assert "http" not in page.replace("http-equiv", "")

    assert embodied("report", "good") == 0
    assert "Profile" in Path("board.html").read_text()
    error = refused(capsys, "compare", "bad")
    assert "there is one policy alone, bad" in error
    assert "must" not in error


def test_the_page_shows_the_success_in_each_cell() -> None:
    """A row for each task with its robot and each policy, a column for each condition."""
    cells = [
        fake_cell("++++", task="x"),
        fake_cell("+++-", task="x", level="L4"),
        fake_cell("+---", task="y", split="objects"),
    ]
    page = board_page(make_board([fake_contestant(*cells)]))
    table = page[page.index('id="cells-success"') : page.index('id="beside"')]
    head, *rows = table.split("<tr")[1:]
    titles = re.findall(r'<th colspan="2">(.*?)</th>', head)
    assert titles == ["L2", "L4", "L2, held out: objects"]
    found = [re.findall(r"<td>(\w arm)|(\d+%) <span", row) for row in rows]
    assert [["".join(part) for part in row] for row in found] == [
        ["x arm", "100%", "75%"],
        ["y arm", "25%"],
    ]
    # where the single policy succeeds least
    many = [fake_cell("++", task=f"T{k}") for k in range(8)]
    page = board_page(
        make_board([fake_contestant(*many, fake_cell("--", task="last"))])
    )
    assert "<h3>last arm L2" in page[page.index("in the 6 cells of least success") :]

    # a single cell is its own table
    assert 'id="cells-success"' not in board_page(
        make_board([fake_contestant(cells[0])])
    )


def test_a_page_of_one_policy_compares_nothing() -> None:
    page = board_page(make_board([fake_contestant(fake_cell("++--"))]))
    assert "Who is better" not in page
    assert "How they failed" in page
