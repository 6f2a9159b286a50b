"""Checks what a task says while its worlds run, at ever longer intervals."""

from __future__ import annotations

import numpy as np

from embodied.envs.task import Task
from embodied.envs.task_checks import check_bound, check_present


class TaskWatch:
    """Checks a task when it is bound, at the first reset and after 1, 2, 4, ... steps.

    So a mistake is found where it first matters, and steps cost what they did.

    Raises:
        EmbodiedError: the task returns something else than a task must return.
    """

    def __init__(self, name: str, task: Task, num_worlds: int) -> None:
        check_bound(name, task, num_worlds)
        self._name = name
        self._task = task
        self._num_worlds = num_worlds
        self._num_steps = 0
        self._next_check = 0  # a number of steps; 0 before the first reset

    def begin(self, ids: np.ndarray) -> None:
        """Notices that worlds `ids` (n,) were reset: the first time they are checked."""
        if self._next_check == 0:
            self.check(ids)

    def is_due(self) -> bool:
        """Counts one more step, and returns whether a check is due after it."""
        self._num_steps += 1
        return self._num_steps == self._next_check

    def check(self, ids: np.ndarray) -> None:
        """Checks what the task says of worlds `ids` (n,), which are without a fault."""
        check_present(self._name, self._task, self._num_worlds, ids)
        self._next_check = max(1, 2 * self._num_steps)
