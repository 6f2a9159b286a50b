"""Samples episodes of DishRack: the dishes, their places, and the instruction."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.envs.events import event_rng, event_tick_at, horizontal_force
from embodied.envs.props.parking import parked_w
from embodied.envs.tasks.dish_rack.scene import (
    CUP,
    CUP_XY,
    DISHES,
    PLATE_XY,
    PLATES,
    TABLE,
)
from embodied.envs.tasks.dish_rack.variation import TASK_VARIABLES
from embodied.envs.variation import Variation

# Variables that are sampled for each dish.
PER_DISH = ("offset_x", "offset_y", "yaw")
ABOVE_TABLE_M = 0.0003  # a dish starts this high above the table, so as not to sink in
# A push's force per kg of the dish. Friction cancels 4.9 m/s2 of it, so the dish slides
# 2 to 5 cm.
PUSH_M_S2 = (5.8, 6.6)
# Time of the push.
EVENT_S = (0.2, 0.8)


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns the sampled values of one episode by name, as JSON can hold them.

    Lists over dishes are in the order of `DISHES`.
    """
    episode = variation.sample_each(seed, TASK_VARIABLES)
    for name in PER_DISH:
        episode[name] = variation.sample_many(seed, name, len(DISHES))

    present = [k for k in range(len(DISHES)) if is_present(episode, k)]
    episode |= _sample_event(seed, variation.level, episode, present)
    episode["instruction"] = episode["sentence"].format(dishes=_dishes(episode))
    return episode


def is_present(episode: dict[str, Any], dish: int) -> bool:
    """Returns whether a dish takes part."""
    if dish < len(PLATES):
        return dish < int(episode["plates"])
    return dish - len(PLATES) < int(episode["cups"])


def pose_of(episode: dict[str, Any], dish: int) -> tuple[np.ndarray, float]:
    """Returns where a dish starts; dishes that take no part are parked.

    Returns:
        The position (3,) of a plate's underside or of a cup's middle in the world, in m,
        and the dish's yaw in rad.
    """
    if not is_present(episode, dish):
        return parked_w(dish), 0.0

    place_x, place_y = (*PLATE_XY, *CUP_XY)[dish]  # in the order of DISHES
    x = place_x + episode["offset_x"][dish]
    y = place_y + episode["offset_y"][dish]
    z = TABLE.top_z + ABOVE_TABLE_M
    if dish >= len(PLATES):  # a cup, whose position is that of its middle
        z += CUP.z / 2
    return np.array([x, y, z]), episode["yaw"][dish]


def event_tick(episode: dict[str, Any]) -> int:
    """Returns when a dish is pushed, in physics ticks."""
    return event_tick_at(episode["event_s"])


def _dishes(episode: dict[str, Any]) -> str:
    """Returns the dishes in words, such as "the plates and the cup"."""
    plates = "plate" if episode["plates"] == 1 else "plates"
    cups = "cup" if episode["cups"] == 1 else "cups"
    return f"the {plates} and the {cups}"


def _sample_event(
    seed: int, level: str, episode: dict[str, Any], present: list[int]
) -> dict[str, Any]:
    """Samples the event of level L4: a push on one of the dishes that take part.

    At other levels the push is 0. Its values are drawn at every level, so that the time
    of the event does not depend on the level.

    Args:
        seed: The episode's seed.
        level: The level of the variation.
        episode: The values of the episode that have been sampled so far.
        present: Indices of the dishes that take part.
    """
    rng = event_rng(seed)
    # a random dish, whose mass determines the force
    pushed = present[int(rng.integers(len(present)))]
    is_plate = pushed < len(PLATES)
    mass = episode["plate_mass"] if is_plate else episode["cup_mass"]
    angle = rng.uniform(-np.pi, np.pi)
    push = horizontal_force(mass * rng.uniform(*PUSH_M_S2), angle)
    event_s = float(rng.uniform(*EVENT_S))
    if level != "L4":
        push = (0.0, 0.0)
    return {"pushed": pushed, "push_n": push, "event_s": event_s}
