"""Samples episodes of PanelReset: the lamps, their event and the instruction."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.envs.events import NEVER, event_rng, event_tick_at
from embodied.envs.props.panel import COLUMNS, DARK, FAULT, ROWS, WARNING
from embodied.envs.tasks.panel_reset.variation import SYSTEMS, TASK_VARIABLES
from embodied.envs.variation import Variation

LAMP_COUNT = ROWS * COLUMNS
# The share of events in which the fault moves to another lamp. In the other events, a
# second fault follows the first reset.
MOVE_SHARE = 0.4
# Time of a move, after the start of the episode.
MOVE_S = (0.6, 1.4)
# Delay of the second fault, after the first reset.
AGAIN_S = (0.3, 1.0)


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns the sampled values of one episode by name, as JSON can hold them.

    The list `lights` gives DARK, WARNING or FAULT for each of the 12 lamps, and `place`
    the index of the lamp whose fault is to be reset.
    """
    episode = variation.sample_each(seed, TASK_VARIABLES)
    # a sentence that names no row is clear only if there is a single fault, so there are
    # no decoys (faults that must not be reset)
    if "{row}" not in episode["sentence"]:
        episode["decoys"] = 0

    # draw the order of the rows' names; at level L1 it is fixed
    systems = list(episode["systems"])
    if tuple(systems) != SYSTEMS[:ROWS]:
        order = variation.stream(seed, "systems").permutation(len(systems))
        systems = [systems[k] for k in order]
    episode["systems"] = systems[:ROWS]

    lights = _sample_lights(episode, variation.stream(seed, "decoys"))
    episode["lights"] = lights.tolist()
    episode |= _sample_event(seed, variation.level, episode)
    row = episode["systems"][row_of(episode["place"])]
    episode["instruction"] = episode["sentence"].format(row=row)
    return episode


def row_of(lamp: int) -> int:
    """Returns the row of a lamp, counted from the top."""
    return lamp // COLUMNS


def event_ticks(episode: dict[str, Any]) -> tuple[int, int]:
    """Returns the time at which the next lamp lights, and its delay, in physics ticks.

    If the fault moves, the time is fixed and the delay is 0. If not, the time is NEVER
    until the first reset, which sets it to `delay` ticks later.
    """
    ticks = event_tick_at(episode["event_s"])
    if episode["event"] == "moves":
        return ticks, 0
    return NEVER, ticks


def _sample_lights(episode: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
    """Returns the lights (12,): the fault to reset, decoys, and warnings.

    Decoys are faults in other rows, which must not be reset.

    Args:
        episode: The values of the episode that have been sampled so far.
        rng: The random stream of decoys and warnings.
    """
    lights = np.full(LAMP_COUNT, DARK)
    fault = episode["place"]
    lights[fault] = FAULT

    # the decoys are in other rows than the fault
    other_rows = [k for k in range(LAMP_COUNT) if row_of(k) != row_of(fault)]
    decoys = rng.choice(other_rows, episode["decoys"], replace=False)
    lights[decoys] = FAULT

    # the warnings may be in any row
    dark = np.flatnonzero(lights == DARK)
    warnings = rng.choice(dark, episode["warnings"], replace=False)
    lights[warnings] = WARNING
    return lights


def _sample_event(seed: int, level: str, episode: dict[str, Any]) -> dict[str, Any]:
    """Samples the event of level L4: the fault moves, or a second one follows the reset.

    The second fault may be at the same lamp. At other levels nothing happens: `event` is
    "". The other values are drawn at every level, so that they do not depend on the level.

    Args:
        seed: The episode's seed.
        level: The level of the variation.
        episode: The values of the episode that have been sampled so far.
    """
    rng = event_rng(seed)
    fault = episode["place"]
    free = [k for k in range(LAMP_COUNT) if episode["lights"][k] == DARK]
    # with decoys, the sentence names the row, so the next fault must be in that row, too
    if episode["decoys"]:
        free = [k for k in free if row_of(k) == row_of(fault)]

    # a fault can move only to a dark lamp; a second fault may be at the same lamp
    moves = bool(rng.random() < MOVE_SHARE) and bool(free)
    next_place = int(rng.choice(free if moves else [*free, fault]))
    time_range_s = MOVE_S if moves else AGAIN_S
    event_s = float(rng.uniform(*time_range_s))
    event = "moves" if moves else "again"
    return {
        "next_place": next_place,
        "event_s": event_s,
        "event": event if level == "L4" else "",
    }
