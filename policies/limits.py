"""Limits on actions: how fast they may change, and how a robot is stopped."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from embodied.core import Array, Observation

# Takes the observation of N worlds, returns the actions (N, A) that keep the body where
# it is.
HoldAction = Callable[[Observation], Array]


class ReferenceLimits:
    """Limits how fast the actions of N worlds change, and ramps stopped worlds to rest.

    Gripper elements may jump, and keep their last value during a stop.

    Args:
        num_worlds: N.
        max_step: largest change of an action element per control step.
        gripper_elements: which action elements are grippers.
        hold_action: returns the actions that mean rest; called once per stop. Absolute
            control modes need it. If it is None, rest is zero, which suits velocities
            and deltas, and grippers rest open until they are commanded otherwise.
    """

    def __init__(
        self,
        num_worlds: int,
        max_step: float,
        gripper_elements: tuple[int, ...],
        hold_action: HoldAction | None,
    ) -> None:
        self._max_step = max_step
        self._grippers = list(gripper_elements)
        self._hold_action = hold_action

        self._starting = np.ones(num_worlds, bool)  # no action in this episode yet
        self._stopped = np.zeros(num_worlds, bool)

        # The action size A is known with the first action.
        self._last = np.zeros((num_worlds, 0), np.float32)  # (N, A) the last actions
        self._hold = self._last  # (N, A) what stopped worlds ramp to
        self._step = np.zeros(0, np.float32)  # (A,) largest change per control step

    def reset(self, ids: Array) -> None:
        """Begins episodes in worlds `ids`, at rest."""
        self._starting[ids] = True
        self._stopped[ids] = False

    def apply(self, action: Array, stop: Array, observation: Observation) -> np.ndarray:
        """Returns what the worlds do instead of `action`.

        Elements that are not finite pass through as they are.

        Args:
            action: (N, A) what the controller wants.
            stop: (N,) bool, which worlds ramp to rest instead.
            observation: of all N worlds, for `hold_action`.

        Returns:
            A fresh array, (N, A) float32.

        Raises:
            ValueError: there is not one row per world, or A is not the same as before.
        """
        action = np.asarray(action, np.float32)
        if action.shape != self._last.shape:
            self._allocate(action)
        # `count_nonzero` is four times as fast as `any` and `all`
        if np.count_nonzero(self._starting):
            self._start(observation)
        if np.count_nonzero(stop) or np.count_nonzero(self._stopped):
            action = self._stop(action, stop, observation)

        lowest = self._last - self._step
        highest = self._last + self._step
        limited = np.minimum(np.maximum(action, lowest), highest)

        finite = np.isfinite(action)
        if np.count_nonzero(finite) == finite.size:
            self._last = limited
            return limited.copy()

        # The next action starts from the last finite one.
        self._last = np.where(finite, limited, self._last)
        return np.where(finite, limited, action)

    def _allocate(self, action: np.ndarray) -> None:
        """Makes the arrays, whose size A the first action tells."""
        num_worlds, action_size = self._last.shape
        if action_size:  # known already, so A has changed
            raise ValueError(
                f"the controller gave actions of shape {action.shape}, expected {self._last.shape}"
            )
        if action.ndim != 2 or len(action) != num_worlds:
            raise ValueError(
                f"the controller gave actions of shape {action.shape}, expected ({num_worlds}, action size)"
            )

        # Gripper elements may jump, so their largest change is infinite.
        self._last = np.zeros_like(action)
        self._hold = np.zeros_like(action)
        self._step = np.full(action.shape[1], self._max_step, np.float32)
        self._step[self._grippers] = np.inf

    def _start(self, observation: Observation) -> None:
        """Lets the first actions of new episodes be limited as from rest."""
        self._last[self._starting] = self._rest(observation)[self._starting]
        self._starting[:] = False

    def _stop(
        self, action: np.ndarray, stop: np.ndarray, observation: Observation
    ) -> np.ndarray:
        """Returns the actions with those of stopped worlds replaced by rest."""
        just_stopped = stop & ~self._stopped
        if just_stopped.any():
            hold = self._rest(observation)
            hold[:, self._grippers] = self._last[:, self._grippers]
            self._hold[just_stopped] = hold[just_stopped]

        # The hold stays what it was when the stop began: were it read again at each
        # step, the robot would follow its own drift.
        self._stopped = stop.copy()
        return np.where(stop[:, None], self._hold, action)

    def _rest(self, observation: Observation) -> np.ndarray:
        """Returns the actions (N, A) that mean rest."""
        if self._hold_action is not None:
            return np.array(self._hold_action(observation), np.float32)
        rest = np.zeros_like(self._last)
        rest[:, self._grippers] = 1  # open
        return rest
