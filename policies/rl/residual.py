"""Residual policies: another policy's action plus a small correction that is learned.

As in Johannink et al., Residual Reinforcement Learning for Robot Control, ICRA 2019.
The network that corrects sees the privileged state and the action that the base wants.
A base that acts at 200 Hz is corrected at 20 Hz: longer steps are easier to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation, Policy
from embodied.policies.rl.actor import ActorPolicy
from embodied.policies.wrapper import PolicyWrapper

CORRECTIONS_HZ = 20
BASE_FOLDER = "base"  # in the run folder, where the base is a run


@dataclass(frozen=True)
class Residual:
    """Which policy is corrected, and by how much.

    Attributes:
        base: the policy's name, or the path of its run folder. In a run folder it is
            `BASE_FOLDER` where the base is a run.
        scale: the largest correction of an action element.
        hz: corrections per second.
        planner_hz: plans per second of the base; None if it does not plan.
    """

    base: str
    scale: float
    hz: int
    planner_hz: float | None

    @property
    def ticks(self) -> int:
        """Physics ticks from one correction to the next."""
        return PHYSICS_HZ // self.hz


def corrections_hz(control_hz: int) -> int:
    """Returns how many times per second a base with this control rate is corrected.

    It is `CORRECTIONS_HZ`, or the control rate itself if that is not a multiple of it.
    """
    if control_hz % CORRECTIONS_HZ:
        return control_hz
    return CORRECTIONS_HZ


def corrected(wanted: Array, correction: Array, scale: float) -> np.ndarray:
    """Returns corrected actions (N, A) in [-1, 1].

    Where the correction is 0 the action is what was wanted, to the last bit.

    Args:
        wanted: (N, A) the actions of the base.
        correction: (N, A) in [-1, 1].
        scale: the largest correction of an action element.
    """
    clipped = np.clip(wanted + scale * correction, -1, 1)
    return np.where(correction == 0, wanted, clipped)


class ResidualPolicy(PolicyWrapper):
    """A base and its correction as one policy."""

    def __init__(
        self, base: Policy, correction: ActorPolicy, residual: Residual
    ) -> None:
        super().__init__(base)
        self.spec = replace(base.spec, privileged=True)
        self._actor = correction
        self._residual = residual
        # (N, A), held until the next correction is due
        self._correction = np.zeros((0, 0), np.float32)

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        self._wrapped.reset(ids, observation, seeds)

    def act(self, observation: Observation) -> np.ndarray:
        wanted = np.asarray(self._wrapped.act(observation), np.float32)
        if self._correction.shape != wanted.shape:  # the first call: N and A are known
            self._correction = np.zeros_like(wanted)

        # A correction is due when an episode begins, at tick 0, and every `ticks` after
        # that.
        due = np.asarray(observation.tick) % self._residual.ticks == 0
        if due.any():
            # The network takes what the base wants as a part of the privileged state.
            state = np.concatenate([observation.environment_state, wanted], axis=1)
            fresh = self._actor.act(replace(observation, environment_state=state))
            self._correction = np.where(due[:, None], fresh, self._correction)
        return corrected(wanted, self._correction, self._residual.scale)
