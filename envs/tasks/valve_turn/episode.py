"""Samples episodes of ValveTurn: the valves, the event and the instruction."""

from __future__ import annotations

from typing import Any

from embodied.envs.events import NEVER, event_rng, event_tick_at
from embodied.envs.naming import colour_name, sampled_colours
from embodied.envs.tasks.valve_turn.variation import TASK_VARIABLES, command_of
from embodied.envs.variation import Variation

# The angle of a fully open valve, at the end of its scale; 0 is shut.
FULL_DEG = 120.0
# A quarter turn of the handle.
QUARTER_DEG = 90.0
# The least angle between start and target.
APART_DEG = 20.0
# How many colours are sampled: enough to find different ones for all valves.
COLOUR_SAMPLES = 16
# Names of the places by the number of valves.
PLACES = {2: ("left", "right"), 3: ("left", "middle", "right")}
# The share of episodes with a late push.
LATE_SHARE = 0.4
# An early push comes this long after the start of the episode.
EARLY_S = (0.5, 1.5)
# A late push comes this long after the valve first reaches its target.
LATE_S = (0.25, 0.45)
# The torque of a push, in addition to the valve's friction.
PUSH_N_M = (0.9, 1.3)
# A push turns a free valve by 23 degrees (measured). A push away from the target needs this
# much room before the end stop.
PUSHED_DEG = 25.0
# A push towards a target farther away than this can't bring the valve to the target.
PUSHED_SHORT_DEG = 45.0


def sample_episode(seed: int, variation: Variation) -> dict[str, Any]:
    """Returns the sampled values of one episode by name, as JSON can hold them.

    Lists have one value per place on the console, from the left. The list `order` gives
    the index of the valve at each place.
    """
    episode = variation.sample_each(seed, TASK_VARIABLES)
    count = episode["valves"]
    episode["order"] = list(episode["order"][:count])
    colours = variation.sample_many(seed, "colour", COLOUR_SAMPLES)
    episode["colour"] = sampled_colours(colours, count, episode["same_colour"])

    # the start angle of the named valve is changed, so that it is not at its target
    place = place_of(episode)
    start_deg = variation.sample_many(seed, "start_angle", count)
    start_deg[place], episode["target_angle"] = start_and_target(
        command=command_of(episode["sentence"]),
        sampled_deg=start_deg[place],
        angle_deg=episode["angle"],
    )
    episode["start_angle"] = start_deg

    episode |= _sample_push(seed, variation.level, episode)
    valve = valve_name(episode["colour"], place, episode["named_by"])
    sentence = episode["sentence"].format(valve=valve, angle=episode["angle"])
    episode["instruction"] = sentence[:1].upper() + sentence[1:]
    return episode


def place_of(episode: dict[str, Any]) -> int:
    """Returns the place of the named valve, counted from 0 at the left."""
    return int(episode["target"]) % int(episode["valves"])


def event_ticks(episode: dict[str, Any]) -> tuple[int, int]:
    """Returns the time of the push, and its delay, both in physics ticks.

    An early push has a fixed time and a delay of 0. The time of a late push is NEVER until
    the valve first reaches its target; then it is set to `delay` ticks later.
    """
    ticks = event_tick_at(episode["event_s"])
    if episode["push_late"]:
        return NEVER, ticks
    return ticks, 0


def start_and_target(
    command: str, sampled_deg: float, angle_deg: float
) -> tuple[float, float]:
    """Returns the start angle of the named valve and its target, in degrees.

    The two angles are at least APART_DEG apart.

    Args:
        command: What the sentence asks for, such as `turn` or `open`.
        sampled_deg: A sample from the whole scale, which is mapped to the angles at which
            the valve may start.
        angle_deg: The angle that the command `turn` asks for.
    """
    # the commands "more" and "less" ask for a quarter turn, anywhere on the scale
    if command in ("more", "less"):
        lower = sampled_deg * (FULL_DEG - QUARTER_DEG) / FULL_DEG
        upper = lower + QUARTER_DEG
        return (lower, upper) if command == "more" else (upper, lower)

    targets = {"turn": angle_deg, "open": FULL_DEG, "shut": 0.0, "half": FULL_DEG / 2}
    target = float(targets[command])
    # The allowed start angles are two ranges of the scale, below and above the target.
    # The sample is mapped to both ranges as if the second followed on the first.
    length_below = max(target - APART_DEG, 0.0)
    length_above = max(FULL_DEG - APART_DEG - target, 0.0)
    start = sampled_deg / FULL_DEG * (length_below + length_above)
    if start >= length_below:
        start = start - length_below + target + APART_DEG
    return start, target


def valve_name(colours: list[str], place: int, named_by: str) -> str:
    """Returns the name of a valve: its place or its colour, such as "left" or "red".

    If several valves have that colour, the place is put before the colour: "left red".

    Args:
        colours: The colour of each valve, from the left.
        place: The valve's place, counted from 0 at the left.
        named_by: "place" or "colour".
    """
    place_name = PLACES[len(colours)][place]
    if named_by == "place":
        return place_name
    return colour_name(colours, place, place_name)


def _sample_push(seed: int, level: str, episode: dict[str, Any]) -> dict[str, Any]:
    """Samples the event of level L4: a push turns the named valve once.

    An early push comes soon after the start, and a late push soon after the valve first
    reaches its target. At other levels the torque is 0.

    Args:
        seed: The episode's seed.
        level: The level of the variation.
        episode: The values of the episode that have been sampled so far.
    """
    rng = event_rng(seed)
    start_deg = episode["start_angle"][place_of(episode)]
    target_deg = episode["target_angle"]
    early_sign = _early_push_sign(start_deg, target_deg)
    late_sign = 1 if target_deg < FULL_DEG / 2 else -1  # towards the farther end stop

    # if the sign is 0, an early push could bring the valve to its target, so the push is
    # late
    is_late = bool(rng.random() < LATE_SHARE) or early_sign == 0
    time_range_s = LATE_S if is_late else EARLY_S
    event_s = float(rng.uniform(*time_range_s))
    torque_n_m = 0.0
    if level == "L4":
        torque_n_m = episode["friction"] + float(rng.uniform(*PUSH_N_M))
    return {
        "push_late": is_late,
        "event_s": event_s,
        "push_n_m": torque_n_m * (late_sign if is_late else early_sign),
    }


def _early_push_sign(start_deg: float, target_deg: float) -> int:
    """Returns the direction of an early push that leaves the valve off its target.

    Returns:
        1 towards larger angles, -1 towards smaller ones, 0 if neither direction works.
    """
    # away from the target, if there is room for a whole push before the end stop
    away = 1 if start_deg > target_deg else -1
    room_deg = FULL_DEG - start_deg if away > 0 else start_deg
    if room_deg > PUSHED_DEG:
        return away

    # else towards the target, if the push surely ends before the target
    if abs(target_deg - start_deg) > PUSHED_SHORT_DEG:
        return -away
    return 0
