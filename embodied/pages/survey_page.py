"""Renders docs/ground.md, the page of the survey."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from embodied.envs.registry import loadable_tasks
from embodied.pages.book import Book
from embodied.pages.learned import LearnedSuccess
from embodied.pages.learned_page import learned_section
from embodied.pages.ledger import Ledger
from embodied.pages.markdown import command_block, join_parts, rate_cell, table
from embodied.pages.subject import Pair, shown_pairs, versions_and_host
from embodied.pages.survey import (
    SURVEY_ROWS,
    SURVEYED_WORLDS,
    ExpertSuccess,
    SurveyRow,
    TaskCost,
)
from embodied.wording import counted

TITLE = """# The ground, measured

What the experts reach, what policies learn, and what each task costs, on one machine. Written by `embodied
survey`: do not edit. The seeds that failed are in `{json}`; `embodied view TASK
--robot ROBOT --level LEVEL --seed SEED` shows one of them."""
SUCCESSES = """## How often the experts succeed

Success at the end with its 95% Wilson interval, training split, 8 plans per second
that arrive at once; {episodes}. Time: simulated seconds until success at {level},
median and quartiles."""
COSTS = f"""## What each task costs

Medians, on one thread, with the robot at rest: the time of a physics step of 2.5 ms;
contacts; how many times as fast as real time {SURVEYED_WORLDS} worlds run at 20 Hz;
frames per second of the task's cameras at 96x96 pixels. At work: how many times as
fast as real time all processes together were while the experts were measured, with
controllers at 200 Hz."""
COST_HEAD = (
    "task",
    "robot",
    "physics step",
    "contacts",
    f"{SURVEYED_WORLDS} worlds",
    "frames per second",
    "at work",
)
SuccessTable = Mapping[tuple[str, str, str], ExpertSuccess]  # by task, robot, level


def survey_book(page: Path) -> Book[SurveyRow]:
    """Returns the book of the survey at `page`, with a row per task and robot."""

    def render(ledger: Ledger[SurveyRow], json_name: str) -> str:
        return survey_page(ledger, shown_pairs(loadable_tasks(), ledger), json_name)

    return Book(page, "survey", SURVEY_ROWS, render)


def survey_page(
    ledger: Ledger[SurveyRow], pairs: Sequence[Pair], json_name: str
) -> str:
    """Returns the page, with a row for each of `pairs` that was measured."""
    # (task, robot, level) -> the expert's success; (task, robot) -> the cost of a world
    successes = {
        (*row.subject.pair, row.level): row
        for row in ledger.rows
        if isinstance(row, ExpertSuccess)
    }
    costs = {row.subject.pair: row for row in ledger.rows if isinstance(row, TaskCost)}

    parts = [
        TITLE.format(json=json_name),
        command_block(ledger),
        versions_and_host(ledger, (row.subject for row in ledger.rows)),
    ]
    if successes:
        levels = sorted({level for _, _, level in successes})
        episodes = _episodes_sentence(list(successes.values()))
        parts.append(SUCCESSES.format(episodes=episodes, level=levels[0]))
        parts.append(_success_table(successes, levels, pairs))

    learned = [row for row in ledger.rows if isinstance(row, LearnedSuccess)]
    parts.append(learned_section(learned, pairs))

    if costs:
        parts.append(COSTS)
        parts.append(_cost_table(costs, successes, pairs))
    return join_parts(parts)


def _episodes_sentence(successes: Sequence[ExpertSuccess]) -> str:
    """Returns the number of episodes per cell and their seeds in words.

    If cells differ in them, the words say that each cell states its number.
    """
    samples = {(row.first_seed, row.rate.episodes) for row in successes}
    if len(samples) > 1:
        return "with the episodes of each cell after its interval"

    first, count = samples.pop()
    return f"{counted(count, 'episode')} each, seeds {first} to {first + count - 1}"


def _success_table(
    successes: SuccessTable, levels: Sequence[str], pairs: Sequence[Pair]
) -> str:
    """Returns the table of the expert's success rates, by task, robot and level."""
    # if cells differ in their seeds or number of episodes, each gives its number
    samples = {(row.first_seed, row.rate.episodes) for row in successes.values()}
    uneven = len(samples) > 1

    lines = []
    for pair in pairs:
        cells = [successes.get((*pair, level)) for level in levels]
        # a pair without figures has no row; the time is that of the first level
        if any(cells):
            rates = [_rate(cell, uneven) for cell in cells]
            lines.append([*pair, *rates, _time(cells[0])])
    return table(["task", "robot", *levels, "time, s"], lines)


def _rate(row: ExpertSuccess | None, uneven: bool) -> str:
    """Returns the cell of a success rate; `uneven` adds the number of episodes."""
    if row is None:
        return ""
    episodes = f" of {row.rate.episodes}" if uneven else ""
    return f"{rate_cell(row.rate)}{episodes}"


def _time(row: ExpertSuccess | None) -> str:
    """Returns the cell of the time to success: the median and the quartiles, in s."""
    if row is None or row.quartiles_s is None:
        return ""
    lower, middle, upper = row.quartiles_s
    return f"{middle:.1f} ({lower:.1f} to {upper:.1f})"


def _cost_table(
    costs: Mapping[Pair, TaskCost], successes: SuccessTable, pairs: Sequence[Pair]
) -> str:
    """Returns the table of the cost of simulating each task with each robot."""
    lines = []
    for pair in pairs:
        if pair not in costs:
            continue

        cost = costs[pair]
        # speeds with the expert at all levels, of which the fastest is shown
        speeds_at_work = [
            row.real_time_factor
            for (task, robot, _), row in successes.items()
            if (task, robot) == pair
        ]
        lines.append(
            [
                *pair,
                f"{cost.step_us:.1f} us",
                str(cost.contacts),
                f"{cost.real_time_factor:.0f} x",
                f"{cost.frames_per_s:.0f}",
                f"{max(speeds_at_work):.0f} x" if speeds_at_work else "",
            ]
        )
    return table(COST_HEAD, lines)
