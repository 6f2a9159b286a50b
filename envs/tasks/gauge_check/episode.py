"""Samples episodes of GaugeCheck: what the gauges show, and which ones are named."""

from __future__ import annotations

from typing import Any

from embodied.envs.events import NEVER, event_rng, event_tick_at
from embodied.envs.naming import first_distinct
from embodied.envs.tasks.gauge_check.scene import STATIONS
from embodied.envs.tasks.gauge_check.variation import TASK_VARIABLES
from embodied.envs.variation import Variation

# The number of stations, each with a gauge.
COUNT = len(STATIONS)
# The least distance between a needle and the nearest of its gauge's two marks, as a share
# of the scale.
MARGIN = 0.06
# Variables that are sampled for each station.
PER_STATION = ("is_ok", "low", "width", "needle", "station_x", "station_y")
# How many names are sampled: enough to find three different ones.
NAME_SAMPLES = 24
# Time at which a named gauge changes.
EVENT_S = (0.5, 2.0)


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns the sampled values of one episode by name, as JSON can hold them.

    The list `readings` gives the needle, the low mark and the high mark of each station,
    and `named` the indices of the stations to check.
    """
    episode = variation.sample_each(seed, TASK_VARIABLES)
    for name in PER_STATION:
        episode[name] = variation.sample_many(seed, name, COUNT)
    names = variation.sample_many(seed, "name", NAME_SAMPLES)
    episode["name"] = first_distinct(names, COUNT)

    episode["readings"] = [
        reading_of(episode, station, episode["is_ok"][station])
        for station in range(COUNT)
    ]
    # the sentence names as many stations as `asked` says, chosen at random
    order = variation.stream(seed, "asked").permutation(COUNT)
    named = sorted(int(station) for station in order[: episode["asked"]])
    episode["named"] = named
    episode |= _sample_event(seed, variation.level, named)
    gauges = [f"{episode['name'][station]} gauge" for station in named]
    episode["instruction"] = episode["sentence"].format(gauges=_joined(gauges))
    return episode


def reading_of(
    episode: dict[str, Any], station: int, is_ok: bool
) -> tuple[float, float, float]:
    """Returns the positions of a gauge's needle and of its low and high marks.

    Positions are shares of the scale. The needle is between the marks if `is_ok`, and
    otherwise outside of them.

    Args:
        episode: The values of the episode that have been sampled so far.
        station: The index of the station.
        is_ok: Whether the needle is between the marks.
    """
    low = episode["low"][station]
    high = low + episode["width"][station]
    share = episode["needle"][station]
    if is_ok:
        needle = low + MARGIN + share * (high - low - 2 * MARGIN)
    else:
        # The needle may be in two ranges, below and above the marks. The sampled share is
        # mapped to both ranges as if the second followed on the first.
        length_below = low - MARGIN
        length_above = 1.0 - high - MARGIN
        needle = share * (length_below + length_above)
        if needle >= length_below:
            needle = needle - length_below + high + MARGIN
    return needle, low, high


def event_tick(episode: dict[str, Any]) -> int:
    """Returns the physics tick at which a gauge changes, or NEVER if none does."""
    if episode["event_station"] < 0:
        return NEVER
    return event_tick_at(episode["event_s"])


def _sample_event(seed: int, level: str, named: list[int]) -> dict[str, Any]:
    """Samples the event of level L4: a named gauge goes from OK to a fault, or back.

    At other levels nothing happens: `event_station` is -1. The values are drawn at every
    level, so that the time of the event does not depend on the level.

    Args:
        seed: The episode's seed.
        level: The level of the variation.
        named: Indices of the stations that the sentence names.
    """
    rng = event_rng(seed)
    station = int(rng.choice(named))
    event_s = float(rng.uniform(*EVENT_S))
    return {"event_station": station if level == "L4" else -1, "event_s": event_s}


def _joined(names: list[str]) -> str:
    """Returns names joined for a sentence: "a", "a and the b", "a, the b and the c"."""
    if len(names) == 1:
        return names[0]
    return f"{', the '.join(names[:-1])} and the {names[-1]}"
