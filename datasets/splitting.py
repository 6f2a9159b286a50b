"""Splitting episodes into parts by their seeds.

A hash of its seed gives each episode a place between 0 and 1, and shares cut that range.
So an episode stays in its part when others are added or removed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from embodied.errors import EmbodiedError
from embodied.names import check_names

REST = "rest"
ROUNDING = 1e-9  # how far a sum of shares may be off
# "80%" (group 1), or 0.8 (group 2)
_SHARE = re.compile(r"(\d+(?:\.\d+)?)%|(0?\.\d+|1\.0*)")
_COUNT = re.compile(r"\d+")


@dataclass(frozen=True)
class Part:
    """A part of a split.

    Attributes:
        name: what it is called.
        share: of the episodes, in (0, 1]; None for a count or the rest.
        count: of the episodes; None for a share or the rest.
    """

    name: str
    share: float | None = None
    count: int | None = None

    @classmethod
    def parse(cls, text: str) -> Part:
        """Returns the part that a text such as `valid=10%` says.

        Raises:
            EmbodiedError: it says none.
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
    """Returns part name -> the indices into `seeds` of its episodes.

    Shares and counts cannot be mixed, except with one part that takes the rest.

    Raises:
        EmbodiedError: the parts do not go together, or there are too few episodes.
    """
    _check_parts(parts)
    places = [place_of(seed, split_seed) for seed in seeds]
    if any(part.count is not None for part in parts):
        ordered = sorted(range(len(seeds)), key=lambda i: places[i])
        return _by_count(ordered, parts)
    return _by_share(places, parts)


Split = dict[str, list[int]]


def place_of(seed: int, split_seed: int) -> float:
    """Returns the place of a seed in [0, 1), by a hash of both."""
    digest = hashlib.blake2b(f"{split_seed}/{seed}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64


def _check_parts(parts: Sequence[Part]) -> None:
    """Raises EmbodiedError unless the parts go together."""
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
    """Gives each part as many episodes as it counts, off the front.

    Args:
        ordered: indices of all episodes, in the order of their places in [0, 1).
        parts: what to give them to.
    """
    wanted = sum(part.count or 0 for part in parts)
    if wanted > len(ordered):
        raise EmbodiedError(f"{wanted} episodes are wanted, there are {len(ordered)}")

    found: Split = {}
    first = 0
    for part in parts:
        if part.count is not None:
            found[part.name] = sorted(ordered[first : first + part.count])
            first += part.count
    return _with_rest(found, parts, len(ordered))


def _by_share(places: Sequence[float], parts: Sequence[Part]) -> Split:
    """Gives each part the episodes in an interval of [0, 1) as long as its share.

    Args:
        places: of all episodes, in [0, 1).
        parts: what to give them to.
    """
    found: Split = {}
    low = 0.0
    for part in parts:
        if part.share is None:
            continue
        high = low + part.share
        # shares that come to 1 must not lose the last episode by rounding
        if high > 1 - ROUNDING:
            high = 2.0  # beyond every place
        found[part.name] = [i for i, place in enumerate(places) if low <= place < high]
        low = high
    return _with_rest(found, parts, len(places))


def _with_rest(found: Split, parts: Sequence[Part], total: int) -> Split:
    """Returns the parts in the order asked for, with the rest where it was asked for."""
    taken = {i for members in found.values() for i in members}
    rest = [i for i in range(total) if i not in taken]
    return {part.name: found.get(part.name, rest) for part in parts}
