"""Splitting episodes into parts by their seeds.

A hash of its seed gives each episode a position in [0, 1), and each part owns an interval of
that range. So an episode stays in its part when others are added or removed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from embodied.errors import EmbodiedError
from embodied.names import check_names

REST = "rest"
ROUNDING = 1e-9  # tolerance for the sum of shares
# "80%" (group 1), or 0.8 (group 2)
_SHARE = re.compile(r"(\d+(?:\.\d+)?)%|(0?\.\d+|1\.0*)")
_COUNT = re.compile(r"\d+")


@dataclass(frozen=True)
class Part:
    """A part of a split.

    Attributes:
        name: the name of the part.
        share: the share of the episodes, in (0, 1]; None for a part with a count, or
            the rest.
        count: number of episodes; None for a part with a share, or the rest.
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
    """Returns part name -> indices into `seeds` of its episodes.

    Args:
        seeds: the seeds of all episodes.
        parts: either with shares or with counts; one of them may take the rest.
        split_seed: another one gives another split.

    Raises:
        EmbodiedError: shares and counts are mixed, several parts take the rest, the
            shares exceed 1, or there are too few episodes for the counts.
    """
    _check_parts(parts)
    positions = [split_position(seed, split_seed) for seed in seeds]
    if any(part.count is not None for part in parts):
        ordered = sorted(range(len(seeds)), key=lambda i: positions[i])
        return _by_count(ordered, parts)
    return _by_share(positions, parts)


Split = dict[str, list[int]]


def split_position(seed: int, split_seed: int) -> float:
    """Returns the position of an episode in [0, 1), from a hash of both seeds."""
    digest = hashlib.blake2b(f"{split_seed}/{seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _check_parts(parts: Sequence[Part]) -> None:
    """Raises EmbodiedError unless the parts can be combined, see `split`."""
    check_names("part", [part.name for part in parts])
    shares = [part.share for part in parts if part.share is not None]
    counts = [part.count for part in parts if part.count is not None]
    rests = len(parts) - len(shares) - len(counts)

    if shares and counts:
        raise EmbodiedError("shares and counts cannot be mixed: choose one of them")
    if rests > 1:
        raise EmbodiedError("only one part can take the rest")
    if sum(shares) > 1 + ROUNDING:
        raise EmbodiedError(f"the shares come to {sum(shares):g}, more than 1")


def _by_count(ordered: Sequence[int], parts: Sequence[Part]) -> Split:
    """Gives the first episodes to the first part, the next ones to the second, etc.

    Args:
        ordered: indices of all episodes, sorted by their positions in [0, 1).
        parts: the parts with their counts; one of them may take all remaining episodes.
    """
    wanted = sum(part.count or 0 for part in parts)
    if wanted > len(ordered):
        raise EmbodiedError(f"{wanted} episodes are wanted, there are {len(ordered)}")

    indices_of_parts: Split = {}
    first = 0
    for part in parts:
        if part.count is not None:
            indices_of_parts[part.name] = sorted(ordered[first : first + part.count])
            first += part.count
    return _with_rest(indices_of_parts, parts, len(ordered))


def _by_share(positions: Sequence[float], parts: Sequence[Part]) -> Split:
    """Gives each part the episodes in an interval of [0, 1) as long as its share.

    Args:
        positions: the positions of all episodes, in [0, 1).
        parts: the parts with their shares; one of them may take all remaining episodes.
    """
    indices_of_parts: Split = {}
    low = 0.0
    for part in parts:
        if part.share is None:
            continue
        high = low + part.share
        # shares that add up to 1 must not lose the last episode to rounding, so the last
        # interval ends beyond every position
        if high > 1 - ROUNDING:
            high = 2.0
        indices_of_parts[part.name] = [
            i for i, position in enumerate(positions) if low <= position < high
        ]
        low = high
    return _with_rest(indices_of_parts, parts, len(positions))


def _with_rest(indices_of_parts: Split, parts: Sequence[Part], total: int) -> Split:
    """Adds the part that takes the rest, and restores the order of the parts.

    Args:
        indices_of_parts: part name -> indices, for the parts with shares or counts.
        parts: all parts.
        total: number of all episodes.
    """
    taken = {i for members in indices_of_parts.values() for i in members}
    rest = [i for i in range(total) if i not in taken]
    return {part.name: indices_of_parts.get(part.name, rest) for part in parts}
