"""Draws an episode of ToteTransfer: which totes come, where, what happens to them, and
the sentence that names one.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.core import PHYSICS_HZ, seconds_to_ticks
from embodied.envs.props.parking import parked_w
from embodied.envs.props.rack import SLOTS
from embodied.envs.props.tote import ToteSize
from embodied.envs.tasks.tote_transfer.scene import Station
from embodied.envs.tasks.tote_transfer.variation import TABLE
from embodied.envs.variation import Variation

PER_TOTE = ("length", "yaw", "offset_x")
PUSH_TICKS = seconds_to_ticks(0.2)
# force for its mass; the belt's friction holds 7.8 of it, so the tote slides 5 to 15 cm
PUSH_M_S2 = (9.5, 12.0)
EVENT_STREAM = 0x4C34  # of random numbers, apart from those of the table's variables
TOTE = ToteSize()
RAIL_GAP_M = 0.002
ORDER = ("first", "second", "third")  # along the belt, the one ahead first


def draw_start(seed: int, variation: Variation, station: Station) -> dict[str, Any]:
    """All that is special to one episode at a station, JSON-able."""
    drawn = {
        v.name: variation.sample(seed, v.name)
        for v in TABLE
        if v.name not in (*PER_TOTE, "colour")
    }
    count = drawn["totes"]
    for name in PER_TOTE:
        drawn[name] = variation.sample_many(seed, name, count)
    places = zip(drawn["offset_x"], drawn["length"], drawn["yaw"], strict=True)
    drawn["offset_x"] = [_between_rails(station.belt.width, *place) for place in places]
    drawn["colour"] = _colours(
        variation.sample_many(seed, "colour", 16), count, drawn["same_colour"]
    )
    drawn["first_y"] -= drawn["belt_speed"] * station.later_s
    _draw_event(drawn, seed, variation.level, station.later_s)
    tote = name_of(drawn["colour"], target_of(drawn))
    drawn["instruction"] = drawn["sentence"].format(
        tote=tote, slot=SLOTS[drawn["slot"]]
    )
    return drawn


def target_of(drawn: dict[str, Any]) -> int:
    """The tote that is named."""
    return int(drawn["target"]) % int(drawn["totes"])


def name_of(colours: list[str], target: int) -> str:
    """The colour alone where it is unique, else with its place among those of its
    colour.
    """
    alike = [k for k, colour in enumerate(colours) if colour == colours[target]]
    return (
        colours[target]
        if len(alike) == 1
        else f"{ORDER[alike.index(target)]} {colours[target]}"
    )


def pose_of(
    drawn: dict[str, Any], k: int, station: Station
) -> tuple[np.ndarray, float]:
    """Middle of the underside (3,) in the world in m, and yaw in rad, of tote `k`;
    absent ones are parked.
    """
    if k >= drawn["totes"]:
        return parked_w(k), 0.0
    y = drawn["first_y"] - k * (TOTE.width + drawn["gap"])
    return np.array(
        [station.belt.x + drawn["offset_x"][k], y, station.belt.top_z + 0.0005]
    ), drawn["yaw"][k]


def event_tick(drawn: dict[str, Any]) -> int:
    """When the event happens."""
    return int(drawn["event_s"] * PHYSICS_HZ)


def _draw_event(drawn: dict[str, Any], seed: int, level: str, later_s: float) -> None:
    """At L4 one thing happens 1 to 4 s after the start: the belt changes its speed, or
    the named tote is pushed.
    """
    rng = np.random.default_rng((seed, EVENT_STREAM))
    speed = drawn["belt_speed"]
    push = (0.0, 0.0)
    pushed = bool(rng.random() < 0.5)
    if level == "L4":
        angle = rng.uniform(-np.pi, np.pi)
        force = drawn["mass"] * rng.uniform(*PUSH_M_S2)
        push = (
            (float(force * np.cos(angle)), float(force * np.sin(angle)))
            if pushed
            else push
        )
        speed = speed if pushed else float(rng.uniform(0.0, 0.15))
    drawn["belt_speed_after"] = speed
    drawn["push_n"] = push
    drawn["event_s"] = float(rng.uniform(1.0, 4.0)) + later_s


def _colours(drawn: list[str], count: int, same: bool) -> list[str]:
    different = list(dict.fromkeys(drawn))
    colours = [different[k % len(different)] for k in range(count)]
    return [colours[0], colours[0], *colours[2:]] if same else colours


def _between_rails(
    belt_m: float, offset_m: float, length_m: float, yaw: float
) -> float:
    """The offset from the belt's middle, as far as a tote that is long or askew leaves
    room for it.
    """
    half_m = (length_m * np.cos(yaw) + TOTE.width * np.sin(abs(yaw))) / 2
    room_m = belt_m / 2 - half_m - RAIL_GAP_M
    return float(np.clip(offset_m, -room_m, room_m))
