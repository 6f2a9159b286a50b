"""Samples episodes of TeamSort: the parcels, the event and the instruction."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.core import seconds_to_ticks
from embodied.envs.events import event_rng
from embodied.envs.naming import first_distinct
from embodied.envs.props.parcel import ParcelSize
from embodied.envs.props.parking import parked_w
from embodied.envs.tasks.team_sort.scene import BELT
from embodied.envs.tasks.team_sort.variation import PER_PARCEL, TASK_VARIABLES
from embodied.envs.variation import Variation

# The random stream of events, apart from those of the table's variables.
EVENT_STREAM = 0x5453
# How many colours there are at most, and how many are sampled to find different ones.
KINDS = 3
COLOUR_SAMPLES = 64
# The nominal yaw of a parcel by the face with its label: an end faces away from the
# robot; with the label underneath, the length is along the belt.
YAW_RAD = {"end": 0.0, "bottom": float(np.pi) / 2}
ABOVE_BELT_M = 0.0005  # a parcel starts this high above the belt, so that none sinks in
# A push's force per kg of the parcel, of which friction holds 7.8 m/s2, and its angle
# from the belt's direction, forwards or backwards.
PUSH_M_S2 = (8.5, 9.5)
PUSH_ANGLE_RAD = (-0.4, 0.4)
# When the event happens: as the hand comes to the first parcel, or later.
SOON_S = (0.2, 0.8)
LATER_S = (2.0, 5.0)
# By what the belt's speed is multiplied.
SPEED_FACTOR = (0.5, 1.4)


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns the sampled values of one episode, JSON-able."""
    # what differs from parcel to parcel is sampled again, once for each
    episode = variation.sample_each(seed, TASK_VARIABLES)
    count = episode["parcels"]
    for name in PER_PARCEL:
        episode[name] = variation.sample_many(seed, name, count)
    colours = variation.sample_many(seed, "colour", COLOUR_SAMPLES)
    episode["colour"] = first_distinct(colours, KINDS)

    # at least one parcel has the colour that is named, which is that of kind 0
    rng = event_rng(seed, EVENT_STREAM)
    episode["kind"][int(rng.integers(count))] = 0
    named_bin = episode["named_bin"]
    episode["bin"] = [
        named_bin if kind == 0 else 1 - named_bin for kind in episode["kind"]
    ]

    episode |= _sample_event(rng, variation.level, episode)
    bins = ["white", "black"] if episode["white_bin"] == 0 else ["black", "white"]
    episode["bin_colour"] = bins
    episode["instruction"] = episode["sentence"].format(
        named=episode["colour"][0], bin=bins[named_bin], other=bins[1 - named_bin]
    )
    return episode


def event_tick(episode: dict[str, Any]) -> int:
    """Returns when the event happens, in physics ticks."""
    return seconds_to_ticks(episode["event_s"])


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
        (3,) its middle in the world, m; and its yaw, rad.
    """
    if parcel >= episode["parcels"]:
        return parked_w(parcel), 0.0

    yaw = YAW_RAD[episode["label"][parcel]] + episode["turn"][parcel]
    x = BELT.x + episode["offset_x"][parcel]
    y = episode["first_y"] - sum(episode["gap"][1 : parcel + 1])
    z = BELT.top_z + episode["height"][parcel] / 2 + ABOVE_BELT_M
    return np.array([x, y, z]), yaw


def _sample_event(
    rng: np.random.Generator, level: str, episode: dict[str, Any]
) -> dict[str, Any]:
    """Samples the event of level L4: the belt's speed changes, or a parcel is pushed.

    The parcel is the first or the last one. At other levels nothing happens.
    """
    happens = level == "L4"
    is_pushed = bool(rng.random() < 0.5)
    factor = rng.uniform(*SPEED_FACTOR)
    angle = rng.uniform(*PUSH_ANGLE_RAD)
    sign = rng.choice((-1, 1))  # along the belt, which runs along y, or against it
    is_soon = bool(rng.random() < 0.5)
    pushed = 0 if is_soon else episode["parcels"] - 1
    force = episode["mass"][pushed] * rng.uniform(*PUSH_M_S2)

    push = (0.0, 0.0)
    speed = episode["belt_speed"]
    if happens and is_pushed:
        push = (float(force * np.sin(angle)), float(sign * force * np.cos(angle)))
    elif happens:
        speed = float(speed * factor)
    return {
        "belt_speed_after": speed,
        "pushed": pushed,
        "push_n": push,
        "event_s": float(rng.uniform(*(SOON_S if is_soon else LATER_S))),
    }
