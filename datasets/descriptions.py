"""The descriptions of groups and arrays that are stored in each dataset file.

With the attributes `description` and `unit`, `h5dump -A` explains a file to somebody who
has nothing else. They are strings of fixed length, which take few bytes, and depend on
the schema only, so that the same episodes give the same file.
"""

from __future__ import annotations

from dataclasses import dataclass

import h5py
import numpy as np

from embodied.core import PHYSICS_HZ
from embodied.datasets.array_specs import (
    FRAMES,
    PLAN_OPTIONAL,
    PLAN_PAYLOAD,
    PLAN_TIMES,
    START,
    STREAMS,
    STREAMS_BEFORE,
    STREAMS_OF_ACTORS,
    ArraySpec,
)
from embodied.datasets.h5_files import write_text
from embodied.datasets.schema import DEPTH_SUFFIX, H5, PICTURE_SUFFIXES

TICKS = f"1/{PHYSICS_HZ} s"
CAMERA_KEY = "obs/<camera>"
FIELD_KEY = "start/fields/<name>"
FIELDS_PREFIX = "start/fields/"

# group of a file -> its description
FILE_GROUPS = {
    "meta": "what is true of every episode: metadata (JSON) of the worlds, policy, rates",
    "data": "the episodes; env_args (JSON) names the environment that actions are for",
    "mask": "names of the demos in each mask, which robomimic calls filter keys",
}
# group of a demo -> its description
DEMO_GROUPS = {
    "obs": "what the frames show; a row for each entry of frame_tick",
    "streams": "what was done and measured at the control rate; t is each row's tick",
    "plans": "the planner's plans, a row each; ticks are -1 where something never happened",
    "start": "what a replay begins from",
    "start/fields": "what was varied in this episode, by name",
}
DEMO = (
    "an episode; actions, rewards, dones, states and obs have a row per frame; ticks "
    f"are {TICKS} since its start"
)

# attribute of /meta -> (unit, meaning)
HEADER_ATTRIBUTES = {
    "schema_version": ("1", "what the names and numbers of the file mean"),
    "metadata": (
        "JSON",
        "task, robot, config of the worlds, interfaces, layouts, model_hash, versions; "
        "robot_hash of a robot by description",
    ),
    "policy": ("text", "the name of the policy that acted"),
    "record_hz": ("1/s", "frames per second"),
    "planner_hz": ("1/s", "plans per second; missing for policies that make none"),
    "correction": (
        "JSON",
        "who corrected the policy, and by which rule; missing where nobody did",
    ),
}
# attribute of a demo, which is a field of `EpisodeMeta` -> (unit, meaning)
EPISODE_ATTRIBUTES = {
    "seed": ("1", "decides all that is random in the episode"),
    "instruction": ("text", "what was to be done"),
    "success_once": ("1", "whether the task was done at any time"),
    "success_at_end": ("1", "whether it was done at the end"),
    "progress_max": ("1", "the largest progress, in [0, 1]"),
    "progress_end": ("1", "the progress at the end, in [0, 1]"),
    "reward_sum": ("1", "the sum of streams/reward"),
    "duration_s": ("s", "simulated"),
    "fault": ("text", "what broke, such as `diverged`; empty without a fault"),
    "time_to_success_s": ("s", "until the task was done for the first time"),
    "mean_plan_age_s": ("s", "mean age of the plan that the controller followed"),
    "peak_contact_force_n": ("N", "the largest contact force of the robot"),
    "collisions": ("1", "how many there were"),
    "min_joint_margin_rad": ("rad", "the least distance of a joint to its limit"),
    "dropped": ("1", "the most objects that were dropped at one time"),
    "takeovers": ("1", "how often somebody else took over from the policy"),
    "takeover_s": ("s", "how long somebody else than the policy acted"),
    "operator": ("text", "who did it by hand"),
    "device": ("text", "with which device"),
    "marked": ("1", "whether the operator marked it, to look at it again"),
    "variation": ("JSON", "the sampled value of each variable (docs/tasks.md)"),
    "source_file": ("text", "of a generated episode: the file that it was made from"),
    "source_episode": ("1", "the number of the episode in it that it follows"),
    "source_segments": (
        "text",
        "the numbers of the episodes that its segments are from, in their order",
    ),
    "num_samples": ("1", "frames; a demo without it was not finished"),
}


@dataclass(frozen=True)
class Described:
    """An array of a demo, as the schema describes it.

    Attributes:
        key: the array's name; `<camera>` and `<name>` are placeholders.
        dtype: the data type of its numbers, such as "float32".
        shape: the shape of one row.
        rows: the array has one row per "frame", "control step" or "plan"; "" for an
            array without rows.
        unit: the unit of its numbers; "1" for numbers without a unit.
        meaning: a description.
    """

    key: str
    dtype: str
    shape: str
    rows: str
    unit: str
    meaning: str


def described_arrays() -> tuple[Described, ...]:
    """Returns the description of every array that a demo may have, in schema order."""
    described = [_described(spec, spec.name, "frame") for spec in FRAMES]

    # a stream is two arrays: its ticks, and its values
    for spec in (*STREAMS_OF_ACTORS, *STREAMS):
        group = f"streams/{spec.name}"
        is_before = spec in (*STREAMS_OF_ACTORS, *STREAMS_BEFORE)
        side = "before" if is_before else "after"
        tick = ArraySpec(
            "t",
            np.int64,
            shape="()",
            meaning=f"time {side} the step",
            unit=TICKS,
        )
        described.append(_described(tick, f"{group}/t", "control step"))
        described.append(_described(spec, f"{group}/value", "control step"))

    for spec in (*PLAN_TIMES, *PLAN_PAYLOAD, *PLAN_OPTIONAL):
        described.append(_described(spec, f"plans/{spec.name}", "plan"))
    described += [_described(spec, spec.name, "") for spec in START]
    return tuple(described)


def _described(spec: ArraySpec, key: str, rows: str) -> Described:
    """Returns the description of an array from its specification.

    Args:
        spec: the specification of the array.
        key: the name of the array within a demo.
        rows: what each row stands for, see `Described`.
    """
    # where the schema allows any float, this package writes float64
    dtype = "float64" if spec.dtype is np.floating else spec.dtype.__name__
    return Described(
        key=key,
        dtype=dtype,
        shape=spec.shape,
        rows=rows,
        unit=spec.unit,
        meaning=spec.meaning,
    )


_BY_KEY = {array.key: array for array in described_arrays()}


def describe(key: str) -> Described | None:
    """Returns the description of an array; None if the schema does not have it.

    Args:
        key: the array's name within a demo, such as `obs/front_image`.
    """
    for suffix in PICTURE_SUFFIXES:
        if key.startswith("obs/") and key.endswith(suffix):
            return _BY_KEY[CAMERA_KEY + suffix]
    if key.startswith(FIELDS_PREFIX):
        return _BY_KEY[FIELD_KEY]
    return _BY_KEY.get(key)


def write_group_description(file: H5, name: str) -> None:
    """Writes the description of one of `FILE_GROUPS`."""
    write_text(file[name], "description", FILE_GROUPS[name])


def write_demo_descriptions(demo: H5) -> None:
    """Writes the descriptions of a demo, its groups and its arrays."""
    write_text(demo, "description", DEMO)
    for name, text in DEMO_GROUPS.items():
        if name in demo:
            write_text(demo[name], "description", text)

    def write(key: str, item: H5) -> None:
        """Writes description and unit to an item, if the schema describes its array."""
        described = describe(key)
        # `start/fields` has many arrays, whose descriptions would take too many bytes
        is_field = key.startswith(FIELDS_PREFIX)
        if described and isinstance(item, h5py.Dataset) and not is_field:
            write_text(item, "description", described.meaning)
            # depth is in mm as integers, which is the schema's unit, or in m as floats
            in_metres = key.endswith(DEPTH_SUFFIX) and item.dtype.kind == "f"
            write_text(item, "unit", "m" if in_metres else described.unit)

    demo.visititems(write)
