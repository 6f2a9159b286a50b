"""The base of policies that change the actions of another policy."""

from __future__ import annotations

from embodied.core import Policy
from embodied.plan import Plan
from embodied.rollout.plan_use import PlanUse, PlanUser
from embodied.rollout.rollout import PlanSource


class PolicyWrapper:
    """A policy that changes the actions of another policy, and passes on its plans."""

    def __init__(self, wrapped: Policy) -> None:
        self._wrapped = wrapped

    def take_plans(self) -> list[Plan]:
        """Returns the plans started since the last call; [] if the policy has none."""
        if isinstance(self._wrapped, PlanSource):
            return self._wrapped.take_plans()
        return []

    def mean_plan_age_s(self, world: int) -> float:
        """Returns the mean plan age in the episode so far; nan without plans."""
        if isinstance(self._wrapped, PlanSource):
            return self._wrapped.mean_plan_age_s(world)
        return float("nan")

    def plan_use(self, world: int) -> PlanUse | None:
        """Returns figures on the plans of the episode so far; None without plans."""
        if isinstance(self._wrapped, PlanUser):
            return self._wrapped.plan_use(world)
        return None
