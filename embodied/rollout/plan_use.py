"""What an episode tells of the plans that its controller followed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable


@dataclass(frozen=True)
class PlanUse:
    """How fresh the plans of an episode were, and how smoothly one followed another.

    Attributes:
        mean_age_s: of the plan in use, over the control steps that had one; None
            without any.
        stale_share: the share of all control steps in which the robot was stopped, as
            its plan was too old, or there was none yet.
        plan_jump: by how much the action that the controller wants changes in a control
            step in which a plan takes over from another: the largest change of an
            element that is no gripper's (they go from -1 to 1), as the mean over these
            steps; None where no plan took over from another.
    """

    mean_age_s: float | None
    stale_share: float
    plan_jump: float | None


@runtime_checkable
class PlanUser(Protocol):
    """A policy that knows how its plans were used."""

    def plan_use(self, world: int) -> PlanUse | None:
        """Returns what the present episode of a world tells so far."""
