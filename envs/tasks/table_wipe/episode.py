"""Draws an episode of TableWipe: which stains are where, what the sentence says of
them, and what happens later.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from embodied.envs.props.stains import STAINS
from embodied.envs.tasks.table_wipe.scene import PLACES_XY
from embodied.envs.tasks.table_wipe.variation import TABLE
from embodied.envs.variation import Variation

# of random numbers, apart from those of the table's variables
EVENT_STREAM = 0x57495045
S = len(STAINS)
# draws of each
MANY = {
    "kind": 8,
    "blob": 8,
    "place": 12,
    "offset": 2 * S,
    "turn": S,
    "small": S,
    "pad_offset": 2,
}
PUSH_N = (1.5, 1.8)  # slides the pad 8 to 14 cm
# rad from x: towards the middle of the table, where the arm can follow
PUSH_ANGLE = (0.7, 2.0)


def draw_start(seed: int, variation: Variation) -> dict[str, Any]:
    """All that is special to one episode, JSON-able. Stains are listed in an order of
    their own; the last of `kind`, `named` and so on is the one that is spilled later,
    if any.
    """
    drawn: dict[str, Any] = {
        v.name: variation.sample_many(seed, v.name, MANY[v.name])
        if v.name in MANY
        else variation.sample(seed, v.name)
        for v in TABLE
    }
    kinds = choose_kinds(drawn["kind"], drawn["stains"])
    kind = kinds[drawn["target"] % len(kinds)]
    named = named_by(drawn["request"], kind, kinds)
    if not any(named):  # all the stains are of the kind that was to stay
        drawn["request"] = "one"
        named = named_by("one", kind, kinds)
    drawn["kind"] = [*kinds, kinds[named.index(True)]]
    drawn["named"] = [*named, True]
    drawn["blob"] = list(dict.fromkeys([*drawn["blob"], *range(S)]))
    drawn["place"] = list(dict.fromkeys([*drawn["place"], *range(len(PLACES_XY))]))
    drawn["instruction"] = drawn[f"sentence_{drawn['request']}"].format(kind=kind)
    return drawn | _draw_events(seed, variation.level)


def choose_kinds(draws: Sequence[str], count: int) -> list[str]:
    """The kinds of `count` stains, the first two different where the draws let them."""
    different = list(dict.fromkeys(draws))
    return [different[0], different[1 % len(different)], *draws[2:]][:count]


def named_by(request: str, kind: str, kinds: Sequence[str]) -> list[bool]:
    """Which stains a request about `kind` wants wiped."""
    return [request == "all" or (k == kind) == (request == "one") for k in kinds]


def _draw_events(seed: int, level: str) -> dict[str, Any]:
    """At L4 the pad is shoved aside, or something more is spilled (when half the work
    is done, or at its time), or both; `event_s` are the times of both.
    """
    rng = np.random.default_rng((seed, EVENT_STREAM))
    event = rng.choice(("shove", "spill", "both"))
    angle = rng.uniform(*PUSH_ANGLE)
    force = rng.uniform(*PUSH_N)
    shoved = level == "L4" and event != "spill"
    spilled = level == "L4" and event != "shove"
    push = (
        (float(force * np.cos(angle)), float(force * np.sin(angle)))
        if shoved
        else (0.0, 0.0)
    )
    return {
        "push_n": push,
        "spilled": spilled,
        "event_s": (float(rng.uniform(0.2, 1.2)), float(rng.uniform(4.0, 8.0))),
    }
