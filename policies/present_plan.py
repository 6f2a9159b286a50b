"""The base of controllers that read, from each plan, what it says for the current time."""

from __future__ import annotations

from collections.abc import Sequence

from embodied.core import Array, Observation
from embodied.plan import Controller, Payload


class PresentPlanReader:
    """Gives another controller, at each step, the part of the plan for the current time.

    Subclasses define `takes`, and `present`, which finds that part.

    Args:
        controller: the controller that follows it.
    """

    def __init__(self, controller: Controller) -> None:
        self.controller = controller
        self.spec = controller.spec
        # a controller without this attribute may read frames
        self.sees_frames = getattr(controller, "sees_frames", True)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        self.controller.reset(ids, seeds)

    def act(self, observation: Observation, payload: Payload, age_s: Array) -> Array:
        """Returns the controller's actions (N, A)."""
        return self.controller.act(observation, self.present(payload, age_s), age_s)

    def present(self, payload: Payload, age_s: Array) -> Payload:
        """Returns N plans as they are at the ages (N,) in s."""
        raise NotImplementedError
