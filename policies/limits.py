"""Limits on actions: their rate of change, and the stop of a robot."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from embodied.core import Array, Observation

# Takes the observation of N worlds, returns the actions (N, A) that keep each robot where
# it is.
HoldAction = Callable[[Observation], Array]


class ReferenceLimits:
    """Limits the rate of change of actions, and brings stopped robots to rest.

    Gripper elements are not limited, and keep their last value during a stop, so that no
    object is dropped.

    Args:
        num_worlds: N.
        max_step: the largest change of an action element per control step.
        gripper_elements: the indices of the action elements that command grippers.
        hold_action: returns the actions of robots at rest. It is called at the start of
            an episode and of a stop. Control modes whose actions are positions need it. If
            it is None, the action of rest is zero with open grippers, which suits
            velocities.
    """

    def __init__(
        self,
        num_worlds: int,
        max_step: float,
        gripper_elements: tuple[int, ...],
        hold_action: HoldAction | None,
    ) -> None:
        """Begins without actions; the first action gives the arrays their width.

        The arguments are described at the class.
        """
        self._max_step = max_step
        self._grippers = list(gripper_elements)
        self._hold_action = hold_action

        # (N,) whether there was no action in this episode yet
        self._is_new_episode = np.ones(num_worlds, bool)
        # (N,) whether the robot was stopped in the last step
        self._was_stopped = np.zeros(num_worlds, bool)

        # The action size A is known with the first action.
        self._last = np.zeros((num_worlds, 0), np.float32)  # (N, A) the last actions
        # (N, A) the actions at which stopped robots rest
        self._rest_action = self._last
        # (A,) the largest change of each element per control step: `max_step`, but infinity
        # for grippers
        self._max_change = np.zeros(0, np.float32)

    def reset(self, ids: Array) -> None:
        """Begins episodes in worlds `ids`, at rest."""
        self._is_new_episode[ids] = True
        self._was_stopped[ids] = False

    def apply(self, action: Array, stop: Array, observation: Observation) -> np.ndarray:
        """Returns the limited actions.

        Elements that are not finite are returned unchanged, so that the worlds count them
        as the policy's fault.

        Args:
            action: (N, A) the controller's actions.
            stop: (N,) bool, whether the robot of each world must stop.
            observation: the observation of all N worlds, for `hold_action`.

        Returns:
            A new array, (N, A) float32.

        Raises:
            ValueError: there is not one row per world, or A has changed.
        """
        action = np.asarray(action, np.float32)
        if action.shape != self._last.shape:
            self._allocate(action)
        # this runs at every control step, and `count_nonzero` is 4 times as fast as `any`
        if np.count_nonzero(self._is_new_episode):
            self._start_at_rest(observation)
        if np.count_nonzero(stop) or np.count_nonzero(self._was_stopped):
            action = self._with_stops(action, stop, observation)

        lowest = self._last - self._max_change
        highest = self._last + self._max_change
        limited = np.minimum(np.maximum(action, lowest), highest)

        is_finite = np.isfinite(action)
        if np.count_nonzero(is_finite) == is_finite.size:
            self._last = limited
            return limited.copy()

        # the next action will be limited relative to the last finite one
        self._last = np.where(is_finite, limited, self._last)
        return np.where(is_finite, limited, action)

    def _allocate(self, action: np.ndarray) -> None:
        """Creates the arrays (N, A) when the first action has shown the action size A.

        Raises:
            ValueError: the action is not the first one, so its shape has changed, or it does
                not have one row per world.
        """
        num_worlds, action_size = self._last.shape
        if action_size:  # the arrays exist already: this is a later action
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
        self._rest_action = np.zeros_like(action)
        self._max_change = np.full(action.shape[1], self._max_step, np.float32)
        self._max_change[self._grippers] = np.inf

    def _start_at_rest(self, observation: Observation) -> None:
        """Sets the last action of each new episode to rest, to limit its first action."""
        is_new = self._is_new_episode
        self._last[is_new] = self._rest(observation)[is_new]
        self._is_new_episode[:] = False

    def _with_stops(
        self, action: np.ndarray, stop: np.ndarray, observation: Observation
    ) -> np.ndarray:
        """Returns the actions (N, A), in which stopped robots have the actions of rest.

        Args:
            action: (N, A) the actions.
            stop: (N,) bool, the robots to stop.
            observation: the current observation, at whose pose robots rest.
        """
        # The action of rest is computed only at the beginning of a stop. If it were computed
        # at each step, the robot would follow its own drift.
        is_just_stopped = stop & ~self._was_stopped
        if is_just_stopped.any():
            rest = self._rest(observation)
            rest[:, self._grippers] = self._last[:, self._grippers]
            self._rest_action[is_just_stopped] = rest[is_just_stopped]

        self._was_stopped = stop.copy()
        return np.where(stop[:, None], self._rest_action, action)

    def _rest(self, observation: Observation) -> np.ndarray:
        """Returns the actions (N, A) of robots at rest."""
        if self._hold_action is not None:
            return np.array(self._hold_action(observation), np.float32)
        rest = np.zeros_like(self._last)
        rest[:, self._grippers] = 1  # open
        return rest
