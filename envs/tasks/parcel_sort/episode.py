"""Samples an episode of ParcelSort: which parcels come, where, and what the sentence
says of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.envs.events import event_rng
from embodied.envs.naming import first_distinct
from embodied.envs.props.parcel import ParcelSize
from embodied.envs.props.parking import parked_w
from embodied.envs.tasks.parcel_sort.scene import BELT, BINS
from embodied.envs.tasks.parcel_sort.variation import OWN, PER_PARCEL
from embodied.envs.variation import Variation

EVENT_STREAM = 0x5053  # of random numbers, apart from those of the table's variables
COLOUR_SAMPLES = 64  # enough to find different ones
# rad, nominal: a label on an end faces the robot's far side and the way the belt runs
LYING_YAW = 0.0
END_YAW = 1.13
TURNED_MORE = 2.0  # a parcel whose label is up may lie askew by this much more
ABOVE_BELT_M = 0.0005
AT_LEAST_M = 0.22  # between the middles of parcels that follow each other
# of a push, for each kg of the parcel: friction holds 7.8 of it, so that the parcel
# slides 2 to 6 cm; and how far it may point along the belt, rad
PUSH_M_S2 = (8.5, 10.0)
PUSH_ALONG = (-0.4, 0.4)
# when the event happens: soon where the hand may soon be at the only wanted parcel
SOON_S = (0.3, 0.9)
LATER_S = (1.0, 4.0)
SPEED_CHANGE = (0.5, 1.6)
FASTEST_M_S = 0.15


def sample_episode(seed: int, variation: Variation, later_s: float) -> dict[str, Any]:
    """Returns all that is special to one episode, JSON-able; things come `later_s`
    later, for a robot that must drive up.
    """
    episode = variation.sample_each(seed, OWN)
    count = episode["parcels"]
    for name in PER_PARCEL:
        episode[name] = variation.sample_many(seed, name, count)
    episode["named"] = list(episode["named"])
    colours = variation.sample_many(seed, "colour", COLOUR_SAMPLES)
    episode["colour"] = first_distinct(colours, len(BINS))

    # at least one parcel is of a named colour
    rng = event_rng(seed, EVENT_STREAM)
    named_bin = int(rng.choice(episode["named"]))
    episode["parcel_bin"][int(rng.integers(count))] = named_bin
    episode["wanted"] = [k in episode["named"] for k in episode["parcel_bin"]]

    episode |= _sample_event(rng, variation.level, episode)
    episode["event_s"] += later_s
    ridden_m = episode["belt_speed"] * later_s
    episode["y"] = [y - ridden_m for y in _along_the_belt(episode)]
    episode["instruction"] = episode["sentence"].format(
        **_colour_words(episode["colour"], episode["named"])
    )
    return episode


def event_tick(episode: dict[str, Any]) -> int:
    """Returns when the event happens."""
    return int(episode["event_s"] * PHYSICS_HZ)


def size_of(episode: dict[str, Any], parcel: int) -> ParcelSize:
    """Returns the size of a parcel that takes part."""
    return ParcelSize(
        length=episode["length"][parcel],
        width=episode["width"][parcel],
        height=episode["height"][parcel],
        mass=episode["mass"][parcel],
    )


def pose_of(episode: dict[str, Any], parcel: int) -> tuple[np.ndarray, float]:
    """Returns where a parcel starts; those that do not take part are parked.

    Returns:
        Its middle (3,) in the world, m, and its yaw in rad.
    """
    if parcel >= episode["parcels"]:
        return parked_w(parcel), 0.0

    turn = episode["turn"][parcel]
    is_on_end = episode["label"][parcel] == "end"
    yaw = END_YAW + turn if is_on_end else LYING_YAW + TURNED_MORE * turn
    x = BELT.x + episode["offset_x"][parcel]
    y = episode["y"][parcel]
    z = BELT.top_z + episode["height"][parcel] / 2 + ABOVE_BELT_M
    return np.array([x, y, z]), yaw


def _sample_event(
    rng: np.random.Generator, level: str, episode: dict[str, Any]
) -> dict[str, Any]:
    """At L4 one thing happens: the belt changes its speed, or the last of the wanted
    parcels is pushed on it.
    """
    happens = level == "L4"
    is_pushed = bool(rng.random() < 0.5)
    change = rng.uniform(*SPEED_CHANGE)
    along = rng.uniform(*PUSH_ALONG)
    parcel = int(np.flatnonzero(episode["wanted"])[-1])
    sign = rng.choice((-1, 1))
    force = episode["mass"][parcel] * rng.uniform(*PUSH_M_S2)

    push = (0.0, 0.0)
    speed = episode["belt_speed"]
    if happens and is_pushed:
        push = (float(force * np.sin(along)), float(sign * force * np.cos(along)))
    elif happens:
        speed = min(float(speed * change), FASTEST_M_S)

    is_only_one = sum(episode["wanted"]) == 1
    return {
        "belt_speed_after": speed,
        "pushed": parcel,
        "push_n": push,
        "event_s": float(rng.uniform(*(SOON_S if is_only_one else LATER_S))),
    }


def _along_the_belt(episode: dict[str, Any]) -> list[float]:
    """Returns where parcels begin: each comes `gap_s` after the one before it, however
    fast the belt gets.
    """
    speed = max(episode["belt_speed"], episode["belt_speed_after"])
    gaps_m = [max(AT_LEAST_M, speed * gap_s) for gap_s in episode["gap_s"][1:]]
    first_y = episode["first_y"]
    return [first_y - sum(gaps_m[:k]) for k in range(episode["parcels"])]


def _colour_words(colours: list[str], named: list[int]) -> dict[str, str]:
    """Returns what the sentences have blanks for."""
    wanted = [colour for k, colour in enumerate(colours) if k in named]
    others = [colour for k, colour in enumerate(colours) if k not in named]
    return {
        "named": " and ".join(wanted),
        "either": " or ".join(wanted),
        "others": " and ".join(others),
    }
