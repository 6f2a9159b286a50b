"""Begins and stops episodes of worlds, in all that must follow them."""

from __future__ import annotations

import numpy as np

from embodied.envs.episodes import Episodes
from embodied.envs.scoring import HostScorer
from embodied.envs.task_watch import TaskWatch
from embodied.robots.control import RobotControl
from embodied.sim.cameras import CameraFeed
from embodied.sim.engine import HostEngine


class EpisodeFlow:
    """Tells engine, robots, cameras, scores and checks when episodes begin and stop."""

    def __init__(
        self,
        engine: HostEngine,
        control: RobotControl,
        episodes: Episodes,
        feed: CameraFeed,
        scorer: HostScorer,
        watch: TaskWatch,
    ) -> None:
        # who is told when episodes begin and when worlds rest
        self._engine = engine
        self._control = control
        self._episodes = episodes
        self._feed = feed
        self._scorer = scorer
        self._watch = watch

    def begin(self, ids: np.ndarray) -> None:
        """Begins episodes in worlds `ids` (n,), whose starts are in the engine.

        The engine computes all that follows from the states before others read it.
        """
        begun = np.isin(np.arange(self._engine.num_worlds), ids)  # (N,) bool
        self._engine.wake(ids)
        self._engine.refresh(ids)
        for watcher in self._engine.watchers:
            watcher.forget(begun)
        self._control.reset(begun)
        self._episodes.keep_start_states(ids)
        self._feed.reset(ids)
        self._scorer.begin(ids)
        self._watch.begin(ids)

    def rest(self, ids: np.ndarray) -> None:
        """Stops physics, clocks and frames of worlds `ids`, until the next episodes."""
        for part in (self._engine, self._scorer, self._feed):
            part.rest(ids)

    def put_back(self, fault: np.ndarray) -> None:
        """Records faults, and puts the worlds that have one back to their start states.

        A start state is finite, so nothing of a fault reaches later observations.

        Args:
            fault: (N,) int, of the present step: indices of FAULTS.
        """
        self._scorer.add_faults(fault)
        self._episodes.put_back(np.flatnonzero(fault))
        self._control.reset(fault != 0)
