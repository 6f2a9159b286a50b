"""Faults to plant in a good dataset: each changes one demo of an open file."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np

CONTROL_HZ = 200
FRAME_HZ = 20
STEPS_PER_FRAME = CONTROL_HZ // FRAME_HZ
TICKS_PER_STEP = 2
MID = 200  # a step at which the robot moves
JOINT = slice(0, 7)  # of the proprioception

Plant = Callable[[Any], None]


def put(demo: Any, path: str, value: Any) -> None:
    """Puts an array in the place of another one."""
    del demo[path]
    demo[path] = value


def change(demo: Any, path: str, edit: Callable[[np.ndarray], Any]) -> None:
    """Edits an array; what `edit` returns takes its place, if it returns something."""
    value = demo[path][()]
    changed = edit(value)
    put(demo, path, value if changed is None else changed)


def rows_of(demo: Any, frames: np.ndarray) -> None:
    """Makes an episode of other frames of itself, with right clocks and sums."""
    count = demo.attrs["num_samples"]
    steps = frames[:, None] * STEPS_PER_FRAME + np.arange(STEPS_PER_FRAME)
    for path in ("actions", "rewards", "dones", "states"):
        change(demo, path, lambda value: value[frames])
    for name in demo["obs"]:
        change(demo, f"obs/{name}", lambda value: value[frames])
    ticks = np.arange(len(frames)) * STEPS_PER_FRAME * TICKS_PER_STEP
    put(demo, "frame_tick", ticks)
    put(demo, "image_tick", ticks)
    change(demo, "states", lambda states: with_times(states, ticks))

    length = len(demo["streams/action/t"])
    steps = np.minimum(steps.ravel(), length - 1)
    for name in demo["streams"]:
        first = demo[f"streams/{name}/t"][0]
        change(demo, f"streams/{name}/value", lambda value: value[steps])
        put(demo, f"streams/{name}/t", first + np.arange(len(steps)) * TICKS_PER_STEP)

    demo.attrs["num_samples"] = len(frames)
    demo.attrs["progress_end"] = float(demo["streams/progress/value"][-1])
    demo.attrs["progress_max"] = float(demo["streams/progress/value"][()].max())
    demo.attrs["reward_sum"] = float(demo["streams/reward/value"][()].sum())
    demo.attrs["duration_s"] = len(steps) / CONTROL_HZ
    demo.attrs["success_at_end"] = bool(demo["streams/success/value"][-1])
    demo.attrs["success_once"] = bool(demo["streams/success/value"][()].any())
    assert count


def with_times(states: np.ndarray, ticks: np.ndarray) -> np.ndarray:
    states[:, 0] = ticks / (CONTROL_HZ * TICKS_PER_STEP)
    return states


def cut_off(demo: Any) -> None:
    rows_of(demo, np.arange(5))


def rest_long(demo: Any) -> None:
    rows_of(demo, np.concatenate([np.arange(20), np.full(70, 20), np.arange(20, 50)]))
    hold = slice(20 * STEPS_PER_FRAME, 90 * STEPS_PER_FRAME)

    def still(value: np.ndarray) -> None:
        value[hold] = value[hold.start]

    change(demo, "streams/agent_pos/value", still)
    change(demo, "obs/agent_pos", lambda value: fill(value, slice(20, 90)))


def fill(value: np.ndarray, rows: slice) -> None:
    value[rows] = value[rows.start]


def last_very_long(demo: Any) -> None:
    rows_of(demo, np.repeat(np.arange(45), 10))


def move_nowhere(demo: Any) -> None:
    change(demo, "streams/agent_pos/value", lambda value: fill(value, slice(0, None)))
    change(demo, "obs/agent_pos", lambda value: fill(value, slice(0, None)))


def start_elsewhere(demo: Any) -> None:
    def shift(value: np.ndarray) -> None:
        value[:, JOINT] += np.linspace(1.0, 0.0, len(value))[:, None]

    change(demo, "streams/agent_pos/value", shift)
    change(demo, "obs/agent_pos", shift)


def flip_label(demo: Any) -> None:
    demo.attrs["success_at_end"] = not demo.attrs["success_at_end"]


def flip_label_everywhere(demo: Any) -> None:
    """A failure that is stored as a success, or the reverse, without contradiction."""
    success = not demo.attrs["success_at_end"]
    demo.attrs["success_at_end"] = success
    demo.attrs["success_once"] = success
    change(demo, "streams/success/value", lambda value: np.full_like(value, success))


def other_sentence(demo: Any) -> None:
    demo.attrs["instruction"] = "Press the green button."


def other_sentence_everywhere(demo: Any) -> None:
    other_sentence(demo)
    variation = json.loads(demo.attrs["variation"])
    variation["instruction"] = demo.attrs["instruction"]
    demo.attrs["variation"] = json.dumps(variation)


def no_sentence(demo: Any) -> None:
    demo.attrs["instruction"] = " "


def go_the_way_of_the_first(demo: Any) -> None:
    rng = np.random.default_rng(0)
    first = demo.parent["demo_0"]
    keep = dict(demo.attrs)
    for name in list(demo):
        del demo[name]
        first.copy(name, demo)
    demo.attrs.update({**first.attrs, "seed": keep["seed"]})

    def shake(value: np.ndarray) -> None:
        value += rng.normal(0, 1e-5, value.shape)

    change(demo, "streams/agent_pos/value", shake)


def break_world(demo: Any) -> None:
    demo.attrs["fault"] = "diverged"


def lose_seed(demo: Any) -> None:
    del demo.attrs["seed"]


def nan_in(path: str) -> Plant:
    def plant(demo: Any) -> None:
        def spoil(value: np.ndarray) -> None:
            value[3] = np.nan

        change(demo, path, spoil)

    return plant


def shorten(*paths: str) -> Plant:
    def plant(demo: Any) -> None:
        for path in paths:
            change(demo, path, lambda value: value[:-2])

    return plant


def stop_clock(demo: Any) -> None:
    def stop(value: np.ndarray) -> None:
        value[MID] = value[MID - 1]

    change(demo, "streams/reward/t", stop)


def skip_frame(demo: Any) -> None:
    def skip(value: np.ndarray) -> None:
        value[10:] += 20

    change(demo, "frame_tick", skip)


def roll(path: str, rows: int) -> Plant:
    def plant(demo: Any) -> None:
        change(demo, path, lambda value: np.roll(value, rows, axis=0))

    return plant


def age_pictures(demo: Any) -> None:
    def age(value: np.ndarray) -> None:
        value[20:] -= 200

    change(demo, "image_tick", age)


def wrong_sum(demo: Any) -> None:
    demo.attrs["reward_sum"] = demo.attrs["reward_sum"] + 10


def dead_joint(demo: Any) -> None:
    for path in ("streams/agent_pos/value", "obs/agent_pos"):
        change(demo, path, lambda value: fill(value[:, 3:4], slice(0, None)))


def freeze(demo: Any) -> None:
    change(
        demo, "streams/agent_pos/value", lambda value: fill(value, slice(MID, MID + 80))
    )


def jump(demo: Any) -> None:
    def spike(value: np.ndarray) -> None:
        value[MID + 3, 2] += 0.3

    change(demo, "streams/agent_pos/value", spike)


def displace(demo: Any) -> None:
    def shift(value: np.ndarray) -> None:
        value[MID + 3 :, 2] += 0.2

    change(demo, "streams/agent_pos/value", shift)


def shake(demo: Any) -> None:
    rng = np.random.default_rng(0)

    def add_noise(value: np.ndarray) -> None:
        value[:, JOINT] += rng.normal(0, 0.02, value[:, JOINT].shape)

    change(demo, "streams/agent_pos/value", add_noise)


def leave_range(demo: Any) -> None:
    def leave(value: np.ndarray) -> None:
        value[:, 0] += np.linspace(0, 4, len(value))

    change(demo, "streams/agent_pos/value", leave)


def too_large_action(demo: Any) -> None:
    def enlarge(value: np.ndarray) -> None:
        value[5, 0] = 1.5

    change(demo, "actions", enlarge)


def delay(path: str, rows: int) -> Plant:
    """Values that come `rows` later; the first one until then."""

    def late(value: np.ndarray) -> np.ndarray:
        return np.concatenate([np.repeat(value[:1], rows, axis=0), value[:-rows]])

    return lambda demo: change(demo, path, late)


def blank(rows: slice) -> Plant:
    def plant(demo: Any) -> None:
        def wipe(value: np.ndarray) -> None:
            value[rows] = 7

        change(demo, "obs/overview_image", wipe)

    return plant


def freeze_camera(rows: slice) -> Plant:
    return lambda demo: change(
        demo, "obs/overview_image", lambda value: fill(value, rows)
    )


def swap_cameras(demo: Any) -> None:
    overview = demo["obs/overview_image"][()]
    put(demo, "obs/overview_image", demo["obs/wrist_image"][()])
    put(demo, "obs/wrist_image", overview)


def double_camera(demo: Any) -> None:
    put(demo, "obs/wrist_image", demo["obs/overview_image"][()])
