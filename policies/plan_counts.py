"""Counts of how a dual system uses its plans, in N worlds."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from embodied.core import PHYSICS_HZ, Array
from embodied.rollout.plan_use import PlanUse


class PlanCounts:
    """Counts, for each of N worlds, since the start of its episode.

    Args:
        num_worlds: N.
        gripper_elements: which action elements are grippers, whose jumps don't count.
    """

    def __init__(self, num_worlds: int, gripper_elements: Sequence[int]) -> None:
        self._grippers = list(gripper_elements)
        self._seq = np.full(num_worlds, -1, np.int64)  # of the plans that are shown
        self._has_plan = np.zeros(num_worlds, np.int64)  # 1 where a plan is shown

        # Over control steps: all of them, those with a plan, those of stopped robots.
        self._steps = np.zeros(num_worlds, np.int64)
        self._steps_with_plan = np.zeros(num_worlds, np.int64)
        self._steps_stopped = np.zeros(num_worlds, np.int64)
        self._age_sum_ticks = np.zeros(num_worlds, np.int64)

        # Over control steps in which a plan takes over from another.
        self._takes_over = np.zeros(num_worlds, bool)  # in the present step
        self._has_taken_over = False  # whether it does so in any world
        self._changes = np.zeros(num_worlds, np.int64)
        self._jump_sum = np.zeros(num_worlds)
        self._wanted = np.zeros(
            (num_worlds, 0), np.float32
        )  # (N, A) of the step before

    def reset(self, ids: Array) -> None:
        """Begins episodes in worlds `ids`."""
        self._seq[ids] = -1
        self._has_plan[ids] = 0
        self._takes_over[ids] = False
        for counts in (
            self._steps,
            self._steps_with_plan,
            self._steps_stopped,
            self._age_sum_ticks,
            self._changes,
            self._jump_sum,
        ):
            counts[ids] = 0

    def show(self, seq: np.ndarray) -> None:
        """Notes the plans `seq` (N,) that are shown from the present step on."""
        self._takes_over = (seq != self._seq) & (self._seq >= 0)
        self._has_taken_over = bool(np.count_nonzero(self._takes_over))
        self._seq = seq.copy()
        self._has_plan = (seq >= 0).astype(np.int64)

    def add(self, wanted: np.ndarray, age_ticks: np.ndarray, stop: np.ndarray) -> None:
        """Adds a control step.

        Args:
            wanted: (N, A) the actions that the controller and the bridge ask for.
            age_ticks: (N,) of the plans that are shown.
            stop: (N,) bool, in which worlds the robot is stopped.
        """
        self._steps += 1
        self._steps_with_plan += self._has_plan
        self._age_sum_ticks += age_ticks * self._has_plan
        if np.count_nonzero(stop):
            self._steps_stopped += stop

        if self._has_taken_over:
            change = np.abs(wanted - self._wanted)
            change[:, self._grippers] = 0
            self._jump_sum += np.where(self._takes_over, change.max(axis=1), 0.0)
            self._changes += self._takes_over
            self._has_taken_over = False
        # a copy, as a controller may use its array again
        self._wanted = np.array(wanted, np.float32)

    def of(self, world: int) -> PlanUse:
        """Returns the figures of a world's episode so far."""
        steps = int(self._steps[world])
        with_plan = int(self._steps_with_plan[world])
        changes = int(self._changes[world])
        mean_age_s = None
        if with_plan:
            mean_age_s = float(self._age_sum_ticks[world]) / with_plan / PHYSICS_HZ
        return PlanUse(
            mean_age_s=mean_age_s,
            stale_share=int(self._steps_stopped[world]) / steps if steps else 0.0,
            plan_jump=float(self._jump_sum[world]) / changes if changes else None,
        )
