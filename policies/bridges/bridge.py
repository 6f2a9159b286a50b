"""The interface of a bridge.

When a plan arrives it is old, and the robot has moved on since its images were captured.
A bridge corrects for that between mailbox and robot: `merge` may change a new plan before
the controller reads it, and `correct` may change the controller's actions at each step.

Row k of an action chunk is for the time `tick_frame` + k / chunk_hz. So rows of several
chunks can be matched by their times.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from embodied.core import PHYSICS_HZ, ActionInterface, Array, Observation
from embodied.plan import Payload, PayloadKind

# Takes the proprioception (N, P), returns the coordinate that each action element moves,
# (N, A); see `bridges.coordinates`.
ReadCoordinates = Callable[[Array], np.ndarray]


@dataclass(frozen=True)
class Setting:
    """The worlds that a bridge works in.

    Attributes:
        num_worlds: N.
        control_hz: the control steps per second.
        interface: the action interface; None if unknown.
        coordinates: reads the coordinate that each action element moves; None if unknown,
            and in the control mode `joint`, whose actions are positions.
    """

    num_worlds: int
    control_hz: int
    interface: ActionInterface | None = None
    coordinates: ReadCoordinates | None = None


@dataclass(frozen=True)
class Arrival:
    """New plans in n worlds, with the plans that they replace.

    Attributes:
        ids: (n,) the worlds.
        now: (n,) the current ticks.
        plan: the new plans, n rows.
        tick_frame: (n,) ticks at which the new plans' oldest images were captured.
        shown: the replaced plans, n rows, as the bridge had changed them.
        shown_frame: (n,) the `tick_frame` of the replaced plans.
        is_first: (n,) bool, whether there is no plan to replace yet; then the row of
            `shown` is an empty plan.
    """

    ids: np.ndarray
    now: np.ndarray
    plan: Payload
    tick_frame: np.ndarray
    shown: Payload
    shown_frame: np.ndarray
    is_first: np.ndarray

    def rows_at_the_same_times(
        self, tick_frame: np.ndarray, chunk_hz: np.ndarray
    ) -> np.ndarray:
        """Returns the rows of older chunks that are for the same times as the new rows.

        Args:
            tick_frame: (n,) the `tick_frame` of the older chunks.
            chunk_hz: (n,) the rates of the older chunks, in rows per second.

        Returns:
            (n, H) for each row of the new chunks, the row of the older chunk. Rows from H
            on are for times after the end of the older chunk.
        """
        steps = self.plan.chunk.shape[1]
        # (n, H) the time of each new row, counted from the start of the older chunk
        later_s = (self.tick_frame - tick_frame) / PHYSICS_HZ  # (n,)
        time_s = np.arange(steps) / self.plan.chunk_hz[:, None] + later_s[:, None]
        return whole_rows(time_s * chunk_hz[:, None])


class Bridge(Protocol):
    """Corrects plans and actions for the age of plans.

    Attributes:
        kinds: the kinds of payload that it works on; () for all. A dual system refuses
            the bridge if its controller does not follow any of these kinds.
    """

    kinds: tuple[PayloadKind, ...]

    def reset(self, ids: Array) -> None:
        """Drops the state of worlds `ids` (n,), in which episodes begin."""

    def merge(self, arrival: Arrival) -> Payload:
        """Returns the plans for the controllers, n rows.

        It is called once per plan, when the mailbox shows the plan. It may change the
        arrays of the new plans.
        """

    def correct(
        self, observation: Observation, payload: Payload, age_s: Array, action: Array
    ) -> Array:
        """Returns the corrected actions (N, A).

        It is called at every control step.

        Args:
            observation: the observation of all N worlds that the controller was given.
            payload: the payload that the controller was given, N rows.
            age_s: (N,) the ages of the plans.
            action: (N, A) the controller's actions.
        """


def whole_rows(row: np.ndarray) -> np.ndarray:
    """Returns row numbers rounded down.

    A small tolerance corrects rounding errors: 2.9999999 stands for row 3, not 2.
    """
    return np.floor(row + 1e-6).astype(np.int64)


def take_rows(chunk: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns k rows of each chunk; rows beyond the end become the last one.

    Args:
        chunk: (n, H, A).
        rows: (n, k) numbers of rows.

    Returns:
        (n, k, A).
    """
    last = chunk.shape[1] - 1
    return np.take_along_axis(chunk, np.clip(rows, 0, last)[:, :, None], axis=1)


def take_row(chunk: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Returns one row of each chunk; a row beyond the end becomes the last one.

    It exists beside `take_rows` because it is faster, and is called at each control step.

    Args:
        chunk: (n, H, A).
        row: (n,) numbers of rows, at least 0.

    Returns:
        (n, A).
    """
    last = chunk.shape[1] - 1
    return chunk[np.arange(len(chunk)), np.minimum(row, last)]
