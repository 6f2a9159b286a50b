"""Samples episodes of ParcelSort: the parcels, the event and the instruction."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.envs.events import event_rng, event_tick_at
from embodied.envs.naming import first_distinct
from embodied.envs.props.parcel import ParcelSize
from embodied.envs.props.parking import parked_w
from embodied.envs.tasks.parcel_sort.scene import BELT, BINS
from embodied.envs.tasks.parcel_sort.variation import PER_PARCEL, TASK_VARIABLES
from embodied.envs.variation import Variation

# The key of the random stream of the event, and of the choice of the parcel that surely
# belongs into a named bin. It differs from the keys of the table's variables; it is "PS" in
# ASCII.
EVENT_STREAM = 0x5053
# How many colours are sampled: enough to find three different ones.
COLOUR_SAMPLES = 64
# The nominal yaw of a parcel with its label on the top.
TOP_YAW_RAD = 0.0
# The nominal yaw of a parcel with its label on an end. The label then faces downstream
# and a little away from the robot.
END_YAW_RAD = 1.13
# The sampled yaw offset counts twice if the label is on the top: such a parcel is only set
# down on the scanner, so it may start at a larger yaw than one whose label must be turned
# up.
TOP_YAW_FACTOR = 2.0
ABOVE_BELT_M = 0.0005  # a parcel starts this high above the belt, so that none sinks in
# The least distance between the centres of successive parcels.
LEAST_GAP_M = 0.22
# A push's force per kg of the parcel. Friction cancels 7.8 m/s2 of it, so the parcel
# slides 2 to 6 cm.
PUSH_M_S2 = (8.5, 10.0)
# Angle between the push and the belt's direction, or its opposite.
PUSH_ANGLE_RAD = (-0.4, 0.4)
# Time of the event. It is early if only one parcel is wanted, since the hand may soon
# have taken that parcel off the belt.
EARLY_EVENT_S = (0.3, 0.9)
EVENT_S = (1.0, 4.0)
# Factor by which the event changes the belt's speed, and the limit of the new speed.
SPEED_FACTOR = (0.5, 1.6)
FASTEST_M_S = 0.15


def sample_episode(seed: int, variation: Variation, later_s: float) -> dict[str, Any]:
    """Returns the sampled values of one episode by name, as JSON can hold them.

    Args:
        seed: The episode's seed.
        variation: Samples the variables.
        later_s: Delay of parcels and event, for a robot that must drive up first.
    """
    # values that differ between parcels are sampled again, as lists with one per parcel
    episode = variation.sample_each(seed, TASK_VARIABLES)
    count = episode["parcels"]  # the number of parcels that take part
    for name in PER_PARCEL:
        episode[name] = variation.sample_many(seed, name, count)
    episode["named"] = list(episode["named"])
    colours = variation.sample_many(seed, "colour", COLOUR_SAMPLES)
    episode["colour"] = first_distinct(colours, len(BINS))

    # one parcel, chosen at random, belongs into a bin whose colour is named, so that
    # there is at least one parcel to sort
    rng = event_rng(seed, EVENT_STREAM)
    named_bin = int(rng.choice(episode["named"]))
    episode["parcel_bin"][int(rng.integers(count))] = named_bin
    episode["wanted"] = [k in episode["named"] for k in episode["parcel_bin"]]

    episode |= _sample_event(rng, variation.level, episode)
    episode["event_s"] += later_s
    # parcels start farther upstream, by the distance that the belt moves in `later_s`
    upstream_m = episode["belt_speed"] * later_s
    episode["y"] = [y - upstream_m for y in _start_y(episode)]
    episode["instruction"] = episode["sentence"].format(
        **_colour_words(episode["colour"], episode["named"])
    )
    return episode


def event_tick(episode: dict[str, Any]) -> int:
    """Returns the time of the event in physics ticks."""
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
    """Returns a parcel's initial centre (3,) in the world, m, and its yaw, rad.

    Parcels that are not used in the episode are parked outside of the scene.
    """
    if parcel >= episode["parcels"]:
        return parked_w(parcel), 0.0

    # the yaw depends on the face with the label
    yaw_offset = episode["turn"][parcel]
    yaw = TOP_YAW_RAD + TOP_YAW_FACTOR * yaw_offset
    if episode["label"][parcel] == "end":
        yaw = END_YAW_RAD + yaw_offset
    x = BELT.x + episode["offset_x"][parcel]
    y = episode["y"][parcel]
    z = BELT.top_z + episode["height"][parcel] / 2 + ABOVE_BELT_M
    return np.array([x, y, z]), yaw


def _sample_event(
    rng: np.random.Generator, level: str, episode: dict[str, Any]
) -> dict[str, Any]:
    """Samples the event of level L4: the belt's speed changes, or a parcel is pushed.

    The pushed parcel is the last one that is to be sorted. At other levels nothing
    happens. All values are drawn at every level and for both kinds of event, so that
    neither shifts the random numbers that are drawn afterwards.

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
    speed_factor = rng.uniform(*SPEED_FACTOR)
    angle = rng.uniform(*PUSH_ANGLE_RAD)
    parcel = int(np.flatnonzero(episode["wanted"])[-1])  # the last one to be sorted
    # 1 for a push along the belt's direction, which is +y; -1 for a push against it
    sign = rng.choice((-1, 1))
    force = episode["mass"][parcel] * rng.uniform(*PUSH_M_S2)

    # without an event there is no push, and the belt keeps its speed
    push_n = (0.0, 0.0)
    speed = episode["belt_speed"]
    if happens and is_pushed:
        push_n = (float(force * np.sin(angle)), float(sign * force * np.cos(angle)))
    elif happens:
        speed = min(float(speed * speed_factor), FASTEST_M_S)

    is_only_one = sum(episode["wanted"]) == 1
    time_range_s = EARLY_EVENT_S if is_only_one else EVENT_S
    return {
        "belt_speed_after": speed,
        "pushed": parcel,
        "push_n": push_n,
        "event_s": float(rng.uniform(*time_range_s)),
    }


def _start_y(episode: dict[str, Any]) -> list[float]:
    """Returns the y at which each parcel starts, m; the first is farthest downstream.

    Even at the belt's highest speed in the episode, each parcel arrives at least `gap_s`
    seconds after the parcel before it.
    """
    speed = max(episode["belt_speed"], episode["belt_speed_after"])
    # the first parcel has no parcel before it, so its gap is not used
    gaps_m = [max(LEAST_GAP_M, speed * gap_s) for gap_s in episode["gap_s"][1:]]
    first_y = episode["first_y"]
    return [first_y - sum(gaps_m[:k]) for k in range(episode["parcels"])]


def _colour_words(colours: list[str], named: list[int]) -> dict[str, str]:
    """Returns the words that fill the blanks of a sentence, by the blanks' names.

    Args:
        colours: The colour of each bin.
        named: Indices of the bins whose colours the sentence names.
    """
    wanted = [colour for k, colour in enumerate(colours) if k in named]
    others = [colour for k, colour in enumerate(colours) if k not in named]
    return {
        "named": " and ".join(wanted),
        "either": " or ".join(wanted),
        "others": " and ".join(others),
    }
