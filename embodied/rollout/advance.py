"""News of a job beside its results: progress within running episodes, and how many follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from embodied.core import PHYSICS_HZ, Observation, seconds_to_ticks

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds
    from embodied.rollout.rollout import EpisodeResult, Step

REPORT_EVERY_TICKS = seconds_to_ticks(0.5)


@dataclass(frozen=True)
class Advance:
    """The progress of a running episode."""

    seed: int
    share: float  # elapsed share of the horizon


@dataclass(frozen=True)
class Forecast:
    """A new estimate of how many episodes a stage has, where a rule may end it early."""

    total: int


class Advances:
    """A rollout hook that reports an `Advance` of each episode every 0.5 s."""

    def __init__(self, seeds: list[int], report: Callable[[Advance], None]) -> None:
        """Prepares the hook.

        Args:
            seeds: seeds of the rollout, by the index of the episode.
            report: called with each advance.
        """
        self._seeds = seeds
        self._report = report
        self._running: dict[int, int] = {}  # world -> seed of its episode

    def on_start(
        self,
        worlds: Worlds,
        ids: np.ndarray,
        indices: np.ndarray,
        observation: Observation,
    ) -> None:
        """Notes the seeds of the episodes that start in worlds `ids`."""
        for world, index in zip(ids.tolist(), indices.tolist(), strict=True):
            self._running[world] = self._seeds[index]

    def on_step(self, worlds: Worlds, step: Step) -> None:
        """Reports the elapsed share of each episode's horizon, when that is due."""
        horizon_ticks = worlds.horizon_s * PHYSICS_HZ
        for world, seed in self._running.items():
            tick = int(step.before.tick[world]) + worlds.ticks_per_step
            # report at the first step that ends at or after a multiple of the period
            if tick % REPORT_EVERY_TICKS < worlds.ticks_per_step:
                self._report(Advance(seed, min(tick / horizon_ticks, 1.0)))

    def on_end(self, worlds: Worlds, world: int, result: EpisodeResult) -> None:
        self._running.pop(world, None)
