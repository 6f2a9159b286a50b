"""The channel between planner and controller: delays, losses and interruptions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.core import PHYSICS_HZ, Array, seconds_to_ticks
from embodied.errors import EmbodiedError
from embodied.plain import make_fields_plain
from embodied.policies.latency import SAMPLES_PER_EPISODE, DelayTable, PlanLatency
from embodied.policies.transit import NEVER
from embodied.seeding import Stream, episode_generator

# An episode has at most this many random interruptions, so that tables of them have a fixed
# size.
_MAX_RANDOM = 64


@dataclass(frozen=True)
class Interruption:
    """Interruptions of the planner (freezes) or of the link (outages) in an episode.

    During a freeze the planner computes nothing: a plan in progress is continued after
    the freeze. A message is lost if it is sent, or would arrive, during an outage.

    An episode has no interruptions, a single interruption at `start_s`, or random
    interruptions at `rate_hz`.

    Attributes:
        duration_s: the duration of each interruption; 0 for no interruptions.
        start_s: the time at which the single interruption begins; None otherwise.
        rate_hz: the mean number of random interruptions per second of the time outside of
            interruptions; 0 for no random interruptions.

    Raises:
        EmbodiedError: a value is negative or not finite, or both `start_s` and `rate_hz`
            are given.
    """

    duration_s: float = 0.0
    start_s: float | None = None
    rate_hz: float = 0.0

    def __post_init__(self) -> None:
        """Raises EmbodiedError for a negative or infinite value, or for both kinds of times."""
        make_fields_plain(self)  # NumPy's numbers become Python's
        for name in ("duration_s", "start_s", "rate_hz"):
            value = getattr(self, name)
            if value is not None and not (np.isfinite(value) and value >= 0):
                raise EmbodiedError(
                    f"{name} of a freeze or an outage must be finite and at least 0, "
                    f"not {value}"
                )
        if self.start_s is not None and self.rate_hz > 0:
            raise EmbodiedError(
                "a freeze or an outage has start_s or rate_hz, not both"
            )

    @property
    def max_count(self) -> int:
        """The largest number of interruptions in an episode."""
        if self.duration_s == 0:
            return 0
        if self.rate_hz > 0:
            return _MAX_RANDOM
        return 0 if self.start_s is None else 1

    def sample_begins(self, rng: np.random.Generator) -> np.ndarray:
        """Samples the ticks (max_count,) int64 at which interruptions begin.

        The ticks are counted by a clock that stands still during interruptions.
        """
        if self.rate_hz > 0:
            # at a constant rate, the gaps are exponentially distributed
            mean_gap_ticks = PHYSICS_HZ / self.rate_hz
            gap_ticks = rng.exponential(mean_gap_ticks, self.max_count)
            # with at least one tick between two interruptions
            gap_ticks = np.maximum(np.ceil(gap_ticks), 1)
            return gap_ticks.cumsum().astype(np.int64)

        # a single interruption at `start_s`, or none if `max_count` is 0
        begin = seconds_to_ticks(self.start_s or 0.0)
        return np.full(self.max_count, begin, np.int64)

    @property
    def description(self) -> str:
        """Duration and times in words, e.g. "0.5 s at 2 s"; "" if there are none."""
        if not self.max_count:
            return ""
        if self.rate_hz:
            return f"{self.duration_s:g} s, {self.rate_hz:g} times per second"
        return f"{self.duration_s:g} s at {self.start_s:g} s"


class Channel:
    """Computes when messages of N worlds are received, processed and delivered.

    Methods take one row per message: worlds `ids` (n,), ticks (n,), and the number of
    each message in its episode (n,), which for plans is `Plan.seq`. They return ticks
    (n,).

    Freezes are handled with two clocks: a world's own clock, and one that stands still
    during freezes, whose ticks are named `awake`.

    Args:
        num_worlds: N.
        latency: the latency of observations, computation and plans.
        drop: the probability that a plan is lost on the downlink.
        freeze: when the planner freezes.
        outage: when the link is down, in both directions; None for no outages.
    """

    def __init__(
        self,
        num_worlds: int,
        latency: PlanLatency,
        drop: float,
        freeze: Interruption,
        outage: Interruption | None = None,
    ) -> None:
        """Makes the tables of random delays and losses, which `reset` fills."""
        self._compute = DelayTable(latency.compute, Stream.PLAN_COMPUTE, num_worlds)
        self._uplink = DelayTable(latency.uplink, Stream.PLAN_UPLINK, num_worlds)
        self._downlink = DelayTable(latency.downlink, Stream.PLAN_DOWNLINK, num_worlds)

        self._drop = drop  # probability
        # (N, SAMPLES_PER_EPISODE) whether each plan of an episode is lost on the downlink;
        # later plans repeat the samples
        self._lost = np.zeros((num_worlds, SAMPLES_PER_EPISODE), bool)

        # (N, max_count) beginnings of freezes, on the clock `awake` and on the world's
        self._freeze = freeze
        self._freeze_ticks = seconds_to_ticks(freeze.duration_s)
        self._begins_awake = np.zeros((num_worlds, freeze.max_count), np.int64)
        self._begins = np.zeros_like(self._begins_awake)

        # (N, max_count) beginnings of outages, on the world's clock
        self._outage = outage or Interruption()
        self._outage_ticks = seconds_to_ticks(self._outage.duration_s)
        self._outage_begins = np.zeros((num_worlds, self._outage.max_count), np.int64)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Samples the delays, losses and interruptions of new episodes in worlds `ids`."""
        for table in (self._compute, self._uplink, self._downlink):
            table.reset(ids, seeds)

        for world, seed in zip(ids, seeds, strict=True):
            if self._drop:
                rng = episode_generator(seed, Stream.PLAN_DROP)
                self._lost[world] = rng.random(SAMPLES_PER_EPISODE) < self._drop

            if self._freeze.max_count:
                rng = episode_generator(seed, Stream.PLANNER_FREEZE)
                begins_awake = self._freeze.sample_begins(rng)
                # the world's clock is ahead by the duration of all earlier freezes
                num_earlier = np.arange(self._freeze.max_count)
                self._begins_awake[world] = begins_awake
                self._begins[world] = begins_awake + self._freeze_ticks * num_earlier

            if self._outage.max_count:
                rng = episode_generator(seed, Stream.LINK_OUTAGE)
                begins = self._outage.sample_begins(rng)
                num_earlier = np.arange(self._outage.max_count)
                self._outage_begins[world] = begins + self._outage_ticks * num_earlier

    def received_at(self, ids: Array, captured: Array, number: Array) -> Array:
        """Returns the ticks (n,) at which observations reach the planner.

        The tick is NEVER for an observation that is lost in an outage.

        Args:
            ids: (n,) the worlds.
            captured: (n,) ticks at which the observations were captured.
            number: (n,) numbers of the observations in their episodes.
        """
        received = captured + self._uplink.ticks(ids, number)
        if not self._outage.max_count:
            return received
        is_lost = self._is_in_outage(ids, captured)  # when sent
        is_lost |= self._is_in_outage(ids, received)
        return np.where(is_lost, NEVER, received)

    def awake_at(self, tick: Array) -> Array:
        """Returns the first ticks at or after `tick` at which planners are not frozen.

        Unlike the other methods it takes and returns one tick per world, (N,).
        """
        if not self._freeze.max_count:
            return tick

        tick = tick[:, None]  # (N, 1), against (N, max_count)
        ends = self._begins + self._freeze_ticks
        frozen = (self._begins <= tick) & (tick < ends)
        # at most one freeze is active at a tick; its end is later than the tick
        return np.where(frozen, ends, tick).max(axis=1)

    def computed_at(self, ids: Array, start: Array, seq: Array) -> Array:
        """Returns the ticks (n,) at which plans are done.

        Args:
            ids: (n,) the worlds.
            start: (n,) ticks at which the computation starts; not during a freeze.
            seq: (n,) numbers of the plans.
        """
        compute = self._compute.ticks(ids, seq)
        if not self._freeze.max_count:
            return start + compute

        # Computing pauses during freezes. So subtract the freezes before the start, to
        # get the time on the clock without freezes, and add the computing time there.
        ends = self._begins[ids] + self._freeze_ticks
        num_over = (ends <= start[:, None]).sum(axis=1)
        done_awake = start - num_over * self._freeze_ticks + compute

        # Back to the world's clock: add all freezes that began before the plan was done.
        # The maximum matters for a plan that takes 0 ticks right after a freeze: on the
        # clock without freezes, that freeze begins at the very tick the plan is done.
        num_begun = (self._begins_awake[ids] < done_awake[:, None]).sum(axis=1)
        num_passed = np.maximum(num_over, num_begun)
        return done_awake + num_passed * self._freeze_ticks

    def arrived_at(self, ids: Array, done: Array, seq: Array) -> Array:
        """Returns the ticks at which plans reach the controller; -1 for lost plans.

        Args:
            ids: (n,) the worlds.
            done: (n,) ticks at which the plans are done, and sent.
            seq: (n,) numbers of the plans.
        """
        arrived = done + self._downlink.ticks(ids, seq)
        if self._outage.max_count:
            is_lost = self._is_in_outage(ids, done)  # when sent
            is_lost |= self._is_in_outage(ids, arrived)
            arrived = np.where(is_lost, -1, arrived)
        if not self._drop:
            return arrived
        return np.where(self._lost[ids, seq % SAMPLES_PER_EPISODE], -1, arrived)

    def _is_in_outage(self, ids: Array, tick: Array) -> np.ndarray:
        """Returns (n,) bool, whether there is an outage in each world at a tick.

        Args:
            ids: (n,) the worlds.
            tick: (n,) a tick for each world.
        """
        begins = self._outage_begins[ids]  # (n, max_count)
        tick = np.asarray(tick)[:, None]
        return ((begins <= tick) & (tick < begins + self._outage_ticks)).any(axis=1)
