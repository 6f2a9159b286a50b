"""Seeds, and random generators of an episode that depend only on its seed."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from embodied.errors import EmbodiedError
from embodied.wording import counted

SEED_LIMIT = 2**63
# The limit of numpy's global generator; Stable-Baselines3 seeds that, too.
GLOBAL_SEED_LIMIT = 2**32
# A first seed s for the worlds' seeds s, s + 1, ...; or one seed for each world.
Seeds = int | Sequence[int | None] | None
GENERATOR_KIND = "PCG64"  # the default of NumPy and Gymnasium


class Stream(IntEnum):
    """The purposes of an episode's random streams.

    Streams are independent: drawing more numbers from one changes no other. Recorded
    results depend on the values of this enumeration; append, never renumber.
    """

    PLAN_COMPUTE = 1
    PLAN_UPLINK = 2
    PLAN_DOWNLINK = 3
    PLAN_DROP = 4
    PLANNER_FREEZE = 5
    RANDOM_POLICY = 6
    ACTION_NOISE = 7
    LINK_OUTAGE = 8
    ACTION_HEAD = 9


def episode_generator(seed: int, stream: int) -> np.random.Generator:
    """Returns the random generator for one purpose in one episode.

    Args:
        seed: The episode's seed.
        stream: The purpose: a `Stream`, or a whole number that no `Stream` has.
    """
    return np.random.default_rng(np.random.SeedSequence((int(seed), int(stream))))


def generator_words(generator: np.random.Generator) -> np.ndarray:
    """Returns a generator's state, (6,) uint64.

    The numbers are the upper and the lower half of PCG64's state, the same halves of its
    increment, whether 32 bits of a 64-bit draw are left over, and these bits.

    Raises:
        EmbodiedError: the generator is not of NumPy's default kind.
    """
    state = generator.bit_generator.state
    if state["bit_generator"] != GENERATOR_KIND:
        raise EmbodiedError(
            f"a generator of kind {state['bit_generator']}: expected {GENERATOR_KIND}, "
            "as np.random.default_rng gives it"
        )
    numbers = state["state"]
    # a word has 64 bits, and each of the two numbers has 128
    words = [*_halves(numbers["state"]), *_halves(numbers["inc"])]
    words += [state["has_uint32"], state["uinteger"]]
    return np.array(words, np.uint64)


def generator_at(words: np.ndarray) -> np.random.Generator:
    """Returns a generator with the state from `generator_words`."""
    # PCG64 has two numbers of 128 bits, of which each word holds a half
    high, low, increment_high, increment_low, has_half, half = words.tolist()
    bits = np.random.PCG64()
    bits.state = {
        "bit_generator": GENERATOR_KIND,
        "state": {
            "state": high << 64 | low,
            "inc": increment_high << 64 | increment_low,
        },
        "has_uint32": has_half,
        "uinteger": half,
    }
    return np.random.Generator(bits)


def _halves(number: int) -> tuple[int, int]:
    """Returns the upper and the lower 64 bits of a 128-bit number."""
    return number >> 64, number & (2**64 - 1)


def checked_seed(seed: Any, limit: int = SEED_LIMIT) -> int:
    """Returns the seed as an int.

    Args:
        seed: the user's value.
        limit: all seeds are below this power of two.

    Raises:
        EmbodiedError: the seed is not a whole number from 0 to `limit` - 1.
    """
    is_whole = isinstance(seed, int | np.integer) and not isinstance(seed, bool)
    if not is_whole or not 0 <= seed < limit:
        raise EmbodiedError(
            f"a seed must be a whole number from 0 to 2**{limit.bit_length() - 1} - 1, "
            f"not {seed!r}"
        )
    return int(seed)


def seed_of_each(seed: Any, num_worlds: int) -> list[int | None]:
    """Returns a seed for each world; None for the next seed of a world's own sequence.

    Args:
        seed: a value as in `Seeds`; an integer s gives the seeds s, s + 1, ...
        num_worlds: the number of worlds.

    Raises:
        EmbodiedError: the value is not as in `Seeds`, or a seed is out of range.
    """
    if seed is None:
        return [None] * num_worlds
    if isinstance(seed, int | np.integer):
        first = checked_seed(seed)
        return [checked_seed(first + i) for i in range(num_worlds)]
    # a string is a sequence, too, but not of seeds
    is_array = isinstance(seed, np.ndarray) and seed.ndim == 1
    if isinstance(seed, str) or not (is_array or isinstance(seed, Sequence)):
        raise EmbodiedError(
            f"seed {seed!r} must be a number, a sequence with one per world, or None"
        )
    if len(seed) != num_worlds:
        raise EmbodiedError(
            f"{counted(len(seed), 'seed')} for {counted(num_worlds, 'world')}"
        )
    return [None if one_seed is None else checked_seed(one_seed) for one_seed in seed]


def later_seed(seed: int, steps: int, limit: int = SEED_LIMIT) -> int:
    """Returns another seed below `limit`, for continuing after some steps.

    A resumed training uses it, so that it does not repeat its first random numbers.
    """
    return (seed + steps) % limit
