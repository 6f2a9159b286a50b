"""Begins and stops episodes in all objects that keep state per episode."""

from __future__ import annotations

import numpy as np

from embodied.envs.episodes import Episodes
from embodied.envs.scoring import HostScorer
from embodied.envs.task_watch import TaskWatch
from embodied.robots.control import RobotControl
from embodied.sim.engine import HostEngine
from embodied.sim.feed import CameraFeed


class EpisodeFlow:
    """Tells engine, control, cameras, scorer and checks when episodes begin and stop.

    Each of these objects keeps state per episode. This class resets them in the right
    order, so that `Worlds` need not know the order.
    """

    def __init__(
        self,
        engine: HostEngine,
        control: RobotControl,
        episodes: Episodes,
        feed: CameraFeed,
        scorer: HostScorer,
        watch: TaskWatch,
    ) -> None:
        """Stores the objects that are told."""
        # what moves, what is sampled and seen, and what judges
        self._engine = engine
        self._control = control
        self._episodes = episodes
        self._feed = feed
        self._scorer = scorer
        self._watch = watch

    def begin(self, ids: np.ndarray) -> None:
        """Begins episodes in worlds `ids` (n,), whose start states the engine has.

        The engine comes first: it computes the quantities derived from these states,
        which the other objects read.
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
        """Stops physics, clocks and frames of worlds `ids` (n,) until their next episodes."""
        for part in (self._engine, self._scorer, self._feed):
            part.rest(ids)

    def put_back(self, fault: np.ndarray) -> None:
        """Records faults, and resets the worlds that have a fault to their start states.

        Start states are finite, so that later observations have no NaN from a fault.

        Args:
            fault: (N,) int, the fault of each world in the present step, as an index into
                FAULTS; 0 for no fault.
        """
        self._scorer.add_faults(fault)
        self._episodes.put_back(np.flatnonzero(fault))
        self._control.reset(fault != 0)
