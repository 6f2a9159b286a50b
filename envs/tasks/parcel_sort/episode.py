"""Draws an episode of ParcelSort: which parcels come, where, and what the sentence says
of them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.core import PHYSICS_HZ, seconds_to_ticks
from embodied.envs.props.parcel import ParcelSize
from embodied.envs.props.parking import parked_w
from embodied.envs.tasks.parcel_sort.scene import BELT, BINS
from embodied.envs.tasks.parcel_sort.variation import PER_PARCEL, TABLE
from embodied.envs.variation import Variation

PUSH_TICKS = seconds_to_ticks(0.2)
EVENT_STREAM = 0x5053  # of random numbers, apart from those of the table's variables
# rad, nominal: a label on an end faces the robot's far side and the way the belt runs
LYING_YAW = 0.0
END_YAW = 1.13
AT_LEAST_M = 0.22  # between the middles of parcels that follow each other
TURNED_MORE = 2.0  # a parcel whose label is up may lie askew by this much more
# force for its mass; the belt's friction holds 7.8 of it, so the parcel slides 2 to 6
# cm
PUSH_M_S2 = (8.5, 10.0)
# when it happens
SOON_S = (0.3, 0.9)
LATER_S = (1.0, 4.0)
SPEED_CHANGE = (0.5, 1.6)
FASTEST_M_S = 0.15


def draw_start(seed: int, variation: Variation, later_s: float) -> dict[str, Any]:
    """All that is special to one episode, JSON-able; things come `later_s` later, for a
    robot that must drive up.
    """
    drawn = {
        v.name: variation.sample(seed, v.name)
        for v in TABLE
        if v.name not in (*PER_PARCEL, "colour")
    }
    count = drawn["parcels"]
    for name in PER_PARCEL:
        drawn[name] = variation.sample_many(seed, name, count)
    drawn["named"] = list(drawn["named"])
    different = list(dict.fromkeys(variation.sample_many(seed, "colour", 64)))
    drawn["colour"] = [different[k % len(different)] for k in range(len(BINS))]
    rng = np.random.default_rng((seed, EVENT_STREAM))
    # so that there is work
    drawn["parcel_bin"][int(rng.integers(count))] = int(rng.choice(drawn["named"]))
    drawn["wanted"] = [index in drawn["named"] for index in drawn["parcel_bin"]]
    _draw_event(drawn, rng, variation.level)
    drawn["event_s"] += later_s
    drawn["y"] = [y - drawn["belt_speed"] * later_s for y in _along_the_belt(drawn)]
    drawn["instruction"] = drawn["sentence"].format(
        **_words(drawn["colour"], drawn["named"])
    )
    return drawn


def _draw_event(drawn: dict[str, Any], rng: np.random.Generator, level: str) -> None:
    """At L4 one thing happens: the belt changes its speed, or the last of the wanted
    parcels is pushed on it.
    """
    speed = drawn["belt_speed"]
    pushed = bool(rng.random() < 0.5)
    change = rng.uniform(*SPEED_CHANGE)
    along = rng.uniform(-0.4, 0.4)
    parcel = int(np.flatnonzero(drawn["wanted"])[-1])
    sign = rng.choice((-1, 1))
    force = drawn["mass"][parcel] * rng.uniform(*PUSH_M_S2)
    moved = level == "L4"
    push = (
        (float(force * np.sin(along)), float(sign * force * np.cos(along)))
        if moved and pushed
        else (0.0, 0.0)
    )
    after = min(float(speed * change), FASTEST_M_S) if moved and not pushed else speed
    drawn["belt_speed_after"] = after
    drawn["pushed"] = parcel
    drawn["push_n"] = push
    only = sum(drawn["wanted"]) == 1  # the hand may soon be there
    drawn["event_s"] = float(rng.uniform(*(SOON_S if only else LATER_S)))


def event_tick(drawn: dict[str, Any]) -> int:
    """When it happens."""
    return int(drawn["event_s"] * PHYSICS_HZ)


def _along_the_belt(drawn: dict[str, Any]) -> list[float]:
    """Where parcels begin: each comes `gap_s` after the one before it, however fast the
    belt gets.
    """
    speed = max(drawn["belt_speed"], drawn["belt_speed_after"])
    gaps = [max(AT_LEAST_M, speed * gap_s) for gap_s in drawn["gap_s"][1:]]
    return [drawn["first_y"] - sum(gaps[:k]) for k in range(drawn["parcels"])]


def size_of(drawn: dict[str, Any], k: int) -> ParcelSize:
    """Of parcel `k`."""
    return ParcelSize(
        *(drawn[name][k] for name in ("length", "width", "height", "mass"))
    )


def pose_of(drawn: dict[str, Any], k: int) -> tuple[np.ndarray, float]:
    """Middle (3,) in the world in m and yaw in rad of parcel `k`; absent ones are
    parked.
    """
    if k >= drawn["parcels"]:
        return parked_w(k), 0.0
    turn = drawn["turn"][k]
    yaw = (
        END_YAW + turn if drawn["label"][k] == "end" else LYING_YAW + TURNED_MORE * turn
    )
    return np.array(
        [
            BELT.x + drawn["offset_x"][k],
            drawn["y"][k],
            BELT.top_z + drawn["height"][k] / 2 + 0.0005,
        ]
    ), yaw


def _words(colours: list[str], named: list[int]) -> dict[str, str]:
    """What the sentences have blanks for."""
    wanted = [colour for k, colour in enumerate(colours) if k in named]
    others = [colour for k, colour in enumerate(colours) if k not in named]
    return {
        "named": " and ".join(wanted),
        "either": " or ".join(wanted),
        "others": " and ".join(others),
    }
