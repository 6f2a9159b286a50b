"""When a cell has enough episodes: rules that stop it, sound whenever they are asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from embodied.benchmark.results import success_at_end
from embodied.benchmark.statistics import CONFIDENCE, wilson
from embodied.errors import EmbodiedError
from embodied.rollout.rollout import EpisodeResult

LOOK = 10  # a rule is asked after so many more episodes


class StoppingRule(Protocol):
    """Says when a cell has enough episodes."""

    @property
    def words(self) -> str:
        """What it waits for, for people who read the results."""

    def is_met(self, episodes: Sequence[EpisodeResult]) -> bool:
        """Returns whether the first episodes of a cell, in their order, are enough."""


@dataclass(frozen=True)
class Until:
    """Waits for an interval that is narrow enough.

    Attributes:
        half_width: of the Wilson interval of the success at the end, as a share.

    Raises:
        EmbodiedError: no interval can be as narrow or needs to be as wide.
    """

    half_width: float

    def __post_init__(self) -> None:
        if not 0.001 <= self.half_width < 0.5:
            raise EmbodiedError(
                "the interval's half-width (--until) must be from 0.001 to below 0.5, "
                f"e.g. 0.03 for 3 points, not {self.half_width:g}"
            )

    @property
    def words(self) -> str:
        return f"until the interval is ±{100 * self.half_width:g} points"

    def is_met(self, episodes: Sequence[EpisodeResult]) -> bool:
        """Returns whether the interval is narrow enough."""
        found = wilson(sum(map(success_at_end, episodes)), len(episodes))
        return (found.high - found.low) / 2 <= self.half_width


@dataclass(frozen=True)
class Against:
    """Waits until a policy is told apart from another one on the same seeds.

    The test is an e-process: it may be asked after every episode, and still calls equal
    policies different with a probability of at most `alpha`.

    Attributes:
        name: of the other policy.
        outcomes: seed -> whether the other one succeeded.
        alpha: how often equal policies may be called different.
    """

    name: str
    outcomes: Mapping[int, bool]
    alpha: float = 1 - CONFIDENCE

    @property
    def words(self) -> str:
        return f"until told apart from {self.name}, at a level of {self.alpha:.2g}"

    def is_met(self, episodes: Sequence[EpisodeResult]) -> bool:
        """Returns whether they are told apart, or cannot be with the seeds that are left."""
        own = np.array([success_at_end(episode) for episode in episodes])
        other = np.array([self.outcomes[episode.seed] for episode in episodes])
        only_own = int((own & ~other).sum())
        only_other = int((~own & other).sum())

        threshold = -np.log(self.alpha)
        if log_e_value(only_own, only_other) >= threshold:
            return True

        # the best that the rest could still do for the one that is ahead
        left = len(self.outcomes) - len(episodes)
        ahead = max(only_own, only_other) + left
        return bool(log_e_value(ahead, min(only_own, only_other)) < threshold)


def log_e_value(only_first: np.ndarray | int, only_second: np.ndarray | int) -> float:
    """Returns the logarithm of the evidence that two policies differ, (...) or a number.

    Of the starts from which one policy alone succeeds, equal policies share each with a
    probability of 1/2. The evidence is the likelihood ratio of a uniform mixture over
    all other shares to that: a martingale that begins at 1 while they are equal, so
    that it ever reaches 1 / alpha with a probability of at most alpha (Ville 1939;
    Robbins 1970).

    Args:
        only_first: how often the first alone succeeded; whole numbers of any shape.
        only_second: how often the second alone did.
    """
    from scipy.special import betaln

    first = np.asarray(only_first, np.float64)
    second = np.asarray(only_second, np.float64)
    log_e = betaln(first + 1, second + 1) + (first + second) * np.log(2)
    return log_e if log_e.ndim else float(log_e)
