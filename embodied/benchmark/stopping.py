"""Rules that stop the measurement of a cell early, once it has enough episodes.

A cell holds the episodes of one policy under one condition. The test of `Against` stays
valid although it is repeated after every few episodes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from embodied.benchmark.results import success_at_end
from embodied.benchmark.statistics import CONFIDENCE, wilson
from embodied.errors import EmbodiedError
from embodied.rollout.rollout import EpisodeResult

# A rule is evaluated after every LOOK episodes. Sequential tests call an evaluation a look.
LOOK = 10


class StoppingRule(Protocol):
    """Decides when a cell has enough episodes."""

    @property
    def description(self) -> str:
        """The rule in words, for results and reports."""

    def is_met(self, episodes: Sequence[EpisodeResult]) -> bool:
        """Returns whether the episodes so far, in the order of seeds, are enough."""

    def forecast(self, episodes: Sequence[EpisodeResult]) -> float:
        """Returns an estimate of how many episodes will be enough, for the progress.

        Args:
            episodes: those that have ended, at least one, in any order.
        """


@dataclass(frozen=True)
class Until:
    """Stops when the interval of the success rate is narrow enough.

    Attributes:
        half_width: the half-width of the Wilson interval, as a share.

    Raises:
        EmbodiedError: the half-width is unreachably small, or so large that any interval
            fits.
    """

    half_width: float

    def __post_init__(self) -> None:
        if not 0.001 <= self.half_width < 0.5:
            raise EmbodiedError(
                "the interval's half-width (--until) must be from 0.001 to below 0.5, "
                f"e.g. 0.03 for 3 points, not {self.half_width:g}"
            )

    @property
    def description(self) -> str:
        return f"until the interval is ±{100 * self.half_width:g} points"

    def is_met(self, episodes: Sequence[EpisodeResult]) -> bool:
        """Returns whether the interval is narrow enough."""
        return _half_width(episodes) <= self.half_width

    def forecast(self, episodes: Sequence[EpisodeResult]) -> float:
        """Returns how many are needed, as an interval shrinks with the root of their number."""
        return len(episodes) * (_half_width(episodes) / self.half_width) ** 2


@dataclass(frozen=True)
class Against:
    """Stops when a policy differs significantly from another one on the same seeds.

    The test is an e-process: even if it is evaluated after every episode, it declares
    equal policies different with a probability of at most `alpha`.

    Attributes:
        name: the name of the other policy.
        outcomes: seed -> whether the other policy succeeded.
        alpha: significance level.
    """

    name: str
    outcomes: Mapping[int, bool]
    alpha: float = 1 - CONFIDENCE

    @property
    def description(self) -> str:
        return f"until told apart from {self.name}, at a level of {self.alpha:.2g}"

    def is_met(self, episodes: Sequence[EpisodeResult]) -> bool:
        """Returns whether the test is decided, or can no longer be decided."""
        own_outcomes = np.array([success_at_end(episode) for episode in episodes])
        other_outcomes = np.array([self.outcomes[episode.seed] for episode in episodes])
        only_own = int((own_outcomes & ~other_outcomes).sum())
        only_other = int((~own_outcomes & other_outcomes).sum())

        # the e-value measures the evidence that the policies differ; it may be checked
        # again and again, as it rarely reaches 1 / alpha if they don't
        threshold = -np.log(self.alpha)  # the log of 1 / alpha
        if log_e_value(only_own, only_other) >= threshold:
            return True

        # The strongest evidence still possible: the policy that leads wins all remaining
        # seeds. If that is too little, more episodes are useless.
        remaining = len(self.outcomes) - len(episodes)
        most_wins = max(only_own, only_other) + remaining
        fewest_wins = min(only_own, only_other)
        return bool(log_e_value(most_wins, fewest_wins) < threshold)

    def forecast(self, episodes: Sequence[EpisodeResult]) -> float:
        """Returns the most episodes that there can be: how many it takes is not known."""
        return len(self.outcomes)


def _half_width(episodes: Sequence[EpisodeResult]) -> float:
    """Returns the half-width of the interval of the success rate."""
    rate = wilson(sum(map(success_at_end, episodes)), len(episodes))
    return (rate.high - rate.low) / 2


def log_e_value(only_first: np.ndarray | int, only_second: np.ndarray | int) -> float:
    """Returns the log e-value, the evidence that two policies differ.

    Consider the starts from which exactly one policy succeeds. The null hypothesis says
    that this is the first policy with probability 1/2; the alternative is a uniform
    mixture over all other probabilities. The e-value is the likelihood ratio of the
    alternative to the null. Under the null it is a martingale that starts at 1, so it
    ever reaches 1 / alpha with a probability of at most alpha (Ville 1939; Robbins 1970).

    Args:
        only_first: number of starts from which only the first succeeded; any shape.
        only_second: number of starts from which only the second succeeded; same shape.

    Returns:
        An array of the same shape; a float for two numbers.
    """
    # imported here, because importing it is slow, and few commands need it
    from scipy.special import betaln

    first = np.asarray(only_first, np.float64)
    second = np.asarray(only_second, np.float64)
    # log of the mixture's likelihood, a beta integral, minus log of (1/2)^n
    log_e = betaln(first + 1, second + 1) + (first + second) * np.log(2)
    return log_e if log_e.ndim else float(log_e)
