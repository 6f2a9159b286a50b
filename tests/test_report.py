"""The report: complete, honest in its axes, and alone in its file."""

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser

import av
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from embodied.benchmark import views, wording
from embodied.benchmark.plots import (
    HEIGHT_PX,
    Series,
    line_chart,
    linear_axis,
    points_axis,
    success_axis,
    value_axis,
)
from embodied.benchmark.report import (
    CaptionedVideo,
    DatasetFacts,
    Report,
    render_report,
    write_report,
)
from embodied.benchmark.results import (
    Cell,
    Condition,
    Provenance,
    Results,
    ResultsError,
)
from embodied.rollout.film import Clip, Shot
from embodied.rollout.grid import grid_video
from embodied.rollout.video import encode_jpeg
from tests.episode_results import episode_result

HOSTILE = '<script>alert("x")</script>'


def cell(
    policy: str,
    successes: int,
    num: int = 40,
    level: str = "L1",
    delay: float = 0,
    hz: float | None = 8.0,
) -> Cell:
    condition = Condition(
        policy, level, num_episodes=num, planner_hz=hz, compute_ms=delay
    )

    # The first ones succeed.
    episodes = tuple(episode_result(k, k < successes) for k in range(num))
    return Cell(condition, policy.title(), 10.0, episodes)


def results(*cells: Cell, **provenance) -> Results:
    origin = Provenance(
        task="embodied/ToteTransfer-v0",
        robot="arm",
        created="2026-11-22T00:00:00+00:00",
        command="embodied demo",
        rates={"control_hz": 200.0, "planner_hz": 8.0, "camera_hz": None},
        versions={"mujoco": "3.17.0"},
        host={"system": "Linux", "cores": 2},
    )
    return Results(replace(origin, **provenance), cells)


FULL = results(
    cell("expert", 39),
    cell("trained", 33),
    cell("random", 0, hz=None),
    cell("expert", 38, level="L2"),
    cell("trained", 31, level="L2"),
    cell("expert", 30, level="L2", delay=250.0),
    cell("trained", 17, level="L2", delay=250.0),
)


class Page(HTMLParser):
    """A page's tags, its text, and the rows of its tables by their section's id."""

    VOID = (
        "meta",
        "br",
        "link",
        "img",
        "input",
        "hr",
        "line",
        "circle",
        "polygon",
        "polyline",
        "path",
    )

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open = []
        self.section = ""
        self.rows: dict[str, list[list[str]]] = {}
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)
        self.section = dict(attrs).get("id") or "" if tag == "section" else self.section
        if tag == "tr":
            self.rows.setdefault(self.section, []).append([])
        if tag in ("td", "th"):
            self.rows[self.section][-1].append("")

    def handle_endtag(self, tag):
        if tag not in self.VOID:
            assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if {"td", "th"} & set(self.open):
            self.rows[self.section][-1][-1] += " ".join(data.split())

    def find(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.tags if name == tag]


@pytest.fixture(scope="module")
def video():
    shot = Shot("front", "Trained", size=(32, 48), fps=10)
    frame = encode_jpeg(np.full((32, 48, 3), 100, np.uint8))
    return grid_video(
        [Clip(shot, episode_result(k, k == 0), (frame,) * 8) for k in range(2)]
    )


@pytest.fixture(scope="module")
def full_page(video):
    history = []
    for k in range(9):
        losses = {"train_loss": 1 / (k + 1), "valid_loss": 1.2 / (k + 1)}
        history.append({"steps": 100 * k, **losses, "seconds": k})

    # every section has content
    report = Report(
        FULL,
        summary="An arm moves totes.",
        history=history,
        videos=(
            CaptionedVideo("Successes", "Four of them", video),
            CaptionedVideo("Failures", "", video),
        ),
        dataset=DatasetFacts(200, 190, 0.5, 18_000, 250_000_000),
        stages={"Collect": 150.0, "Train": 280.0},
    )
    return render_report(report)


def test_every_cell_is_in_the_table(full_page):
    # policy, setting, planner, success at end, episodes
    rows = Page(full_page).rows["cells"][1:]
    assert [(row[0], row[1], row[2], row[3], row[7]) for row in rows] == [
        ("Expert", "L1", "8 Hz, no delay", "98%", "40"),
        ("Trained", "L1", "8 Hz, no delay", "82%", "40"),
        ("Random", "L1", "no planner", "0%", "40"),
        ("Expert", "L2", "8 Hz, no delay", "95%", "40"),
        ("Trained", "L2", "8 Hz, no delay", "78%", "40"),
        ("Expert", "L2", "8 Hz, 250 ms late", "75%", "40"),
        ("Trained", "L2", "8 Hz, 250 ms late", "42%", "40"),
    ]


def test_report_is_alone(full_page):
    page = Page(full_page)
    assert page.open == []
    outside = r"https?:|//[a-z]+\.|@import|url\(|<script|<link|<iframe"
    assert not re.search(outside, full_page)

    # whatever it shows is in it
    sources = []
    for _, attrs in page.tags:
        sources += [attrs[key] for key in ("src", "href", "poster") if key in attrs]
    assert sources
    assert all(source.startswith("data:") for source in sources)


def test_videos_are_whole_and_quiet(full_page, video):
    videos = Page(full_page).find("video")
    assert len(videos) == 2
    for attrs in videos:
        assert {"controls", "muted", "loop"} <= set(attrs)
        data = base64.b64decode(attrs["src"].removeprefix("data:video/mp4;base64,"))
        with av.open(io.BytesIO(data)) as container:
            assert sum(1 for _ in container.decode(video=0)) == round(
                video.duration_s * 10
            )


def test_bars_are_drawn_to_scale(full_page):
    page = Page(full_page)
    widths = [
        float(a["style"].removeprefix("width:").rstrip("%"))
        for a in page.find("i")
        if "style" in a
    ]
    expected = [100 * k / 40 for k in (39, 33, 0, 38, 31)]
    assert widths[:5] == pytest.approx(expected, abs=0.01)


def test_sections_without_content_are_left_out():
    html = render_report(Report(results(cell("trained", 30))))
    page = Page(html)
    for absent in ("videos", "training", "paired"):
        assert f'id="{absent}"' not in html
    assert "delay, L" not in page.text
    assert [row[0] for row in page.rows["cells"]][1:] == ["Trained"]

    # one comparison alone is not adjusted
    alone = render_report(Report(results(cell("trained", 30), cell("expert", 39))))
    assert "p is McNemar's exact test, the only one made here." in Page(alone).text


def test_empty_results_are_refused():
    with pytest.raises(ResultsError, match="at least one cell"):
        render_report(Report(results()))


def test_words_from_outside_are_only_words():
    hostile = replace(cell("trained", 3), label=HOSTILE)
    hostile_results = results(
        hostile,
        task=HOSTILE,
        command=HOSTILE,
        metadata={"note": HOSTILE, "split": "train"},
    )
    report = Report(hostile_results, summary=HOSTILE, stages={HOSTILE: 1.0})
    page = Page(render_report(report))
    assert page.find("script") == []
    assert page.text.count(HOSTILE) >= 5


def test_failed_episodes_are_named_with_how_where_and_what_to_type():
    ends = [
        {"ended": "time out", "duration_s": 20.0, "subtask": "place"},
        {"ended": "lost", "duration_s": 12.3, "subtask": "place", "dropped": 1},
        {"ended": "fault", "fault": "diverged", "duration_s": 3.0, "stage": "reach"},
        {"ended": "undone", "time_to_success_s": 4.0, "success_once": True},
    ]
    good = [episode_result(0)]
    bad = [episode_result(k + 1, False, **end) for k, end in enumerate(ends)]
    view = ("embodied", "view", "Tote Transfer", "--stage", "")
    condition = Condition("trained", "L1", num_episodes=5, planner_hz=8.0)
    known = Cell(condition, "Trained", 1.0, (*good, *bad), view)
    # one of which an old file does not tell the command
    old = replace(
        known, condition=replace(condition, level="L2", transport_ms=80.0), view=()
    )

    page = Page(render_report(Report(results(known, old, cell("expert", 40)))))
    overview, old_overview = page.rows["failures"][1:3]
    assert overview == [
        "Trained",
        "L1",
        "8 Hz, no delay",
        "4 of 5",
        "1 timed out, 1 lost, 1 with a fault, 1 succeeded, then undone",
        "2 in place, 2 without a plan",
        ", ".join(
            f"{what} 20% (4{wording.EN_DASH}62%)"
            for what in (
                "timed out in place",
                "dropped in place",
                "diverged in reach",
                "undone",
            )
        ),
    ]
    assert old_overview[1:4] == ["L2", "8 Hz, 80 ms late", "4 of 5"]

    rows = page.rows["failures"][4:8]
    assert [row[:5] for row in rows] == [
        ["1", "time out at 20.0 s", "place", "–", "0.50"],  # noqa: RUF001
        ["2", "lost at 12.3 s1 dropped", "place", "–", "0.50"],  # noqa: RUF001
        ["3", "fault diverged at 3.0 s", "–", "reach", "0.50"],  # noqa: RUF001
        ["4", "success at 4.0 s, undone at 5.0 s", "–", "–", "0.50"],  # noqa: RUF001
    ]
    command = "embodied view 'Tote Transfer' --stage '' --seed"
    assert [row[5] for row in rows] == [f"{command} {k}" for k in (1, 2, 3, 4)]
    assert {row[5] for row in page.rows["failures"][9:]} == {"–"}  # noqa: RUF001


def test_what_tasks_report_is_summarized_with_its_meaning() -> None:
    condition = Condition("expert", "L2", num_episodes=5, task="GaugeCheck")
    values = [0.0, 0.0, 1.0, 3.0]
    episodes = [
        episode_result(k, measures={"unasked": value, "no_more": 5.0})
        for k, value in enumerate(values)
    ]
    # an episode with a fault has no measures
    episodes.append(episode_result(4, success=False, fault="unstable"))
    gauges = Cell(condition, "Expert", 10.0, tuple(episodes))

    text = re.sub(r"\s+", " ", render_report(Report(results(gauges))))
    section = text[text.index('id="task_measures"') :]
    section = section[: section.index("</section>")]
    assert "presses at gauges that were not named" in section
    assert "2 of 4" in section  # episodes above 0
    assert ">1</td>" in section  # the mean
    assert "0, 3" in section
    # a measure that the task no longer has is shown by its name alone
    assert "<code>no_more</code></td>" in section
    assert 'id="task_measures"' not in render_report(Report(FULL))


def test_report_is_written_whole(tmp_path):
    path = tmp_path / "report.html"
    write_report(path, Report(FULL))
    assert path.read_text(encoding="utf-8") == render_report(Report(FULL))
    assert [entry.name for entry in tmp_path.iterdir()] == ["report.html"]


def test_headline_states_rate_interval_and_episodes():
    assert views.headline(FULL) == (
        "The Trained policy succeeds in 82% of episodes at L1 (95% interval 68–91%, 40 episodes) "  # noqa: RUF001
        "and 78% at L2 (95% interval 62–88%, 40 episodes)."  # noqa: RUF001
    )
    late = results(cell("trained", 20, delay=100.0), cell("random", 0, hz=None))
    assert views.headline(late, "absent").endswith("40 episodes, planner 100 ms late).")


def test_a_scoreboard_shows_each_policy_at_its_smallest_delay():
    boards = views.scoreboards(FULL)
    assert [board.setting.title for board in boards] == ["L1", "L2"]
    assert [(c.condition.policy, c.condition.delay_ms) for c in boards[1].cells] == [
        ("expert", 0.0),
        ("trained", 0.0),
    ]


def test_what_ends_or_starts_in_another_way_is_a_setting_of_its_own():
    reached = cell("trained", 39)
    reached = replace(
        reached, condition=replace(reached.condition, stage="reach", split="objects")
    )
    staged = results(cell("expert", 39), reached)
    assert [board.setting.title for board in views.scoreboards(staged)] == [
        "L1",
        "L1, held out: objects, stage reach",
    ]
    assert not views.pairings(staged)


def test_curves_hold_what_differs_in_delay_only():
    other_rate = cell("trained", 5, level="L2", delay=100.0, hz=4.0)
    (sweep,) = views.sweeps(FULL.with_cell(other_rate))
    assert [[c.condition.delay_ms for c in curve.cells] for curve in sweep.curves] == [
        [0.0, 250.0],
        [0.0, 250.0],
    ]
    assert views.delay_sentence(sweep.curves[1]).startswith(
        "Trained goes from 78% at 0 ms to 42% at 250 ms, a change of −35 points"  # noqa: RUF001
    )


def test_pairings_are_of_like_with_like_and_adjusted():
    # each policy with each other, then each delay with none
    pairings = views.pairings(FULL)
    compared = []
    for pairing in pairings:
        first = pairing.first.condition
        compared.append((first.policy, pairing.second.condition.policy, first.delay_ms))
    assert compared == [
        ("expert", "trained", 0.0),
        ("expert", "random", 0.0),
        ("trained", "random", 0.0),
        ("expert", "trained", 0.0),
        ("expert", "expert", 250.0),
        ("trained", "trained", 250.0),
    ]

    factors = [pairing.adjusted_p / pairing.comparison.p_value for pairing in pairings]
    assert min(factors) >= 1
    assert max(factors) == pytest.approx(len(pairings))


def test_films_show_the_first_seeds_of_each_outcome():
    trained = FULL.cells[1]
    assert views.seeds_to_film(trained, succeeded=True, count=3) == [0, 1, 2]
    assert views.seeds_to_film(trained, succeeded=False) == [33, 34, 35, 36]

    # one of each kind of failure first, the most frequent kind before the others
    episodes = list(trained.episodes)
    episodes[36] = replace(episodes[36], ended="lost", dropped=1)
    episodes[38] = replace(episodes[38], ended="lost", subtask="place")
    mixed = replace(trained, episodes=tuple(episodes))
    assert views.seeds_to_film(mixed, succeeded=False) == [33, 36, 38, 34]


def test_colours_follow_the_policy():
    assert views.colours(FULL, "trained") == {
        "trained": 0,
        "expert": 1,
        "random": views.PALETTE_SIZE,
    }


@settings(deadline=None)
@given(st.integers(1, 3000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_percent_never_claims_all_or_nothing_falsely(counts):
    successes, episodes = counts
    text = wording.percent(successes / episodes, episodes)
    if 0 < successes < episodes:
        assert text not in ("0%", "0.0%", "100%", "100.0%")
        assert float(text.strip("<>%")) == pytest.approx(
            100 * successes / episodes, abs=1
        )
    else:
        assert float(text.rstrip("%")) == 100 * successes / episodes


def places(svg: str) -> list[tuple[float, float]]:
    points = re.search(r'polyline class="line" points="([^"]*)"', svg).group(1)
    return [tuple(map(float, pair.split(","))) for pair in points.split()]


def test_success_axis_is_whole_and_linear():
    series = Series(
        ((0, 0.9), (100, 0.95), (500, 1.0)), 0, ((0.8, 1.0), (0.9, 1.0), (0.9, 1.0))
    )
    x_axis = points_axis("Delay (ms)", [0, 100, 500])
    svg = line_chart([series], x_axis, success_axis(), "test")

    # label -> its height
    tick = r'class="tick end" x="[\d.]+" y="([\d.]+)">(\d+%)'
    ticks = {label: float(y) for y, label in re.findall(tick, svg)}
    assert list(ticks) == ["0%", "25%", "50%", "75%", "100%"]

    # points are in proportion, upwards and across
    points = places(svg)
    for (_, y), (_, share) in zip(points, series.points, strict=True):
        expected = ticks["0%"] + share * (ticks["100%"] - ticks["0%"])
        assert y + 4.5 == pytest.approx(expected, abs=0.11)
    assert (points[1][0] - points[0][0]) / (
        points[2][0] - points[0][0]
    ) == pytest.approx(0.2, abs=0.01)
    assert "Delay (ms)" in svg
    assert "Success" in svg


@settings(deadline=None)
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=30))
def test_value_axis_holds_all_values_with_few_ticks(values):
    axis = value_axis("Loss", values)
    assert axis.low <= min(values)
    assert axis.high >= max(values)
    assert 2 <= len(axis.ticks) <= 16
    assert axis.log == (max(values) / min(values) > 20)
    assert axis.log or axis.low == 0

    # and so they are within the picture
    series = Series(tuple(enumerate(values)), 0)
    svg = line_chart([series], linear_axis("Step", 0, 30), axis, "test")
    assert all(-1 <= y <= HEIGHT_PX for _, y in places(svg))


@settings(deadline=None)
@given(st.floats(-1e5, 1e5), st.floats(1e-3, 1e6))
def test_linear_axis_has_round_even_ticks(low, span):
    axis = linear_axis("x", low, low + span)
    values = [value for value, _ in axis.ticks]
    steps = np.diff(values)
    assert axis.low <= low + 1e-6 * span
    assert axis.high >= low + span * (1 - 1e-6)
    assert steps == pytest.approx(steps[0], rel=1e-6)
    assert 3 <= len(values) <= 12


def test_training_is_shown_over_its_steps(full_page):
    assert "Training steps" in full_page
    assert ">800<" in full_page  # the last one


def test_history_with_gaps_and_without_validation(video):
    history = []
    for k in range(5):
        loss = float("nan") if k == 2 else 2.0 - k / 10
        history.append({"epoch": k, "train_loss": loss, "note": "x"})

    html = render_report(Report(results(cell("trained", 3)), history=history))
    svg = re.search(r'<svg class="chart".*?</svg>', html, re.S).group(0)
    assert len(places(svg)) == 4
    assert "Training epoch" in svg
    assert "nan" not in svg


def test_metadata_is_readable_json_in_the_page():
    metadata = {
        "model_hash": "abc",
        "factors": {"belt": [0.03, 0.1], "words": ["<b>", "&"]},
    }
    report = Report(results(cell("trained", 3), metadata=metadata))
    text = Page(render_report(report)).text
    metadata_text = text[text.index('{\n  "model_hash"') :]
    decoded, _ = json.JSONDecoder().raw_decode(metadata_text)
    assert decoded == metadata
