"""A learned correction of another policy: its action, and a small part of what a
network adds to it.

As in Johannink et al., Residual Reinforcement Learning for Robot Control, ICRA 2019.
The network sees the privileged state and what the base wants. A base that acts at 200
Hz is corrected at 20: longer steps are easier to learn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from embodied.core import PHYSICS_HZ, Array, Observation, Plan, Policy
from embodied.policies.rl.actor import ActorPolicy
from embodied.rollout.rollout import PlanSource

CORRECTIONS_HZ = 20
BASE_FOLDER = "base"  # in the run folder, where the base is a run


@dataclass(frozen=True)
class Residual:
    """What is corrected, and how much."""

    base: str  # expert, random or hold; else a folder in the run folder
    scale: float  # the largest correction of an action element
    hz: int  # corrections per second
    planner_hz: float | None  # of the base

    @property
    def ticks(self) -> int:
        """Physics ticks from one correction to the next."""
        return PHYSICS_HZ // self.hz


def corrections_hz(control_hz: int) -> int:
    """Returns how often a base that acts at this rate is corrected: at 20 Hz, or each
    time where that does not divide its rate.
    """
    return control_hz if control_hz % CORRECTIONS_HZ else CORRECTIONS_HZ


def corrected(wanted: Array, correction: Array, scale: float) -> np.ndarray:
    """Returns actions (N, A) in [-1, 1]; where the correction is 0, what was wanted to
    the last bit.
    """
    return np.where(
        correction == 0, wanted, np.clip(wanted + scale * correction, -1, 1)
    )


class ResidualPolicy:
    """A base and its correction as one policy. The plans it makes are the base's."""

    def __init__(
        self, base: Policy, correction: ActorPolicy, residual: Residual
    ) -> None:
        self.spec = replace(base.spec, privileged=True)
        self._base = base
        self._actor = correction
        self._residual = residual
        # (N, A), held from one to the next
        self._correction = np.zeros((0, 0), np.float32)

    def reset(self, ids: Array, observation: Observation, seeds: Sequence[int]) -> None:
        self._base.reset(ids, observation, seeds)

    def act(self, observation: Observation) -> np.ndarray:
        wanted = np.asarray(self._base.act(observation), np.float32)
        if self._correction.shape != wanted.shape:
            self._correction = np.zeros_like(wanted)

        # a correction is due when an episode begins, and regularly after that
        due = np.asarray(observation.tick) % self._residual.ticks == 0
        if due.any():
            state = np.concatenate([observation.environment_state, wanted], axis=1)
            fresh = self._actor.act(replace(observation, environment_state=state))
            self._correction = np.where(due[:, None], fresh, self._correction)
        return corrected(wanted, self._correction, self._residual.scale)

    def take_plans(self) -> list[Plan]:
        return self._base.take_plans() if isinstance(self._base, PlanSource) else []

    def mean_plan_age_s(self, world: int) -> float:
        if not isinstance(self._base, PlanSource):
            return float("nan")
        return self._base.mean_plan_age_s(world)
