"""Samples episodes of PourWater: vessels, marks, and the instruction."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.envs.events import event_rng, event_tick_at, horizontal_force
from embodied.envs.naming import first_distinct
from embodied.envs.tasks.pour_water.filling import settled_filling
from embodied.envs.tasks.pour_water.scene import BOTTLE_XY, BOTTLE_YAW, CUP_XY, TABLE
from embodied.envs.tasks.pour_water.variation import TASK_VARIABLES
from embodied.envs.variation import Variation

# How many colours are sampled: enough to find two different ones.
COLOUR_SAMPLES = 24
# The vessels start this high above the table, so as not to sink in.
ABOVE_TABLE_M = 0.0003
# The force of the push at level L4, which makes the empty glass slide but not topple.
PUSH_N = (1.7, 2.0)
# Time of the push.
EVENT_S = (0.2, 0.8)


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns the sampled values of one episode by name, as JSON can hold them.

    The list `mark_colour` gives the colours of the lower and of the upper mark.
    """
    episode = variation.sample_each(seed, TASK_VARIABLES)
    colours = variation.sample_many(seed, "mark_colour", COLOUR_SAMPLES)
    episode["mark_colour"] = first_distinct(colours, 2)

    # At level L4 the glass is pushed. The values are drawn at every level, so that the time
    # of the event does not depend on the level.
    rng = event_rng(seed)
    angle = rng.uniform(-np.pi, np.pi)
    push = horizontal_force(rng.uniform(*PUSH_N), angle)
    episode["push_n"] = push if variation.level == "L4" else (0.0, 0.0)
    episode["event_s"] = float(rng.uniform(*EVENT_S))

    mark = episode["mark_colour"][episode["target"]]
    episode["instruction"] = episode["sentence"].format(mark=mark)
    return episode


def marks_of(episode: dict[str, Any]) -> tuple[int, int]:
    """Returns the levels of both marks, in grains of water."""
    return int(episode["low_mark"]), int(episode["high_mark"])


def event_tick(episode: dict[str, Any]) -> int:
    """Returns when the glass is pushed, in physics ticks."""
    return event_tick_at(episode["event_s"])


def bottle_pos_w(episode: dict[str, Any]) -> np.ndarray:
    """Returns where the bottle's underside starts, (3,) m."""
    x = BOTTLE_XY[0] + episode["bottle_x"]
    y = BOTTLE_XY[1] + episode["bottle_y"]
    return np.array([x, y, TABLE.top_z + ABOVE_TABLE_M])


def bottle_yaw(episode: dict[str, Any]) -> float:
    """Returns the bottle's yaw at the start, rad."""
    return float(BOTTLE_YAW + episode["bottle_yaw"])


def cup_pos_w(episode: dict[str, Any]) -> np.ndarray:
    """Returns where the glass's underside starts, (3,) m."""
    x = CUP_XY[0] + episode["cup_x"]
    y = CUP_XY[1] + episode["cup_y"]
    return np.array([x, y, TABLE.top_z + ABOVE_TABLE_M])


def grains_w(episode: dict[str, Any]) -> np.ndarray:
    """Returns the positions (GRAINS, 3) m of the water's grains at the start.

    The grains are at rest in the bottle, so their positions follow from its pose.
    """
    # from the bottle's frame, in which it has yaw 0, to the world
    yaw = bottle_yaw(episode)
    cos = np.cos(yaw)
    sin = np.sin(yaw)
    rotation = np.array([[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]])
    return settled_filling() @ rotation.T + bottle_pos_w(episode)
