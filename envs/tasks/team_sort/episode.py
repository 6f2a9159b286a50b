"""Samples episodes of TeamSort: the parcels, the event and the instruction."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.envs.events import event_rng, event_tick_at
from embodied.envs.naming import first_distinct
from embodied.envs.props.parcel import ParcelSize
from embodied.envs.props.parking import parked_w
from embodied.envs.tasks.team_sort.scene import BELT
from embodied.envs.tasks.team_sort.variation import PER_PARCEL, TASK_VARIABLES
from embodied.envs.variation import Variation

# The key of the random stream of the event, and of the choice of the parcel that is made
# kind 0. It differs from the keys of the table's variables; it is "TS" in ASCII.
EVENT_STREAM = 0x5453
# Parcels are of at most this many kinds; each kind has a label colour of its own.
KINDS = 3
# How many colours are sampled: enough to find KINDS different ones.
COLOUR_SAMPLES = 64
# The nominal yaw of a parcel, by the face that carries its label. A label on an end faces
# away from the robot. A parcel with its label underneath lies lengthwise on the belt.
YAW_RAD = {"end": 0.0, "bottom": float(np.pi) / 2}
ABOVE_BELT_M = 0.0005  # a parcel starts this high above the belt, so that none sinks in
# A push's force per kg of the parcel. Friction cancels 7.8 m/s2 of it.
PUSH_M_S2 = (8.5, 9.5)
# Angle between the push and the belt's direction, or its opposite.
PUSH_ANGLE_RAD = (-0.4, 0.4)
# Time of an event that concerns the first parcel: the hand is just coming to that parcel.
FIRST_PARCEL_S = (0.2, 0.8)
# Time of an event that concerns the last parcel: earlier parcels have been picked.
LAST_PARCEL_S = (2.0, 5.0)
# Factor by which the event changes the belt's speed.
SPEED_FACTOR = (0.5, 1.4)


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns the sampled values of one episode by name, as JSON can hold them."""
    episode = variation.sample_each(seed, TASK_VARIABLES)  # name -> value
    count = episode["parcels"]  # the number of parcels that take part
    # values that differ between parcels are sampled again, as lists with one per parcel
    for name in PER_PARCEL:
        episode[name] = variation.sample_many(seed, name, count)
    colours = variation.sample_many(seed, "colour", COLOUR_SAMPLES)
    episode["colour"] = first_distinct(colours, KINDS)

    # The sentence names the colour of kind 0, so one parcel, chosen at random, is made of
    # this kind. The same random stream is used for the event afterwards.
    rng = event_rng(seed, EVENT_STREAM)
    episode["kind"][int(rng.integers(count))] = 0

    # parcels of kind 0 belong into the bin that the sentence names with their colour, and
    # all other parcels into the other one of the two bins, 0 and 1
    named_bin = episode["named_bin"]
    episode["bin"] = [
        named_bin if kind == 0 else 1 - named_bin for kind in episode["kind"]
    ]

    episode |= _sample_event(rng, variation.level, episode)
    is_first_white = episode["white_bin"] == 0
    bin_colours = ["white", "black"] if is_first_white else ["black", "white"]
    episode["bin_colour"] = bin_colours
    episode["instruction"] = episode["sentence"].format(
        named=episode["colour"][0],
        bin=bin_colours[named_bin],
        other=bin_colours[1 - named_bin],
    )
    return episode


def event_tick(episode: dict[str, Any]) -> int:
    """Returns when the event happens, in physics ticks."""
    return event_tick_at(episode["event_s"])


def size_of(episode: dict[str, Any], parcel: int) -> ParcelSize:
    """Returns the size of a parcel that takes part."""
    return ParcelSize(
        length=episode["length"][parcel],
        width=episode["width"][parcel],
        height=episode["height"][parcel],
        mass=episode["mass"][parcel],
    )


def pose_of(episode: dict[str, Any], parcel: int) -> tuple[np.ndarray, float]:
    """Returns where a parcel starts; parcels that take no part are parked.

    Returns:
        The parcel's middle (3,) in the world, in m, and its yaw in rad.
    """
    if parcel >= episode["parcels"]:
        return parked_w(parcel), 0.0

    yaw = YAW_RAD[episode["label"][parcel]] + episode["turn"][parcel]
    x = BELT.x + episode["offset_x"][parcel]
    # each parcel is its `gap` behind the parcel before it
    y = episode["first_y"] - sum(episode["gap"][1 : parcel + 1])
    z = BELT.top_z + episode["height"][parcel] / 2 + ABOVE_BELT_M
    return np.array([x, y, z]), yaw


def _sample_event(
    rng: np.random.Generator, level: str, episode: dict[str, Any]
) -> dict[str, Any]:
    """Samples the event of level L4: the belt's speed changes, or a parcel is pushed.

    The event is early and concerns the first parcel, or later and concerns the last one.
    At other levels nothing happens. All values are drawn at every level and for both
    kinds of event, so that neither shifts the random numbers that are drawn afterwards.

    Args:
        rng: The episode's random stream for events.
        level: The level of the variation.
        episode: The values of the episode that have been sampled so far.

    Returns:
        The belt's speed after the event, in m/s; the index of the parcel that may be
        pushed; the force on it along x and y, in N; and the event's time, in s.
    """
    happens = level == "L4"
    is_pushed = bool(rng.random() < 0.5)
    factor = rng.uniform(*SPEED_FACTOR)
    angle = rng.uniform(*PUSH_ANGLE_RAD)
    # 1 for a push along the belt's direction, which is +y; -1 for a push against it
    sign = rng.choice((-1, 1))
    is_first_parcel = bool(rng.random() < 0.5)
    pushed = 0 if is_first_parcel else episode["parcels"] - 1
    time_range_s = FIRST_PARCEL_S if is_first_parcel else LAST_PARCEL_S
    force = episode["mass"][pushed] * rng.uniform(*PUSH_M_S2)

    # without an event there is no push, and the belt keeps its speed
    push_n = (0.0, 0.0)
    speed = episode["belt_speed"]
    if happens and is_pushed:
        push_n = (float(force * np.sin(angle)), float(sign * force * np.cos(angle)))
    elif happens:
        speed = float(speed * factor)
    return {
        "belt_speed_after": speed,
        "pushed": pushed,
        "push_n": push_n,
        "event_s": float(rng.uniform(*time_range_s)),
    }
