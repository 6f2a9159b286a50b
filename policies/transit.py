"""Messages on their way to the planners or the controllers of N worlds."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from embodied.core import Array

NEVER = np.iinfo(np.int64).max  # the tick of an event that will not happen


class Transit:
    """Messages on their way to N worlds, each with its number and its tick of arrival.

    A message is one row of several named arrays. Message number k is stored in slot `k %
    slots` of its world. If that slot is still occupied, the number of slots is doubled.

    Attributes:
        next_arrival: (N,) the tick at which the next message arrives; NEVER if no
            message is on its way.

    Args:
        num_worlds: N.
        slots: the initial number of slots per world.
    """

    def __init__(self, num_worlds: int, slots: int = 4) -> None:
        self.next_arrival = np.full(num_worlds, NEVER)  # (N,)
        # NEVER marks a free slot
        self._arrives = np.full((num_worlds, slots), NEVER)  # (N, slots)
        self._number = np.zeros((num_worlds, slots), np.int64)  # (N, slots)
        self._columns: dict[str, np.ndarray] = {}  # name -> (N * slots, ...)

    def clear(self, ids: Array) -> None:
        """Discards all messages to worlds `ids`, where numbers may start again from 0."""
        self._arrives[ids] = NEVER
        self.next_arrival[ids] = NEVER

    def put(
        self, ids: Array, arrives: Array, number: Array, rows: Mapping[str, Array]
    ) -> None:
        """Sends one message to each of n worlds.

        Args:
            ids: (n,) the worlds.
            arrives: (n,) ticks of arrival.
            number: (n,) numbers of the messages, which must rise in each world.
            rows: the name -> (n, ...), the messages; the same names in every call.
        """
        # `ravel` returns views here, so writing to them changes the tables
        flat_index = self._flat_index(ids, number)
        if np.count_nonzero(self._arrives.ravel()[flat_index] != NEVER):
            self._double_slots()
            self.put(ids, arrives, number, rows)
            return

        self._arrives.ravel()[flat_index] = arrives
        self._number.ravel()[flat_index] = number
        for name, value in rows.items():
            if name not in self._columns:
                self._columns[name] = self._empty_column(np.asarray(value))
            self._columns[name][flat_index] = value

        self.next_arrival[ids] = np.minimum(self.next_arrival[ids], arrives)

    def take_newest(
        self, ids: Array, tick: Array
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Takes, for each of n worlds, the newest message that arrived by a tick.

        Older messages are discarded, even if still on their way. At least one message
        must have arrived in each world.

        Args:
            ids: (n,) the worlds.
            tick: (n,) the last tick at which a message may have arrived.

        Returns:
            The numbers (n,) of the messages and their rows, name -> (n, ...).
        """
        numbers = self._number.take(ids, axis=0)  # (n, slots)
        arrives = self._arrives.take(ids, axis=0)  # (n, slots)
        number = np.where(arrives <= tick[:, None], numbers, -1).max(axis=1)

        # Free the slots of this message and of older messages. The columns still hold the
        # message, so that it can be read below.
        newer = numbers > number[:, None]
        self._set_arrivals(ids, np.where(newer, arrives, NEVER))
        return number, self._read(ids, number)

    def take_first(self, ids: Array) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """Takes, for each of n worlds, the message that arrives first.

        If several arrive in the same tick, the message with the lowest number is taken. The
        other messages are kept. At least one message must be on its way in each world,
        and the caller must have checked that it has arrived (`next_arrival`).

        Args:
            ids: (n,) the worlds.

        Returns:
            The numbers (n,) of the messages and their rows, name -> (n, ...).
        """
        numbers = self._number.take(ids, axis=0)  # (n, slots)
        arrives = self._arrives.take(ids, axis=0)  # (n, slots)
        first = arrives == arrives.min(axis=1, keepdims=True)
        number = np.where(first, numbers, NEVER).min(axis=1)

        others = numbers != number[:, None]
        self._set_arrivals(ids, np.where(others, arrives, NEVER))
        return number, self._read(ids, number)

    def _flat_index(self, ids: Array, number: Array) -> Array:
        """Returns (n,) indices of messages in the flattened arrays (N * slots, ...)."""
        slots = self._arrives.shape[1]
        return ids * slots + number % slots

    def _empty_column(self, like: np.ndarray) -> np.ndarray:
        """Returns a column (N * slots, ...) of zeros, for rows (n, ...) like these."""
        return np.zeros((self._arrives.size, *like.shape[1:]), like.dtype)

    def _set_arrivals(self, ids: Array, arrives: np.ndarray) -> None:
        """Sets the ticks of arrival (n, slots) of n worlds."""
        self._arrives[ids] = arrives
        self.next_arrival[ids] = arrives.min(axis=1)

    def _read(self, ids: Array, number: np.ndarray) -> dict[str, np.ndarray]:
        """Returns name -> (n, ...) copies of n messages, even if their slots are free."""
        flat_index = self._flat_index(ids, number)
        return {
            name: column.take(flat_index, axis=0)
            for name, column in self._columns.items()
        }

    def _double_slots(self) -> None:
        """Doubles the number of slots per world, and moves the messages."""
        # the messages that are on their way, with their old indices
        world, slot = (self._arrives != NEVER).nonzero()
        number = self._number[world, slot]
        arrives = self._arrives[world, slot]
        old_index = self._flat_index(world, slot)

        num_worlds, slots = self._arrives.shape
        self._arrives = np.full((num_worlds, 2 * slots), NEVER)
        self._number = np.zeros_like(self._arrives)

        # with more slots, each message has a new index
        flat_index = self._flat_index(world, number)
        self._arrives.ravel()[flat_index] = arrives
        self._number.ravel()[flat_index] = number
        for name, column in self._columns.items():
            self._columns[name] = self._empty_column(column)
            self._columns[name][flat_index] = column[old_index]
