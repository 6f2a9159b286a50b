"""Samples episodes of WeighPack: the item, its mass, and the box that it belongs into."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.envs.events import event_rng, event_tick_at, horizontal_force
from embodied.envs.naming import first_distinct
from embodied.envs.props.packing_box import OPEN_RAD
from embodied.envs.props.things import ThingSize
from embodied.envs.tasks.weigh_pack.scene import (
    BOXES,
    ITEM_PLACE_W,
    ITEM_SIZE,
    PACKING_TABLE,
)
from embodied.envs.tasks.weigh_pack.variation import MARKS, TASK_VARIABLES
from embodied.envs.variation import Variation

# The masses of the three weight classes, kg, and the limits between them.
CLASS_KG = (0.15, 0.30, 0.45)
LIMITS_KG = (0.225, 0.375)
# How many marks are sampled: enough to find three different ones.
MARK_SAMPLES = 24
# The item starts this high above the table, so as not to sink in.
ABOVE_TABLE_M = 0.0005
# A push's force per kg of the item. Friction cancels 4.9 m/s2 of it, so that the item
# slides 1 to 5 cm.
PUSH_M_S2 = (5.8, 7.0)
# Time of the push.
EVENT_S = (0.2, 0.7)


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns the sampled values of one episode by name, as JSON can hold them.

    The list `boxes` gives the box of each weight class: 0 is the rightmost box as the
    robot sees them.
    """
    episode = variation.sample_each(seed, TASK_VARIABLES)
    marks = variation.sample_many(seed, "mark", MARK_SAMPLES)
    episode["mark"] = first_distinct(marks, BOXES)
    # The classes have boxes in ascending order, modulo the number of boxes, starting so
    # that the item's class gets the box `own_box`.
    first_box = episode["own_box"] - episode["weight_class"]
    episode["boxes"] = [(first_box + k) % BOXES for k in range(BOXES)]
    episode["mass"] = CLASS_KG[episode["weight_class"]] + episode["mass_offset"]
    episode |= _sample_event(seed, variation.level, episode["mass"])
    episode["instruction"] = episode["sentence"]
    return episode


def item_size(episode: dict[str, Any]) -> ThingSize:
    """Returns the item's size and mass."""
    return ITEM_SIZE.scaled(episode["girth"], episode["height"], episode["mass"])


def item_pos_w(episode: dict[str, Any]) -> np.ndarray:
    """Returns where the item's centre starts, (3,) m."""
    x = ITEM_PLACE_W[0] + episode["item_x"]
    y = ITEM_PLACE_W[1] + episode["item_y"]
    return np.array(
        [x, y, PACKING_TABLE.top_z + item_size(episode).z / 2 + ABOVE_TABLE_M]
    )


def marks_of(episode: dict[str, Any]) -> list[int]:
    """Returns each box's mark, an index into MARKS."""
    letters = [mark.letter for mark in MARKS]
    return [letters.index(letter) for letter in episode["mark"]]


def memory_of(episode: dict[str, Any]) -> dict[str, Any]:
    """Returns one world's values for the arrays of the task's `memory()`, by name."""
    size = item_size(episode)
    return {
        "mass": size.mass,
        "size": [size.x, size.y, size.z],
        "boxes": episode["boxes"],
        "own_box": episode["own_box"],
        "marks": [*marks_of(episode), len(MARKS)],  # the last one is an empty display
        # nothing has been weighed, and the display shows no box
        "asked": BOXES,  # no box: the boxes are 0 to BOXES - 1
        "weighed": 0.0,
        "steady_kg": 0.0,
        "steady_tick": 0,
        "wrong_box": 0,  # whether the item is in a wrong box now, 0 or 1
        "wrong_boxes": 0,  # how often it came into one
        # the event of level L4
        "push": episode["push_n"],
        "event_tick": event_tick_at(episode["event_s"]),
    }


def flap_angles() -> list[float]:
    """Returns the angle of each flap at the start, rad: they lean on their stops."""
    return [OPEN_RAD] * BOXES


def _sample_event(seed: int, level: str, mass: float) -> dict[str, Any]:
    """Samples the event of level L4: a push on the item.

    At other levels the push is 0. Its values are drawn at every level, so that the time
    of the event does not depend on the level.

    Args:
        seed: the episode's seed.
        level: the level of the variation.
        mass: the item's mass, kg.
    """
    rng = event_rng(seed)
    angle = rng.uniform(-np.pi, np.pi)
    force = mass * rng.uniform(*PUSH_M_S2)
    event_s = float(rng.uniform(*EVENT_S))
    push = horizontal_force(force, angle) if level == "L4" else (0.0, 0.0)
    return {"push_n": push, "event_s": event_s}
