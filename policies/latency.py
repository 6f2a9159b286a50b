"""The latency of plans: kinds of delays, and their sampling.

Delays are sampled per world and episode, from a generator that depends on the episode's
seed only. So the delays in a world do not depend on the number or order of worlds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from embodied.core import PHYSICS_HZ, Array
from embodied.errors import EmbodiedError
from embodied.plain import make_fields_plain, to_python
from embodied.seeding import episode_generator

# The number of delays that are sampled per episode; further messages reuse them in order.
SAMPLES_PER_EPISODE = 1024
# The first line of a trace file with the delays of one episode, from the episode's start.
FROM_START = "# from the start of the episode"


class Latency(Protocol):
    """A source of delays."""

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Samples the delays of `count` consecutive messages, (count,) in ms."""

    @property
    def median_ms(self) -> float:
        """The median delay, in ms."""


@dataclass(frozen=True)
class Constant:
    """A constant delay."""

    ms: float = 0.0

    def __post_init__(self) -> None:
        make_fields_plain(self)
        _check(self.ms, "a constant latency in ms")

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return np.full(count, float(self.ms))

    @property
    def median_ms(self) -> float:
        return float(self.ms)


@dataclass(frozen=True)
class LogNormal:
    """Delays with a lognormal distribution: `median_ms * exp(sigma * normal)`.

    Later messages may overtake earlier messages.
    """

    median_ms: float
    sigma: float

    def __post_init__(self) -> None:
        make_fields_plain(self)
        _check(self.median_ms, "the median of a lognormal latency in ms")
        _check(self.sigma, "the sigma of a lognormal latency")

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return self.median_ms * np.exp(self.sigma * rng.standard_normal(count))


@dataclass(frozen=True)
class Trace:
    """Measured delays, in the order of their measurement.

    The trace is repeated without end. An episode begins at a random position in it, or
    at the first delay if `from_start` is set, which is needed to replay an episode.

    Attributes:
        ms: the delays.
        file: the path of the file that the trace was read from; "" if there is none.
        from_start: whether episodes begin at the first delay.
    """

    ms: Sequence[float]
    file: str = field(default="", compare=False)
    from_start: bool = False

    def __post_init__(self) -> None:
        """Makes the delays a tuple.

        Raises:
            EmbodiedError: there are no delays, or one is negative or not finite.
        """
        # A tuple is hashable and immutable. `object.__setattr__` is needed because the
        # dataclass is frozen.
        delays_ms = tuple(float(to_python(value)) for value in self.ms)
        object.__setattr__(self, "ms", delays_ms)
        if not self.ms:
            raise EmbodiedError(
                "a latency trace needs at least one delay in ms, this one is empty"
            )
        for delay_ms in self.ms:
            _check(delay_ms, "a delay of a latency trace in ms")

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        start = 0 if self.from_start else rng.integers(len(self.ms))
        return np.take(self.ms, start + np.arange(count), mode="wrap")

    @property
    def median_ms(self) -> float:
        return float(np.median(self.ms))


def read_trace(path: Path) -> Trace:
    """Reads a text file with one delay in ms per line, in the order of measurement.

    Empty lines and lines that begin with `#` are skipped. If the very first line is
    FROM_START, episodes begin at the first delay.

    Raises:
        EmbodiedError: the file cannot be read, or a line is not a delay.
    """
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise EmbodiedError(
            f"the latency trace {path} cannot be read: {reason}"
        ) from error

    delays_ms = []
    for number, line in enumerate(lines, start=1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        try:
            delay_ms = float(text)
            _check(delay_ms, "a delay")
        except (ValueError, EmbodiedError):
            raise EmbodiedError(
                f"line {number} of the latency trace {path} is {text!r}, not a delay in "
                "ms of at least 0"
            ) from None
        delays_ms.append(delay_ms)
    from_start = lines[:1] == [FROM_START]
    return Trace(delays_ms, file=str(path), from_start=from_start)


@dataclass(frozen=True)
class PlanLatency:
    """The latency of plans: computing, and transport in both directions.

    Computing blocks the planner. Transport does not: several messages may be on their
    way at the same time.

    Attributes:
        compute: the time from the start of planning to its end.
        uplink: the time from the capture of an observation to its arrival at the
            planner.
        downlink: the time from the end of planning to the plan's arrival at the
            controller.
        source: the citation of where the numbers come from.
    """

    compute: Latency = field(default_factory=Constant)
    uplink: Latency = field(default_factory=Constant)
    downlink: Latency = field(default_factory=Constant)
    source: str = ""


class DelayTable:
    """The delays of N worlds in ticks, sampled when their episodes begin.

    Args:
        source: the distribution of the delays.
        stream: the `seeding.Stream` of random numbers to sample from. Each kind of delay
            has its own, so that kinds are independent.
        num_worlds: N.
    """

    def __init__(self, source: Latency, stream: int, num_worlds: int) -> None:
        """Makes an empty table; `reset` samples the delays of an episode."""
        self._source = source
        self._stream = stream
        self._table = np.zeros((num_worlds, SAMPLES_PER_EPISODE), np.int64)

        # a constant delay needs no table
        self._constant_ticks: int | None = None
        if isinstance(source, Constant):
            self._constant_ticks = int(_to_ticks(np.array(source.ms)))

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Samples the delays of new episodes in worlds `ids`."""
        if self._constant_ticks is not None:
            return
        for world, seed in zip(ids, seeds, strict=True):
            rng = episode_generator(seed, self._stream)
            delays_ms = self._source.sample(rng, SAMPLES_PER_EPISODE)
            self._table[world] = _to_ticks(delays_ms)

    def ticks(self, ids: Array, number: Array) -> Array:
        """Returns the delays of n messages in ticks.

        Args:
            ids: (n,) the worlds.
            number: (n,) the number of each message in its episode.

        Returns:
            An array (n,), or one int for all messages if the delay is constant.
        """
        if self._constant_ticks is not None:
            return self._constant_ticks
        return self._table[ids, number % SAMPLES_PER_EPISODE]


def _to_ticks(ms: np.ndarray) -> np.ndarray:
    """Returns delays in ticks, rounded up so that no message arrives too early."""
    # `round` first, so that the rounding error of the product does not add a tick
    return np.ceil(np.round(ms * (PHYSICS_HZ / 1000), 6))


def _check(value: float, name: str) -> None:
    """Raises EmbodiedError, which names the number, unless it is finite and at least 0."""
    if not (np.isfinite(value) and value >= 0):
        raise EmbodiedError(f"{name} must be finite and at least 0, not {value}")
