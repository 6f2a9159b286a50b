"""Samples episodes of ToteTransfer: the totes, their event and the instruction."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.envs.events import event_rng, event_tick_at, horizontal_force
from embodied.envs.naming import colour_name, sampled_colours
from embodied.envs.props.parking import parked_w
from embodied.envs.props.rack import SLOTS
from embodied.envs.tasks.tote_transfer.scene import Station
from embodied.envs.tasks.tote_transfer.variation import TASK_VARIABLES
from embodied.envs.variation import Variation

# Variables that are sampled for each tote.
PER_TOTE = ("length", "yaw", "offset_x")
# How many colours are sampled: enough to find different ones for all totes.
COLOUR_SAMPLES = 16
RAIL_GAP_M = 0.002  # the least gap between a tote and a rail at the start
ABOVE_BELT_M = 0.0005  # a tote starts this high above the belt, so that none sinks in
# Names of totes of one colour, in the order in which the belt brings them.
ORDINALS = ("first", "second", "third")
# A push's force per kg of the tote. Friction cancels 7.8 m/s2 of it, so the tote slides
# 5 to 15 cm.
PUSH_M_S2 = (9.5, 12.0)
# Speed of the belt after an event that changes it.
EVENT_BELT_M_S = (0.0, 0.15)


def sample_episode(seed: int, variation: Variation, station: Station) -> dict[str, Any]:
    """Returns the sampled values of one episode by name, as JSON can hold them.

    Args:
        seed: The episode's seed.
        variation: Samples the variables.
        station: The layout of belt and rack, and the delay of totes and events.
    """
    episode = variation.sample_each(seed, TASK_VARIABLES)
    count = episode["totes"]

    # values that differ between totes are sampled again, as lists with one per tote
    for name in PER_TOTE:
        episode[name] = variation.sample_many(seed, name, count)
    places = zip(episode["offset_x"], episode["length"], episode["yaw"], strict=True)
    episode["offset_x"] = [
        _between_rails(station, offset_m, length_m, yaw)
        for offset_m, length_m, yaw in places
    ]
    colours = variation.sample_many(seed, "colour", COLOUR_SAMPLES)
    episode["colour"] = sampled_colours(colours, count, episode["same_colour"])

    # a robot that travels must drive up first, so everything comes `later_s` later: the
    # totes start farther upstream, by the distance the belt moves in that time
    episode["first_y"] -= episode["belt_speed"] * station.later_s
    episode |= _sample_event(seed, variation.level, episode, station.event_s)
    episode["event_s"] += station.later_s

    episode["instruction"] = episode["sentence"].format(
        tote=tote_name(episode["colour"], target_of(episode)),
        slot=SLOTS[episode["slot"]],
    )
    return episode


def target_of(episode: dict[str, Any]) -> int:
    """Returns the index of the tote that is named."""
    return int(episode["target"]) % int(episode["totes"])


def tote_name(colours: list[str], target: int) -> str:
    """Returns the tote's name: its colour, or "first red" if several totes are red."""
    same_colour = [k for k, colour in enumerate(colours) if colour == colours[target]]
    return colour_name(colours, target, ORDINALS[same_colour.index(target)])


def pose_of(
    episode: dict[str, Any], tote: int, station: Station
) -> tuple[np.ndarray, float]:
    """Returns where a tote starts; totes that take no part are parked.

    Args:
        episode: The sampled values of the episode.
        tote: The index of the tote.
        station: The layout of belt and rack.

    Returns:
        The centre (3,) of the tote's underside in the world, in m, and its yaw in rad.
    """
    if tote >= episode["totes"]:
        return parked_w(tote), 0.0

    x = station.belt.x + episode["offset_x"][tote]
    y = episode["first_y"] - tote * (station.tote.width + episode["gap"])
    z = station.belt.top_z + ABOVE_BELT_M
    return np.array([x, y, z]), episode["yaw"][tote]


def event_tick(episode: dict[str, Any]) -> int:
    """Returns when the event happens, in physics ticks."""
    return event_tick_at(episode["event_s"])


def _sample_event(
    seed: int, level: str, episode: dict[str, Any], event_s: tuple[float, float]
) -> dict[str, Any]:
    """Samples the event of level L4: the belt's speed changes, or the tote is pushed.

    At other levels nothing happens: the speed stays and the push is 0. Then the event's
    values are not drawn. So the time, which is drawn after them, differs between levels,
    which does no harm, because without an event the time is not used.

    Args:
        seed: The episode's seed.
        level: The level of the variation.
        episode: The values of the episode that have been sampled so far.
        event_s: The range of the event's time.
    """
    rng = event_rng(seed)
    push = (0.0, 0.0)
    speed = episode["belt_speed"]

    is_pushed = bool(rng.random() < 0.5)  # otherwise the belt's speed changes
    if level == "L4":
        angle = rng.uniform(-np.pi, np.pi)
        force = episode["mass"] * rng.uniform(*PUSH_M_S2)
        if is_pushed:
            push = horizontal_force(force, angle)
        else:
            speed = float(rng.uniform(*EVENT_BELT_M_S))

    return {
        "belt_speed_after": speed,
        "push_n": push,
        "event_s": float(rng.uniform(*event_s)),
    }


def _between_rails(
    station: Station, offset_m: float, length_m: float, yaw: float
) -> float:
    """Returns the sampled x offset, clipped so that the tote stays between the rails.

    Args:
        station: The layout, which has the widths of the belt and of the totes.
        offset_m: The sampled offset from the belt's middle.
        length_m: The tote's length.
        yaw: The tote's yaw, rad.
    """
    # half the width of the rotated tote across the belt
    half_m = (length_m * np.cos(yaw) + station.tote.width * np.sin(abs(yaw))) / 2
    room_m = station.belt.width / 2 - half_m - RAIL_GAP_M
    return float(np.clip(offset_m, -room_m, room_m))
