"""Figures on how a controller used the plans of an episode."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class PlanUse:
    """Freshness of an episode's plans, and jumps of the action between them.

    Attributes:
        mean_age_s: mean age of the plan in use, over the control steps with a plan; None
            if there are none.
        stale_share: share of all control steps in which the robot was stopped because
            its plan was too old, or because there was no plan yet.
        plan_jump: change of the controller's action when a new plan replaces another:
            the largest change of an element in [-1, 1], grippers excluded, as the mean
            over these control steps; None if there are none.
    """

    mean_age_s: float | None
    stale_share: float
    plan_jump: float | None


@runtime_checkable
class PlanUser(Protocol):
    """A policy that reports how its plans were used."""

    def plan_use(self, world: int) -> PlanUse | None:
        """Returns the figures of the current episode of a world; None without any."""
