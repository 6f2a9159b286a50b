"""Counts how a dual system uses its plans: their ages, stops, and jumps of actions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.core import PHYSICS_HZ, Array
from embodied.rollout.plan_use import PlanUse


class PlanCounts:
    """Counts how plans are used in each of N worlds since the start of its episode.

    Args:
        num_worlds: N.
        gripper_elements: the indices of the action elements that command grippers, whose
            jumps are ignored.
    """

    def __init__(self, num_worlds: int, gripper_elements: Sequence[int]) -> None:
        """Begins with all counts at 0."""
        self._grippers = list(gripper_elements)
        # All arrays are (N,) unless noted. A plan is shown if controllers use it.
        # the number of the shown plan in its episode; -1 before the first plan
        self._seq = np.full(num_worlds, -1, np.int64)
        self._has_plan = np.zeros(num_worlds, np.int64)  # 1 if a plan is shown, else 0

        # numbers of control steps: all, with a plan, and with a stopped robot
        self._steps = np.zeros(num_worlds, np.int64)
        self._steps_with_plan = np.zeros(num_worlds, np.int64)
        self._steps_stopped = np.zeros(num_worlds, np.int64)
        self._age_sum_ticks = np.zeros(num_worlds, np.int64)

        # replacements of a plan by another plan
        self._is_replaced = np.zeros(num_worlds, bool)  # in the current step
        self._any_replaced = False  # whether a plan was replaced in any world
        self._replacements = np.zeros(num_worlds, np.int64)
        # sum over replacements of the largest change of an action element
        self._jump_sum = np.zeros(num_worlds)
        # (N, A) the actions of the previous step
        self._last_action = np.zeros((num_worlds, 0), np.float32)

    def reset(self, ids: Array) -> None:
        """Sets the counts of worlds `ids` (n,) to 0, for new episodes."""
        self._seq[ids] = -1
        self._has_plan[ids] = 0
        self._is_replaced[ids] = False
        for counts in (
            self._steps,
            self._steps_with_plan,
            self._steps_stopped,
            self._age_sum_ticks,
            self._replacements,
            self._jump_sum,
        ):
            counts[ids] = 0

    def show(self, seq: np.ndarray) -> None:
        """Sets the plans that controllers use from the current step on.

        Args:
            seq: (N,) the numbers of these plans; -1 for no plan.
        """
        # the first plan of an episode replaces none
        self._is_replaced = (seq != self._seq) & (self._seq >= 0)
        self._any_replaced = bool(np.count_nonzero(self._is_replaced))
        self._seq = seq.copy()
        self._has_plan = (seq >= 0).astype(np.int64)

    def add(self, action: np.ndarray, age_ticks: np.ndarray, stop: np.ndarray) -> None:
        """Adds a control step.

        Args:
            action: (N, A) the actions of controller and bridge, before limits.
            age_ticks: (N,) ages of the plans that the controllers are using.
            stop: (N,) bool, whether each robot is stopped.
        """
        self._steps += 1
        self._steps_with_plan += self._has_plan
        self._age_sum_ticks += age_ticks * self._has_plan
        if np.count_nonzero(stop):  # four times as fast as `any`
            self._steps_stopped += stop

        if self._any_replaced:
            change = np.abs(action - self._last_action)
            change[:, self._grippers] = 0
            self._jump_sum += np.where(self._is_replaced, change.max(axis=1), 0.0)
            self._replacements += self._is_replaced
            # only the first step with the new plan counts
            self._any_replaced = False
        # a copy, since a controller may reuse its array
        self._last_action = np.array(action, np.float32)

    def plan_use(self, world: int) -> PlanUse:
        """Returns how the plans of a world's episode were used so far."""
        # a mean is None if there is nothing to average
        steps = int(self._steps[world])
        steps_with_plan = int(self._steps_with_plan[world])
        replacements = int(self._replacements[world])
        mean_age_s = None
        if steps_with_plan:
            age_sum_ticks = float(self._age_sum_ticks[world])
            mean_age_s = age_sum_ticks / steps_with_plan / PHYSICS_HZ

        plan_jump = None
        if replacements:
            plan_jump = float(self._jump_sum[world]) / replacements
        return PlanUse(
            mean_age_s=mean_age_s,
            stale_share=int(self._steps_stopped[world]) / steps if steps else 0.0,
            plan_jump=plan_jump,
        )
