"""Splitting a dataset's episodes into parts, such as train and test, by their seeds.

A hash of an episode's seed gives a number in [0, 1), the episode's position. Each part
takes the episodes whose positions lie in its interval. So an episode stays in its part
when other episodes are added or removed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from embodied.errors import EmbodiedError
from embodied.names import check_names
from embodied.wording import counted

REST = "rest"  # the size of a part that takes all remaining episodes
ROUNDING = 1e-9  # tolerance for the sum of shares
# "80%", with 80 as group 1; or "0.8" as group 2
_SHARE = re.compile(r"(\d+(?:\.\d+)?)%|(0?\.\d+|1\.0*)")
_COUNT = re.compile(r"\d+")


@dataclass(frozen=True)
class Part:
    """A part of a split.

    Attributes:
        name: the name of the part.
        share: the share of the episodes, in (0, 1]; None for a part that has a count, or
            that takes all remaining episodes.
        count: the number of episodes; None for a part that has a share, or that takes all
            remaining episodes.
    """

    name: str
    share: float | None = None
    count: int | None = None

    @classmethod
    def parse(cls, text: str) -> Part:
        """Parses a part such as `valid=10%`, `test=20` or `train=rest`.

        Raises:
            EmbodiedError: the text is not a part.
        """
        name, _, size = text.partition("=")
        check_names("part", [name])

        # the size is a share, a count, or the word `rest`
        share = _SHARE.fullmatch(size)
        if share is not None:
            value = float(share[1]) / 100 if share[1] else float(share[2])
            if 0 < value <= 1:
                return cls(name, share=value)
        elif _COUNT.fullmatch(size) and int(size) > 0:
            return cls(name, count=int(size))
        elif size == REST:
            return cls(name)

        raise EmbodiedError(
            f"{text!r} is no part: write NAME=SIZE, where SIZE is a share such as 0.8 or "
            "80%, a number of episodes such as 20, or `rest`"
        )


def split(seeds: Sequence[int], parts: Sequence[Part], split_seed: int = 0) -> Split:
    """Splits episodes into parts.

    Args:
        seeds: the seeds of all episodes.
        parts: the parts, all with shares or all with counts; one part may take all
            remaining episodes.
        split_seed: a number that is hashed with each seed, so that every `split_seed`
            gives another split.

    Returns:
        The name of each part -> indices into `seeds` of the episodes in the part.

    Raises:
        EmbodiedError: shares and counts are mixed, several parts take the remaining
            episodes, the shares exceed 1, or there are too few episodes for the counts.
    """
    _check_parts(parts)
    positions = [split_position(seed, split_seed) for seed in seeds]
    if any(part.count is not None for part in parts):
        ordered = sorted(range(len(seeds)), key=lambda index: positions[index])
        return _split_by_count(ordered, parts)
    return _split_by_share(positions, parts)


# name of a part -> indices of the episodes in the part
Split = dict[str, list[int]]


def split_position(seed: int, split_seed: int) -> float:
    """Returns the position of an episode in [0, 1), from a hash of both seeds."""
    # eight bytes of a hash are a uniformly distributed integer below 2**64
    digest = hashlib.blake2b(f"{split_seed}/{seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _check_parts(parts: Sequence[Part]) -> None:
    """Raises EmbodiedError unless the parts can be combined, see `split`."""
    check_names("part", [part.name for part in parts])
    shares = [part.share for part in parts if part.share is not None]
    counts = [part.count for part in parts if part.count is not None]
    num_rest_parts = len(parts) - len(shares) - len(counts)

    if shares and counts:
        raise EmbodiedError("shares and counts cannot be mixed: choose one of them")
    if num_rest_parts > 1:
        raise EmbodiedError("only one part can take the rest")
    if sum(shares) > 1 + ROUNDING:
        raise EmbodiedError(f"the shares come to {sum(shares):g}, more than 1")


def _split_by_count(ordered: Sequence[int], parts: Sequence[Part]) -> Split:
    """Gives the first episodes to the first part, the next episodes to the second, etc.

    Args:
        ordered: the indices of all episodes, sorted by their positions in [0, 1).
        parts: the parts with their counts; one part may take all remaining episodes.
    """
    total_count = sum(part.count or 0 for part in parts)
    if total_count > len(ordered):
        raise EmbodiedError(
            f"the parts want {counted(total_count, 'episode')}, of {len(ordered)} that exist"
        )

    # `first` is the position in `ordered` of the next part's first episode
    indices_of_parts: Split = {}
    first = 0
    for part in parts:
        if part.count is not None:
            indices_of_parts[part.name] = sorted(ordered[first : first + part.count])
            first += part.count
    return _with_remaining(indices_of_parts, parts, len(ordered))


def _split_by_share(positions: Sequence[float], parts: Sequence[Part]) -> Split:
    """Gives each part the episodes in an interval of [0, 1) as long as its share.

    Args:
        positions: the positions of all episodes, in [0, 1).
        parts: the parts with their shares; one part may take all remaining episodes.
    """
    indices_of_parts: Split = {}
    low = 0.0
    for part in parts:
        if part.share is None:
            continue
        high = low + part.share
        # If the shares add up to 1, rounding must not exclude the largest position. So
        # the last interval ends at 2, beyond every position.
        if high > 1 - ROUNDING:
            high = 2.0
        indices_of_parts[part.name] = [
            index for index, position in enumerate(positions) if low <= position < high
        ]
        low = high
    return _with_remaining(indices_of_parts, parts, len(positions))


def _with_remaining(
    indices_of_parts: Split, parts: Sequence[Part], total: int
) -> Split:
    """Returns a split with the part that takes all remaining episodes, if there is one.

    Args:
        indices_of_parts: the indices in each part that has a share or a count, by name.
        parts: all parts, in the order of the result.
        total: the number of all episodes.
    """
    used = {index for indices in indices_of_parts.values() for index in indices}
    remaining = [index for index in range(total) if index not in used]
    return {part.name: indices_of_parts.get(part.name, remaining) for part in parts}
