"""Samples episodes of Patrol: the signs, the round, and the people."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np

from embodied.envs.events import event_rng
from embodied.envs.naming import first_distinct
from embodied.envs.props.people import Clothes
from embodied.envs.props.walks import Walk, meeting_m
from embodied.envs.scenes.machine_hall import (
    BEHIND_Y_M,
    CROSSINGS_X_M,
    ENDS_X_M,
)
from embodied.envs.tasks.patrol.scene import PEOPLE, STATIONS
from embodied.envs.tasks.patrol.variation import (
    HELMETS,
    SKINS,
    TASK_VARIABLES,
    TROUSERS,
    VESTS,
)
from embodied.envs.variation import Variation

COUNT = len(STATIONS)
# How many values are sampled, enough to find different ones for all stations.
SAMPLES = 40
# Variables that are sampled for each person.
PER_PERSON = (
    "vest",
    "trousers",
    "helmet",
    "skin",
    "is_reversed",
    "walk_speed",
    "keeps_right",
    "pause_at",
    "pause",
)
# The least distance between the middles of two people.
APART_M = 0.65
# How many points of a loop are tried as a person's start, to keep that distance.
START_TRIES = 24
# The distance is checked over this time, which is longer than an episode.
WATCHED_S = 60.0
# At level L4 one person halts: the time at which that happens, and how long it takes.
HALT_S = (3.0, 12.0)
HALTED_S = (2.0, 4.0)

# The x of the walkways along y, and the y of those behind the stations; m.
_LEFT, _RIGHT = CROSSINGS_X_M
_NEAR, _FAR = ENDS_X_M
_UP = BEHIND_Y_M
# The loops that people walk, each by its corners (x, y) in m: around one station or
# several. None passes the dock, where the robot starts.
WAYS: tuple[tuple[tuple[float, float], ...], ...] = (
    ((_NEAR, 0), (_LEFT, 0), (_LEFT, _UP), (_NEAR, _UP)),
    ((_LEFT, 0), (_RIGHT, 0), (_RIGHT, _UP), (_LEFT, _UP)),
    ((_RIGHT, 0), (_FAR, 0), (_FAR, _UP), (_RIGHT, _UP)),
    ((_RIGHT, 0), (_LEFT, 0), (_LEFT, -_UP), (_RIGHT, -_UP)),
    ((_FAR, 0), (_RIGHT, 0), (_RIGHT, -_UP), (_FAR, -_UP)),
    ((_LEFT, -_UP), (_RIGHT, -_UP), (_RIGHT, _UP), (_LEFT, _UP)),
    ((_NEAR, 0), (_FAR, 0), (_FAR, _UP), (_NEAR, _UP)),
)


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns the sampled values of one episode by name, as JSON can hold them.

    The list `round` gives the indices of the stations to look at, in order, and `walks` the
    fields of a `Walk` for each person who takes part.
    """
    episode = variation.sample_each(seed, TASK_VARIABLES)
    for name in ("number", "colour"):
        values = variation.sample_many(seed, name, SAMPLES)
        episode[name] = first_distinct(values, COUNT)
    episode["station_x"] = variation.sample_many(seed, "station_x", COUNT)

    # the round, and its stations' names in the instruction
    order = variation.stream(seed, "asked").permutation(COUNT)
    episode["round"] = [int(station) for station in order[: episode["asked"]]]
    called_by = variation.sample_many(seed, "called_by", COUNT)
    episode["called_by"] = called_by
    names = [_name_of(episode, station) for station in episode["round"]]
    # "a, then b, then c"
    stations = ", then ".join(names)
    episode["instruction"] = episode["sentence"].format(stations=stations)

    for name in PER_PERSON:
        episode[name] = variation.sample_many(seed, name, len(PEOPLE))
    ways = variation.sample_many(seed, "way", SAMPLES)
    episode["way"] = first_distinct(ways, len(PEOPLE))
    episode["walks"] = _sample_walks(seed, variation, episode)
    return episode


def walks_of(episode: dict[str, Any]) -> list[Walk]:
    """Returns the walks of the people who take part."""
    walks = []
    for fields in episode["walks"]:
        corners = tuple((x, y) for x, y in fields["corners"])
        walks.append(Walk(**{**fields, "corners": corners}))
    return walks


def clothes_of(episode: dict[str, Any]) -> list[Clothes]:
    """Returns the colours of each person's clothes and skin, in the order of PEOPLE."""
    return [
        Clothes(
            vest=VESTS[episode["vest"][k]],
            trousers=TROUSERS[episode["trousers"][k]],
            helmet=HELMETS[episode["helmet"][k]],
            skin=SKINS[episode["skin"][k]],
        )
        for k in range(len(PEOPLE))
    ]


def _sample_walks(
    seed: int, variation: Variation, episode: dict[str, Any]
) -> list[dict[str, Any]]:
    """Returns the fields of a `Walk` for each person who takes part, as JSON can hold them.

    People walk by the clock and do not react to each other, so their starts are chosen such
    that they do not walk into each other.

    Args:
        seed: the episode's seed.
        variation: samples the variables.
        episode: the values of the episode that have been sampled so far.
    """
    shares = variation.sample_many(seed, "way_start", START_TRIES * len(PEOPLE))
    walks: list[Walk] = []
    for person in range(episode["people"]):
        # the first start that keeps APART_M from the people before, or else the start with
        # the largest distance
        best: tuple[float, Walk | None] = (-1.0, None)  # distance in m, and the walk
        for share in shares[person * START_TRIES : (person + 1) * START_TRIES]:
            walk = _walk(episode, person, share)
            gaps = [meeting_m(walk, other, WATCHED_S) for other in walks]
            gap = min(gaps, default=APART_M)
            if gap > best[0]:
                best = (gap, walk)
            if gap >= APART_M:
                break
        assert best[1] is not None  # the first try is better than no walk
        walks.append(best[1])

    fields = [asdict(walk) for walk in walks]

    # The event of level L4: one person halts. The values are drawn at every level, so that
    # they depend on the seed alone.
    rng = event_rng(seed)
    person = int(rng.integers(len(walks)))
    halt_s = float(rng.uniform(*HALT_S))
    halted_s = float(rng.uniform(*HALTED_S))
    if variation.level == "L4":
        fields[person] |= {"halt_s": halt_s, "halted_s": halted_s}
    return fields


def _walk(episode: dict[str, Any], person: int, start: float) -> Walk:
    """Returns the walk of one person.

    Args:
        episode: the sampled values.
        person: index into PEOPLE.
        start: where on the loop the person starts, as a share of the time of one loop.
    """
    corners = WAYS[episode["way"][person]]
    if episode["is_reversed"][person]:
        corners = corners[::-1]
    walk = Walk(
        corners=corners,
        speed_m_s=episode["walk_speed"][person],
        right_m=episode["keeps_right"][person],
        pause_at=episode["pause_at"][person],
        pause_s=episode["pause"][person],
    )
    return walk.starting(start)


def _name_of(episode: dict[str, Any], station: int) -> str:
    """Returns a station's name in the instruction, by its number or its colour."""
    if episode["called_by"][station] == "colour":
        return f"the {episode['colour'][station]} station"
    return f"station {episode['number'][station]}"


def asked_places(episode: dict[str, Any]) -> np.ndarray:
    """Returns (K,) each station's place in the round, from 1; 0 if not in the round."""
    places = np.zeros(COUNT, np.int64)
    for place, station in enumerate(episode["round"], start=1):
        places[station] = place
    return places
