"""The part that policies which change another policy's actions have in common."""

from __future__ import annotations

from embodied.core import Plan, Policy
from embodied.rollout.plan_use import PlanUse, PlanUser
from embodied.rollout.rollout import PlanSource


class PolicyWrapper:
    """A policy that changes the actions of another one. Its plans are the other's."""

    def __init__(self, wrapped: Policy) -> None:
        self._wrapped = wrapped

    def take_plans(self) -> list[Plan]:
        """Returns the plans started since the last call; none if nothing plans."""
        if isinstance(self._wrapped, PlanSource):
            return self._wrapped.take_plans()
        return []

    def mean_plan_age_s(self, world: int) -> float:
        """Returns the mean plan age in the episode so far; nan if nothing plans."""
        if isinstance(self._wrapped, PlanSource):
            return self._wrapped.mean_plan_age_s(world)
        return float("nan")

    def plan_use(self, world: int) -> PlanUse | None:
        """Returns how plans were used in the episode so far; None if nothing plans."""
        if isinstance(self._wrapped, PlanUser):
            return self._wrapped.plan_use(world)
        return None
