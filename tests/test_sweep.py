"""What a sweep finds: planted thresholds, rates and recoveries, in figures and in words."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from markupsafe import escape

from embodied.benchmark.crossings import Crossing, falling, half_delay, rising
from embodied.benchmark.results import Cell, ResultsError
from embodied.benchmark.sweep import Panel, panels
from embodied.benchmark.sweep_figures import PanelFigures, recoveries, sweep_figures
from embodied.benchmark.sweep_file import (
    NAME,
    read_sweep,
    sweep_record,
    sweep_schema,
    write_sweep,
)
from embodied.benchmark.sweep_page import sweep_page
from embodied.benchmark.sweep_text import findings, headline, recovery_text
from embodied.pages.results_schema_page import SWEEP_PAGE, schema_text
from tests.commands import ROOT
from tests.sweep_fakes import linear, results_of, sweep_cell

DELAYS_MS = (0, 100, 250, 500)


def panel_of(*cells: Cell) -> Panel:
    [panel] = panels(results_of(*cells))
    return panel


def figures_of(*cells: Cell) -> PanelFigures:
    [figures] = sweep_figures(results_of(*cells))
    return figures


# where cells lie


def test_rates_are_rows_and_delays_are_columns() -> None:
    cells = [
        sweep_cell(0.5, rate_hz, delay_ms)
        for rate_hz in (8, 1, 2)
        for delay_ms in (500, 0, 100)
    ]
    panel = panel_of(*cells)
    assert panel.rows_are == "rate"
    assert [row.label for row in panel.rows] == ["1 Hz", "2 Hz", "8 Hz"]
    assert [column.label for column in panel.columns] == ["0 ms", "100 ms", "500 ms"]
    for row in panel.rows:
        for column, cell in row.cells.items():
            assert cell.condition.planner_hz == row.rate_hz
            assert cell.condition.delay_ms == column.delay_ms


def test_each_cell_has_one_place() -> None:
    """Whatever is swept, no cell is lost, and none stands twice but a common start."""
    impairments: list[dict[str, Any]] = [
        {},
        {"drop_rate": 0.3},
        {"freeze": "1 s at 2 s"},
        {"bridge": "rtc"},
        {"mailbox": "fifo"},
        {"compute_ms": 30.0},
    ]
    cells = [
        sweep_cell(0.5, rate_hz, delay_ms, policy=policy, episodes=4, **impairment)
        for policy in ("a", "b")
        for rate_hz in (2, 8)
        for delay_ms in (0, 100)
        for impairment in impairments
    ]
    found = panels(results_of(*cells))
    placed = [cell for p in found for row in p.rows for cell in row.cells.values()]
    assert len(placed) == len(cells)
    assert {id(cell) for cell in placed} == {id(cell) for cell in cells}
    assert len({panel.full_title for panel in found}) == len(found)


@pytest.mark.parametrize(
    ("name", "values", "labels"),
    [
        ("policy", ("runs/a", "runs/b"), ["runs/a", "runs/b"]),
        ("bridge", ("hold", "rtc"), ["nothing else in the way", "bridge rtc"]),
        ("drop_rate", (0.0, 0.3), ["nothing else in the way", "30% of plans lost"]),
    ],
)
def test_with_one_rate_the_rows_are_what_else_differs(
    name: str, values: tuple[object, ...], labels: list[str]
) -> None:
    cells = [
        sweep_cell(0.5, delay_ms=delay_ms, **{name: value})
        for value in values
        for delay_ms in DELAYS_MS
    ]
    assert [row.label for row in panel_of(*cells).rows] == labels


def test_all_spreads_of_the_delay_begin_without_one() -> None:
    start = sweep_cell(1.0)
    cells = [
        sweep_cell(0.5, delay_ms=100, latency=f"lognormal, sigma {sigma}")
        for sigma in (0.2, 0.8)
    ]
    panel = panel_of(start, *cells)
    assert [row.label for row in panel.rows] == [
        "lognormal, sigma 0.2",
        "lognormal, sigma 0.8",
    ]
    assert all(row.ordered[0] is start for row in panel.rows)


def test_the_time_to_compute_may_be_the_delay() -> None:
    cells = [sweep_cell(0.5, compute_ms=compute_ms) for compute_ms in (0.0, 50.0)]
    panel = panel_of(*cells)
    assert [column.delay_ms for column in panel.columns] == [0, 50]
    assert len(panel.rows) == 1


def test_channels_are_columns_of_their_own() -> None:
    cells = [
        sweep_cell(1.0, delay_ms=70, latency="channel edge-4g"),
        sweep_cell(0.2, delay_ms=270, latency="channel cloud-4g"),
        sweep_cell(1.0, delay_ms=0, latency="channel none"),
    ]
    panel = panel_of(*cells)
    labels = [column.label for column in panel.columns]
    assert labels == ["none", "edge-4g", "cloud-4g"]
    text = " ".join(findings(figures_of(*cells)))
    assert "over the channel none. It breaks at cloud-4g" in text


def test_a_policy_without_plans_stands_beside_them() -> None:
    alone = replace(sweep_cell(0.4, policy="single"), label="single")
    condition = replace(alone.condition, planner_hz=None)
    record = sweep_record(
        results_of(*linear(DELAYS_MS, 400), replace(alone, condition=condition))
    )
    assert len(record.panels) == 1
    assert record.references[0].startswith("single makes no plans: 40.0% (")


# where success halves


@pytest.mark.parametrize("half_ms", [30, 99, 100, 180, 250, 400])
@pytest.mark.parametrize("rate_hz", [2, 8])
def test_a_planted_threshold_is_found(half_ms: float, rate_hz: float) -> None:
    cells = linear(DELAYS_MS, 2 * half_ms, rate_hz=rate_hz)
    figures = figures_of(*cells)
    half = figures.rows[0].half_delay_ms
    assert half is not None
    assert half.value is not None
    assert half.low is not None

    # between two delays the curve is a line, so a threshold at one of them is exact
    x = np.array(DELAYS_MS, float)
    y = np.maximum(1 - x / (2 * half_ms), 0)
    exact = falling(x, y, 0.5)
    assert half.value == pytest.approx(exact, abs=0.01 * 500)
    assert half.low <= half.value
    assert half.high is None or half.value <= half.high < half.value + 80
    before, after = half.between
    assert before <= half.value <= after
    assert {before, after} <= set(DELAYS_MS)
    text = " ".join(findings(figures))
    assert f"Its success halves at {half.value:.0f} ms (95% interval" in text
    assert f"success halves at a delay of {half.value:.0f} ms" in headline([figures])


def test_a_threshold_beyond_what_was_tried_is_said_to_be() -> None:
    figures = figures_of(*linear(DELAYS_MS, 5000))
    half = figures.rows[0].half_delay_ms
    assert half is not None
    assert half == Crossing(None, None, None, "above")
    text = " ".join(findings(figures))
    assert "More than half of its success is left even at 500 ms" in text
    assert "keeps half of its success and more up to 500 ms" in headline([figures])


def test_where_nothing_succeeds_nothing_halves() -> None:
    figures = figures_of(*(sweep_cell(0.0, delay_ms=ms) for ms in DELAYS_MS))
    assert figures.rows[0].half_delay_ms is None
    assert "there is nothing that delay could break" in findings(figures)[0]
    assert "does not succeed" in headline([figures])


def test_with_one_delay_the_headline_spans_the_rows() -> None:
    cells = [
        sweep_cell(share, delay_ms=250, mailbox=mailbox)
        for share, mailbox in ((0.25, "latest"), (1.0, "predictive"))
    ]
    figures = figures_of(*cells)
    assert headline([figures]).endswith("succeeds in 25.0% to 100.0%")


def test_the_interval_is_that_of_pairs() -> None:
    """Seeds that fail together tell more than those that fail on their own."""
    together = linear((0, 250), 400, episodes=60)
    rng = np.random.default_rng(0)
    shuffled = []
    for cell in together:
        outcomes = rng.permutation([one.success_at_end for one in cell.episodes])
        episodes = [
            replace(one, success_at_end=bool(outcome))
            for one, outcome in zip(cell.episodes, outcomes, strict=True)
        ]
        shuffled.append(replace(cell, episodes=tuple(episodes)))

    for cells in (together, shuffled):
        [row] = panel_of(*cells).rows
        half = half_delay(row)
        assert half is not None
        assert half.value == pytest.approx(200, abs=5)

    # with equal outcomes at all delays, no draw of seeds makes a difference
    [row] = panel_of(*(sweep_cell(0.5, delay_ms=ms) for ms in DELAYS_MS)).rows
    half = half_delay(row)
    assert half is not None
    assert half.low is None
    [point, *later] = (
        sweep_figures(results_of(*row.cells.values()))[0].rows[0].points.values()
    )
    assert point.difference is None
    assert {one.adjusted_p for one in later} == {1.0}


@given(st.lists(st.floats(0, 1), min_size=2, max_size=8), st.floats(0.01, 1))
def test_crossings_lie_on_the_curve(values: list[float], level: float) -> None:
    x = np.arange(len(values), dtype=float)
    y = np.array(values)
    for place in (falling(x, y, level), rising(x, y, level)):
        if np.isfinite(place):
            assert np.interp(place, x, y) == pytest.approx(level, abs=1e-9)


# what a rate is worth


def on_time(*shares: float) -> list[Cell]:
    rates_hz = (1, 2, 4, 8)
    return [
        sweep_cell(share, rate_hz)
        for share, rate_hz in zip(shares, rates_hz, strict=True)
    ]


@pytest.mark.parametrize(
    ("late", "rate_hz", "words"),
    [
        (0.4, 2.0, "is worth as much as one on time at 2.0 Hz"),
        (0.6, 2**1.5, "is worth as much as one on time at 2.8 Hz"),
        (0.8, 4.0, "is worth as much as one on time at 4.0 Hz"),
        (0.1, None, "is worth no more than one at 1 Hz on time"),
    ],
)
def test_the_break_even_rate_is_found(
    late: float, rate_hz: float | None, words: str
) -> None:
    figures = figures_of(*on_time(0.2, 0.4, 0.8, 1.0), sweep_cell(late, 8, 250))
    [crossing] = figures.break_even_hz.values()
    if rate_hz is None:
        assert (crossing.value, crossing.side) == (None, "below")
    else:
        assert crossing.value == pytest.approx(rate_hz, rel=0.02)
    assert any(
        f"A planner at 8 Hz, 250 ms late, {words}" in s for s in findings(figures)
    )


def test_no_rate_breaks_even_where_the_rate_makes_no_difference() -> None:
    figures = figures_of(*on_time(0.8, 0.8, 0.8, 0.8), sweep_cell(0.4, 8, 250))
    assert figures.break_even_hz == {}
    assert not any("is worth" in sentence for sentence in findings(figures))


def test_the_rate_at_which_success_halves() -> None:
    figures = figures_of(*on_time(0.2, 0.4, 0.8, 1.0))
    assert figures.half_rate_hz is not None
    assert figures.half_rate_hz.value == pytest.approx(2**1.25, rel=0.02)
    text = findings(figures)
    assert any(s.startswith("With fewer plans success halves at 2.4 Hz") for s in text)

    figures = figures_of(*on_time(0.8, 0.9, 0.9, 1.0))
    assert figures.half_rate_hz is not None
    assert figures.half_rate_hz.side == "below"
    assert any("Even at 1 Hz more than half" in s for s in findings(figures))


# why, and what it costs


def test_the_words_say_what_broke() -> None:
    fine = sweep_cell(1.0, figures={"plan_jump": 0.05, "stale_share": 0.0})
    late = sweep_cell(
        0.2,
        delay_ms=250,
        figures={
            "subtask": "grasp",
            "plan_jump": 0.3,
            "stale_share": 0.4,
            "mean_plan_age_s": 0.31,
        },
    )
    [text] = findings(figures_of(fine, late))
    assert "It breaks at 250 ms" in text
    assert "p < 0.001" in text
    assert "Of 160 failures at 250 ms: 160 timed out in grasp." in text
    assert "plans were 310 ms old on average" in text
    assert "stood still for 40% of the time" in text
    assert "jumped by 0.30 from plan to plan, 6.0 times as far" in text


def test_what_may_be_chance_is_not_called_broken() -> None:
    cells = [sweep_cell(1.0, episodes=6), sweep_cell(0.5, delay_ms=100, episodes=6)]
    [text] = findings(figures_of(*cells))
    assert "6 episodes cannot tell from chance" in text
    assert "breaks" not in text


def test_recovery_is_what_is_lost_beyond_the_freeze() -> None:
    undisturbed = sweep_cell(1.0, episodes=40, figures={"time_to_success_s": 6.0})
    frozen = sweep_cell(
        1.0,
        episodes=40,
        freeze="1 s at 3 s",
        figures={"time_to_success_s": 7.4},
    )
    often = sweep_cell(0.5, episodes=40, freeze="1 s, 0.2 times per second", figures={})
    first, second = recoveries(results_of(undisturbed, frozen, often))
    assert first.lost_s is not None
    assert first.lost_s.median == pytest.approx(1.4)
    assert first.caught_up_s == pytest.approx(0.4)
    assert "need +1.40 s (+1.40 to +1.40 s), 0.40 s more than it lasts" in (
        recovery_text(first)
    )
    assert "which may be chance" in recovery_text(first)
    assert second.caught_up_s is None
    assert second.difference.difference == pytest.approx(-0.5)

    # episodes that were over before say nothing of it
    late = replace(frozen.condition, freeze="1 s at 9 s")
    [recovery] = recoveries(results_of(undisturbed, replace(frozen, condition=late)))
    assert recovery.lost_s is None


# files


def test_the_schema_is_published() -> None:
    published = (ROOT / "docs" / SWEEP_PAGE).read_text(encoding="utf-8")
    assert published == schema_text(sweep_schema()), "run `make docs`"
    Draft202012Validator.check_schema(sweep_schema())


def many() -> list[Cell]:
    cells = [cell for hz in (2, 8) for cell in linear(DELAYS_MS, 400, rate_hz=hz)]
    return [*cells, sweep_cell(0.5, freeze="1 s at 3 s", rate_hz=8)]


def test_a_sweep_is_written_and_read(tmp_path: Path) -> None:
    record = sweep_record(results_of(*many()))
    write_sweep(tmp_path / NAME, record)
    assert read_sweep(tmp_path / NAME) == record

    # the time that cells took is no part of it
    slower = [replace(cell, wall_s=99.0) for cell in many()]
    assert sweep_record(results_of(*slower)) == record
    changed = sweep_record(results_of(*slower[:-1], sweep_cell(0.4, rate_hz=8)))
    assert changed.episodes_sha256 != record.episodes_sha256


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda c: c.update(format="x"), "its 'format' is 'x'"),
        (
            lambda c: c.update(schema_version=9),
            "schema version 9; this version reads 1",
        ),
        (lambda c: c.update(luck=1), "is damaged: .* does not fit the schema"),
        (lambda c: c.pop("panels"), "is damaged: .* does not fit the schema"),
        (lambda c: c["panels"][0].update(rows="none"), "is damaged: panels/0/rows"),
    ],
)
def test_damage_is_named(tmp_path: Path, damage: Any, message: str) -> None:
    path = tmp_path / NAME
    write_sweep(path, sweep_record(results_of(*many())))
    content = json.loads(path.read_text())
    damage(content)
    path.write_text(json.dumps(content))
    with pytest.raises(ResultsError, match=message):
        read_sweep(path)
    with pytest.raises(ResultsError, match=f"is missing; expected a {NAME} file"):
        read_sweep(tmp_path / "no" / NAME)


def test_the_page_shows_all_and_needs_no_network() -> None:
    results = results_of(*many())
    page = sweep_page(results)
    record = sweep_record(results)
    for panel in record.panels:
        for sentence in panel.findings:
            assert str(escape(sentence)) in page
        for row in panel.rows:
            assert len(row.points) >= 1
    assert str(escape(record.recoveries[0].finding)) in page
    assert page.count('class="cell') == sum(
        len(row.points) for panel in record.panels for row in panel.rows
    ) + page.count('class="cell none"')
    assert not re.search(r"(src|href)=\"(?!data:)", page)
    assert "<script" not in page


def test_no_cells_make_no_page() -> None:
    with pytest.raises(ResultsError, match="at least one cell"):
        sweep_page(results_of())
