"""Draws an episode of PanelReset: which lamps are lit, what happens to them, and the
sentence that names the work.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.envs.props.panel import COLUMNS, DARK, FAULT, ROWS, WARNING
from embodied.envs.tasks.panel_reset.variation import TABLE
from embodied.envs.variation import Variation

COUNT = ROWS * COLUMNS
MOVE_SHARE = 0.4
# after the start, and after the first reset
MOVE_S = (0.6, 1.4)
AGAIN_S = (0.3, 1.0)
NEVER = 1 << 40  # a tick
EVENT_STREAM = 0x4C34  # of random numbers, apart from those of the table's variables


def draw_start(seed: int, variation: Variation) -> dict[str, Any]:
    """All that is special to one episode, JSON-able; `lights` are DARK, WARNING or
    FAULT.
    """
    drawn = {v.name: variation.sample(seed, v.name) for v in TABLE}
    if "{row}" not in drawn["sentence"]:
        drawn["decoys"] = 0  # else one would not know which fault is meant
    systems = list(drawn["systems"])
    if len(systems) > ROWS:
        systems = [
            systems[k]
            for k in variation.stream(seed, "systems").permutation(len(systems))
        ]
    drawn["systems"] = systems[:ROWS]
    drawn["lights"] = _lights(drawn, variation.stream(seed, "decoys")).tolist()
    _draw_event(drawn, seed, variation.level)
    drawn["instruction"] = drawn["sentence"].format(
        row=drawn["systems"][drawn["place"] // COLUMNS]
    )
    return drawn


def event_ticks(drawn: dict[str, Any]) -> tuple[int, int]:
    """When the next lamp lights, NEVER where it waits for a reset; and how long after
    that one.
    """
    ticks = int(drawn["event_s"] * PHYSICS_HZ)
    return (ticks, 0) if drawn["event"] == "moves" else (NEVER, ticks)


def _lights(drawn: dict[str, Any], rng: np.random.Generator) -> np.ndarray:
    """(12,) the fault that is meant, faults in other rows, and warnings anywhere."""
    lights = np.full(COUNT, DARK)
    row = drawn["place"] // COLUMNS
    lights[drawn["place"]] = FAULT
    elsewhere = [k for k in range(COUNT) if k // COLUMNS != row]
    lights[rng.choice(elsewhere, drawn["decoys"], replace=False)] = FAULT
    lights[
        rng.choice(np.flatnonzero(lights == DARK), drawn["warnings"], replace=False)
    ] = WARNING
    return lights


def _draw_event(drawn: dict[str, Any], seed: int, level: str) -> None:
    """At L4 the fault moves to another lamp once, or after the first reset one lights
    (the same, or another).
    """
    rng = np.random.default_rng((seed, EVENT_STREAM))
    place = drawn["place"]
    free = [k for k in range(COUNT) if drawn["lights"][k] == DARK]
    if drawn["decoys"]:  # in another row it would not be meant
        free = [k for k in free if k // COLUMNS == place // COLUMNS]
    moves = bool(rng.random() < MOVE_SHARE) and bool(free)
    drawn["next_place"] = int(rng.choice(free if moves else [*free, place]))
    drawn["event_s"] = float(rng.uniform(*(MOVE_S if moves else AGAIN_S)))
    drawn["event"] = ("moves" if moves else "again") if level == "L4" else ""
