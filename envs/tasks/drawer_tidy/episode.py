"""One episode of DrawerTidy as plain data: what lies where, what is asked for, and what
will happen.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.core import seconds_to_ticks
from embodied.envs.common_factors import COMMON
from embodied.envs.props.drawer import DRAWERS, MASS_KG
from embodied.envs.props.parking import parked_w
from embodied.envs.props.things import ROUND, SIZES, THINGS, ThingSize
from embodied.envs.tasks.drawer_tidy.scene import DRAWERS_SIZE
from embodied.envs.tasks.drawer_tidy.variation import TABLE
from embodied.envs.variation import Variation

# of the things on the counter, in a row along x with four places, m
ROW_X = -0.04
ROW_Y = 0.535
PITCH_M = 0.125
# of a thing; friction holds 4.9 of it, so it slides 4 to 10 cm
SHOVE_S = 0.2
SHOVE_M_S2 = (6.4, 7.8)
# of an open drawer, which then goes on for 4 cm or all the way
SHUT_S = 0.1
SHUT_M_S = (0.45, 0.8)
EVENT_STREAM = 0x4C34  # of random numbers, apart from those of the table's variables
# variables drawn many times
SEVERAL = ("order", "colour", "handle", "offset_x", "offset_y", "yaw", "ajar", "target")
NAMES = tuple(THINGS)


def draw_start(seed: int, variation: Variation) -> dict[str, Any]:
    """The table's variables and what follows from them, JSON-able; lists over things
    are in the order of `THINGS`.
    """
    drawn: dict[str, Any] = {
        row.name: variation.sample(seed, row.name) for row in TABLE if row not in COMMON
    }
    drawn |= {name: variation.sample_many(seed, name, 16) for name in SEVERAL}
    count = drawn["things"]
    # indices of the things that take part, along x
    row = np.argsort(drawn["order"][: len(NAMES)])[:count].tolist()
    first = drawn["target"][0] % count
    second = (first + 1 + drawn["target"][1] % (count - 1)) % count
    drawn["row"] = row
    drawn["targets"] = [row[first], row[second if drawn["named"] == 2 else first]]
    drawn["colours"] = _different(drawn["colour"], len(NAMES))
    drawn["handles"] = _different(drawn["handle"], len(DRAWERS))
    drawn["instruction"] = _instruction(drawn)
    return drawn | _event(seed, variation.level, drawn)


def thing_size(name: str, drawn: dict[str, Any]) -> ThingSize:
    """Of a thing in the episode."""
    return SIZES[THINGS[name]].scaled(drawn["girth"], drawn["height"], drawn["mass"])


def pose_of(drawn: dict[str, Any], k: int) -> tuple[np.ndarray, float]:
    """Position (3,) in m and yaw in rad of a thing: in the row on the counter, or
    parked.
    """
    if k not in drawn["row"]:
        return parked_w(k), 0.0
    place = drawn["row"].index(k)
    z = DRAWERS_SIZE.top_z + thing_size(NAMES[k], drawn).z / 2
    # three stand in the middle
    x = ROW_X + PITCH_M * (place + (4 - drawn["things"]) / 2) + drawn["offset_x"][place]
    return np.array([x, ROW_Y + drawn["offset_y"][place], z]), drawn["yaw"][place]


def goal_of(drawn: dict[str, Any]) -> dict[str, Any]:
    """What the task must know of an episode while it runs, by the names of its
    parameters.
    """
    targets = drawn["targets"]
    sizes = [thing_size(NAMES[k], drawn) for k in drawn["targets"]]
    named = [d == drawn["drawer"] for d in range(len(DRAWERS))]
    return {
        "target": targets,
        "belongs": [
            [float(this and k in targets) for k in range(len(NAMES))] for this in named
        ],
        "size": [side for size in sizes for side in (size.x, size.y, size.z)],
        "round": [float(THINGS[NAMES[k]] in ROUND) for k in targets],
        "present": [float(k in drawn["row"]) for k in range(len(NAMES))],
        "drawer": drawn["drawer"],
        "shove": drawn["shove_n"],
        "shove_tick": seconds_to_ticks(drawn["shove_at_s"]),
        "shut": drawn["shut_n"],
        "shut_delay": seconds_to_ticks(drawn["shut_after_s"]),
        "shut_tick": -1,
    }


def _different(drawn: list[str], count: int) -> list[str]:
    """The first different ones, from the front again where they are too few."""
    different = list(dict.fromkeys(drawn))
    return [different[k % len(different)] for k in range(count)]


def _instruction(drawn: dict[str, Any]) -> str:
    names = [
        f"the {drawn['colours'][k]} {THINGS[NAMES[k]]}"
        for k in dict.fromkeys(drawn["targets"])
    ]
    place = DRAWERS[drawn["drawer"]]
    handle = drawn["handles"][drawn["drawer"]]
    drawer = (
        f"the {place} drawer"
        if drawn["named_by"] == "place"
        else f"the drawer with the {handle} handle"
    )
    return str(drawn["sentence"].format(things=" and ".join(names), drawer=drawer))


def _event(seed: int, level: str, drawn: dict[str, Any]) -> dict[str, Any]:
    """At L4 one thing happens: the first named thing is shoved, or the drawer, some
    time after it was opened, shut.
    """
    rng = np.random.default_rng((seed, EVENT_STREAM))
    happens = level == "L4"
    # away from the counter's edge
    shoved = rng.random() < 0.5
    angle = rng.uniform(0.8, 1.5)
    shove_n = (
        drawn["mass"]
        * rng.uniform(*SHOVE_M_S2)
        * np.array([np.cos(angle), np.sin(angle)])
    )
    # stays within reach
    shove_n[0] *= (
        1.0 if drawn["row"].index(drawn["targets"][0]) < drawn["things"] / 2 else -1.0
    )
    shut_n = MASS_KG * rng.uniform(*SHUT_M_S) / SHUT_S + drawn["drawer_friction"]
    return {
        "shove_n": shove_n.tolist() if happens and shoved else [0.0, 0.0],
        "shut_n": float(shut_n) if happens and not shoved else 0.0,
        "shove_at_s": float(rng.uniform(1.0, 4.0)),
        "shut_after_s": float(rng.uniform(0.2, 6.0)),
    }
