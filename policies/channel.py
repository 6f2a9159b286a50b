"""What lies between the planner and the controller: delays, losses and freezes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from embodied.core import PHYSICS_HZ, Array, seconds_to_ticks
from embodied.errors import EmbodiedError
from embodied.policies.latency import SAMPLES_PER_EPISODE, DelayTable, PlanLatency
from embodied.seeding import Stream, episode_generator

_MAX_RANDOM_FREEZES = 64  # per episode


@dataclass(frozen=True)
class Freeze:
    """When the planner stands still.

    No plan starts or ends in a freeze; a plan that is being computed goes on
    afterwards.

    Attributes:
        duration_s: how long a freeze lasts; 0 = there is none.
        start_s: when the only freeze of an episode begins.
        rate_hz: random freezes per second in which the planner is awake. Excludes
            `start_s`.

    Raises:
        EmbodiedError: for a value that makes no sense.
    """

    duration_s: float = 0.0
    start_s: float | None = None
    rate_hz: float = 0.0

    def __post_init__(self) -> None:
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
        """Returns when the freezes of an episode begin, (max_count,) ticks awake.

        Ticks awake are counted by a clock that stands still while the planner is
        frozen.
        """
        if self.rate_hz > 0:
            gaps = rng.exponential(PHYSICS_HZ / self.rate_hz, self.max_count)
            # At least one tick awake lies between two freezes.
            gaps = np.maximum(np.ceil(gaps), 1)
            return gaps.cumsum().astype(np.int64)

        begin = seconds_to_ticks(self.start_s or 0.0)
        return np.full(self.max_count, begin, np.int64)


class Channel:
    """Tells when the plans of N worlds are received, computed and delivered.

    Methods take rows, one per message: worlds `ids` (n,), ticks (n,), and the number of
    each message in its episode (n,). They return ticks (n,).
    """

    def __init__(
        self, num_worlds: int, latency: PlanLatency, drop: float, freeze: Freeze
    ) -> None:
        self._compute = DelayTable(latency.compute, Stream.PLAN_COMPUTE, num_worlds)
        self._uplink = DelayTable(latency.uplink, Stream.PLAN_UPLINK, num_worlds)
        self._downlink = DelayTable(latency.downlink, Stream.PLAN_DOWNLINK, num_worlds)

        self._drop = drop
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
                # Each freeze moves the later ones back by its own duration.
                earlier = np.arange(self._freeze.max_count)
                self._begins_awake[world] = begins_awake
                self._begins[world] = begins_awake + self._freeze_ticks * earlier

    def received_at(self, ids: Array, captured: Array, number: Array) -> Array:
        """Returns when observations captured at some ticks reach the planner."""
        return captured + self._uplink.ticks(ids, number)

    def awake_at(self, tick: Array) -> Array:
        """Returns the first ticks at or after `tick` at which no planner is frozen.

        Unlike the other methods it takes and returns a row for each of the N worlds.
        """
        if not self._freeze.max_count:
            return tick

        tick = tick[:, None]  # (N, 1), against (N, max_count)
        ends = self._begins + self._freeze_ticks
        frozen = (self._begins <= tick) & (tick < ends)
        return np.where(frozen, ends, tick).max(axis=1)

    def computed_at(self, ids: Array, start: Array, seq: Array) -> Array:
        """Returns when plans are computed that were begun at ticks `start` awake."""
        compute = self._compute.ticks(ids, seq)
        if not self._freeze.max_count:
            return start + compute

        # From the world's clock to ticks awake, on to the end of the computing, ...
        ends = self._begins[ids] + self._freeze_ticks
        freezes_over = (ends <= start[:, None]).sum(axis=1)
        done_awake = start - freezes_over * self._freeze_ticks + compute

        # ... and back, with the freezes that came between.
        begun = (self._begins_awake[ids] < done_awake[:, None]).sum(axis=1)
        freezes_over = np.maximum(freezes_over, begun)
        return done_awake + freezes_over * self._freeze_ticks

    def arrived_at(self, ids: Array, done: Array, seq: Array) -> Array:
        """Returns when the controller can read plans; -1 where they are lost."""
        arrived = done + self._downlink.ticks(ids, seq)
        if not self._drop:
            return arrived
        return np.where(self._lost[ids, seq % SAMPLES_PER_EPISODE], -1, arrived)
