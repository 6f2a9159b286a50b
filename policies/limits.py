"""The last word before the body: actions change at a limited pace, and stop when there
is no plan to follow.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from embodied.core import Array, Observation

# observation (N rows) -> the actions (N, A) that keep the body where it is
HoldAction = Callable[[Observation], Array]


class ReferenceLimits:
    """Limits how fast the actions of N worlds change, and ramps them to rest in worlds
    that are told to stop.

    `max_step` is the largest change of an action element per control step; the gripper
    elements are free of it, and keep their last value during a stop. Without a
    `hold_action`, rest is zero (velocities and deltas) with the gripper open until it
    was commanded otherwise; absolute control modes need a `hold_action`, which is asked
    once per stop.
    """

    def __init__(
        self,
        num_worlds: int,
        max_step: float,
        grippers: tuple[int, ...],
        hold_action: HoldAction | None,
    ):
        self._max_step = max_step
        self._grippers = list(grippers)
        self._hold_action = hold_action
        self._fresh = np.ones(num_worlds, bool)  # an episode starts: no action yet
        self._stopped = np.zeros(num_worlds, bool)
        self._last = self._hold = np.zeros((num_worlds, 0), np.float32)
        self._step = np.zeros(0, np.float32)  # (A,)

    def reset(self, ids: Array) -> None:
        """Episodes start in some worlds, at rest."""
        self._fresh[ids] = True
        self._stopped[ids] = False

    def apply(self, action: Array, stop: Array, observation: Observation) -> np.ndarray:
        """What to do instead of `action` (N, A): a fresh float32 array. What is not
        finite passes through as it is.

        Raises ValueError for actions of another shape than before, or not one row per
        world.
        """
        action = np.asarray(action, np.float32)
        if action.shape != self._last.shape:
            self._allocate(action)
        if self._fresh.any():
            self._start(observation)
        if stop.any() or self._stopped.any():
            action = self._stop(action, stop, observation)
        limited = np.minimum(
            np.maximum(action, self._last - self._step), self._last + self._step
        )
        finite = np.isfinite(action)
        if finite.all():
            self._last = limited
            return limited.copy()
        self._last = np.where(finite, limited, self._last)
        return np.where(finite, limited, action)

    def _allocate(self, action: np.ndarray) -> None:
        if action.ndim != 2 or len(action) != len(self._fresh) or self._last.shape[1]:
            expected = (
                self._last.shape
                if self._last.shape[1]
                else f"({len(self._fresh)}, action size)"
            )
            raise ValueError(
                f"the controller gave actions of shape {action.shape}, expected {expected}"
            )
        self._last = np.zeros_like(action)
        self._hold = np.zeros_like(action)
        self._step = np.full(action.shape[1], self._max_step, np.float32)
        self._step[self._grippers] = np.inf

    def _start(self, observation: Observation) -> None:
        self._last[self._fresh] = self._rest(observation)[self._fresh]
        self._fresh[:] = False

    def _stop(
        self, action: np.ndarray, stop: np.ndarray, observation: Observation
    ) -> np.ndarray:
        began = stop & ~self._stopped
        if began.any():
            hold = self._rest(observation)
            hold[:, self._grippers] = self._last[:, self._grippers]
            self._hold[began] = hold[began]
        self._stopped = stop.copy()
        return np.where(stop[:, None], self._hold, action)

    def _rest(self, observation: Observation) -> np.ndarray:
        if self._hold_action is not None:
            return np.array(self._hold_action(observation), np.float32)
        rest = np.zeros_like(self._last)
        rest[:, self._grippers] = 1
        return rest
