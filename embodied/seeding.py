"""Seeds, and the random numbers of an episode that follow from its seed alone."""

from __future__ import annotations

from enum import IntEnum
from typing import Any

import numpy as np

from embodied.errors import EmbodiedError

SEED_LIMIT = 2**63


class Stream(IntEnum):
    """What a stream of an episode's random numbers is for.

    Streams are independent of each other: drawing more from one changes no other. The
    numbers are part of every recorded result; append, never renumber.
    """

    PLAN_COMPUTE = 1
    PLAN_UPLINK = 2
    PLAN_DOWNLINK = 3
    PLAN_DROP = 4
    PLANNER_FREEZE = 5
    RANDOM_POLICY = 6
    ACTION_NOISE = 7


def episode_generator(seed: int, stream: int) -> np.random.Generator:
    """Returns the random generator of one purpose in the episode of a seed.

    Args:
        seed: The episode's seed.
        stream: A `Stream`, or any other whole number that tells purposes apart.
    """
    return np.random.default_rng(np.random.SeedSequence((int(seed), int(stream))))


def checked_seed(seed: Any) -> int:
    """Returns the seed as an int.

    Raises:
        EmbodiedError: The seed is not a whole number from 0 to 2**63 - 1.
    """
    if not isinstance(seed, int | np.integer) or not 0 <= seed < SEED_LIMIT:
        raise EmbodiedError(
            f"a seed must be a whole number from 0 to 2**63 - 1, not {seed!r}"
        )
    return int(seed)
