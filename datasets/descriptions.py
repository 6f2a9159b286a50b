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
    "meta": "what all episodes have in common: metadata (JSON) of the worlds, policy, rates",
    "data": "the episodes; env_args (JSON) names the environment that takes their actions",
    "mask": "for each mask, the names of its demos; robomimic calls masks filter keys",
}
# group of a demo -> its description
DEMO_GROUPS = {
    "obs": "the observations at the frames, one row per entry of frame_tick",
    "streams": "actions and measurements at the control rate; t holds the tick of each row",
    "plans": "the planner's plans, one row per plan; a tick of -1: it never happened",
    "start": "the state from which a replay begins",
    "start/fields": "the values that were varied in this episode, by name",
}
DEMO = (
    "an episode; actions, rewards, dones, states and obs have one row per frame; ticks "
    f"count {TICKS} since the episode's start"
)

# attribute of /meta -> (unit, meaning)
HEADER_ATTRIBUTES = {
    "schema_version": (
        "1",
        "version of the schema, which says what names and numbers of the file mean",
    ),
    "metadata": (
        "JSON",
        "task, robot, config of the worlds, interfaces, layouts, model_hash, versions; "
        "for a robot by description, its robot_hash",
    ),
    "policy": ("text", "the name of the policy that acted"),
    "record_hz": ("1/s", "frames per second"),
    "planner_hz": ("1/s", "plans per second; missing if the policy makes no plans"),
    "correction": (
        "JSON",
        "who corrected the policy, and by which rule; missing if nobody did",
    ),
}
# attribute of a demo, which is a field of `EpisodeMeta` -> (unit, meaning)
EPISODE_ATTRIBUTES = {
    "seed": ("1", "the seed, which decides everything random in the episode"),
    "instruction": ("text", "the instruction that the policy was given"),
    "success_once": ("1", "whether the task was done at any time"),
    "success_at_end": ("1", "whether the task was done at the end"),
    "progress_max": ("1", "the largest progress, in [0, 1]"),
    "progress_end": ("1", "the progress at the end, in [0, 1]"),
    "reward_sum": ("1", "the sum of streams/reward"),
    "duration_s": ("s", "simulated duration of the episode"),
    "fault": (
        "text",
        "the fault of the simulation or policy, such as `diverged`; empty if none",
    ),
    "time_to_success_s": ("s", "time until the task was done for the first time"),
    "mean_plan_age_s": ("s", "mean age of the plan that the controller followed"),
    "peak_contact_force_n": ("N", "the largest contact force of the robot"),
    "collisions": ("1", "number of collisions"),
    "min_joint_margin_rad": ("rad", "the smallest distance of any joint to its limits"),
    "dropped": (
        "1",
        "the largest number of objects that were dropped at the same time",
    ),
    "takeovers": ("1", "how often the expert or a person took over from the policy"),
    "takeover_s": ("s", "how long the expert or a person acted instead of the policy"),
    "operator": ("text", "the person who drove by hand"),
    "device": ("text", "the input device with which the person drove"),
    "marked": ("1", "whether the operator marked the episode, to look at it again"),
    "variation": ("JSON", "the sampled value of each variable (docs/tasks.md)"),
    "source_file": ("text", "of a generated episode: the name of its source file"),
    "source_episode": (
        "1",
        "of a generated episode: the number of the source episode that it follows",
    ),
    "source_segments": (
        "text",
        "of a generated episode: the number of the source episode of each segment",
    ),
    "num_samples": (
        "1",
        "number of frames; a demo without this attribute was not finished",
    ),
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
