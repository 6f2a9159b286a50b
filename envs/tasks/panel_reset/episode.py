"""Samples an episode of PanelReset: which lamps are lit, what happens to them, and the
sentence that names the work.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.envs.events import NEVER, event_rng
from embodied.envs.props.panel import COLUMNS, DARK, FAULT, ROWS, WARNING
from embodied.envs.tasks.panel_reset.variation import OWN
from embodied.envs.variation import Variation

LAMP_COUNT = ROWS * COLUMNS
MOVE_SHARE = 0.4
# when a lamp lights: after the start, where the fault moves; after the first reset, where
# another one comes
MOVE_S = (0.6, 1.4)
AGAIN_S = (0.3, 1.0)


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns all that is special to one episode, JSON-able; `lights` are DARK, WARNING
    or FAULT.
    """
    episode = variation.sample_each(seed, OWN)
    if "{row}" not in episode["sentence"]:
        episode["decoys"] = 0  # else one would not know which fault is meant

    systems = list(episode["systems"])
    if len(systems) > ROWS:
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
    """Returns the row of a lamp, from the top."""
    return lamp // COLUMNS


def event_ticks(episode: dict[str, Any]) -> tuple[int, int]:
    """Returns when the next lamp lights, NEVER where it waits for a reset, and how long
    after that it lights.
    """
    ticks = int(episode["event_s"] * PHYSICS_HZ)
    if episode["event"] == "moves":
        return ticks, 0
    return NEVER, ticks


def _sample_lights(episode: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
    """Returns (12,) the fault that is meant, faults in other rows, and warnings
    anywhere.
    """
    lights = np.full(LAMP_COUNT, DARK)
    fault = episode["place"]
    lights[fault] = FAULT

    other_rows = [k for k in range(LAMP_COUNT) if row_of(k) != row_of(fault)]
    decoys = rng.choice(other_rows, episode["decoys"], replace=False)
    lights[decoys] = FAULT

    dark = np.flatnonzero(lights == DARK)
    warnings = rng.choice(dark, episode["warnings"], replace=False)
    lights[warnings] = WARNING
    return lights


def _sample_event(seed: int, level: str, episode: dict[str, Any]) -> dict[str, Any]:
    """At L4 the fault moves to another lamp once, or after the first reset one lights
    (the same, or another).
    """
    rng = event_rng(seed)
    fault = episode["place"]
    free = [k for k in range(LAMP_COUNT) if episode["lights"][k] == DARK]
    if episode["decoys"]:  # in another row it would not be meant
        free = [k for k in free if row_of(k) == row_of(fault)]

    moves = bool(rng.random() < MOVE_SHARE) and bool(free)
    next_place = int(rng.choice(free if moves else [*free, fault]))
    event_s = float(rng.uniform(*(MOVE_S if moves else AGAIN_S)))
    event = "moves" if moves else "again"
    return {
        "next_place": next_place,
        "event_s": event_s,
        "event": event if level == "L4" else "",
    }
