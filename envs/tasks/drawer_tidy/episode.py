"""Samples episodes of DrawerTidy: the things, the event and the instruction."""

from __future__ import annotations

from typing import Any

import numpy as np

from embodied.envs.events import event_rng, event_tick_at, horizontal_force
from embodied.envs.naming import first_distinct
from embodied.envs.props.drawer import DRAWERS, MASS_KG
from embodied.envs.props.parking import parked_w
from embodied.envs.props.things import ROUND, SIZES, THINGS, ThingSize
from embodied.envs.tasks.drawer_tidy.scene import DRAWERS_SIZE
from embodied.envs.tasks.drawer_tidy.variation import TASK_VARIABLES
from embodied.envs.variation import Variation

THING_NAMES = tuple(THINGS)
# Variables of which an episode has several values, one per thing or drawer.
SEVERAL = ("order", "colour", "handle", "offset_x", "offset_y", "yaw", "ajar", "target")
# How often each of them is sampled: enough for all things and drawers, and enough to find
# as many different colours.
SAMPLES = 16
# The things stand on the counter in a row of PLACES places along x, PITCH_M apart. The
# first place is at these x and y.
ROW_X_W = -0.04
ROW_Y_W = 0.535
PITCH_M = 0.125
PLACES = 4
# Range of a shove's force per kg of the thing. Friction cancels 4.9 m/s2 of it, so the
# thing slides 4 to 10 cm.
SHOVE_M_S2 = (6.4, 7.8)
# Direction of the shove, as an angle from the x axis. The shove points away from the
# counter's edge.
SHOVE_ANGLE_RAD = (0.8, 1.5)
# Time of the shove in the episode.
SHOVE_AT_S = (1.0, 4.0)
# Duration of the push that shuts the open drawer.
SHUT_S = 0.1
# Speed that this push gives the drawer, which then slides on for 4 cm or until it is shut.
SHUT_M_S = (0.45, 0.8)
# Delay of this push after the drawer has been opened.
SHUT_AFTER_S = (0.2, 6.0)


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns the sampled values of one episode by name, as JSON can hold them.

    Lists over things are in the order of `THINGS`.
    """
    episode = variation.sample_each(seed, TASK_VARIABLES)
    for name in SEVERAL:
        episode[name] = variation.sample_many(seed, name, SAMPLES)

    # the things with the lowest samples of `order` take part; `row` has their indices
    # in the order of their places along x
    count = episode["things"]
    order = np.argsort(episode["order"][: len(THING_NAMES)])
    row = order[:count].tolist()
    # The places of the two named things in the row. The second place is 1 to count - 1
    # places after the first one, so it is a different one; but if the sentence names only
    # one thing, this thing is both the first and the second.
    first = episode["target"][0] % count
    second = (first + 1 + episode["target"][1] % (count - 1)) % count
    if episode["named"] == 1:
        second = first
    episode["row"] = row
    episode["targets"] = [row[first], row[second]]

    episode["colours"] = first_distinct(episode["colour"], len(THING_NAMES))
    episode["handles"] = first_distinct(episode["handle"], len(DRAWERS))
    episode["instruction"] = _instruction(episode)
    return episode | _sample_event(seed, variation.level, episode)


def thing_size(name: str, episode: dict[str, Any]) -> ThingSize:
    """Returns the size of a thing in the episode."""
    nominal = SIZES[THINGS[name]]
    return nominal.scaled(episode["girth"], episode["height"], episode["mass"])


def pose_of(episode: dict[str, Any], thing: int) -> tuple[np.ndarray, float]:
    """Returns where a thing starts: in the row on the counter, or parked.

    Returns:
        The thing's middle (3,) in the world, in m, and its yaw in rad.
    """
    if thing not in episode["row"]:
        return parked_w(thing), 0.0

    place = episode["row"].index(thing)
    # if some places stay empty, the things stand in the middle of the row
    places_from_start = place + (PLACES - episode["things"]) / 2
    x = ROW_X_W + PITCH_M * places_from_start + episode["offset_x"][place]
    y = ROW_Y_W + episode["offset_y"][place]
    z = DRAWERS_SIZE.top_z + thing_size(THING_NAMES[thing], episode).z / 2
    return np.array([x, y, z]), episode["yaw"][place]


def memory_of(episode: dict[str, Any]) -> dict[str, Any]:
    """Returns one world's values for the arrays of the task's `memory()`, by name."""
    things = range(len(THING_NAMES))
    targets = episode["targets"]
    belongs = np.zeros((len(DRAWERS), len(THING_NAMES)))
    belongs[episode["drawer"], targets] = 1.0
    # x, y, z of the size of the first named thing, then of the second
    size_m: list[float] = []
    for thing in targets:
        size = thing_size(THING_NAMES[thing], episode)
        size_m += [size.x, size.y, size.z]

    return {
        "target": targets,
        "belongs": belongs,
        "size": size_m,
        "round": [float(THINGS[THING_NAMES[thing]] in ROUND) for thing in targets],
        "present": [float(thing in episode["row"]) for thing in things],
        "drawer": episode["drawer"],
        "shove": episode["shove_n"],
        "shove_tick": event_tick_at(episode["shove_at_s"]),
        "shut": episode["shut_n"],
        "shut_delay": event_tick_at(episode["shut_after_s"]),
        "shut_tick": -1,  # not known until the drawer has been opened
    }


def _instruction(episode: dict[str, Any]) -> str:
    """Returns the sentence, with the named things and the drawer filled in."""
    # a single named thing is twice in `targets`, but once in the sentence
    named = dict.fromkeys(episode["targets"])
    things = [
        f"the {episode['colours'][thing]} {THINGS[THING_NAMES[thing]]}"
        for thing in named
    ]
    if episode["named_by"] == "place":
        drawer = f"the {DRAWERS[episode['drawer']]} drawer"
    else:
        handle = episode["handles"][episode["drawer"]]
        drawer = f"the drawer with the {handle} handle"
    return str(episode["sentence"].format(things=" and ".join(things), drawer=drawer))


def _sample_event(seed: int, level: str, episode: dict[str, Any]) -> dict[str, Any]:
    """Samples the event of level L4: a thing is shoved, or the drawer is pushed shut.

    The shoved thing is the first named one. The drawer is pushed some time after it was
    opened. At other levels both forces are 0. All values are drawn at every level and for
    both kinds of event, so that neither shifts the random numbers that are drawn
    afterwards.

    Args:
        seed: the episode's seed.
        level: the level of the variation.
        episode: the values of the episode that have been sampled so far.

    Returns:
        The force on the thing along x and y, in N, and its time in the episode, in s;
        the force on the drawer, in N, and its delay after the drawer was opened, in s.
    """
    rng = event_rng(seed)
    happens = level == "L4"
    is_shoved = rng.random() < 0.5  # otherwise the drawer is pushed
    angle = rng.uniform(*SHOVE_ANGLE_RAD)
    shove_n = horizontal_force(episode["mass"] * rng.uniform(*SHOVE_M_S2), angle)
    # force = mass * acceleration + friction, so that the drawer has the sampled speed at
    # the end of the push
    end_speed_m_s = rng.uniform(*SHUT_M_S)
    shut_n = MASS_KG * end_speed_m_s / SHUT_S + episode["drawer_friction"]

    # shove towards the middle of the row, so that the thing stays within reach
    place = episode["row"].index(episode["targets"][0])
    if place >= episode["things"] / 2:
        shove_n = (-shove_n[0], shove_n[1])
    return {
        "shove_n": list(shove_n) if happens and is_shoved else [0.0, 0.0],
        "shut_n": float(shut_n) if happens and not is_shoved else 0.0,
        "shove_at_s": float(rng.uniform(*SHOVE_AT_S)),
        "shut_after_s": float(rng.uniform(*SHUT_AFTER_S)),
    }
