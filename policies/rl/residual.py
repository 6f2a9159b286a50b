"""Residual policies: the action of a base policy plus a small learned correction.

As in Johannink et al., Residual Reinforcement Learning for Robot Control, ICRA 2019. The
inputs of the correcting network are proprioception, privileged state and the base's action.
A base that acts at 200 Hz is corrected at 20 Hz, since longer steps are easier to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation, Policy
from embodied.policies.rl.actor import ActorPolicy
from embodied.policies.wrapper import PolicyWrapper

CORRECTIONS_HZ = 20
BASE_FOLDER = "base"  # subfolder of a run with a copy of the base, if that is a run


@dataclass(frozen=True)
class Residual:
    """A base policy, and the size and rate of its corrections.

    Attributes:
        base: the base's name, or the path of its run folder; `BASE_FOLDER` if the base
            was copied into the run.
        scale: the largest correction of an action element.
        hz: the number of corrections per second.
        planner_hz: the number of plans per second of the base; None if it makes no plans.
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
    """Returns the number of corrections per second for a base's control rate.

    The number is `CORRECTIONS_HZ` if the control rate is a multiple of it. Otherwise every
    action of the base is corrected, at the control rate.
    """
    if control_hz % CORRECTIONS_HZ:
        return control_hz
    return CORRECTIONS_HZ


def corrected(base_action: Array, correction: Array, scale: float) -> np.ndarray:
    """Returns corrected actions (N, A) in [-1, 1].

    If a correction is 0, the action is exactly the base's action.

    Args:
        base_action: (N, A) the actions of the base.
        correction: (N, A) the corrections in [-1, 1], before scaling.
        scale: the largest correction of an action element.
    """
    clipped = np.clip(base_action + scale * correction, -1, 1)
    return np.where(correction == 0, base_action, clipped)


class ResidualPolicy(PolicyWrapper):
    """A base policy with its corrections.

    Args:
        base: the base policy.
        correction: the actor that computes the corrections.
        residual: the size and rate of the corrections.
    """

    def __init__(
        self, base: Policy, correction: ActorPolicy, residual: Residual
    ) -> None:
        """Wraps the base; the worlds must have the privileged state for the corrections."""
        super().__init__(base)
        self.spec = replace(base.spec, privileged=True)
        self._actor = correction
        self._residual = residual
        # (N, A), held until the next correction is due
        self._correction = np.zeros((0, 0), np.float32)

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        self._wrapped.reset(ids, observation, seeds)

    def act(self, observation: Observation) -> np.ndarray:
        """Returns the base's actions (N, A) plus the corrections."""
        base_action = np.asarray(self._wrapped.act(observation), np.float32)
        # N and A are known with the first call
        if self._correction.shape != base_action.shape:
            self._correction = np.zeros_like(base_action)

        # a new correction is due at tick 0 of an episode, and then every `ticks` ticks
        is_due = np.asarray(observation.tick) % self._residual.ticks == 0
        if is_due.any():
            # the base's action is appended to the privileged state, as in training
            state = [observation.environment_state, base_action]
            extended = np.concatenate(state, axis=1)
            new = self._actor.act(replace(observation, environment_state=extended))
            self._correction = np.where(is_due[:, None], new, self._correction)
        return corrected(base_action, self._correction, self._residual.scale)
