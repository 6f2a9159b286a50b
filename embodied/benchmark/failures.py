"""The episodes that failed: which, how, where, and the command that shows them."""

from __future__ import annotations

import shlex
from collections import Counter
from dataclasses import dataclass

from embodied.benchmark.results import Cell, Results, failed
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
