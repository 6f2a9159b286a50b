"""Reading an episode from its group, with checks that catch a damaged file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from embodied.datasets.array_specs import PLAN_TIMES
from embodied.datasets.guarded import (
    array_in,
    arrays_below,
    arrays_in,
    damage_named,
    group_in,
    read_array,
)
from embodied.datasets.opening import read_meta
from embodied.datasets.schema import (
    H5,
    IMAGE_SUFFIX,
    DatasetError,
    Episode,
    Stream,
    is_picture_key,
)
from embodied.wording import counted

# numpy's `dtype.kind` of floats, integers, unsigned integers and bools
NUMBERS = "fiub"
PICTURE_AXES = 4  # (F, H, W, C)
# The arrays of plans that have one goal per plan in version 1 of the schema, and one goal
# per effector since version 2.
GOAL_ARRAYS = ("goal_pos_w", "goal_quat_wxyz", "goal_vel_w", "gripper")
# The arrays of plans with one whole number per plan.
PLAN_NUMBERS = (*(spec.name for spec in PLAN_TIMES), "subtask")
# The arrays with one row per frame, apart from the arrays below obs: name -> number of axes.
FRAME_AXES = {"actions": 2, "rewards": 1, "states": 2, "frame_tick": 1}


def read_episode(demo: H5, images: bool = True) -> Episode:
    """Reads the episode that `write_episode` wrote to a group.

    Args:
        demo: the group of the episode.
        images: whether to read the images, which take nearly all of an episode's size.

    Raises:
        DatasetError: an array is missing, cannot be read, or does not match the others.
    """
    obs = {}
    for key, array in arrays_in(group_in(demo, "obs")).items():
        if images or not is_picture_key(key):
            obs[key] = read_array(array)

    # each stream is a group of two arrays
    streams = {}
    streams_group = group_in(demo, "streams")
    with damage_named(streams_group):
        names = list(streams_group)
    for key in names:
        stream = group_in(streams_group, key)
        tick = read_array(array_in(stream, "t"))
        streams[key] = Stream(tick, read_array(array_in(stream, "value")))

    # only policies that plan have plans
    plans: dict[str, np.ndarray] = {}
    if _has(demo, "plans"):
        for key, array in arrays_in(group_in(demo, "plans")).items():
            plans[key] = read_array(array)

    # the other arrays with one row per frame, and the start of the episode
    frames = {key: read_array(array_in(demo, key)) for key in FRAME_AXES}
    image_tick = None
    if _has(demo, "image_tick"):
        image_tick = read_array(array_in(demo, "image_tick"))
    start = group_in(demo, "start")
    fields = arrays_below(group_in(start, "fields"))

    episode = Episode(
        meta=read_meta(demo),
        obs=obs,
        **frames,
        image_tick=image_tick,
        streams=streams,
        plans=plans,
        start_state=read_array(array_in(start, "state")),
        start_fields={key: read_array(array) for key, array in fields.items()},
    )
    _require_sound(episode, f"{demo.file.filename} is damaged: {demo.name}")
    return replace(episode, plans=with_goals_per_effector(plans))


def _has(demo: H5, name: str) -> bool:
    """Returns whether a demo has a group or an array of a name."""
    with damage_named(demo, name):
        return name in demo


def _require_sound(episode: Episode, where: str) -> None:
    """Raises DatasetError unless all arrays hold numbers, and their lengths match.

    Args:
        episode: the episode as it was read; plans of schema version 1 are not converted
            yet.
        where: the file and the episode, with which an error message begins.
    """
    arrays: dict[str, np.ndarray] = {
        **{f"obs/{key}": array for key, array in episode.obs.items()},
        **{key: getattr(episode, key) for key in FRAME_AXES},
    }
    if episode.image_tick is not None:
        arrays["image_tick"] = episode.image_tick
    frames = episode.meta.num_samples
    if frames < 1:
        raise DatasetError(f"{where} has {counted(frames, 'frame')}")
    if "agent_pos" not in episode.obs:
        raise DatasetError(f"{where} has no array obs/agent_pos")

    # arrays with one row per frame
    for key, array in arrays.items():
        _require_rows(array, frames, f"{where}/{key}")
    for key, axes in FRAME_AXES.items():
        if arrays[key].ndim != axes:
            raise DatasetError(
                f"{where}/{key} has {arrays[key].ndim} axes in place of {axes}"
            )
    _require_observations(episode.obs, where)

    # streams: any number of rows, but one value per tick
    for key, stream in episode.streams.items():
        stream_name = f"{where}/streams/{key}"
        _require_rows(stream.tick, count=None, where=f"{stream_name}/t")
        _require_rows(stream.value, len(stream.tick), f"{stream_name}/value")
    if episode.plans:
        _require_plans(episode.plans, where)
    _require_start(episode, where)


def _require_plans(plans: Mapping[str, np.ndarray], where: str) -> None:
    """Raises DatasetError if arrays of the plans have a wrong shape or type.

    All arrays must have the same length, one row per plan. The arrays of PLAN_NUMBERS
    must be 1-D arrays of integers.

    Args:
        plans: the arrays of the plans, by name.
        where: the file and the episode, with which an error message begins.
    """
    # None stands for an array without axes, which has no rows
    counts = {len(rows) if rows.ndim else None for rows in plans.values()}
    if len(counts) > 1 or None in counts:
        raise DatasetError(f"{where}/plans has arrays of different lengths")
    for key in PLAN_NUMBERS:
        rows = plans.get(key)
        if rows is not None and (rows.ndim != 1 or rows.dtype.kind not in "iu"):
            raise DatasetError(
                f"{where}/plans/{key} must be a 1-D array of integers, not {rows.ndim}-D "
                f"of {rows.dtype}"
            )


def _require_observations(obs: Mapping[str, np.ndarray], where: str) -> None:
    """Raises DatasetError for an observation of the wrong shape or type.

    `agent_pos` and `environment_state` must be (F, D), for F frames. Images must be
    (F, H, W, C) and not empty, with C = 3 and uint8 for colour, and C = 1 for depth and
    segmentation. Other arrays may have rows of any shape.

    Args:
        obs: the observations by key, in which `_require_rows` has found F rows of numbers.
        where: the file and the episode, with which an error message begins.
    """
    for key, array in obs.items():
        # observations that are not images
        if not is_picture_key(key):
            if key in ("agent_pos", "environment_state") and array.ndim != 2:
                raise DatasetError(f"{where}/obs/{key} has no rows of numbers")
            continue

        # images: colour, depth or segmentation
        is_colour = key.endswith(IMAGE_SUFFIX)
        has_images = array.ndim == PICTURE_AXES and array.size > 0
        if not has_images or (is_colour and array.dtype != np.uint8):
            raise DatasetError(
                f"{where}/obs/{key} holds {array.shape} {array.dtype}, no pictures"
            )

        if array.shape[3] != (3 if is_colour else 1):
            raise DatasetError(
                f"{where}/obs/{key} holds pictures of {array.shape[3]} channels"
            )


def _require_rows(array: np.ndarray, count: int | None, where: str) -> None:
    """Raises DatasetError unless an array holds rows of numbers.

    Args:
        array: the array to check.
        count: the number of rows that the array must have; None for any number.
        where: the file and the array, with which an error message begins.
    """
    if array.dtype.kind not in NUMBERS or not array.ndim:
        raise DatasetError(f"{where} holds no rows of numbers")
    if count is not None and len(array) != count:
        raise DatasetError(
            f"{where} has {counted(len(array), 'row')} in place of {count}"
        )


def _require_start(episode: Episode, where: str) -> None:
    """Raises DatasetError unless the start's arrays hold numbers, and its state is (D,)."""
    arrays = {"state": episode.start_state, **episode.start_fields}
    for key, array in arrays.items():
        if array.dtype.kind not in NUMBERS:
            raise DatasetError(f"{where}/start/{key} holds no numbers")
    if episode.start_state.ndim != 1:
        raise DatasetError(f"{where}/start/state is no vector")


def with_goals_per_effector(plans: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Converts plans of schema version 1 to version 2; returns other plans unchanged.

    Version 2 has an axis of effectors, here of length 1, and the array `base_goal_w`. In
    version 1 the goal of a base (skill `drive_to`) was stored in the arrays of an
    effector's goal. The goal stays there, and `base_goal_w` gets no bases: (K, 0, 4).

    Args:
        plans: the arrays (K, ...) of the plans, by name; empty if there are no plans.
    """
    # plans of version 2 and later have `base_goal_w`
    if not plans or "base_goal_w" in plans:
        return plans

    plans = dict(plans)
    for name in GOAL_ARRAYS:
        if name in plans:
            plans[name] = plans[name][:, None]  # (K, ...) -> (K, 1, ...)
    num_plans = len(next(iter(plans.values())))
    plans["base_goal_w"] = np.zeros((num_plans, 0, 4))
    return plans
