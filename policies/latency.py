"""Where a plan's time goes: sources of latency, and presets of machines and networks.

A source is sampled once per world and episode, from a generator of that episode's seed
alone: neither the number of worlds nor their order changes what a world sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Protocol

import numpy as np

from embodied.core import PHYSICS_HZ, Array
from embodied.errors import EmbodiedError, unknown

# random values drawn for a world's episode; used again from the start after so many
# plans
DRAWS = 1024


def episode_generator(seed: int, stream: int) -> np.random.Generator:
    """The generator of one purpose (`stream`) in the episode of a seed."""
    return np.random.default_rng(np.random.SeedSequence((int(seed), stream)))


class Latency(Protocol):
    """A source of delays."""

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """The delays of `count` messages in a row, (count,) in ms."""


@dataclass(frozen=True)
class Constant:
    """Always the same delay."""

    ms: float = 0.0

    def __post_init__(self) -> None:
        _check(self.ms, "a constant latency in ms")

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return np.full(count, float(self.ms))


@dataclass(frozen=True)
class LogNormal:
    """Delays whose logarithm is normal: `median_ms * exp(sigma * normal)`. Messages may
    overtake each other.
    """

    median_ms: float
    sigma: float

    def __post_init__(self) -> None:
        _check(self.median_ms, "the median of a lognormal latency in ms")
        _check(self.sigma, "the sigma of a lognormal latency")

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return self.median_ms * np.exp(self.sigma * rng.standard_normal(count))


@dataclass(frozen=True)
class Trace:
    """Measured delays in their order, in ms, from a random place of the recording on
    and round again.
    """

    ms: Sequence[float]

    def __post_init__(self) -> None:
        # hashable, and no one else's array
        object.__setattr__(self, "ms", tuple(float(x) for x in self.ms))
        if not self.ms:
            raise EmbodiedError(
                "a latency trace needs at least one delay in ms, this one is empty"
            )
        for value in self.ms:
            _check(value, "a delay of a latency trace in ms")

    def sample(self, rng: np.random.Generator, count: int) -> np.ndarray:
        return np.take(
            self.ms, rng.integers(len(self.ms)) + np.arange(count), mode="wrap"
        )


@dataclass(frozen=True)
class PlanLatency:
    """The delays of one plan. Compute blocks the planner, transport does not: messages
    on their way may be many.
    """

    compute: Latency = field(default_factory=Constant)
    uplink: Latency = field(default_factory=Constant)  # observation to planner
    downlink: Latency = field(default_factory=Constant)  # plan to controller
    source: str = ""


class DelayTable:
    """The delays of N worlds, in ticks: a row per world, drawn when its episode starts."""

    def __init__(self, source: Latency, stream: int, num_worlds: int) -> None:
        self._source = source
        self._stream = stream
        self._always = (
            int(_ticks(np.array(source.ms))) if isinstance(source, Constant) else None
        )
        self._ticks = np.zeros((num_worlds, DRAWS), np.int64)

    def reset(self, ids: Array, seeds: Sequence[int]) -> None:
        if self._always is None:
            for i, seed in zip(ids, seeds, strict=True):
                self._ticks[i] = _ticks(
                    self._source.sample(episode_generator(seed, self._stream), DRAWS)
                )

    def ticks(self, ids: Array, count: Array) -> Array:
        """The delay of each world's message number `count`: (n,), (n,) -> (n,), or one
        number for all.
        """
        return self._ticks[ids, count % DRAWS] if self._always is None else self._always


def _ticks(ms: np.ndarray) -> np.ndarray:
    return np.ceil(np.round(ms * (PHYSICS_HZ / 1000), 6))  # a message never comes early


def _check(value: float, name: str) -> None:
    if not (np.isfinite(value) and value >= 0):
        raise EmbodiedError(f"{name} must be finite and at least 0, not {value}")


_VLA_PERF = (
    "pi0 in bf16, 10 denoising steps, by the analytical model VLA-Perf (arXiv 2602.18397, table of device and server"
    " configurations; totals as quoted by arXiv 2605.08168). Modelled, without jitter."
)
PRESETS: Mapping[str, PlanLatency] = MappingProxyType(
    {
        "none": PlanLatency(),
        # RTX 4090 beside the robot: 31 ms, all of it compute
        "workstation": PlanLatency(Constant(31.06), source=_VLA_PERF),
        # Jetson Thor on the robot: 53 ms, all of it compute
        "jetson_thor": PlanLatency(Constant(52.57), source=_VLA_PERF),
        # B100 behind 4G: 73 ms, of which 3 compute; an image takes longer up than an
        # action chunk down
        "b100_4g": PlanLatency(
            Constant(3.18), Constant(44.82), Constant(25.0), _VLA_PERF
        ),
        # B100 in a distant data centre (100 ms one way) behind 4G: 273 ms, of which 3
        # compute
        "slow_cloud_4g": PlanLatency(
            Constant(3.18), Constant(145.19), Constant(125.0), _VLA_PERF
        ),
    }
)


def latency_preset(name: str) -> PlanLatency:
    """The preset of that name; EmbodiedError lists the names there are."""
    if name not in PRESETS:
        raise unknown("latency preset", name, PRESETS)
    return PRESETS[name]
