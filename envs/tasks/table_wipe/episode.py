"""Samples episodes of TableWipe: the stains, the events and the instruction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from embodied.envs.events import event_rng, event_tick_at, horizontal_force
from embodied.envs.naming import first_distinct
from embodied.envs.props.stains import STAINS
from embodied.envs.tasks.table_wipe.scene import PLACES_XY
from embodied.envs.tasks.table_wipe.variation import TASK_VARIABLES
from embodied.envs.variation import Variation

# The key of the random stream of events, which differs from the keys of the table's
# variables; it is "WIPE" in ASCII.
EVENT_STREAM = 0x57495045
# How often each variable with several values is sampled: as often as values are needed, or
# where values must differ, often enough to find different ones.
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
# Direction of the push, as an angle from the x axis. The push points towards the middle of
# the table, so that the pad stays within reach.
PUSH_ANGLE_RAD = (0.7, 2.0)
# Time of the push.
PUSH_AFTER_S = (0.2, 1.2)
# Latest time of the spill.
SPILL_AFTER_S = (4.0, 8.0)


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns the sampled values of one episode by name, as JSON can hold them.

    `kind` and `named` have one element per stain; the last one is for the stain that may
    be spilled later. Other lists can be longer: their first elements are used.
    """
    episode = variation.sample_each(seed, TASK_VARIABLES)
    for name, count in SAMPLES.items():
        episode[name] = variation.sample_many(seed, name, count)

    # the kinds of the stains, and for each stain whether it is to be wiped
    kinds = choose_kinds(episode["kind"], episode["stains"])
    kind = kinds[episode["target"] % len(kinds)]  # the kind that the sentence names
    named = named_by(episode["request"], kind, kinds)
    # the request "but" (all but this kind) leaves nothing to wipe if all stains are of
    # this kind; then the sentence asks to wipe this kind instead
    if not any(named):
        episode["request"] = "one"
        named = named_by("one", kind, kinds)

    # the stain that is spilled later has a kind that is to be wiped
    episode["kind"] = [*kinds, kinds[named.index(True)]]
    episode["named"] = [*named, True]
    episode["blob"] = _all_once(episode["blob"], len(STAINS))
    episode["place"] = _all_once(episode["place"], len(PLACES_XY))

    sentence = episode[f"sentence_{episode['request']}"]
    episode["instruction"] = sentence.format(kind=kind)
    return episode | _sample_events(seed, variation.level)


def choose_kinds(values: Sequence[str], count: int) -> list[str]:
    """Returns the kinds of `count` stains, from kinds that were sampled independently.

    The kinds of the first two stains differ, if the sampled kinds allow it.
    """
    return [*first_distinct(values, 2), *values[2:]][:count]


def named_by(request: str, kind: str, kinds: Sequence[str]) -> list[bool]:
    """Returns for each stain whether the request asks to wipe it.

    Args:
        request: "all" to wipe all stains, "one" for the stains of `kind`, "but" for all
            stains except those of `kind`.
        kind: The kind that the sentence names.
        kinds: The kind of each stain.
    """
    if request == "all":
        return [True for _ in kinds]
    if request == "one":
        return [other == kind for other in kinds]
    return [other != kind for other in kinds]


def event_ticks(episode: dict[str, Any]) -> tuple[int, int]:
    """Returns (time of the push, latest time of the spill), in physics ticks."""
    push_s, spill_s = episode["event_s"]
    return event_tick_at(push_s), event_tick_at(spill_s)


def _all_once(values: Sequence[int], count: int) -> list[int]:
    """Returns each number from 0 to `count` - 1 once, the sampled ones first."""
    return list(dict.fromkeys([*values, *range(count)]))


def _sample_events(seed: int, level: str) -> dict[str, Any]:
    """Samples the events of level L4: the pad is pushed, more is spilled, or both.

    At other levels nothing happens. All values are drawn at every level, so that the
    times of the events do not depend on the level.
    """
    rng = event_rng(seed, EVENT_STREAM)
    event = rng.choice(("push", "spill", "both"))
    angle = rng.uniform(*PUSH_ANGLE_RAD)
    force = rng.uniform(*PUSH_N)
    happens = level == "L4"
    is_pushed = happens and event != "spill"
    is_spilled = happens and event != "push"
    return {
        "push_n": horizontal_force(force, angle) if is_pushed else (0.0, 0.0),
        "spilled": is_spilled,
        # time of the push, and latest time of the spill
        "event_s": (
            float(rng.uniform(*PUSH_AFTER_S)),
            float(rng.uniform(*SPILL_AFTER_S)),
        ),
    }
