"""The episodes that failed: which, how, where, how often, and what shows them."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass

from embodied.benchmark.results import Cell, Results, failed
from embodied.benchmark.statistics import Rate, wilson
from embodied.rollout.endings import FAULT, LOST, TIME_OUT, UNDONE
from embodied.rollout.rollout import EpisodeResult

# Ending of `EpisodeResult` -> words after a number of episodes.
WORDS = {
    TIME_OUT: "timed out",
    LOST: "lost",
    UNDONE: "succeeded, then undone",
    FAULT: "with a fault",
    "": "without success",  # version 3 of the results does not tell
}
DROPPED = "dropped"
COLLIDED = "collided"
# Ending of `EpisodeResult` -> what that is called as an event.
EVENTS = {LOST: "lost", UNDONE: "undone", TIME_OUT: "timed out", "": "failed"}


@dataclass(frozen=True)
class CellFailures:
    """The failed episodes of a cell.

    Attributes:
        cell: the cell.
        episodes: those that had not succeeded at their end, in the order of seeds.
        endings: how they ended -> how many, the most frequent first.
        places: their last subtask -> how many, the most frequent first; "" for none.
    """

    cell: Cell
    episodes: tuple[EpisodeResult, ...]
    endings: dict[str, int]
    places: dict[str, int]

    @classmethod
    def of(cls, cell: Cell) -> CellFailures:
        """Counts the failures of a cell."""
        episodes = failed(cell)
        endings = Counter(episode.ended for episode in episodes)
        places = Counter(episode.subtask for episode in episodes)
        return cls(
            cell,
            tuple(episodes),
            dict(endings.most_common()),
            dict(places.most_common()),
        )

    @property
    def modes(self) -> list[FailureMode]:
        """The ways in which they failed, the most frequent first."""
        return failure_modes(self.cell)

    @property
    def has_stages(self) -> bool:
        return any(episode.stage for episode in self.episodes)

    @property
    def has_subtasks(self) -> bool:
        """Whether any of the episodes had a plan, which names a subtask."""
        return any(self.places)

    @property
    def endings_words(self) -> str:
        """How they ended, e.g. "40 timed out, 18 lost"."""
        return ", ".join(f"{n} {WORDS[ended]}" for ended, n in self.endings.items())

    @property
    def places_words(self) -> str:
        """Their last subtasks, e.g. "31 in place, 27 in grasp"; "" where none planned."""
        if not self.has_subtasks:
            return ""
        return ", ".join(
            f"{n} in {name}" if name else f"{n} without a plan"
            for name, n in self.places.items()
        )


@dataclass(frozen=True)
class FailureMode:
    """A way to fail: where in the task, and what happened.

    Attributes:
        place: the last subtask, or the furthest stage that was reached; "" for neither.
        event: what happened, e.g. "dropped".
        rate: its share of all episodes.
        seed: of one such episode.
    """

    place: str
    event: str
    rate: Rate
    seed: int

    @property
    def words(self) -> str:
        return f"{self.event} in {self.place}" if self.place else self.event


def failures(results: Results) -> list[CellFailures]:
    """Returns the failed episodes of each cell that has any, in the cells' order."""
    found = [CellFailures.of(cell) for cell in results.cells]
    return [one for one in found if one.episodes]


def view_command(cell: Cell, seed: int) -> str:
    """Returns the command that shows an episode of a cell again; "" where unknown.

    It gives the same episode, bit for bit.
    """
    if not cell.view:
        return ""
    return shlex.join([*cell.view, "--seed", str(seed)])


def failure_modes(cell: Cell) -> list[FailureMode]:
    """Returns the ways in which episodes of a cell failed, the most frequent first."""
    modes: dict[tuple[str, str], list[int]] = {}
    for episode in failed(cell):
        key = (episode.subtask or episode.stage, event_of(episode))
        modes.setdefault(key, []).append(episode.seed)

    ordered = sorted(modes.items(), key=lambda item: -len(item[1]))
    return [
        FailureMode(place, event, wilson(len(seeds), len(cell.episodes)), seeds[0])
        for (place, event), seeds in ordered
    ]


def event_of(episode: EpisodeResult) -> str:
    """Returns what happened in a failed episode, as far as it is recorded."""
    if episode.ended == FAULT:
        return episode.fault.replace("_", " ")
    if episode.dropped:
        return DROPPED
    if episode.collisions:
        return COLLIDED
    return EVENTS[episode.ended]
