"""How long plans take: kinds of latency.

Delays are sampled per world and episode, from a generator that depends on the episode's
seed alone. So neither the number of worlds nor their order changes what happens in one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from embodied.core import PHYSICS_HZ, Array
from embodied.errors import EmbodiedError
from embodied.plain import make_fields_plain, plain
from embodied.seeding import episode_generator

# How many delays are sampled for an episode; messages after these reuse them in order.
SAMPLES_PER_EPISODE = 1024
# The first line of a trace that is of one episode.
FROM_START = "# from the start of the episode"


class Latency(Protocol):
    """A source of delays."""

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Returns the delays of `count` messages in a row, (count,) in ms."""

    @property
    def median_ms(self) -> float:
        """The median delay, in ms."""


@dataclass(frozen=True)
class Constant:
    """Always the same delay."""

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

    Later messages may overtake earlier ones.
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
    """Measured delays in ms, in the order of their measurement.

    An episode begins at a random place of the trace, which is repeated without end; or
    always at its first delay, as it takes to play an episode again.
    """

    ms: Sequence[float]
    file: str = field(default="", compare=False)  # where it was read from, if anywhere
    from_start: bool = False  # whether episodes begin at the first delay

    def __post_init__(self) -> None:
        # A tuple is hashable and immutable.
        object.__setattr__(self, "ms", tuple(float(plain(value)) for value in self.ms))
        if not self.ms:
            raise EmbodiedError(
                "a latency trace needs at least one delay in ms, this one is empty"
            )
        for value in self.ms:
            _check(value, "a delay of a latency trace in ms")

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
    return Trace(delays_ms, str(path), from_start=lines[:1] == [FROM_START])


@dataclass(frozen=True)
class PlanLatency:
    """The latency of plans: compute, and transport both ways.

    Compute blocks the planner. Transport does not: many messages may be on their way.

    Attributes:
        compute: from the start of planning to its end.
        uplink: of an observation, from its capture to the planner.
        downlink: of a plan, from the planner to the controller.
        source: where the numbers come from, in words.
    """

    compute: Latency = field(default_factory=Constant)
    uplink: Latency = field(default_factory=Constant)
    downlink: Latency = field(default_factory=Constant)
    source: str = ""


class DelayTable:
    """The delays of N worlds in ticks, sampled when their episodes begin.

    Args:
        source: what the delays are sampled from.
        stream: the `seeding.Stream` of the random numbers: each kind of delay has its
            own, so that they are independent.
        num_worlds: N.
    """

    def __init__(self, source: Latency, stream: int, num_worlds: int) -> None:
        self._source = source
        self._stream = stream
        self._table = np.zeros((num_worlds, SAMPLES_PER_EPISODE), np.int64)

        # A constant delay needs no table.
        self._constant: int | None = None
        if isinstance(source, Constant):
            self._constant = int(_to_ticks(np.array(source.ms)))

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        """Samples the delays of new episodes in worlds `ids`."""
        if self._constant is not None:
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
        if self._constant is not None:
            return self._constant
        return self._table[ids, number % SAMPLES_PER_EPISODE]


def _to_ticks(ms: np.ndarray) -> np.ndarray:
    """Returns delays in whole ticks, rounded up: a message never comes early."""
    # `round` keeps the error of the multiplication from adding a tick.
    return np.ceil(np.round(ms * (PHYSICS_HZ / 1000), 6))


def _check(value: float, name: str) -> None:
    """Raises EmbodiedError unless a number of this name is finite and at least 0."""
    if not (np.isfinite(value) and value >= 0):
        raise EmbodiedError(f"{name} must be finite and at least 0, not {value}")
