"""What lies between the planner and the controller: delays, losses and freezes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.core import PHYSICS_HZ, Array, seconds_to_ticks
from embodied.errors import EmbodiedError
from embodied.plain import make_fields_plain
from embodied.policies.latency import SAMPLES_PER_EPISODE, DelayTable, PlanLatency
from embodied.seeding import Stream, episode_generator

_MAX_RANDOM_FREEZES = 64  # per episode


@dataclass(frozen=True)
class Freeze:
    """When the planner freezes: no plan is started or completed until it goes on.

    A plan that is being computed when a freeze begins is completed after it.

    Attributes:
        duration_s: how long a freeze lasts; 0 for no freezes.
        start_s: when the only freeze of an episode begins; None for no such freeze.
        rate_hz: mean number of random freezes per second of time awake. It cannot be
            combined with `start_s`.

    Raises:
        EmbodiedError: a value is negative or not finite, or both kinds are given.
    """

    duration_s: float = 0.0
    start_s: float | None = None
    rate_hz: float = 0.0

    def __post_init__(self) -> None:
        make_fields_plain(self)
        for name in ("duration_s", "start_s", "rate_hz"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise EmbodiedError(
                    f"a freeze's {name} must be finite and at least 0, not {value}"
                )
        if self.start_s is not None and self.rate_hz > 0:
            raise EmbodiedError("a freeze has a start_s or a rate_hz, not both")

    @property
    def max_count(self) -> int:
        """How many freezes an episode has at most."""
        if self.duration_s == 0:
            return 0
        if self.rate_hz > 0:
            return _MAX_RANDOM_FREEZES
        return 0 if self.start_s is None else 1

    def sample_begins(self, rng: np.random.Generator) -> np.ndarray:
        """Samples when the freezes of an episode begin, (max_count,) int64.

        The ticks are ticks awake: those of a clock that stands still while the planner
        is frozen.
        """
        if self.rate_hz > 0:
            # A constant rate per second awake gives exponential times awake in between.
            mean_gap_ticks = PHYSICS_HZ / self.rate_hz
            gap_ticks = rng.exponential(mean_gap_ticks, self.max_count)
            # At least one tick awake lies between two freezes.
            gap_ticks = np.maximum(np.ceil(gap_ticks), 1)
            return gap_ticks.cumsum().astype(np.int64)

        # One freeze at `start_s`, or none: then `max_count` is 0.
        begin = seconds_to_ticks(self.start_s or 0.0)
        return np.full(self.max_count, begin, np.int64)


class Channel:
    """Tells when the messages of N worlds are received, computed and delivered.

    Methods take one row per message: worlds `ids` (n,), ticks (n,), and the number of
    each message in its episode (n,), which for plans is `Plan.seq`. They return ticks
    (n,).
    """

    def __init__(
        self, num_worlds: int, latency: PlanLatency, drop: float, freeze: Freeze
    ) -> None:
        self._compute = DelayTable(latency.compute, Stream.PLAN_COMPUTE, num_worlds)
        self._uplink = DelayTable(latency.uplink, Stream.PLAN_UPLINK, num_worlds)
        self._downlink = DelayTable(latency.downlink, Stream.PLAN_DOWNLINK, num_worlds)

        self._drop = drop  # probability
        # Whether each plan is lost on the downlink.
        self._lost = np.zeros((num_worlds, SAMPLES_PER_EPISODE), bool)

        # When freezes begin, (N, max_count): in ticks awake, and on the world's clock.
        self._freeze = freeze
        self._freeze_ticks = seconds_to_ticks(freeze.duration_s)
        self._begins_awake = np.zeros((num_worlds, freeze.max_count), np.int64)
        self._begins = np.zeros_like(self._begins_awake)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Samples the delays, losses and freezes of new episodes in worlds `ids`."""
        for table in (self._compute, self._uplink, self._downlink):
            table.reset(ids, seeds)

        for world, seed in zip(ids, seeds, strict=True):
            if self._drop:
                rng = episode_generator(seed, Stream.PLAN_DROP)
                self._lost[world] = rng.random(SAMPLES_PER_EPISODE) < self._drop

            if self._freeze.max_count:
                rng = episode_generator(seed, Stream.PLANNER_FREEZE)
                begins_awake = self._freeze.sample_begins(rng)
                # On the world's clock a freeze begins later by all freezes before it.
                num_earlier = np.arange(self._freeze.max_count)
                self._begins_awake[world] = begins_awake
                self._begins[world] = begins_awake + self._freeze_ticks * num_earlier

    def received_at(self, ids: Array, captured: Array, number: Array) -> Array:
        """Returns when observations captured at some ticks reach the planner."""
        return captured + self._uplink.ticks(ids, number)

    def awake_at(self, tick: Array) -> Array:
        """Returns the first ticks at or after `tick` at which planners are not frozen.

        Unlike the other methods it takes and returns one tick for each of the N worlds.
        """
        if not self._freeze.max_count:
            return tick

        tick = tick[:, None]  # (N, 1), against (N, max_count)
        ends = self._begins + self._freeze_ticks
        frozen = (self._begins <= tick) & (tick < ends)
        # At most one freeze is on at a tick, and its end is later than the tick.
        return np.where(frozen, ends, tick).max(axis=1)

    def computed_at(self, ids: Array, start: Array, seq: Array) -> Array:
        """Returns when plans are computed that planners started at ticks `start`.

        The planners must be awake at `start`.
        """
        compute = self._compute.ticks(ids, seq)
        if not self._freeze.max_count:
            return start + compute

        # Computing takes ticks awake, so it is added on the clock that counts only
        # them: the world's clock without the freezes that are over at the start.
        ends = self._begins[ids] + self._freeze_ticks
        num_over = (ends <= start[:, None]).sum(axis=1)
        done_awake = start - num_over * self._freeze_ticks + compute

        # Back on the world's clock, every freeze that began before the plan was done
        # has passed. A plan that takes no time right after a freeze would not count
        # that one.
        num_begun = (self._begins_awake[ids] < done_awake[:, None]).sum(axis=1)
        num_passed = np.maximum(num_over, num_begun)
        return done_awake + num_passed * self._freeze_ticks

    def arrived_at(self, ids: Array, done: Array, seq: Array) -> Array:
        """Returns when the controller can read plans; -1 where they are lost."""
        arrived = done + self._downlink.ticks(ids, seq)
        if not self._drop:
            return arrived
        return np.where(self._lost[ids, seq % SAMPLES_PER_EPISODE], -1, arrived)
