"""Counts near misses: how often a robot's links come close to something fixed."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from embodied.core import Observation
from embodied.envs.link_gaps import LinkGaps
from embodied.rollout.motion import SAMPLE_TICKS

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds
    from embodied.rollout.rollout import EpisodeResult, Step

# A near miss begins when a link is closer than NEAR_M, and is over once all links are
# farther than CLEAR_M: a link that trembles around NEAR_M counts once.
NEAR_M = 0.02
CLEAR_M = 0.04


class NearMissMeter:
    """A rollout hook that counts near misses in the episodes of N worlds.

    A near miss is a time in which a link of the robot was closer than NEAR_M to an object
    that is fixed to the world, or to a person, and touched none of them. `LinkGaps` says
    what counts as a link. Distances are sampled at about 20 Hz, once in a whole number
    of control steps, so a link that passes faster may be overlooked.
    """

    def __init__(self, worlds: Worlds) -> None:
        """Finds links and scenery in the model."""
        num_worlds = worlds.num_worlds
        self._gaps = LinkGaps(worlds.engine, worlds.robot, limit_m=CLEAR_M)
        # control steps between samples, rounded up
        self._steps_per_sample = -(-SAMPLE_TICKS // worlds.ticks_per_step)

        # the running episode in each world: its steps, whether a link is near an obstacle,
        # whether a link has touched one since it came near, and its near misses so far
        self._steps = np.zeros(num_worlds, np.int64)
        self._is_near = np.zeros(num_worlds, bool)
        self._has_touched = np.zeros(num_worlds, bool)
        self._near_misses = np.zeros(num_worlds, np.int64)
        # index of an episode that has ended -> number of near misses
        self._measured: dict[int, int] = {}

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        """Starts counting from zero in worlds `ids` (n,)."""
        self._steps[ids] = 0
        self._is_near[ids] = False
        self._has_touched[ids] = False
        self._near_misses[ids] = 0

    def on_step(self, worlds: Worlds, step: Step) -> None:
        """Computes the distances in the worlds in which a sample is due."""
        self._steps += step.active
        due = step.active & (self._steps % self._steps_per_sample == 0)
        if due.any():
            ids = np.flatnonzero(due)
            self._add(ids, self._gaps.smallest_m(ids))

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        """Keeps the count of an episode that ended; a faulty world has none."""
        if result.fault:
            return
        # a near miss that still lasts ends here: pretend that all links move away
        self._add(np.array([world]), np.array([CLEAR_M]))
        self._measured[result.index] = int(self._near_misses[world])

    def measured(self, result: EpisodeResult) -> EpisodeResult:
        """Returns the result of an ended episode with its number of near misses."""
        return replace(result, near_misses=self._measured.get(result.index))

    def _add(self, ids: np.ndarray, distance_m: np.ndarray) -> None:
        """Updates the counts of some worlds.

        Args:
            ids: (n,) indices of the worlds.
            distance_m: (n,) m, the smallest distance of a link, at most CLEAR_M; 0 or
                less where a link touches something.
        """
        is_near = self._is_near[ids] | (distance_m < NEAR_M)
        has_touched = self._has_touched[ids] | (distance_m <= 0)

        # once the links have moved away, it was a near miss unless they touched
        is_over = is_near & (distance_m >= CLEAR_M)
        self._near_misses[ids] += is_over & ~has_touched
        self._is_near[ids] = is_near & ~is_over
        self._has_touched[ids] = has_touched & ~is_over
