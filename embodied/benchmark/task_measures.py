"""Summarizes what tasks report about their episodes besides success.

A task declares its measures in `TaskSpec.measures`: wrong answers, spilled water, the
distance to people. Each episode's result has their values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from embodied.benchmark.results import Cell
from embodied.benchmark.statistics import Estimate, mean
from embodied.envs.measures import Measure
from embodied.envs.registry import get_task
from embodied.errors import EmbodiedError


@dataclass(frozen=True)
class MeasureSummary:
    """One measure over the episodes of a cell.

    Attributes:
        cell: the cell.
        measure: name, unit and meaning. Unit and meaning are "?" if the task is unknown
            here, as with results from another machine.
        episodes: number of episodes that have the measure; episodes with a fault lack it.
        nonzero: number of episodes in which the measure is not 0.
        mean: the mean over the episodes, with its bootstrap interval.
        smallest: the smallest value among the episodes.
        largest: the largest value among the episodes.
    """

    cell: Cell
    measure: Measure
    episodes: int
    nonzero: int
    mean: Estimate
    smallest: float
    largest: float


def task_measures(cells: Sequence[Cell]) -> list[MeasureSummary]:
    """Returns the measures of all cells, sorted by task and measure, then by cell.

    A cell holds the episodes of one policy under one condition. Cells whose task reports
    no measures are left out.
    """
    # `dict.fromkeys` keeps each task once, in the order of the cells
    summaries = []
    for task in dict.fromkeys(cell.condition.task for cell in cells):
        same_task = [cell for cell in cells if cell.condition.task == task]
        for measure in _recorded_measures(task, same_task):
            for cell in same_task:
                summary = _summary(cell, measure)
                if summary is not None:
                    summaries.append(summary)
    return summaries


def _recorded_measures(task: str, cells: Sequence[Cell]) -> list[Measure]:
    """Returns the measures in the episodes of a task's cells, in the task's order."""
    names = dict.fromkeys(
        name for cell in cells for episode in cell.episodes for name in episode.measures
    )
    if not names:
        return []
    try:
        known = {measure.name: measure for measure in get_task(task).measures}
    except EmbodiedError:
        known = {}  # a task from outside this package, which is not loaded here
    # measures that the task does not declare come last, in the order of the episodes
    ordered = sorted(names, key=[*known, *names].index)
    return [known.get(name, Measure(name, "?", "?")) for name in ordered]


def _summary(cell: Cell, measure: Measure) -> MeasureSummary | None:
    """Returns the summary of a measure in a cell; None if no episode has it."""
    values = [
        episode.measures[measure.name]
        for episode in cell.episodes
        if measure.name in episode.measures
    ]
    if not values:
        return None

    return MeasureSummary(
        cell=cell,
        measure=measure,
        episodes=len(values),
        nonzero=sum(value != 0 for value in values),
        mean=mean(values),
        smallest=min(values),
        largest=max(values),
    )
