"""Classifies failed episodes: how, where in the task, and how often."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass

from embodied.benchmark.results import Cell, Results, failed
from embodied.benchmark.statistics import Rate, wilson
from embodied.rollout.endings import FAULT, LOST, TIME_OUT, UNDONE
from embodied.rollout.rollout import EpisodeResult

# `EpisodeResult.ended` -> the text that follows a number of episodes, as in "40 timed out"
ENDING_TEXTS = {
    TIME_OUT: "timed out",
    LOST: "lost",
    UNDONE: "succeeded, then undone",
    FAULT: "with a fault",
    "": "without success",  # results of schema version 3 lack the ending
}
# the events of failure modes
DROPPED = "dropped"
COLLIDED = "collided"
# `EpisodeResult.ended` -> event of a failure mode, without a drop or a collision
EVENTS = {LOST: "lost", UNDONE: "undone", TIME_OUT: "timed out", "": "failed"}


@dataclass(frozen=True)
class CellFailures:
    """The failed episodes of a cell.

    Attributes:
        cell: the cell.
        episodes: the episodes without success at the end, in the order of seeds.
        endings: `EpisodeResult.ended` -> number of episodes, most frequent first.
        subtasks: last subtask -> number of episodes, most frequent first; "" for none.
    """

    cell: Cell
    episodes: tuple[EpisodeResult, ...]
    endings: dict[str, int]
    subtasks: dict[str, int]

    @classmethod
    def of(cls, cell: Cell) -> CellFailures:
        """Returns the failed episodes of a cell, counted by ending and by last subtask."""
        episodes = failed(cell)
        endings = Counter(episode.ended for episode in episodes)
        subtasks = Counter(episode.subtask for episode in episodes)
        return cls(
            cell,
            tuple(episodes),
            dict(endings.most_common()),
            dict(subtasks.most_common()),
        )

    @property
    def modes(self) -> list[FailureMode]:
        """The failure modes, most frequent first."""
        return failure_modes(self.cell)

    @property
    def has_stages(self) -> bool:
        return any(episode.stage for episode in self.episodes)

    @property
    def has_subtasks(self) -> bool:
        """Whether any of the episodes had a plan, which names a subtask."""
        return any(self.subtasks)

    @property
    def endings_text(self) -> str:
        """How they ended, e.g. "40 timed out, 18 lost"."""
        return ", ".join(
            f"{n} {ENDING_TEXTS[ended]}" for ended, n in self.endings.items()
        )

    @property
    def subtasks_text(self) -> str:
        """Their last subtasks, e.g. "31 in place, 27 in grasp"; "" without any plan."""
        if not self.has_subtasks:
            return ""
        return ", ".join(
            f"{n} in {name}" if name else f"{n} without a plan"
            for name, n in self.subtasks.items()
        )


@dataclass(frozen=True)
class FailureMode:
    """A kind of failure: an event in a part of the task.

    Attributes:
        part_of_task: the subtask of the last plan; without plans, the furthest stage that
            was reached; "" for neither.
        event: e.g. "dropped".
        rate: its share of all episodes of the cell.
        seed: the seed of the first episode with this failure.
    """

    part_of_task: str
    event: str
    rate: Rate
    seed: int

    @property
    def description(self) -> str:
        return (
            f"{self.event} in {self.part_of_task}" if self.part_of_task else self.event
        )


def failures(results: Results) -> list[CellFailures]:
    """Returns the failed episodes of each cell, without cells that have none."""
    all_cells = [CellFailures.of(cell) for cell in results.cells]
    return [failures for failures in all_cells if failures.episodes]


def view_command(cell: Cell, seed: int) -> str:
    """Returns the command that shows an episode again, bit for bit; "" if unknown."""
    if not cell.view:
        return ""
    return shlex.join([*cell.view, "--seed", str(seed)])


def failure_modes(cell: Cell) -> list[FailureMode]:
    """Returns the failure modes of a cell, most frequent first."""
    # (part of the task, event) -> seeds of the episodes with this failure
    modes: dict[tuple[str, str], list[int]] = {}
    for episode in failed(cell):
        key = (episode.subtask or episode.stage, failure_event(episode))
        modes.setdefault(key, []).append(episode.seed)

    ordered = sorted(modes.items(), key=lambda item: -len(item[1]))
    return [
        FailureMode(
            part_of_task=part_of_task,
            event=event,
            rate=wilson(len(seeds), len(cell.episodes)),
            seed=seeds[0],
        )
        for (part_of_task, event), seeds in ordered
    ]


def failure_event(episode: EpisodeResult) -> str:
    """Returns the event of a failed episode: fault, drop, collision, or its ending."""
    if episode.ended == FAULT:
        return episode.fault.replace("_", " ")
    if episode.dropped:
        return DROPPED
    if episode.collisions:
        return COLLIDED
    return EVENTS[episode.ended]
