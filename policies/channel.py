"""Between the planner and the body: delays, losses, freezes, and what is on its way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from embodied.core import PHYSICS_HZ, Array, seconds_to_ticks
from embodied.errors import EmbodiedError
from embodied.policies.latency import DRAWS, DelayTable, PlanLatency, episode_generator

NEVER = np.iinfo(np.int64).max  # the tick of an event that will not happen
# streams of random numbers: append only
_COMPUTE, _UPLINK, _DOWNLINK, _DROP, _FREEZE = range(1, 6)
_MAX_FREEZES = 64  # random freezes of one episode


@dataclass(frozen=True)
class Freeze:
    """The planner stops for `duration_s`: once, at `start_s`, or at random, `rate_hz`
    times per second awake.

    No plan starts or ends in a freeze; one that is being computed goes on afterwards.
    """

    duration_s: float = 0.0
    start_s: float | None = None
    rate_hz: float = 0.0

    def __post_init__(self) -> None:
        for name, value in {
            "duration_s": self.duration_s,
            "start_s": self.start_s,
            "rate_hz": self.rate_hz,
        }.items():
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise EmbodiedError(
                    f"a freeze's {name} must be finite and at least 0, not {value}"
                )
        if self.start_s is not None and self.rate_hz > 0:
            raise EmbodiedError("a freeze has a start_s or a rate_hz, not both")

    @property
    def count(self) -> int:
        """How many may happen in an episode."""
        if self.duration_s == 0:
            return 0
        return _MAX_FREEZES if self.rate_hz > 0 else int(self.start_s is not None)

    def awake_starts(self, rng: np.random.Generator) -> np.ndarray:
        """When they begin, (count,) ticks of the time awake: the time in which the
        planner was not frozen.
        """
        if self.rate_hz > 0:
            gaps = np.ceil(rng.exponential(PHYSICS_HZ / self.rate_hz, self.count))
            # a tick awake between any two
            return np.maximum(gaps, 1).cumsum().astype(np.int64)
        return np.full(self.count, seconds_to_ticks(self.start_s or 0.0), np.int64)


class Channel:
    """What happens to the plans of N worlds: (n,) ids, ticks and counts in, (n,) ticks
    out.
    """

    def __init__(
        self, num_worlds: int, latency: PlanLatency, drop: float, freeze: Freeze
    ) -> None:
        self._compute = DelayTable(latency.compute, _COMPUTE, num_worlds)
        self._uplink = DelayTable(latency.uplink, _UPLINK, num_worlds)
        self._downlink = DelayTable(latency.downlink, _DOWNLINK, num_worlds)
        self._drop = drop
        self._lost = np.zeros((num_worlds, DRAWS), bool)
        self._freeze = freeze
        self._frozen_for = seconds_to_ticks(freeze.duration_s)
        # begin of each freeze, in time awake
        self._awake = np.zeros((num_worlds, freeze.count), np.int64)
        self._begin = np.zeros_like(self._awake)  # the same on the world's clock

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        for table in (self._compute, self._uplink, self._downlink):
            table.reset(ids, seeds)
        for i, seed in zip(ids, seeds, strict=True):
            if self._drop:
                self._lost[i] = (
                    episode_generator(seed, _DROP).random(DRAWS) < self._drop
                )
            if self._freeze.count:
                self._awake[i] = self._freeze.awake_starts(
                    episode_generator(seed, _FREEZE)
                )
                self._begin[i] = self._awake[i] + self._frozen_for * np.arange(
                    self._freeze.count
                )

    def received(self, ids: Array, captured: Array, count: Array) -> Array:
        """When an observation captured at a tick reaches the planner."""
        return captured + self._uplink.ticks(ids, count)

    def awake_at(self, tick: Array) -> Array:
        """The first tick at or after `tick` (N,), of all worlds, at which the planner
        is not frozen.
        """
        if not self._freeze.count:
            return tick
        end = self._begin + self._frozen_for
        frozen = (self._begin <= tick[:, None]) & (tick[:, None] < end)
        return np.where(frozen, end, tick[:, None]).max(axis=1)

    def done(self, ids: Array, start: Array, seq: Array) -> Array:
        """When a plan is computed that was begun at a tick at which the planner was
        awake.
        """
        compute = self._compute.ticks(ids, seq)
        if not self._freeze.count:
            return start + compute
        over = (self._begin[ids] + self._frozen_for <= start[:, None]).sum(axis=1)
        awake = start - over * self._frozen_for + compute
        over = np.maximum(over, (self._awake[ids] < awake[:, None]).sum(axis=1))
        return awake + over * self._frozen_for

    def arrived(self, ids: Array, done: Array, seq: Array) -> Array:
        """When the controller can read the plan; -1 where it is lost."""
        arrived = done + self._downlink.ticks(ids, seq)
        return (
            np.where(self._lost[ids, seq % DRAWS], -1, arrived)
            if self._drop
            else arrived
        )


class Transit:
    """Messages on their way to N worlds, each a row of named arrays with its number and
    the tick of its arrival.

    A message lies in slot `number % slots` of its world; slots are added when one is
    still taken.
    """

    def __init__(self, num_worlds: int, slots: int = 4) -> None:
        self.next_arrival = np.full(num_worlds, NEVER)  # NEVER = nothing is on its way
        self._arrives = np.full((num_worlds, slots), NEVER)  # NEVER = the slot is free
        self._number = np.zeros((num_worlds, slots), np.int64)
        self._columns: dict[str, np.ndarray] = {}  # (N * slots, ...)

    def clear(self, ids: Array) -> None:
        """Lose what is on its way to some worlds; their numbers may begin anew."""
        self._arrives[ids] = self.next_arrival[ids] = NEVER

    def put(
        self, ids: Array, arrives: Array, number: Array, rows: Mapping[str, Array]
    ) -> None:
        """Send one message to each of n worlds; `rows` have n rows. The numbers of a
        world rise.
        """
        place = self._place(ids, number)
        if np.count_nonzero(self._arrives.ravel()[place] != NEVER):
            self._grow()
            self.put(ids, arrives, number, rows)
            return
        self._arrives.ravel()[place] = arrives
        self._number.ravel()[place] = number
        for name, value in rows.items():
            if name not in self._columns:
                like = np.asarray(value)
                self._columns[name] = np.zeros(
                    (self._arrives.size, *like.shape[1:]), like.dtype
                )
            self._columns[name][place] = value
        self.next_arrival[ids] = np.minimum(self.next_arrival[ids], arrives)

    def take_newest(
        self, ids: Array, tick: Array
    ) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The number and rows, for each of n worlds, of the newest message that arrived
        by a tick; there must be one.

        Older ones are lost, also those that are still on their way.
        """
        numbers = self._number.take(ids, axis=0)
        arrives = self._arrives.take(ids, axis=0)
        number = np.where(arrives <= tick[:, None], numbers, -1).max(axis=1)
        self._keep(ids, np.where(numbers > number[:, None], arrives, NEVER))
        return number, self._read(ids, number)

    def take_first(self, ids: Array) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        """The same of the message that arrives first; of several at once the one with
        the lowest number.
        """
        numbers = self._number.take(ids, axis=0)
        arrives = self._arrives.take(ids, axis=0)
        number = np.where(
            arrives == arrives.min(axis=1, keepdims=True), numbers, NEVER
        ).min(axis=1)
        self._keep(ids, np.where(numbers != number[:, None], arrives, NEVER))
        return number, self._read(ids, number)

    def _place(self, ids: Array, number: Array) -> Array:
        slots = self._arrives.shape[1]
        return ids * slots + number % slots

    def _keep(self, ids: Array, arrives: np.ndarray) -> None:
        self._arrives[ids] = arrives
        self.next_arrival[ids] = arrives.min(axis=1)

    def _read(self, ids: Array, number: np.ndarray) -> dict[str, np.ndarray]:
        place = self._place(ids, number)
        return {
            name: column.take(place, axis=0) for name, column in self._columns.items()
        }

    def _grow(self) -> None:
        world, slot = (self._arrives != NEVER).nonzero()
        number = self._number[world, slot]
        arrives = self._arrives[world, slot]
        old = self._place(world, slot)
        self._arrives = np.full((len(self._arrives), 2 * self._arrives.shape[1]), NEVER)
        self._number = np.zeros_like(self._arrives)
        place = self._place(world, number)
        self._arrives.ravel()[place] = arrives
        self._number.ravel()[place] = number
        for name, column in self._columns.items():
            self._columns[name] = np.zeros(
                (self._arrives.size, *column.shape[1:]), column.dtype
            )
            self._columns[name][place] = column[old]
