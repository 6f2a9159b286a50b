"""Samples episodes of FixtureLoad: workpieces, their places, and the instruction."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.envs.events import event_rng, event_tick_at, horizontal_force
from embodied.envs.naming import first_distinct
from embodied.envs.props.parking import parked_w
from embodied.envs.tasks.fixture_load.scene import BENCH, PART, PLACES_W
from embodied.envs.tasks.fixture_load.variation import TASK_VARIABLES
from embodied.envs.variation import Variation

# Variables that are sampled for each workpiece.
PER_PART = ("offset_x", "offset_y", "yaw")
# How many colours are sampled: enough to find different ones for all workpieces.
COLOUR_SAMPLES = 12
# A workpiece starts this high above the bench, so as not to sink in.
ABOVE_BENCH_M = 0.0005
# A push's force per kg of the workpiece. Friction cancels 3.9 m/s2 of it, so the
# workpiece slides 2 to 6 cm.
PUSH_M_S2 = (5.0, 6.5)
# Time of the push.
EVENT_S = (0.2, 0.7)


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns the sampled values of one episode by name, as JSON can hold them."""
    episode = variation.sample_each(seed, TASK_VARIABLES)
    count = episode["parts"]

    # values that differ between workpieces are sampled again, once per workpiece
    for name in PER_PART:
        episode[name] = variation.sample_many(seed, name, count)
    colours = variation.sample_many(seed, "colour", COLOUR_SAMPLES)
    episode["colour"] = first_distinct(colours, count)
    # each workpiece gets its own place on the bench
    order = variation.stream(seed, "parts").permutation(len(PLACES_W))
    episode["places"] = [int(place) for place in order[:count]]

    episode |= _sample_event(seed, variation.level, episode)
    # in a sentence, {part} stands for the colour of the named workpiece
    colour = episode["colour"][target_of(episode)]
    episode["instruction"] = episode["sentence"].format(part=colour)
    return episode


def target_of(episode: dict[str, Any]) -> int:
    """Returns the index of the workpiece that is named."""
    return int(episode["target"]) % int(episode["parts"])


def pose_of(episode: dict[str, Any], part: int) -> tuple[np.ndarray, float]:
    """Returns where a workpiece starts; workpieces that take no part are parked.

    Returns:
        The workpiece's centre (3,) in the world, in m, and its yaw in rad.
    """
    if part >= episode["parts"]:
        return parked_w(part), 0.0

    place_x, place_y = PLACES_W[episode["places"][part]]
    x = place_x + episode["offset_x"][part]
    y = place_y + episode["offset_y"][part]
    z = BENCH.top_z + PART.height / 2 + ABOVE_BENCH_M
    return np.array([x, y, z]), episode["yaw"][part]


def event_tick(episode: dict[str, Any]) -> int:
    """Returns the time of the push on the named workpiece in physics ticks."""
    return event_tick_at(episode["event_s"])


def _sample_event(seed: int, level: str, episode: dict[str, Any]) -> dict[str, Any]:
    """Samples the event of level L4: a push on the named workpiece.

    At other levels the push is 0. Its values are drawn at every level, so that the time
    of the event does not depend on the level.

    Args:
        seed: the episode's seed.
        level: the level of the variation.
        episode: the values of the episode that have been sampled so far.
    """
    rng = event_rng(seed)
    angle = rng.uniform(-np.pi, np.pi)
    force = episode["mass"] * rng.uniform(*PUSH_M_S2)
    event_s = float(rng.uniform(*EVENT_S))
    push = horizontal_force(force, angle) if level == "L4" else (0.0, 0.0)
    return {"push_n": push, "event_s": event_s}
