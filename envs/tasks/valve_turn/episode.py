"""Draws an episode of ValveTurn: which valves are there and how they stand, what
happens to one, and the order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.envs.tasks.valve_turn.variation import TABLE, order_of
from embodied.envs.variation import Variation

FULL_DEG = 120.0
QUARTER_DEG = 90.0
APART_DEG = 20.0  # of start and target at least
LATE_SHARE = 0.4
PUSH_N_M = (0.9, 1.3)  # beyond the friction
# how far a valve that nobody holds turns by that at most (23, measured), and with room
PUSHED_DEG = (25.0, 45.0)
# when the push comes: after the start, or after the valve stands right
EARLY_S = (0.5, 1.5)
LATE_S = (0.25, 0.45)
NEVER = 1 << 40  # a tick
EVENT_STREAM = 0x4C34  # of random numbers, apart from those of the table's variables
PLACES = {2: ("left", "right"), 3: ("left", "middle", "right")}


def draw_start(seed: int, variation: Variation) -> dict[str, Any]:
    """All that is special to one episode, JSON-able; lists are in the order of the
    places, from the left.
    """
    drawn = {
        v.name: variation.sample(seed, v.name)
        for v in TABLE
        if v.name not in ("colour", "start_angle")
    }
    count = drawn["valves"]
    drawn["order"] = list(drawn["order"][:count])
    drawn["colour"] = _colours(
        variation.sample_many(seed, "colour", 16), count, drawn["same_colour"]
    )
    place = place_of(drawn)
    degrees = variation.sample_many(seed, "start_angle", count)
    order = order_of(drawn["sentence"])
    degrees[place], drawn["target_angle"] = start_and_target(
        order, degrees[place], drawn["angle"]
    )
    drawn["start_angle"] = degrees
    _draw_push(drawn, seed, variation.level)
    valve = name_of(drawn["colour"], place, drawn["named_by"])
    sentence = drawn["sentence"].format(valve=valve, angle=drawn["angle"])
    drawn["instruction"] = sentence[:1].upper() + sentence[1:]
    return drawn


def place_of(drawn: dict[str, Any]) -> int:
    """Where the named valve is, counted from the left."""
    return int(drawn["target"]) % int(drawn["valves"])


def event_ticks(drawn: dict[str, Any]) -> tuple[int, int]:
    """When the push comes, NEVER where it waits for the valve; and how long after that
    stands right.
    """
    ticks = int(drawn["event_s"] * PHYSICS_HZ)
    return (NEVER, ticks) if drawn["push_late"] else (ticks, 0)


def start_and_target(
    order: str, drawn_deg: float, angle_deg: float
) -> tuple[float, float]:
    """Where the named valve stands and where it must go, degrees; never nearly the
    same.
    """
    if order in ("more", "less"):
        start = drawn_deg * (FULL_DEG - QUARTER_DEG) / FULL_DEG
        return (
            (start, start + QUARTER_DEG)
            if order == "more"
            else (start + QUARTER_DEG, start)
        )
    target = float(
        {"turn": angle_deg, "open": FULL_DEG, "shut": 0.0, "half": FULL_DEG / 2}[order]
    )
    below = max(target - APART_DEG, 0.0)
    above = max(FULL_DEG - APART_DEG - target, 0.0)
    at = drawn_deg / FULL_DEG * (below + above)
    return (at if at < below else at - below + target + APART_DEG), target


def name_of(colours: list[str], place: int, named_by: str) -> str:
    """The colour alone where it is unique, else with its place; or the place alone."""
    where = PLACES[len(colours)][place]
    if named_by == "place":
        return where
    return (
        colours[place]
        if colours.count(colours[place]) == 1
        else f"{where} {colours[place]}"
    )


def _colours(drawn: list[str], count: int, same: bool) -> list[str]:
    different = list(dict.fromkeys(drawn))
    colours = [different[k % len(different)] for k in range(count)]
    return [colours[0], colours[0], *colours[2:]] if same else colours


def _draw_push(drawn: dict[str, Any], seed: int, level: str) -> None:
    """At L4 a surge turns the named valve once: soon after the start, or soon after it
    first stands right.
    """
    rng = np.random.default_rng((seed, EVENT_STREAM))
    early_way = _way_off(drawn["start_angle"][place_of(drawn)], drawn["target_angle"])
    late = bool(rng.random() < LATE_SHARE) or not early_way
    drawn["push_late"] = late
    drawn["event_s"] = float(rng.uniform(*(LATE_S if late else EARLY_S)))
    torque = drawn["friction"] + float(rng.uniform(*PUSH_N_M)) if level == "L4" else 0.0
    # where there is room to turn
    late_way = 1 if drawn["target_angle"] < FULL_DEG / 2 else -1
    drawn["push_n_m"] = torque * (late_way if late else early_way)


def _way_off(start_deg: float, target_deg: float) -> int:
    """1 or -1: which way a push at the start does not bring the valve near its target;
    0 if neither.
    """
    away = 1 if start_deg > target_deg else -1
    room_deg = FULL_DEG - start_deg if away > 0 else start_deg
    if room_deg > PUSHED_DEG[0]:
        return away
    return -away if abs(target_deg - start_deg) > PUSHED_DEG[1] else 0
