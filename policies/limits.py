"""Limits on actions: their rate of change, and the stop of a robot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from embodied.core import Array, Observation

# Takes the observation of N worlds, returns the actions (N, A) that keep each robot where
# it is.
HoldAction = Callable[[Observation], Array]


class ReferenceLimits:
    """Limits the rate of change of actions, and ramps the actions of a stop to rest.

    Gripper elements are not limited, and keep their last value during a stop.

    Args:
        num_worlds: N.
        max_step: largest change of an action element per control step.
        gripper_elements: indices of the action elements that command grippers.
        hold_action: returns the actions of a robot at rest. It is called at the start of
            an episode and of a stop. Absolute control modes need it. If it is None, the
            action of rest is zero, which suits velocities and deltas, with open
            grippers.
    """

    def __init__(
        self,
        num_worlds: int,
        max_step: float,
        gripper_elements: tuple[int, ...],
        hold_action: HoldAction | None,
    ) -> None:
        """Begins without actions; the first one gives the arrays their width.

        The arguments are described at the class.
        """
        self._max_step = max_step
        self._grippers = list(gripper_elements)
        self._hold_action = hold_action

        # (N,) whether there was no action in this episode yet
        self._starting = np.ones(num_worlds, bool)
        # (N,) whether the robot was stopped in the last step
        self._stopped = np.zeros(num_worlds, bool)

        # The action size A is known with the first action.
        self._last = np.zeros((num_worlds, 0), np.float32)  # (N, A) the last actions
        self._hold = self._last  # (N, A) the actions that stopped robots ramp to
        # (A,) largest change of each element per control step: `max_step`, but infinity for
        # grippers
        self._step = np.zeros(0, np.float32)

    def reset(self, ids: Array) -> None:
        """Begins episodes in worlds `ids`, at rest."""
        self._starting[ids] = True
        self._stopped[ids] = False

    def apply(self, action: Array, stop: Array, observation: Observation) -> np.ndarray:
        """Returns the limited actions.

        Elements that are not finite are returned unchanged.

        Args:
            action: (N, A) the controller's actions.
            stop: (N,) bool, whether the robot of each world must stop.
            observation: the observation of all N worlds, for `hold_action`.

        Returns:
            A fresh array, (N, A) float32.

        Raises:
            ValueError: there is not one row per world, or A has changed.
        """
        action = np.asarray(action, np.float32)
        if action.shape != self._last.shape:
            self._allocate(action)
        # this runs at every step; `count_nonzero` is 4 times as fast as `any` and `all`
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

        # limit the next action relative to the last finite one
        self._last = np.where(finite, limited, self._last)
        return np.where(finite, limited, action)

    def _allocate(self, action: np.ndarray) -> None:
        """Creates the arrays at the first action, which gives the action size A.

        It is called where an action's shape is not that of the arrays, so for a later
        action it only raises.
        """
        num_worlds, action_size = self._last.shape
        # the arrays exist already: a later action has another shape
        if action_size:
            raise ValueError(
                f"the controller gave actions of shape {action.shape}, expected "
                f"{self._last.shape}"
            )
        if action.ndim != 2 or len(action) != num_worlds:
            raise ValueError(
                f"the controller gave actions of shape {action.shape}, expected "
                f"({num_worlds}, action size)"
            )

        # grippers are not limited
        self._last = np.zeros_like(action)
        self._hold = np.zeros_like(action)
        self._step = np.full(action.shape[1], self._max_step, np.float32)
        self._step[self._grippers] = np.inf

    def _start(self, observation: Observation) -> None:
        """Sets the last actions of new episodes to rest, which their first one follows."""
        self._last[self._starting] = self._rest(observation)[self._starting]
        self._starting[:] = False

    def _stop(
        self, action: np.ndarray, stop: np.ndarray, observation: Observation
    ) -> np.ndarray:
        """Replaces the actions of stopped robots by rest, with grippers as they were.

        Args:
            action: (N, A) the actions.
            stop: (N,) bool, the robots to stop.
            observation: the present observation, at whose pose robots rest.
        """
        # `hold` is read only at the beginning of a stop. If it were read at each step,
        # the robot would follow its own drift.
        just_stopped = stop & ~self._stopped
        if just_stopped.any():
            hold = self._rest(observation)
            hold[:, self._grippers] = self._last[:, self._grippers]
            self._hold[just_stopped] = hold[just_stopped]

        self._stopped = stop.copy()
        return np.where(stop[:, None], self._hold, action)

    def _rest(self, observation: Observation) -> np.ndarray:
        """Returns the actions (N, A) of robots at rest."""
        if self._hold_action is not None:
            return np.array(self._hold_action(observation), np.float32)
        rest = np.zeros_like(self._last)
        rest[:, self._grippers] = 1  # open
        return rest
