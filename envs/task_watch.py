"""Checks a task's return values while its worlds run, at increasing intervals."""

from __future__ import annotations

import numpy as np

from embodied.envs.task import Task, TaskSpec
from embodied.envs.task_checks import check_bound, check_present


class TaskWatch:
    """Checks a task when it is bound, at the first reset and after 1, 2, 4, ... steps.

    Intervals increase so that mistakes are found early, and yet the checks add almost no
    time to a long run.

    Raises:
        EmbodiedError: the task returns a wrong value.
    """

    def __init__(self, spec: TaskSpec, task: Task, num_worlds: int) -> None:
        """Checks the task's methods and layout, but not yet the values they return."""
        check_bound(spec, task, num_worlds)
        self._name = spec.name
        self._task = task
        self._num_worlds = num_worlds
        self._num_steps = 0
        # the number of steps after which the next check is due; 0 before the first reset
        self._next_check = 0

    def begin(self, ids: np.ndarray) -> None:
        """Checks worlds `ids` (n,) after their reset if it is the first reset of all."""
        if self._next_check == 0:
            self.check(ids)

    def is_due(self) -> bool:
        """Counts a step, and returns whether a check is due after this step."""
        self._num_steps += 1
        return self._num_steps == self._next_check

    def check(self, ids: np.ndarray) -> None:
        """Checks the task's values for worlds `ids` (n,), which have no fault."""
        check_present(self._name, self._task, self._num_worlds, ids)
        self._next_check = max(1, 2 * self._num_steps)
