"""Samples episodes of TableWipe: the stains, the events and the instruction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embodied.core import PHYSICS_HZ
from embodied.envs.events import event_rng, horizontal_force
from embodied.envs.naming import first_distinct
from embodied.envs.props.stains import STAINS
from embodied.envs.tasks.table_wipe.scene import PLACES_XY
from embodied.envs.tasks.table_wipe.variation import TASK_VARIABLES
from embodied.envs.variation import Variation

# The random stream of events, apart from those of the table's variables.
EVENT_STREAM = 0x57495045
# How many values are sampled of each variable: for some as many as are used, for the
# others enough to find different ones.
SAMPLES = {
    "kind": 8,
    "blob": 8,
    "place": 12,
    "offset": 2 * len(STAINS),  # x and y of each stain
    "turn": len(STAINS),
    "small": len(STAINS),
    "pad_offset": 2,  # x and y
}
# A push slides the pad by 8 to 14 cm.
PUSH_N = (1.5, 1.8)
# Its angle from x, towards the middle of the table, where the arm can follow.
PUSH_ANGLE_RAD = (0.7, 2.0)
# When the push comes, and the latest time of the spill.
PUSH_AFTER_S = (0.2, 1.2)
SPILL_AFTER_S = (4.0, 8.0)


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns the sampled values of one episode, JSON-able.

    `kind` and `named` have one element per stain, the last for the one that may be
    spilled later. Other lists have at least as many; their first elements count.
    """
    episode = variation.sample_each(seed, TASK_VARIABLES)
    for name, count in SAMPLES.items():
        episode[name] = variation.sample_many(seed, name, count)

    # which stains there are, and which of them are to be wiped
    kinds = choose_kinds(episode["kind"], episode["stains"])
    kind = kinds[episode["target"] % len(kinds)]
    named = named_by(episode["request"], kind, kinds)
    # if every stain is of the kind that should stay, ask for that kind instead
    if not any(named):
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
    """Returns the kinds of `count` stains, the first two different if possible."""
    return [*first_distinct(values, 2), *values[2:]][:count]


def named_by(request: str, kind: str, kinds: Sequence[str]) -> list[bool]:
    """Returns for each stain whether a request about `kind` wants it wiped.

    Args:
        request: "all", "one" (that kind only) or "but" (all other kinds).
        kind: The kind that the sentence names.
        kinds: The kind of each stain.
    """
    if request == "all":
        return [True for _ in kinds]
    if request == "one":
        return [other == kind for other in kinds]
    return [other != kind for other in kinds]


def event_ticks(episode: dict[str, Any]) -> tuple[int, int]:
    """Returns when the pad is pushed, and when more is spilled at the latest.

    Both are in physics ticks.
    """
    push_s, spill_s = episode["event_s"]
    return int(push_s * PHYSICS_HZ), int(spill_s * PHYSICS_HZ)


def _all_once(values: Sequence[int], count: int) -> list[int]:
    """Returns all the numbers below `count`, the sampled ones first."""
    return list(dict.fromkeys([*values, *range(count)]))


def _sample_events(seed: int, level: str) -> dict[str, Any]:
    """Samples the events of level L4: the pad is pushed, more is spilled, or both.

    At other levels nothing happens.
    """
    rng = event_rng(seed, EVENT_STREAM)
    event = rng.choice(("shove", "spill", "both"))
    angle = rng.uniform(*PUSH_ANGLE_RAD)
    force = rng.uniform(*PUSH_N)
    happens = level == "L4"
    is_pushed = happens and event != "spill"
    is_spilled = happens and event != "shove"
    return {
        "push_n": horizontal_force(force, angle) if is_pushed else (0.0, 0.0),
        "spilled": is_spilled,
        # when the push comes, and the latest time of the spill
        "event_s": (
            float(rng.uniform(*PUSH_AFTER_S)),
            float(rng.uniform(*SPILL_AFTER_S)),
        ),
    }
