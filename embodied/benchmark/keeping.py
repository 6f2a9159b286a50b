"""Saves the episodes of a cell while it is measured, so that an interruption loses none."""

from __future__ import annotations

import time

from embodied.benchmark.results import Condition, Results, UnfinishedCell
from embodied.benchmark.results_writing import ResultsWriter
from embodied.rollout.rollout import EpisodeResult

KEEP_EVERY_S = 20.0  # least time between two writes


class EpisodeKeeper:
    """Collects the episodes of one cell, and writes them to the results file."""

    def __init__(
        self, writer: ResultsWriter, results: Results, condition: Condition
    ) -> None:
        """Starts with the episodes that the results hold already.

        Args:
            writer: writes the results file.
            results: the content of the file.
            condition: the condition of the cell that is being measured.
        """
        self._writer = writer
        self._results = results
        self._before = results.known_episodes(condition)
        # seed -> episode, of earlier runs and of this one
        self._episodes = {episode.seed: episode for episode in self._before.episodes}
        self._begun_s = time.monotonic()
        self._last_kept_s = self._begun_s

    @property
    def cell(self) -> UnfinishedCell:
        """The episodes of the cell so far."""
        condition = self._before.condition
        wall_s = self._before.wall_s + time.monotonic() - self._begun_s
        seeds = [seed for seed in condition.seeds if seed in self._episodes]
        episodes = tuple(self._episodes[seed] for seed in seeds)
        return UnfinishedCell(condition, wall_s, episodes)

    def add(self, episode: EpisodeResult) -> None:
        """Adds a finished episode; writes the file if the last write is long ago."""
        self._episodes[episode.seed] = episode
        if time.monotonic() - self._last_kept_s > KEEP_EVERY_S:
            self.keep()

    def keep(self) -> None:
        """Writes the episodes so far, if there are any new ones."""
        cell = self.cell
        if len(cell.episodes) > len(self._before.episodes):
            self._writer.write(self._results.with_unfinished(cell))
        self._last_kept_s = time.monotonic()
