"""Samples an episode of TableWipe: which stains are where, what the sentence says of
them, and what happens later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embodied.core import PHYSICS_HZ
from embodied.envs.events import event_rng, horizontal_force
from embodied.envs.naming import first_distinct
from embodied.envs.props.stains import STAINS
from embodied.envs.tasks.table_wipe.scene import PLACES_XY
from embodied.envs.tasks.table_wipe.variation import OWN
from embodied.envs.variation import Variation

EVENT_STREAM = (
    0x57495045  # of random numbers, apart from those of the table's variables
)
# how many values are sampled of each
SAMPLES = {
    "kind": 8,
    "blob": 8,
    "place": 12,
    "offset": 2 * len(STAINS),
    "turn": len(STAINS),
    "small": len(STAINS),
    "pad_offset": 2,
}
PUSH_N = (1.5, 1.8)  # slides the pad by 8 to 14 cm
# rad from x: towards the middle of the table, where the arm can follow
PUSH_ANGLE = (0.7, 2.0)
PUSH_AFTER_S = (0.2, 1.2)
SPILL_AFTER_S = (4.0, 8.0)


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns all that is special to one episode, JSON-able.

    Stains are listed in an order of their own; the last of `kind`, `named` and so on is
    the one that is spilled later, if any.
    """
    episode = variation.sample_each(seed, OWN)
    for name, count in SAMPLES.items():
        episode[name] = variation.sample_many(seed, name, count)

    # which stains there are, and which of them are to be wiped
    kinds = choose_kinds(episode["kind"], episode["stains"])
    kind = kinds[episode["target"] % len(kinds)]
    named = named_by(episode["request"], kind, kinds)
    if not any(named):  # all the stains are of the kind that was to stay
        episode["request"] = "one"
        named = named_by("one", kind, kinds)

    # the last stain, which is spilled later, is of a kind to be wiped
    episode["kind"] = [*kinds, kinds[named.index(True)]]
    episode["named"] = [*named, True]
    episode["blob"] = _all_once(episode["blob"], len(STAINS))
    episode["place"] = _all_once(episode["place"], len(PLACES_XY))

    sentence = episode[f"sentence_{episode['request']}"]
    episode["instruction"] = sentence.format(kind=kind)
    return episode | _sample_events(seed, variation.level)


def choose_kinds(values: Sequence[str], count: int) -> list[str]:
    """Returns the kinds of `count` stains, the first two different where the values let
    them.
    """
    return [*first_distinct(values, 2), *values[2:]][:count]


def named_by(request: str, kind: str, kinds: Sequence[str]) -> list[bool]:
    """Returns which stains a request about `kind` wants wiped."""
    if request == "all":
        return [True for _ in kinds]
    if request == "one":
        return [other == kind for other in kinds]
    return [other != kind for other in kinds]


def event_ticks(episode: dict[str, Any]) -> tuple[int, int]:
    """Returns when the pad is pushed, and when more is spilled at the latest."""
    push_s, spill_s = episode["event_s"]
    return int(push_s * PHYSICS_HZ), int(spill_s * PHYSICS_HZ)


def _all_once(values: Sequence[int], count: int) -> list[int]:
    """Returns all the numbers below `count`, the sampled ones first."""
    return list(dict.fromkeys([*values, *range(count)]))


def _sample_events(seed: int, level: str) -> dict[str, Any]:
    """At L4 the pad is pushed aside, or something more is spilled (when half the work is
    done, or at its time), or both.
    """
    rng = event_rng(seed, EVENT_STREAM)
    event = rng.choice(("shove", "spill", "both"))
    angle = rng.uniform(*PUSH_ANGLE)
    force = rng.uniform(*PUSH_N)
    happens = level == "L4"
    is_pushed = happens and event != "spill"
    is_spilled = happens and event != "shove"
    return {
        "push_n": horizontal_force(force, angle) if is_pushed else (0.0, 0.0),
        "spilled": is_spilled,
        "event_s": (
            float(rng.uniform(*PUSH_AFTER_S)),
            float(rng.uniform(*SPILL_AFTER_S)),
        ),
    }
