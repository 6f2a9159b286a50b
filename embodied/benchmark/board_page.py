"""Renders a leaderboard as one self-contained HTML file."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from markupsafe import Markup

from embodied.benchmark.board import Board, Duel, scenarios_in
from embodied.benchmark.board_text import (
    NO_CERTIFICATE,
    duel_text,
    group_attributes,
    headline,
    pooled_text,
    shortness_texts,
    where_text,
)
from embodied.benchmark.contestants import Contestant
from embodied.benchmark.failures import FailureMode, failure_modes
from embodied.benchmark.plots import Series, line_chart, points_axis, success_axis
from embodied.benchmark.pooled import Pooled, pooled_rate
from embodied.benchmark.profile import (
    EXPERT,
    other_measures,
    profile,
    success_by_time,
)
from embodied.benchmark.report import environment
from embodied.benchmark.results import Cell, rate, summarize
from embodied.benchmark.scenarios import GROUP_ATTRIBUTES, Scenario, ScenarioGroup
from embodied.benchmark.suite import CLASSES
from embodied.benchmark.views import PALETTE_SIZE
from embodied.benchmark.wording import listing
from embodied.files import replace_text

MAX_SENTENCES = 6  # most comparisons in the text at the top of the page
MAX_CURVES = 6  # most charts of success over time
POINTS = 40  # number of points of a curve in these charts


def write_board_page(path: Path, board: Board) -> None:
    """Writes the page atomically."""
    replace_text(path, board_page(board))


def board_page(board: Board) -> str:
    """Returns the page of a comparison of policies as HTML."""
    # filters that the template calls
    pages = environment()
    pages.filters.update(pooled=pooled_text, mean=_mean_text, limits=_limits_text)
    several = len(board.contestants) > 1
    suites = dict.fromkeys(contestant.suite for contestant in board.contestants)
    suite = ", ".join(filter(None, suites))

    # the curves of some cells only, where there are many
    shown = _most_telling(board)
    curves_note = ""
    if len(shown) < len(board.scenarios):
        which = "in which the policies differ most" if several else "of least success"
        curves_note = f"; in the {len(shown)} cells {which}"

    template = pages.get_template("board.html.j2")
    return template.render(
        board=board,
        palette=PALETTE_SIZE,
        title="Leaderboard" if several else "Profile",
        # what the policies were measured over
        over=f"suite {suite}" if suite else "no suite",
        headline=headline(board),
        sentences=_sentences(board),
        episodes=sum(_episodes(contestant, board) for contestant in board.contestants),
        abilities=_abilities(board),
        other_measures=list(_other_measures(board)),
        attributes=listing(group_attributes(board.group_duels) or [""]),
        group_duels=_largest_first(board.group_duels, by_attribute=True),
        local_duels=_largest_first(board.local_duels),
        rate_of=partial(_rate_of, board),
        decided=sum(duel.winner is not None for duel in board.local_duels),
        matrix=_matrix(board),
        curves=list(_curves(board, shown)),
        curves_note=curves_note,
        modes=list(_modes(board)),
        no_certificate=NO_CERTIFICATE,
    )


def _sentences(board: Board) -> list[str]:
    """Returns the sentences at the top of the page: what was found, and on what basis."""
    sentences = []
    for duel in board.duels[:MAX_SENTENCES]:
        sentences.append(duel_text(board, duel))
        # where it is so, if there is only one pair to speak of
        if len(board.duels) == 1:
            sentences.append(where_text(board, duel))
    return [*filter(None, sentences), *shortness_texts(board)]


def _mean_text(rate: Pooled) -> str:
    """Returns a rate without its interval: "85%" of "85% (79-92%)"."""
    return pooled_text(rate).partition(" ")[0]


def _limits_text(rate: Pooled) -> str:
    """Returns a rate's interval without the rate: "79-92%" of "85% (79-92%)"."""
    return pooled_text(rate).partition(" ")[2].strip("()")


def _episodes(contestant: Contestant, board: Board) -> int:
    """Returns how many episodes a contestant has in the board's scenarios."""
    return sum(len(contestant.cells[scenario].episodes) for scenario in board.scenarios)


def _abilities(board: Board) -> list[tuple[str, str, list[tuple[int, Pooled]]]]:
    """Returns the rows of the table of abilities.

    Each row is (ability, its kind, [(index of a contestant, its success rate), ...]). A
    suite puts each cell into one class of abilities, and may add dimensions; so the kind
    is "class" for the abilities in CLASSES, else "dimension".
    """
    rows: dict[str, list[tuple[int, Pooled]]] = {}
    for index, contestant in enumerate(board.contestants):
        for measured in profile(contestant):
            rows.setdefault(measured.ability, []).append((index, measured.rate))
    return [
        (ability, "class" if ability in CLASSES else "dimension", rates)
        for ability, rates in rows.items()
    ]


@dataclass(frozen=True)
class Matrix:
    """The success in each cell: tasks with their robots by levels and the like.

    Attributes:
        columns: the conditions in words, such as "L2" or "L4, held out: objects".
        rows: (task with its robot, index of the contestant, its rate in each column or
            None where it was not measured).
    """

    columns: list[str]
    rows: list[tuple[str, int, list[Pooled | None]]]


def _matrix(board: Board) -> Matrix:
    """Returns the success of all contestants in each cell that they share."""
    # (task with its robot, the other conditions in words) -> scenario
    found: dict[tuple[str, str], Scenario] = {}
    for scenario in board.scenarios:
        condition = replace(scenario, task="", robot="").description
        found[f"{scenario.task} {scenario.robot}".strip(), condition] = scenario

    columns = list(dict.fromkeys(condition for _, condition in found))
    rows: list[tuple[str, int, list[Pooled | None]]] = []
    for title in dict.fromkeys(task_with_robot for task_with_robot, _ in found):
        for index, contestant in enumerate(board.contestants):
            rates = [
                pooled_rate([contestant.cells[found[title, column]]])
                if (title, column) in found
                else None
                for column in columns
            ]
            rows.append((title, index, rates))
    return Matrix(columns, rows)


def _cells(board: Board) -> Iterator[tuple[Scenario, int, Cell]]:
    """Yields (scenario, index of the contestant, its cell), scenario by scenario."""
    for scenario in board.scenarios:
        for index, contestant in enumerate(board.contestants):
            yield scenario, index, contestant.cells[scenario]


def _other_measures(board: Board) -> Iterator[tuple[Any, ...]]:
    """Yields (scenario, index of the contestant, summary, measures) of each cell.

    The measures are an `OtherMeasures`. Among them are a contestant's pace as a share of
    the expert's, and the success that it lost to the delay of plans.
    """
    for scenario, index, cell in _cells(board):
        undelayed = None
        if scenario.timing:
            undelayed = board.contestants[index].cells.get(scenario.without_timing)
        expert = _expert(board, scenario)
        measures = other_measures(cell, expert, undelayed)
        yield scenario, index, summarize(cell), measures


def _expert(board: Board, scenario: Scenario) -> Cell | None:
    """Returns the expert's cell in a scenario; None if the expert is no contestant."""
    for contestant in board.contestants:
        if contestant.cells[scenario].condition.policy == EXPERT:
            return contestant.cells[scenario]
    return None


def _modes(board: Board) -> Iterator[tuple[Scenario, int, Cell, FailureMode]]:
    """Yields (scenario, index of the contestant, cell, failure mode) for each mode."""
    for scenario, index, cell in _cells(board):
        for mode in failure_modes(cell):
            yield scenario, index, cell, mode


def _rate_of(board: Board, index: int, duel: Duel) -> Pooled:
    """Returns the success rate of a contestant in the scope of a duel."""
    cells = board.contestants[index].cells
    scenarios = scenarios_in(duel.scope, board.scenarios)
    return pooled_rate([cells[scenario] for scenario in scenarios])


def _largest_first(duels: Sequence[Duel], by_attribute: bool = False) -> list[Duel]:
    """Returns the decided duels, then the others; each the largest differences first.

    Args:
        duels: comparisons of the same kind.
        by_attribute: whether the duels of one attribute stay together.
    """

    def order(duel: Duel) -> tuple[int, bool, float]:
        """Returns what the duels are sorted by."""
        attribute = 0
        if by_attribute and isinstance(duel.scope, ScenarioGroup):
            attribute = GROUP_ATTRIBUTES.index(duel.scope.attribute)
        return attribute, duel.winner is None, -abs(duel.difference.value)

    return sorted(duels, key=order)


def _most_telling(board: Board) -> list[Scenario]:
    """Returns the MAX_CURVES scenarios in which the policies' success differs most.

    For a single policy they are those in which it succeeds least. Of equal ones, the
    first are taken.
    """

    def tellingness(scenario: Scenario) -> float:
        """Returns the range of the policies' success, or one policy's lack of it."""
        rates = [rate(one.cells[scenario]).value for one in board.contestants]
        return max(rates) - min(rates) if len(rates) > 1 else 1 - rates[0]

    ordered = sorted(board.scenarios, key=tellingness, reverse=True)
    return ordered[:MAX_CURVES]


def _curves(
    board: Board, scenarios: Sequence[Scenario]
) -> Iterator[tuple[str, Markup, list[int]]]:
    """Yields charts of success over time in some scenarios.

    Each element is (scenario in words, chart, indices of the contestants in its legend).
    """
    for scenario in scenarios:
        # all policies at the same times, up to the end of the longest episode
        cells = [contestant.cells[scenario] for contestant in board.contestants]
        longest_s = max(e.duration_s for cell in cells for e in cell.episodes)
        times_s = [longest_s * k / POINTS for k in range(POINTS + 1)]

        series = [
            Series(
                tuple(zip(times_s, success_by_time(cell, times_s), strict=True)),
                index % PALETTE_SIZE,
                marks=False,
            )
            for index, cell in enumerate(cells)
        ]

        axis = points_axis("Simulated time (s)", times_s)
        chart = line_chart(
            series, axis, success_axis(), f"Success by time, {scenario.description}"
        )
        yield scenario.description, chart, list(range(len(cells)))
