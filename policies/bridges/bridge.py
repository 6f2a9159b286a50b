"""What a bridge is, and what it is told.

A plan is old when it arrives, and the robot has moved on since. A bridge stands between
the mailbox and the robot: `merge` decides what the controller sees of new plans, and
`correct` may change the controller's actions at each step.

Action chunks lie on one time axis: row k of a chunk is for `tick_frame` + k / chunk_hz.
So rows of several chunks are compared by the time that they are for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from embodied.core import (
    PHYSICS_HZ,
    ActionInterface,
    Array,
    Observation,
    Payload,
    PayloadKind,
)

# Reads from proprioception (N, P) what each action element moves, (N, A): see
# `bridges.coordinates`.
ReadCoordinates = Callable[[Array], np.ndarray]


@dataclass(frozen=True)
class Setting:
    """Where a bridge works.

    Attributes:
        num_worlds: N.
        control_hz: control steps per second.
        interface: what the action elements mean; None where nobody said.
        coordinates: reads what each action element moves; None where the control mode
            has no such thing, or nobody said.
    """

    num_worlds: int
    control_hz: int
    interface: ActionInterface | None = None
    coordinates: ReadCoordinates | None = None


@dataclass(frozen=True)
class Arrival:
    """New plans of n worlds, beside what the controllers have seen there until now.

    Attributes:
        ids: (n,) the worlds.
        now: (n,) ticks.
        plan: the new plans, n rows.
        tick_frame: (n,) of the new plans.
        shown: what the controllers have seen, n rows, as the bridge returned it.
        shown_frame: (n,) the `tick_frame` of these.
        is_first: (n,) bool, where the controllers have seen no plan yet.
    """

    ids: np.ndarray
    now: np.ndarray
    plan: Payload
    tick_frame: np.ndarray
    shown: Payload
    shown_frame: np.ndarray
    is_first: np.ndarray

    def rows_of(self, tick_frame: np.ndarray, chunk_hz: np.ndarray) -> np.ndarray:
        """Returns which rows of older chunks are for the same times as the new rows.

        They are numbers (n, H), one for each row of the new chunks. Those from H on
        are for times after the end of the older chunk.

        Args:
            tick_frame: (n,) of the older chunks.
            chunk_hz: (n,) of the older chunks.
        """
        steps = self.plan.chunk.shape[1]
        later_s = (self.tick_frame - tick_frame) / PHYSICS_HZ  # (n,)
        time_s = np.arange(steps) / self.plan.chunk_hz[:, None] + later_s[:, None]
        return whole_rows(time_s * chunk_hz[:, None])


class Bridge(Protocol):
    """What stands between the mailbox and the robot.

    Attributes:
        kinds: the kinds of payload that it does something about. A dual system whose
            controller is given none of them refuses the bridge. () suits all plans.
    """

    kinds: tuple[PayloadKind, ...]

    def reset(self, ids: Array) -> None:
        """Forgets what it knows of worlds `ids` (n,), in which episodes begin."""

    def merge(self, arrival: Arrival) -> Payload:
        """Returns what the controllers see from now on, n rows.

        It is called once when the mailbox shows plans, with fresh arrays.
        """

    def correct(
        self, observation: Observation, payload: Payload, age_s: Array, action: Array
    ) -> Array:
        """Returns the actions (N, A) in place of the controllers'.

        It is called at every control step, with what the controllers were given.
        """


def whole_rows(row: np.ndarray) -> np.ndarray:
    """Returns row numbers rounded down, where 2.9999999 is meant to be 3."""
    return np.floor(row + 1e-6).astype(np.int64)


def take_rows(chunk: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Returns rows (n, k) of chunks (n, H, A) as (n, k, A); beyond the end, the last."""
    last = chunk.shape[1] - 1
    return np.take_along_axis(chunk, np.clip(rows, 0, last)[:, :, None], axis=1)


def take_row(chunk: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Returns row (n,) of each chunk (n, H, A) as (n, A); beyond the end, the last.

    Rows are at least 0. It is quicker than `take_rows`, for each control step.
    """
    last = chunk.shape[1] - 1
    return chunk[np.arange(len(chunk)), np.minimum(row, last)]
