"""The meters of a rollout: what is measured of episodes besides the rollout's figures."""

from __future__ import annotations

from typing import TYPE_CHECKING

from embodied.rollout.motion import MotionMeter
from embodied.rollout.near_misses import NearMissMeter
from embodied.rollout.rollout import EpisodeResult, Hook

if TYPE_CHECKING:
    from embodied.envs.worlds import Worlds


class Meters:
    """The meters of a rollout in N worlds.

    Attributes:
        hooks: the hooks to give to the rollout.
    """

    def __init__(self, worlds: Worlds) -> None:
        """Makes the meters for these worlds."""
        self._motion = MotionMeter(worlds)
        self._near_misses = NearMissMeter(worlds)
        self.hooks: tuple[Hook, ...] = (self._motion, self._near_misses)

    def measured(self, result: EpisodeResult) -> EpisodeResult:
        """Returns the result of an ended episode with the figures of all meters added."""
        return self._near_misses.measured(self._motion.measured(result))
